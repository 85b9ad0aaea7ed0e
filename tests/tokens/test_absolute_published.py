"""The published form of the absolute tokenizer beside the published encoder, where that is installed.

Equal but for what ``docs/tokenizer-absolute.md`` names: the order of what stands in the prefix and of events of
one onset, and, further down, what reading a file makes of it.
"""

import numpy as np
import pytest

from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Controls, Score, Tempos, Track
from etude.tokens import build_tokenizer

SEGMENT, FIRST_DRUM = 5, 16_679


@pytest.fixture(scope="module")
def theirs():
    """Return a function from a path to ids, without the end and the mark before it."""
    reason = "aria-utils is not installed: pip install git+https://github.com/EleutherAI/aria-utils"
    midi = pytest.importorskip("ariautils.midi", reason=reason)
    tokenizer = pytest.importorskip("ariautils.tokenizer", reason=reason).AbsTokenizer()

    def encode(path):
        words = tokenizer.tokenize(midi.MidiDict.from_midi(path), add_dim_tok=False, add_eos_tok=False)
        return tokenizer.encode(words)

    encode.vocab = tokenizer.vocab
    return encode


@pytest.fixture(scope="module")
def ours():
    return build_tokenizer("absolute", published=True)


def groups(ids):
    """Return the prefix and the events, in an order of their own, as (segment, ids of the group)."""
    ids = list(ids)
    start = ids.index(0)
    events, segment, place = [], 0, start + 1
    while place < len(ids):
        if ids[place] == SEGMENT:
            segment += 1
            place += 1
            continue
        width = 3 if ids[place] < FIRST_DRUM else 2
        events.append((segment, ids[place + 1], *ids[place : place + width]))
        place += width
    return sorted(ids[:start]), sorted(events)


def pieces(seed):
    """Return a piece in which no key is struck while it sounds and the pedal comes up at last."""
    rng = np.random.default_rng(seed)
    tracks = [Track(0), Track(40), Track(33), Track(9), Track(0, is_drum=True)][: 1 + seed % 5]
    track = np.arange(300) % len(tracks)
    onset = np.cumsum(rng.integers(0, 90, 300))
    pitch = 35 + np.arange(300) % 47  # each key comes back long after
    duration = rng.integers(1, 400, 300)
    down = np.sort(rng.choice(onset[-1], 40, replace=False))
    return Score.of(
        onset,
        duration,
        pitch,
        rng.integers(1, 128, 300),
        track,
        ppq=500,  # a tick is a millisecond
        tracks=tracks,
        tempos=Tempos.of(tick=[0], us_per_quarter=[500_000]),
        controls=Controls.of(
            tick=[*down, onset[-1] + 900],
            track=np.zeros(41, int),
            number=[64] * 41,
            value=[*rng.integers(0, 128, 40), 0],
        ),
    )


def test_ids_have_the_places_that_they_have_there(theirs, ours):
    """covers: AP-9"""
    names = ours.vocab.names
    assert len(theirs.vocab) == len(names)
    for token_id, word in enumerate(theirs.vocab):
        if not isinstance(word, str):
            kind, *rest = word
            kind = {"onset": "ONSET", "dur": "DURATION"}.get(kind, kind)
            kind, rest = (
                ("WITH" if rest[0] == "instrument" else rest[0], rest[1:]) if kind == "prefix" else (kind, rest)
            )
            told = "_".join([kind, *map(str, rest)]).upper()
            assert names[token_id] == {"WITH_DRUM": "WITH_DRUMS"}.get(told, told)


@pytest.mark.parametrize("seed", range(20))
def test_made_pieces_have_equal_ids(theirs, ours, tmp_path, seed):
    """covers: AP-9"""
    path = tmp_path / "piece.mid"
    path.write_bytes(midi_bytes(pieces(seed)))
    assert groups(ours.encode(read_midi(path))) == groups(theirs(path))


def test_performances_have_equal_ids(theirs, ours, shared_data):
    """covers: AP-9"""
    paths = sorted((shared_data / "mini").rglob("*.mid"))
    equal, kept = 0, 0
    for path in paths:
        score = read_midi(path)
        # there, durations after the last change of tempo are wrong, a note and an end at one tick are no note,
        # an end ends all notes of its key, and a piece of drums announces a piano
        overlaps = np.diff(np.sort(score.notes.pitch.astype(np.int64) << 32 | score.notes.onset_tick)).min() == 0
        if len(score.tempos) > 1 or overlaps or not score.notes.duration_tick.all() or score.tracks[0].is_drum:
            continue
        kept += 1
        equal += groups(ours.encode(score)) == groups(theirs(path))
    assert kept > 5
    assert equal >= kept - 2, (equal, kept)
