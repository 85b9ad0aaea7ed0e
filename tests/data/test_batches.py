"""Training batches are functions of (seed, step); evaluation counts every target once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from etude.data.batches import EvalWindows, TrainBatches
from etude.data.shards import Shards
from etude.errors import TokenError

END, PAD = 0, 1


class Toy:
    """A tokenizer of which only the ids matter: pitches are 100 and up, others do not move."""

    hash, kind, pad_id, end_id = "0" * 16, "toy", PAD, END

    def transpose_ids(self, ids, semitones):
        moved = np.where(ids >= 100, ids + semitones, ids)
        return None if ((ids >= 100) & ((moved < 100) | (moved > 160))).any() else moved


@pytest.fixture
def shards(tmp_path):
    """Open shards of pieces given as lists of ids; split by row, train by default."""

    def build(pieces, splits=None):
        stored = [np.array([*ids, END], np.uint16) for ids in pieces]
        np.save(tmp_path / "tokens-00000.npy", np.concatenate(stored))
        lengths = np.array([len(ids) for ids in stored])
        names = [f"piece {k}" for k in range(len(pieces))]
        index = pa.table(
            {
                "id": names,
                "file": np.zeros(len(pieces), np.int32),
                "offset": np.cumsum(lengths) - lengths,
                "length": lengths,
                "notes": np.arange(len(pieces)) + 1,
                "seconds": np.arange(len(pieces)) / 4,
            }
        )
        table = pa.table({"id": names, "split": splits or ["train"] * len(pieces)})
        return Shards(tmp_path, Toy(), index, table)

    return build


def numbered(*lengths):
    """Return pieces in which every id occurs once: 2, 3, 4, …"""
    ends = np.cumsum(lengths) + 2
    return [np.arange(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def draw(batches, steps):
    return np.stack([batches.at(step) for step in steps])


def test_a_batch_depends_on_seed_and_step_alone(shards):
    """covers: K38"""
    pieces = shards(numbered(30, 7, 0, 55, 12))
    make = {"ctx_len": 8, "batch_size": 3, "seed": 5}
    forward = draw(TrainBatches(pieces, **make), range(40))
    backward = draw(TrainBatches(pieces, **make), reversed(range(40)))
    assert (forward == backward[::-1]).all()
    assert (draw(TrainBatches(pieces, **make), [25]) == forward[25]).all()
    assert (draw(TrainBatches(pieces, **(make | {"seed": 6})), range(40)) != forward).any()


def test_workers_of_any_number_draw_what_one_draws(shards):
    batches = TrainBatches(shards(numbered(30, 7, 55, 12)), ctx_len=8, batch_size=3, seed=5)
    expected = draw(TrainBatches(batches.shards, ctx_len=8, batch_size=3, seed=5), range(40))
    for workers in (2, 5):
        with ThreadPoolExecutor(workers) as pool:
            drawn = list(pool.map(batches.at, reversed(range(40))))
        assert (np.stack(drawn[::-1]) == expected).all()


@pytest.mark.parametrize("ctx_len", [1, 4, 7, 64, 500])
def test_an_epoch_covers_every_target_and_repeats_less_than_a_window(shards, ctx_len):
    pieces = numbered(30, 7, 1, 55, 12)
    batches = TrainBatches(shards(pieces), ctx_len=ctx_len, batch_size=1, seed=5)
    assert batches.tokens_per_epoch == 105 + 5
    assert batches.windows_per_epoch == -(-110 // ctx_len)
    for epoch in range(3):
        first = epoch * batches.windows_per_epoch
        targets = draw(batches, range(first, first + batches.windows_per_epoch))[:, :, 1:].ravel()
        assert set(targets) == {END, *np.concatenate(pieces)}
        assert (targets == END).sum() >= 5
        assert len(targets) - 110 < ctx_len


def test_every_window_is_a_piece_of_the_pieces_laid_end_to_end(shards):
    pieces = numbered(30, 7, 0, 55, 12)
    after = {a: b for ids in pieces for a, b in zip(ids[:-1], ids[1:], strict=True)}
    after |= {ids[-1]: END for ids in pieces if len(ids)}
    starts = {END, *(ids[0] for ids in pieces if len(ids))}
    windows = draw(TrainBatches(shards(pieces), ctx_len=9, batch_size=2, seed=1), range(60)).reshape(-1, 10)
    for a, b in zip(windows[:, :-1].ravel(), windows[:, 1:].ravel(), strict=True):
        assert b == after[a] if a != END else b in starts


def test_order_phase_and_windows_differ_from_epoch_to_epoch(shards):
    batches = TrainBatches(shards(numbered(*[20] * 12)), ctx_len=6, batch_size=1, seed=2)
    epochs = [
        draw(batches, range(k * batches.windows_per_epoch, (k + 1) * batches.windows_per_epoch)) for k in (0, 1, 2)
    ]
    assert (epochs[0] != epochs[1]).any()
    assert len({tuple(window[0]) for epoch in epochs for window in epoch}) > 2 * batches.windows_per_epoch
    # neighbours in the stream are not neighbours in the batch
    assert (np.diff(epochs[0][:, 0, 0]) != 6).mean() > 0.8


def test_a_batch_larger_than_the_corpus_is_filled_from_the_next_epochs(shards):
    batch = TrainBatches(shards(numbered(3)), ctx_len=2, batch_size=7, seed=0).at(0)
    assert batch.shape == (7, 3)
    assert batch.dtype == np.int64


def test_training_reads_its_own_split_alone(shards):
    pieces = shards(numbered(20, 20, 20), ["valid", "train", "test"])
    batches = TrainBatches(pieces, ctx_len=4, batch_size=4, seed=0)
    assert batches.tokens_per_epoch == 21
    assert set(draw(batches, range(30)).ravel()) == {END, *range(22, 42)}


def test_transposition_is_whole_by_piece_drawn_by_epoch_and_stays_in_range(shards):
    pieces = shards([[100, 5, 104, 6, 160], [120, 7, 121, 8, 119]])
    batches = TrainBatches(pieces, ctx_len=12, batch_size=1, seed=3, transpose_semitones=4)
    moves = set()
    for step in range(200):
        ring = batches.at(step)[0, 1:]
        ring = np.roll(ring, -int(np.flatnonzero(ring == END)[0]) - 1)
        whole = {tuple(part[part < 100]): part for part in np.split(ring, np.flatnonzero(ring == END) + 1) if len(part)}
        # the first piece fills the range, so it can only stay
        assert whole[(5, 6, END)].tolist() == [100, 5, 104, 6, 160, END]
        moved = whole[(7, 8, END)] - np.array([120, 0, 121, 0, 119, 0])
        assert moved[[0, 2, 4]].std() == 0
        moves.add(int(moved[0]))
    assert moves == set(range(-4, 5))


def test_transposed_pieces_agree_wherever_windows_cut_them(shards):
    pieces = shards([np.full(100, 130)])
    batches = TrainBatches(pieces, ctx_len=10, batch_size=1, seed=3, transpose_semitones=6)
    for epoch in range(5):
        first = epoch * batches.windows_per_epoch
        drawn = draw(batches, range(first, first + batches.windows_per_epoch))
        assert len(set(drawn[drawn != END])) == 1


@pytest.mark.parametrize(("ctx_len", "stride"), [(8, None), (8, 8), (8, 1), (8, 3), (1, 1), (500, None)])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_every_target_of_every_piece_counts_exactly_once(shards, ctx_len, stride, batch_size):
    pieces = numbered(30, 7, 0, 8, 9, 1, 55, 12)
    windows = EvalWindows(shards(pieces), "train", ctx_len=ctx_len, stride=stride, batch_size=batch_size)
    counted, batches = [], list(windows)
    for ids_BT, targets_BT, weight_BT in batches:
        assert ids_BT.shape == targets_BT.shape == weight_BT.shape
        assert ids_BT.shape[0] <= batch_size
        assert ids_BT.shape[1] <= ctx_len
        counted.append(targets_BT[weight_BT])
    counted = np.sort(np.concatenate(counted))
    assert counted.tolist() == sorted([*np.concatenate(pieces).tolist(), *[END] * len(pieces)])
    assert windows.num_targets == len(counted)
    assert len(windows) == len(batches)


@pytest.mark.parametrize("stride", [1, 3, 8])
def test_a_target_is_seen_after_what_comes_before_it_and_with_enough_context(shards, stride):
    length, ctx_len = 60, 8
    for ids_BT, targets_BT, weight_BT in EvalWindows(shards(numbered(length)), "train", ctx_len=ctx_len, stride=stride):
        for ids, targets, weight in zip(ids_BT, targets_BT, weight_BT, strict=True):
            assert (targets[:-1] == ids[1:]).all()
            for at in np.flatnonzero(weight):
                place = length if targets[at] == END else targets[at] - 2
                assert at + 1 >= min(place + 1, ctx_len - stride + 1)
                assert ids[at] == (END if place == 0 else place + 1)


def test_padding_never_counts_and_is_the_pad_id(shards):
    batches = list(EvalWindows(shards(numbered(9, 3)), "train", ctx_len=20))
    assert len(batches) == 1
    ids_BT, targets_BT, weight_BT = batches[0]
    assert weight_BT.sum(axis=1).tolist() == [10, 4]
    assert (ids_BT[1, 4:] == PAD).all()
    assert (targets_BT[1, 4:] == PAD).all()


def test_totals_are_those_of_the_pieces_that_are_read(shards):
    pieces = shards(numbered(9, 3, 5, 7), ["valid", "train", "valid", "valid"])
    windows = EvalWindows(pieces, "valid", ctx_len=4)
    assert (windows.num_targets, windows.num_notes, windows.num_seconds) == (10 + 6 + 8, 1 + 3 + 4, 0.0 + 0.5 + 0.75)


def test_some_pieces_are_spread_over_the_split(shards):
    pieces = shards(numbered(*[3] * 10))
    assert EvalWindows(pieces, "train", ctx_len=4, max_pieces=3).rows.tolist() == [0, 3, 6]
    assert EvalWindows(pieces, "train", ctx_len=4, max_pieces=99).rows.tolist() == list(range(10))


def test_an_empty_split_is_refused(shards):
    pieces = shards(numbered(9, 3))
    for make in (
        lambda: EvalWindows(pieces, "valid", ctx_len=4),
        lambda: TrainBatches(pieces, ctx_len=4, batch_size=1, seed=0, split="valid"),
    ):
        with pytest.raises(TokenError, match="no piece is in split 'valid'"):
            make()


@pytest.mark.parametrize("stride", [-1, 5])
def test_a_stride_outside_the_window_is_refused(shards, stride):
    with pytest.raises(ValueError, match="expected 1 to ctx_len"):
        EvalWindows(shards(numbered(9)), "train", ctx_len=4, stride=stride)
