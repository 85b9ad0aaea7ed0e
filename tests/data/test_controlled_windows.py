"""Windows with what is told of their pieces: every id a target once, prefixes at the head, dropped per sample."""

from collections import Counter

import numpy as np
import pytest
from corpus_for_tests import make_corpus

from etude.attributes import measure
from etude.conditions import ConditionSettings
from etude.data.controlled import ControlledBatches, ControlledWindows, Dropout, Told, dropped_names
from etude.data.corpus import Corpus
from etude.data.piece_conditions import PieceConditions
from etude.data.settings import DataSettings
from etude.data.tokenize import tokenize
from etude.data.varied import varied_pieces
from etude.errors import CorpusError, SettingsError
from etude.tokens import build_tokenizer

COMPOSER = {"name": "composer", "values": ["Bach", "Haydn"]}
DENSITY = {"name": "note_density", "thresholds": [4, 8]}
SOUNDING = {"name": "sounding", "num_values": 11}
TOLD = ConditionSettings.parse({"attributes": [COMPOSER, DENSITY, SOUNDING]})
NOTHING = {"each": 0.0, "everything": 0.0, "seed": 0}
T = 48


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus.open(make_corpus(tmp_path_factory.mktemp("controlled")))


def laid(corpus, *, order=None, embedded=False, music_alone=True, **drop):
    """Return batches, validation windows, what is told, and the shards."""
    tokenizer = build_tokenizer("performance")
    if order:
        tokenizer = build_tokenizer("control", attributes=[COMPOSER, DENSITY], order=order)
    shards = tokenize(corpus, tokenizer)
    conditions = PieceConditions(TOLD, shards, corpus, DataSettings()) if embedded else None
    told = Told(tokenizer, conditions, music_alone)
    dropout = Dropout(names=dropped_names(told), **(NOTHING | drop))
    batches = ControlledBatches(shards, told=told, dropout=dropout, ctx_len=T, batch_size=4, seed=0)
    return batches, ControlledWindows(shards, "valid", told=told, ctx_len=T), told, shards


def epoch_of(batches):
    return np.stack([batches.window(number) for number in range(batches.windows_per_epoch)])


@pytest.mark.parametrize("order", ["fixed", "short"])
@pytest.mark.parametrize("music_alone", [True, False])
def test_a_prefix_heads_every_window_and_counts_as_was_asked(corpus, order, music_alone):
    """covers: MT-23 (partly)"""
    batches, _, told, shards = laid(corpus, order=order, music_alone=music_alone)
    windows = epoch_of(batches)
    assert windows.shape == (batches.windows_per_epoch, T + 1, 2)
    is_control = told.tokenizer._is_control
    prefixes = {tuple(shards.ids(row)[: told.prefix_length(shards.ids(row))]) for row in range(len(shards))}
    for ids, weights in zip(windows[..., 0], windows[..., 1], strict=True):
        length = told.prefix_length(ids)
        # a window that begins in a piece has its prefix; one that begins with its END has it right after
        begins_anew = ids[0] == told.tokenizer.end_id
        assert tuple(ids[:length] if not begins_anew else ids[1 : 1 + told.prefix_length(ids[1:])]) in prefixes
        begins = 0 if begins_anew else length
        assert not weights[0]
        if music_alone:
            assert not weights[:length].any()
            assert np.array_equal(weights[begins + 1 :] == 1, ~is_control[ids[begins + 1 :]])
        else:
            assert weights[begins + 1 :].all()
    # what is counted on the average divides a batch
    assert windows[:, 1:, 1].sum(1).mean() == pytest.approx(batches.targets_per_window, rel=0.06)


@pytest.mark.parametrize("music_alone", [True, False])
def test_every_id_that_counts_is_a_target_in_every_epoch(corpus, music_alone):
    batches, _, _, shards = laid(corpus, order="fixed", music_alone=music_alone)
    windows = epoch_of(batches)[:, 1:]
    counts = Counter(windows[..., 0][windows[..., 1] == 1].tolist())
    rows = shards.split_rows("train")
    expected = Counter(np.concatenate([shards.ids(row)[3 if music_alone else 0 :] for row in rows]).tolist())
    assert all(counts[one] >= number for one, number in expected.items())
    assert sum(counts.values()) - sum(expected.values()) <= 4 * (len(rows) + 1) + T


@pytest.mark.parametrize("order", [None, "fixed", "short"])
@pytest.mark.parametrize("music_alone", [True, False])
def test_evaluation_counts_every_target_once_and_no_padding(corpus, order, music_alone):
    """covers: MT-23 (partly)"""
    _, windows, told, shards = laid(corpus, order=order, embedded=True, music_alone=music_alone)
    found, width = [], 0
    for ids_BT, targets_BT, weight_BT, rows_BTC in windows:
        found.append(targets_BT[weight_BT])
        width = max(width, ids_BT.shape[1])
        padded = targets_BT == told.tokenizer.pad_id
        assert not (padded & weight_BT).any()
        assert not rows_BTC[padded].any()
        if order:
            first_two = ids_BT[:, 0] == told.tokenizer.end_id
            assert (first_two | told.tokenizer._is_control[ids_BT[:, 0]]).all()
    assert width <= T
    pieces = [shards.ids(row) for row in shards.split_rows("valid")]
    expected = np.concatenate([ids[told.prefix_length(ids) if music_alone else 0 :] for ids in pieces])
    assert Counter(np.concatenate(found).tolist()) == Counter(expected.tolist())
    assert windows.num_targets == len(expected)


def test_each_id_is_told_its_piece_and_what_sounds_before_it(corpus):
    """covers: MT-7 (partly)"""
    batches, _, told, shards = laid(corpus, embedded=True)
    conditions, first = told.conditions, TOLD.first_rows
    for row, piece in enumerate(corpus.pieces()):
        ids = shards.ids(row)
        rows_NC = conditions.of_ids(row, ids)
        composer = piece.labels.get("composer")
        expected = first[0] + COMPOSER["values"].index(composer) if composer in COMPOSER["values"] else 0
        assert (rows_NC[:, 0] == expected).all()
        assert set(rows_NC[:, 1]) <= {first[1], first[1] + 1, first[1] + 2}
        assert rows_NC[0, 2] == first[2]
        assert rows_NC[:, 2].max() > first[2]
    windows = epoch_of(batches)
    # END opens a piece: what it is read with is told of the piece that follows
    assert len({tuple(row) for row in windows[..., 2:4].reshape(-1, 2)}) > 2
    assert (windows[..., 2:] >= 0).all()
    assert (windows[..., 2:] < TOLD.num_rows).all()


def test_a_measure_that_variations_change_is_taken_again(corpus):
    tokenizer = build_tokenizer("performance")
    shards = tokenize(corpus, tokenizer)
    data = DataSettings.parse({"augment": {"tempo_percent": 50}})
    told = ConditionSettings.parse({"attributes": [{"name": "note_density", "thresholds": [3, 4, 4.5, 5, 6, 7, 9]}]})
    conditions = PieceConditions(told, shards, corpus, data)
    varied = varied_pieces(shards, corpus, data, seed=0)
    row = int(shards.split_rows("train")[0])
    found = set()
    for epoch in range(8):
        ids = varied(row, epoch)
        first = conditions.of_ids(row, ids, epoch)[0]
        density = conditions.settings.attributes[0]
        score = tokenizer.decode(ids[:-1])
        assert first[0] == 1 + density.place_of(measure(score, ["note_density"])["note_density"])
        found.add(int(first[0]))
    assert len(found) > 1


@pytest.mark.parametrize("order", ["fixed", "short"])
def test_dropping_all_says_nothing_of_any_piece(corpus, order):
    """covers: K41 (partly), MT-23 (partly)"""
    batches, _, told, _ = laid(corpus, order=order, embedded=True, everything=1.0)
    for number in range(12):
        window = batches.window(number)
        assert not window[:, 2:].any()
        assert told.tokenizer.control.conditions_of(window[:, 0]) == {}


def test_each_kind_is_dropped_as_often_as_was_asked_and_differently_on_every_rank():
    """covers: B18, K41 (partly)"""
    names = ("genre", "author", "sounding")
    dropout = Dropout(names=names, each=0.3, everything=0.1, seed=5)
    batch_size, steps = 40, 250
    masks = np.array(
        [[[name in dropout.of_row(step, row) for name in names] for row in range(batch_size)] for step in range(steps)]
    )
    # a rank has every row of its share: two halves of each batch
    ranks = masks[:, : batch_size // 2], masks[:, batch_size // 2 :]
    assert (ranks[0] != ranks[1]).any(axis=(1, 2)).mean() > 0.99
    flat = masks.reshape(-1, 3)
    assert len(flat) == 10_000
    assert np.abs(flat.mean(0) - (0.1 + 0.9 * 0.3)).max() < 0.01
    assert abs(flat.all(1).mean() - (0.1 + 0.9 * 0.3**3)) < 0.01
    alone = Dropout(names=names, each=0.3, everything=0.0, seed=5)
    drawn = np.array([[name in alone.of_row(0, row) for name in names] for row in range(10_000)])
    assert np.abs(drawn.mean(0) - 0.3).max() < 0.01
    assert abs((drawn[:, 0] & drawn[:, 1]).mean() - 0.09) < 0.01


def test_a_row_of_a_batch_is_the_same_however_the_batch_is_shared_out(corpus):
    """covers: B18 (partly)"""
    batches, *_ = laid(corpus, order="fixed", embedded=True, each=0.5)
    whole = batches.at(3)
    assert np.array_equal(whole, np.concatenate([batches.at(3, range(0, 2)), batches.at(3, range(2, 4))]))
    assert np.array_equal(whole, laid(corpus, order="fixed", embedded=True, each=0.5)[0].at(3))


def test_what_a_corpus_or_a_window_cannot_hold_is_refused(corpus):
    shards = tokenize(corpus, build_tokenizer("performance"))
    told = ConditionSettings.parse({"attributes": [{"name": "compser", "values": ["Bach"]}]})
    with pytest.raises(CorpusError, match="condition 'compser' of the model: no such label; did you mean 'composer'"):
        PieceConditions(told, shards, corpus, DataSettings())
    with pytest.raises(SettingsError, match="a prefix of 3 ids leaves no room"):
        Told(build_tokenizer("control", attributes=[COMPOSER, DENSITY]), None, True).check_length(3)
