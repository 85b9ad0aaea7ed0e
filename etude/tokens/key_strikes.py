"""Notes of instruments that have one key for each pitch: a key struck again ends the note that it sounded.

A key is ``instrument << 7 | pitch``, 15 bits, with instrument 0..127 for programs and 128 for drums. N is the number
of notes. The unit of times is the caller's.
"""

from typing import NamedTuple

import numpy as np

from etude.music.score import Score, Track
from etude.tokens.id_facts import DRUMS


class Strikes(NamedTuple):
    """Notes in order of key, then onset; no two of them sound one key at a time."""

    key: np.ndarray
    onset: np.ndarray
    end: np.ndarray
    value: np.ndarray


def keys_of(score: Score) -> np.ndarray:
    """Return the key of each note of a score, (N,): uint8 where all belong to program 0, else uint16."""
    instruments = [DRUMS if track.is_drum else track.program for track in score.tracks]
    if not any(instruments):
        return score.notes.pitch.astype(np.uint8)
    first_key = np.array(instruments, np.int32) << 7
    keys = score.notes.pitch + (first_key[0] if len(first_key) == 1 else first_key[score.notes.track])
    return keys.astype(np.uint16)


def struck_once(key: np.ndarray, onset: np.ndarray, end: np.ndarray, value: np.ndarray) -> Strikes:
    """Let notes end where their key is struck again; of notes struck together the latest end and highest value stay.

    Args:
        key: uint8 or uint16, (N,), N > 0.
        onset: whole numbers in rising order, (N,).
        end: of the dtype of ``onset``.
        value: something else about each note, such as its velocity.

    Example:
        >>> strikes = struck_once(np.array([60, 60], np.uint8), np.array([0, 5]), np.array([9, 7]), np.array([1, 2]))
        >>> strikes.end
        array([5, 7])
    """
    # numpy sorts up to 16 bits by radix, and notes of one key stay in order of onset
    order = key.argsort(kind="stable")
    key, onset, end, value = key[order], onset[order], end[order], value[order]
    follows = key[1:] == key[:-1]
    again = follows & (onset[1:] == onset[:-1])
    if again.any():
        first = np.concatenate([[0], np.flatnonzero(~again) + 1])
        key, onset = key[first], onset[first]
        end, value = np.maximum.reduceat(end, first), np.maximum.reduceat(value, first)
        follows = key[1:] == key[:-1]
    np.minimum(end[:-1], onset[1:], out=end[:-1], where=follows)
    return Strikes(key, onset, end, value)


def tracks_of(instrument: np.ndarray) -> tuple[tuple[Track, ...], np.ndarray]:
    """Return a track for each instrument that occurs, in their order, and the track of each note, int32 (N,)."""
    occurs = np.bincount(instrument, minlength=DRUMS + 1) > 0
    found = np.flatnonzero(occurs).tolist() or [0]
    tracks = tuple(Track(0, is_drum=True) if one == DRUMS else Track(one) for one in found)
    return tracks, (np.cumsum(occurs) - 1)[instrument].astype(np.int32)
