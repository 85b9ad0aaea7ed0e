"""What changes from token to token: how far a piece has come, what sounds, what was read last.

Feature t of a piece is what holds before its id number t, from the ids before it alone: a model that reads it can
write the piece from left to right. Only the two shares need to know how long the whole will be; where that is not
known they are not known either.

    seconds_gone    share of the piece's seconds that have passed, in ``num_values`` steps
    tokens_gone     share of its ids that are written, in ``num_values`` steps
    sounding        notes that sound
    note_length     mean length of the last five notes that ended, in hundredths of a second
    token_kind      the last id lets time pass, begins a note, ends one, or does something else: 0, 1, 2, 3
    pitch_class     0 where the last id names no pitch, else 1 for C to 12 for B

Values above ``num_values - 1`` count as that. ``seconds_gone``, ``sounding`` and ``note_length`` need a tokenizer
with ``note_timing``, whose notes begin and end with ids of their own. Legend: N ids, F features, S steps of ids.

Source:
    The local features timing, rel_pos, nnotes, notes_duration, token_type and note_type of the Music Transformer
    family; there the last value of each stood for padding as well, here nothing does.
"""

import copy
from collections import deque
from typing import Any

import numpy as np

from etude.errors import SettingsError, nearest
from etude.tokens.note_timing import NoteTiming

NOT_KNOWN = -1
"""What stands for a value that is not known."""
NUM_VALUES = {
    "seconds_gone": 128,
    "tokens_gone": 128,
    "sounding": 11,
    "note_length": 201,
    "token_kind": 4,
    "pitch_class": 13,
}
"""How many values are usual for each feature."""

_NEED_TIMING = {"seconds_gone", "sounding", "note_length"}
_LAST_NOTES = 5
_MICRO_PER_HUNDREDTH = 10_000
_TIME, _BEGIN, _END, _OTHER = range(4)


class TokenFeatures:
    """Some features of the ids of one tokenizer.

    Args:
        tokenizer: what the ids are of.
        sizes: ``num_values`` by name, in the order of columns.

    Raises:
        SettingsError: no such feature, or one that the tokenizer's ids do not tell.

    Example:
        >>> from etude.tokens import build_tokenizer
        >>> features = TokenFeatures(build_tokenizer("performance"), {"sounding": 11, "pitch_class": 13})
        >>> features.of_piece(np.array([376, 60, 305, 188, 388]))[:, 0]
        array([0, 0, 1, 1, 0])
    """

    def __init__(self, tokenizer: Any, sizes: dict[str, int]) -> None:
        timing = getattr(tokenizer, "note_timing", None)
        for name in sizes:
            if name not in NUM_VALUES:
                raise SettingsError(f"condition {name!r}: nothing of that name changes by token; {_known(name)}")
            if name in _NEED_TIMING and timing is None:
                raise SettingsError(
                    f"condition {name!r}: ids of tokenizer {tokenizer.kind} do not tell when notes end; take "
                    "performance or midilike, or leave the condition out"
                )
        self.sizes = dict(sizes)
        facts = tokenizer.id_facts
        kind = np.select([facts.starts_note, facts.ends_note, facts.moves_time], [_BEGIN, _END, _TIME], _OTHER)
        self._of_id = {"token_kind": kind, "pitch_class": np.where(facts.pitch < 0, 0, facts.pitch % 12 + 1)}
        self._timing = timing if _NEED_TIMING & sizes.keys() else None

    def of_piece(self, ids: np.ndarray) -> np.ndarray:
        """Return the features of all ids of a piece, END among them or not, int64 (N, F).

        Args:
            ids: the whole piece, which tells how long it is.
        """
        ids = np.asarray(ids, np.int64)
        counts = _Counts.of_ids(self._timing, ids) if self._timing is not None else None
        columns = [self._column(name, size, ids, counts) for name, size in self.sizes.items()]
        return np.stack(columns, axis=1) if columns else np.empty((len(ids), 0), np.int64)

    def follow(self, *, seconds: float | None = None, tokens: int | None = None) -> "Follower":
        """Return what tells the features of a piece that is being written.

        Args:
            seconds: how long it will be.
            tokens: how many ids it will have.
        """
        return Follower(self, seconds, tokens)

    def _column(self, name: str, size: int, ids: np.ndarray, counts: "_Counts | None") -> np.ndarray:
        if name in self._of_id:
            first = [_OTHER if name == "token_kind" else 0]
            value = np.concatenate([first, self._of_id[name][ids[:-1]]])[: len(ids)]
        elif name == "tokens_gone":
            value = _share(np.arange(len(ids)), len(ids), size)
        elif name == "seconds_gone":
            value = _share(counts.clock[:-1], counts.clock[-1], size)
        else:
            value = (counts.sounding if name == "sounding" else counts.length)[:-1]
        return np.minimum(value, size - 1)


class Follower:
    """The features of one piece while it is written; see ``TokenFeatures.follow``."""

    def __init__(self, features: TokenFeatures, seconds: float | None, tokens: int | None) -> None:
        self._features = features
        self._total_micro = None if seconds is None else round(seconds * 1e6)
        self._tokens = tokens
        self._timing = features._timing
        self._since: dict[int, int] = {}
        self._lengths: deque[int] = deque(maxlen=_LAST_NOTES)
        self._clock = self._count = 0
        self._last: int | None = None

    def copy(self) -> "Follower":
        """Return another one at the same place."""
        other = copy.copy(self)
        other._since, other._lengths = dict(self._since), deque(self._lengths, maxlen=_LAST_NOTES)
        return other

    @property
    def values(self) -> np.ndarray:
        """What holds before the next id, int64 (F,); ``NOT_KNOWN`` for what is not known."""
        return np.array([self._value(name, size) for name, size in self._features.sizes.items()], np.int64)

    def read(self, token_id: int) -> None:
        """Take note of one more id."""
        self._last, self._count = token_id, self._count + 1
        if self._timing is None:
            return
        for step in range(self._timing.first[token_id], self._timing.first[token_id + 1]):
            ends, starts = int(self._timing.ends[step]), int(self._timing.starts[step])
            if ends >= 0 and ends in self._since:
                self._lengths.append(self._clock - self._since.pop(ends))
            if starts >= 0:
                self._since[starts] = self._clock
            self._clock += round(float(self._timing.advance_sec[step]) * 1e6)

    def _value(self, name: str, size: int) -> int:
        if name in self._features._of_id:
            none = _OTHER if name == "token_kind" else 0
            value = none if self._last is None else int(self._features._of_id[name][self._last])
        elif name == "tokens_gone":
            value = NOT_KNOWN if self._tokens is None else int(_share(self._count, self._tokens, size))
        elif name == "seconds_gone":
            value = NOT_KNOWN if self._total_micro is None else int(_share(self._clock, self._total_micro, size))
        elif name == "sounding":
            value = len(self._since)
        else:
            count = len(self._lengths)
            value = sum(self._lengths) // (count * _MICRO_PER_HUNDREDTH) if count else NOT_KNOWN
        return min(value, size - 1)


class _Counts:
    """What has passed, sounds and has ended before each id and after the last; each int64 (N + 1,)."""

    def __init__(self, clock: np.ndarray, sounding: np.ndarray, length: np.ndarray) -> None:
        self.clock, self.sounding, self.length = clock, sounding, length

    @classmethod
    def of_ids(cls, timing: NoteTiming, ids: np.ndarray) -> "_Counts":
        step, before = _steps_of(timing, ids)
        micro = np.round(timing.advance_sec[step].astype(np.float64) * 1e6).astype(np.int64)
        clock = np.concatenate([[0], np.cumsum(micro)])
        starts, ends = timing.starts[step], timing.ends[step]
        # in one step a note ends before another begins
        events = np.concatenate([np.flatnonzero(ends >= 0) * 2, np.flatnonzero(starts >= 0) * 2 + 1])
        events.sort()
        place, begins = events // 2, events % 2
        key = np.where(begins, starts[place], ends[place])
        order = np.argsort(key, kind="stable")
        follows = np.zeros(len(order), bool)
        follows[1:] = key[order][1:] == key[order][:-1]
        earlier = np.concatenate([order[:1], order[:-1]])
        sounds = np.zeros(len(order), np.int64)
        sounds[order] = np.where(follows, begins[earlier], 0)
        since = np.zeros(len(order), np.int64)
        since[order] = clock[place[earlier]]
        sounding = np.bincount(place, begins - sounds, minlength=len(step)).astype(np.int64)
        ended = np.flatnonzero((begins == 0) & (sounds == 1))
        sums = np.concatenate([[0], np.cumsum(clock[place[ended]] - since[ended])])
        num_ended = np.concatenate([[0], np.cumsum(np.bincount(place[ended], minlength=len(step)))])[before]
        first = np.maximum(num_ended - _LAST_NOTES, 0)
        mean = (sums[num_ended] - sums[first]) // np.maximum((num_ended - first) * _MICRO_PER_HUNDREDTH, 1)
        return cls(
            clock[before],
            np.concatenate([[0], np.cumsum(sounding)])[before],
            np.where(num_ended, mean, NOT_KNOWN),
        )


def _steps_of(timing: NoteTiming, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps that ids stand for, int64 (S,), and how many come before each id and in all, (N + 1,)."""
    count = timing.first[ids + 1] - timing.first[ids]
    before = np.concatenate([[0], np.cumsum(count)])
    step = np.arange(before[-1]) + np.repeat(timing.first[ids] - before[:-1], count)
    return step, before


def _share(part: np.ndarray | int, whole: int, size: int) -> np.ndarray | int:
    """Return which of ``size`` equal steps of the whole the part lies in."""
    return part * size // (whole + 1)


def _known(name: str) -> str:
    return nearest(name, NUM_VALUES)
