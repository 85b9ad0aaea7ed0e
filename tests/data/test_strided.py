"""Windows of fixed length: the stride, the prefix and the padding that were asked for, and no torn notes."""

import numpy as np
import pytest
from pieces_for_tests import song

from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.data.strided import StridedWindows, prefix_length
from etude.data.tokenize import tokenize
from etude.errors import TokenError
from etude.music.midi import write_midi
from etude.tokens import build_tokenizer

DENSITY = {"name": "note_density", "thresholds": [2, 4]}
KINDS = {
    "performance": {},
    "absolute": {},
    "relative": {},
    "control": {"attributes": [DENSITY], "base": "absolute"},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strided")
    (folder / "midi").mkdir()
    for number in range(5):
        write_midi(song(number, num_notes=10 + 40 * number), folder / "midi" / f"{number}.mid")
    prepare(folder / "midi", folder / "out", workers=1, near_duplicates=False, fractions=[1.0, 0.0, 0.0])
    return Corpus.open(folder / "out")


@pytest.fixture(params=sorted(KINDS), scope="module")
def shards(request, corpus):
    return tokenize(corpus, build_tokenizer(request.param, **KINDS[request.param]))


def windows_by_piece(shards, windows):
    """Yield the ids of each piece with END before and after, the length of its prefix, and its windows."""
    for row in range(len(shards)):
        ids = shards.ids(row).astype(np.int64)
        numbers = np.flatnonzero(windows.rows == row)
        yield np.append(ids[-1], ids), prefix_length(shards.tokenizer, ids[:-1]), numbers


@pytest.mark.parametrize(("ctx_len", "stride"), [(30, 7), (30, None), (64, 55), (24, 1), (5000, 100)])
def test_windows_have_the_length_the_stride_and_the_prefix_asked_for(shards, ctx_len, stride):
    """covers: AP-12"""
    windows = StridedWindows(shards, ctx_len=ctx_len, stride=stride)
    assert len(windows) == len(list(windows))
    for ids, length, numbers in windows_by_piece(shards, windows):
        body, starts = ids[1 + length :], windows.starts[numbers]
        assert starts[0] == 0
        for number, start in zip(numbers, starts, strict=True):
            window = windows[number]
            assert (window.shape, window.dtype) == ((ctx_len + 1,), np.int64)
            head = ids[: 1 + length] if start == 0 else ids[1 : 1 + length]
            expected = np.concatenate([head, body[start:]])[: ctx_len + 1]
            assert window[: len(expected)].tolist() == expected.tolist()
            assert (window[len(expected) :] == shards.tokenizer.pad_id).all()
        # a note has at most three ids and what stands between two notes few more
        steps = np.diff(starts)
        assert ((steps > 0) & (steps <= max(windows.stride, 12))).all()
        if windows.stride > 20:
            assert (steps > windows.stride - 20).all()


@pytest.mark.parametrize("ctx_len", [24, 31, 200])
def test_no_window_begins_inside_a_note_and_every_id_is_a_target(shards, ctx_len):
    """covers: AP-12"""
    longest = max(length for _, length, _ in windows_by_piece(shards, StridedWindows(shards, ctx_len=ctx_len)))
    windows = StridedWindows(shards, ctx_len=ctx_len, stride=ctx_len - longest)
    for ids, length, numbers in windows_by_piece(shards, windows):
        starts, body = windows.starts[numbers], ids[1 + length :]
        assert shards.tokenizer.id_facts.starts_note[body[starts[1:]]].all()
        is_target = np.zeros(len(ids) - 1, bool)
        for start in starts:
            # what begins a window is no target of it
            first = 0 if start == 0 else length + start + 1
            is_target[first : (ctx_len if start == 0 else start + ctx_len + 1)] = True
        assert is_target.all()
        assert windows[numbers[-1]][-1] in (shards.tokenizer.pad_id, shards.tokenizer.end_id)


def test_padding_and_a_repeated_prefix_do_not_count(shards):
    windows = StridedWindows(shards, ctx_len=40, stride=20)
    ids_BT, targets_BT, weight_BT = windows.batch(range(len(windows)))
    assert ids_BT.shape == targets_BT.shape == weight_BT.shape == (len(windows), 40)
    assert (ids_BT[:, 1:] == targets_BT[:, :-1]).all()
    assert not weight_BT[targets_BT == shards.tokenizer.pad_id].any()
    for _, length, numbers in windows_by_piece(shards, windows):
        for number in numbers:
            skipped = max(0, length - 1) if windows.starts[number] else 0
            counted = np.ones(40, bool)
            counted[:skipped] = False
            assert (weight_BT[number] == (counted & (targets_BT[number] != shards.tokenizer.pad_id))).all()


def test_strides_that_do_not_fit_are_refused(shards):
    for stride in (0, -3, 41):
        with pytest.raises(TokenError, match="expected 1 to"):
            StridedWindows(shards, ctx_len=40, stride=stride)
    with pytest.raises(TokenError, match="no piece is in split 'test'"):
        StridedWindows(shards, "test", ctx_len=40)


def test_a_stretch_without_notes_longer_than_a_window_ends_the_windows():
    class Held:
        def __init__(self):
            self.tokenizer = build_tokenizer("performance")
            self.row = np.array([376, 60, *[355] * 50, 188, 388], np.uint16)
            self.path, self.piece_ids = "here", None

        def ids(self, row):
            return self.row

        def split_rows(self, split):
            return np.array([0])

    windows = StridedWindows(Held(), ctx_len=8, stride=4)
    assert windows.starts.tolist() == [0, 1]
    assert (windows[1] != 388).all()
