"""Pieces for these tests: some of the built-in sampler, and random tunes."""

import numpy as np

from etude.corpora.sampler import iter_pieces
from etude.music.score import Score

MIN_NOTES = 64


def sampler_pieces(*, every=18):
    """Return some pieces of different groups that are long enough to be told apart."""
    pieces, groups = [], set()
    for place, piece in enumerate(iter_pieces()):
        if place % every == 0 and piece.group not in groups and len(piece.score.notes) >= MIN_NOTES:
            groups.add(piece.group)
            pieces.append(piece.score)
    return pieces


def tune(seed, count=300, *, start=60, **more):
    """Return a random walk of eighth notes within two octaves around a pitch."""
    walk = np.cumsum(np.random.default_rng(seed).choice([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5], count))
    pitch = start - 12 + np.abs((walk + 12) % 48 - 24)
    return Score.of(np.arange(count) * 240, np.full(count, 240), pitch, **more)


def joined_in_time(scores):
    """Lay pieces of one resolution end to end."""
    begin, columns = 0, []
    for score in scores:
        notes = score.notes
        columns.append((notes.onset_tick + begin, notes.duration_tick, notes.pitch))
        begin += int((notes.onset_tick + notes.duration_tick).max())
    return Score.of(*(np.concatenate(column) for column in zip(*columns, strict=True)), ppq=scores[0].ppq)
