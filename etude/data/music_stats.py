"""What the music of a corpus is like: polyphony, keys, tempi, metres, instruments, pitches, loudness.

Pieces are taken one by one, and a few numbers are kept of each; memory does not depend on how long they are.
"""

from collections import Counter
from typing import Any

import numpy as np

from etude.attributes.in_key import find_key
from etude.attributes.note_density import NoteDensity
from etude.attributes.polyphony import Polyphony
from etude.data.distribution import distribution
from etude.music.families import FAMILIES, family_of
from etude.music.score import Score
from etude.music.timing import DEFAULT_US_PER_QUARTER

_MAJOR_TONICS = ("C", "D♭", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
_MINOR_TONICS = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "G♯", "A", "B♭", "B")
KEYS = tuple([f"{tonic} major" for tonic in _MAJOR_TONICS] + [f"{tonic} minor" for tonic in _MINOR_TONICS])
"""Twelve major keys from C, then twelve minor keys."""

_US_PER_MINUTE = 60_000_000
_SUSTAIN_PEDAL = 64
_FEATURES = ("seconds", "notes_per_sec", "polyphony", "pitch")


class MusicStats:
    """Takes pieces; ``document`` says what they are like."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self._values: dict[str, list[float]] = {name: [] for name in (*_FEATURES, "tempo_qpm", "tracks", "velocity")}
        self._keys = np.zeros(len(KEYS), np.int64)
        self._stated_keys: Counter[str] = Counter()
        self._metres: Counter[str] = Counter()
        self._pieces_with: Counter[str] = Counter()
        self._family_pieces, self._family_notes = Counter[str](), Counter[str]()
        self._program_pieces: Counter[int] = Counter()
        self._velocity, self._pitch = np.zeros(128, np.int64), np.zeros(128, np.int64)

    def add(self, row: int, score: Score) -> None:
        """Add the piece of a row."""
        if not len(score.notes):
            return
        self.rows.append(row)
        self._add_values(score)
        self._add_signs(score)
        self._add_instruments(score)

    def document(self) -> dict[str, Any]:
        """Return everything that has been found, as plain values."""
        seconds, tempo = np.array(self._values["seconds"]), self._values["tempo_qpm"]
        families = {
            family: {"pieces": self._family_pieces[family], "notes": self._family_notes[family]}
            for family in FAMILIES
            if self._family_pieces[family]
        }
        return {
            "notes_per_sec": distribution(self._values["notes_per_sec"]),
            "polyphony": distribution(self._values["polyphony"]),
            "tracks": distribution(self._values["tracks"]),
            "keys": dict(zip(KEYS, self._keys.tolist(), strict=True)),
            "stated_keys": _by_count(self._stated_keys),
            "tempo_qpm": distribution(tempo, log=True),
            "metres": _by_count(self._metres),
            "families": families,
            "programs": {str(program): count for program, count in self._program_pieces.most_common(128)},
            "velocity": self._velocity.tolist(),
            "pitch": self._pitch.tolist(),
            "pieces_with": {name: self._pieces_with[name] for name in PIECES_WITH},
            "seconds": float(seconds.sum()),
        }

    def typical_rows(self, count: int) -> list[int]:
        """Return a row of each of ``count`` equal stretches: the piece nearest to the middle of its stretch.

        Nearest in length, notes a second, polyphony and pitch, each in units of its spread over all pieces.
        """
        if not self.rows:
            return []
        columns = np.array([self._values[name] for name in _FEATURES], np.float64)
        columns[0] = np.log(np.maximum(columns[0], 0.1))
        columns = np.nan_to_num(columns)
        spread = columns.std(axis=1, keepdims=True)
        columns = columns / np.where(spread > 0, spread, 1.0)
        found = []
        for places in np.array_split(np.arange(len(self.rows)), count):
            if len(places):
                middle = np.median(columns[:, places], axis=1, keepdims=True)
                found.append(self.rows[places[np.abs(columns[:, places] - middle).sum(axis=0).argmin()]])
        return found

    def _add_values(self, score: Score) -> None:
        notes = score.notes
        self._velocity += np.bincount(np.clip(notes.velocity, 0, 127), minlength=128)
        pitched = ~np.array([track.is_drum for track in score.tracks] or [False])[notes.track]
        pitch = notes.pitch[pitched]
        self._pitch += np.bincount(pitch, minlength=128)
        of_piece = {
            "seconds": score.duration_sec,
            "notes_per_sec": _or_nan(NoteDensity.measure(score)),
            "polyphony": _or_nan(Polyphony.measure(score)),
            "pitch": float(pitch.mean()) if len(pitch) else 0.0,
            "tempo_qpm": _mean_tempo(score),
            "tracks": len(np.unique(notes.track)),
        }
        for name, value in of_piece.items():
            self._values[name].append(value)
        if notes.velocity.min() == notes.velocity.max():
            self._pieces_with["one velocity throughout"] += 1

    def _add_signs(self, score: Score) -> None:
        """Count keys and metres, those heard and those written."""
        key = find_key(score)
        if key is not None:
            self._keys[key[0] + 12 * key[1]] += 1
        signature = score.key_signatures
        if len(signature):
            # a step along the circle of fifths is seven semitones; the relative minor is three below
            tonic = (7 * int(signature.sharps[0]) - 3 * int(signature.is_minor[0])) % 12
            self._stated_keys[KEYS[tonic + 12 * int(signature.is_minor[0])]] += 1
        metre = score.time_signatures
        self._metres[f"{metre.numerator[0]}/{metre.denominator[0]}" if len(metre) else "none written"] += 1
        counted = {
            "a change of metre": _changes(metre.numerator * 1000 + metre.denominator),
            "a change of tempo": _changes(score.tempos.us_per_quarter),
            "no tempo written": not len(score.tempos),
            "sustain pedal": bool((score.controls.number == _SUSTAIN_PEDAL).any()),
            "pitch bends": bool(len(score.pitch_bends)),
            "lyrics": "lyric" in score.texts.kind,
        }
        self._pieces_with.update(name for name, holds in counted.items() if holds)

    def _add_instruments(self, score: Score) -> None:
        counts = np.bincount(score.notes.track, minlength=len(score.tracks)).tolist()
        sounding = [(track, count) for track, count in zip(score.tracks, counts, strict=True) if count]
        families = Counter()
        for track, count in sounding:
            families[family_of(track.program, is_drum=track.is_drum)] += count
        self._family_notes.update(families)
        self._family_pieces.update(families.keys())
        self._program_pieces.update({track.program for track, _ in sounding if not track.is_drum})


PIECES_WITH = (
    "sustain pedal",
    "a change of tempo",
    "a change of metre",
    "no tempo written",
    "one velocity throughout",
    "pitch bends",
    "lyrics",
)
"""What pieces are counted by."""


def _mean_tempo(score: Score) -> float:
    """Return quarter notes a minute from the start to the end of the last note."""
    quarters = float((score.notes.onset_tick.astype(np.int64) + score.notes.duration_tick).max()) / score.ppq
    if score.duration_sec <= 0:
        return _US_PER_MINUTE / DEFAULT_US_PER_QUARTER
    return 60 * quarters / score.duration_sec


def _changes(values: np.ndarray) -> bool:
    return bool(len(values)) and bool((values != values[0]).any())


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _by_count(counts: Counter) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
