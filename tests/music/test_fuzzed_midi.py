"""Damaged MIDI files by the thousand: refused with one line or read, never a crash, a hang or a broken Score.

``ETUDE_CAMPAIGN_SECONDS`` says how long to go on, 60 by default; results are kept in ``docs/campaigns.md``.
"""

import os
import time

import numpy as np
import pytest

from etude.corpora.sampler import iter_pieces
from etude.errors import MidiError
from etude.music.midi import midi_bytes, read_midi

pytestmark = pytest.mark.campaign
_SOURCES = 40


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with some bytes changed, removed or repeated."""
    values = np.frombuffer(data, np.uint8).copy()
    for _ in range(int(rng.integers(1, 6))):
        at, length = int(rng.integers(len(values))), int(rng.integers(1, 9))
        match int(rng.integers(4)):
            case 0:
                values[at] = rng.integers(256)
            case 1:
                values[at] ^= 1 << int(rng.integers(8))
            case 2:
                values = np.delete(values, slice(at, at + length))
            case 3:
                values = np.insert(values, at, values[at : at + length])
    return values.tobytes()


def test_a_damaged_file_is_read_or_refused_with_one_line():
    sources = [midi_bytes(piece.score) for piece, _ in zip(iter_pieces("train"), range(_SOURCES), strict=False)]
    rng = np.random.default_rng(0)
    until = time.monotonic() + float(os.environ.get("ETUDE_CAMPAIGN_SECONDS", "60"))
    read, tried, refused = 0, 0, set()
    while time.monotonic() < until:
        tried += 1
        data = damaged(sources[int(rng.integers(len(sources)))], rng)
        try:
            score = read_midi(data)
        except MidiError as error:
            refused.add(str(error))
            continue
        read += 1
        # whatever could be read can be written, and then says the same
        again = read_midi(midi_bytes(score))
        assert len(again.notes) == len(score.notes)
    print(f"{tried} damaged files: {read} read, {tried - read} refused for {len(refused)} reasons")
    assert 0 < read < tried
    assert not any("\n" in reason for reason in refused)
