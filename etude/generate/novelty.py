"""How much of a piece is copied: the longest run of notes that it shares with known music, and the nearest known piece.

A run is so many successive notes of one line, whatever the key and whatever the rhythm. There are four lines: the
notes that no other note within 0.05 s, or within 0.25 s, is higher than, and those that none is lower than. The first
holds nearly every note of a melody or a broken chord, the last few that stand out, so a copy shows in one of them
even if its chords are spread or its grid is another. Equal neighbours count once.

Music of one style shares short runs by chance. How long they commonly are is measured on music that is known to be
new, such as held-out pieces: what shares more than twice as much is called a copy, see ``Limits``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etude.fingerprints import ngrams
from etude.fingerprints.edges import upper_edges
from etude.fingerprints.line_ngrams import mixed
from etude.music.edit import trim
from etude.music.score import Score

REACHES_SEC = (0.05, 0.25)
RUN_LIMITS, SHARE_LIMITS = (24, 48), (0.2, 0.4)
"""Least and most that the limits are: unrelated pieces share up to 13 notes and 5 %, copies 25 or 40 % and more."""

_BETWEEN = 255  # stands between two pieces; its intervals are none of music
_AT_ONCE = 1 << 20
_SHORTEST = 8  # notes of a run that is looked for
_COMMONPLACE = 1000  # places in known music that an n-gram has at most to count
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Novelty:
    """What a piece shares with known music.

    Attributes:
        run_notes: successive notes of one line in the longest run, 0 for fewer than 8.
        run_sec: how long it lasts in the piece.
        at_sec: where it begins in the piece.
        run_piece: path of the known piece that has it, None without one.
        run_piece_at_sec: where it begins there.
        semitones: from the known piece up to this one.
        nearest: path of the known piece that shares most note n-grams in one transposition, None if none does.
        nearest_share: of all n-grams of this piece, 0 to 1.
    """

    run_notes: int = 0
    run_sec: float = 0.0
    at_sec: float = 0.0
    run_piece: str | None = None
    run_piece_at_sec: float = 0.0
    semitones: int = 0
    nearest: str | None = None
    nearest_share: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What new music may share with known music.

    Attributes:
        run_notes: successive notes.
        share: of the n-grams.
        usual_run: successive notes that new music shares, the median; None if it was not measured.
        usual_share: of the n-grams, the median.
        measured_on: pieces of new music that it was measured on.
    """

    run_notes: int = RUN_LIMITS[0]
    share: float = SHARE_LIMITS[0]
    usual_run: float | None = None
    usual_share: float | None = None
    measured_on: int = 0

    @classmethod
    def of(cls, known: "KnownMusic", new: Iterable[Score], *, seconds: float) -> "Limits":
        """Measure what new music shares, in excerpts as long as the takes; twice the median is the limit.

        Args:
            known: the music to compare with.
            new: pieces that are not among it, nor variants of one.
            seconds: length of an excerpt; a piece gives one from its beginning and one from its middle.
        """
        found, count = [], 0
        for score in new:
            count += 1
            for begin in sorted({0.0, score.duration_sec / 2}):
                found.append(known.compare(trim(score, begin, begin + seconds)))
        if not found:
            return cls()
        run, share = (
            float(np.median([getattr(one, name) for one in found])) for name in ("run_notes", "nearest_share")
        )
        return cls(
            run_notes=int(np.clip(2 * run, *RUN_LIMITS)),
            share=float(np.clip(2 * share, *SHARE_LIMITS)),
            usual_run=run,
            usual_share=share,
            measured_on=count,
        )

    def is_new(self, novelty: Novelty) -> bool:
        """Tell whether a piece shares no more than this."""
        return novelty.run_notes <= self.run_notes and novelty.nearest_share <= self.share


class KnownMusic:
    """Music that pieces are compared with: mostly what a model was trained on.

    Args:
        pieces: (path, Score) of each.

    Example:
        >>> tune = [60, 64, 62, 65, 64, 67, 65, 69, 67, 60]
        >>> known = KnownMusic([("a.mid", Score.of(range(0, 4800, 480), [480] * 10, tune))])
        >>> found = known.compare(Score.of(range(0, 2400, 240), [240] * 10, [pitch + 5 for pitch in tune]))
        >>> found.run_notes, found.run_piece, found.semitones, found.nearest_share
        (10, 'a.mid', 5, 1.0)
    """

    def __init__(self, pieces: Iterable[tuple[str, Score]]) -> None:
        self.paths: list[str] = []
        lines: list[list[_Line]] = [[] for _ in range(2 * len(REACHES_SEC))]
        grams = []
        for number, (path, score) in enumerate(pieces):
            self.paths.append(path)
            for kind, line in zip(lines, lines_of(score), strict=True):
                kind.append(line)
            found = ngrams(score)
            grams.append((found.hash, np.full(len(found.hash), number, np.int32), found.pitch))
        self._lines = [_Joined(kind) for kind in lines]
        columns = [np.concatenate(column) for column in zip(*grams, strict=True)] if grams else [np.empty(0)] * 3
        order = np.argsort(columns[0], kind="stable")
        self._hash, self._piece, self._pitch = (column[order] for column in columns)

    @classmethod
    def of_corpus(cls, corpus: Any, split: str = "train") -> "KnownMusic":
        """Take the pieces of a split of a corpus, by default those that a model is trained on."""
        return cls((piece.path, piece.score) for piece in corpus.pieces(split))

    def __len__(self) -> int:
        return len(self.paths)

    def compare(self, score: Score) -> Novelty:
        """Return what a piece shares with this music."""
        best = Novelty()
        for known, line in zip(self._lines, lines_of(score), strict=True):
            best = self._longer_run(known, line, best)
        nearest, share = self._nearest(score)
        return Novelty(**vars(best) | {"nearest": nearest, "nearest_share": share})

    def _longer_run(self, known: "_Joined", line: "_Line", best: Novelty) -> Novelty:
        """Return the longest run of a line if it has more notes than the best so far."""
        size, found = max(best.run_notes, _SHORTEST - 1), None
        # what is found is followed to its end, so that few searches are needed
        while size < len(line.pitch) and (match := known.find(line.pitch, size + 1)) is not None:
            found, size = match, known.length_of(line.pitch, *match)
        if found is None:
            return best
        here, there = found
        onset_sec = line.onset_ms[here : here + size] / 1000
        piece = known.piece_of(there)
        return Novelty(
            run_notes=size,
            run_sec=float(onset_sec[-1] - onset_sec[0]),
            at_sec=float(onset_sec[0]),
            run_piece=self.paths[piece],
            run_piece_at_sec=float(known.onset_ms[there] / 1000),
            semitones=int(line.pitch[here]) - int(known.pitch[there]),
        )

    def _nearest(self, score: Score) -> tuple[str | None, float]:
        own = ngrams(score)
        if not len(own.hash) or not len(self._hash):
            return None, 0.0
        first, end = (self._hash.searchsorted(own.hash, side) for side in ("left", "right"))
        counts = np.where(end - first <= _COMMONPLACE, end - first, 0)
        if not counts.any():
            return None, 0.0
        gram = np.repeat(np.arange(len(counts)), counts)
        row = np.arange(len(gram)) - np.repeat(np.cumsum(counts) - counts, counts) + first[gram]
        turn = own.pitch[gram].astype(np.int64) - self._pitch[row]
        # an n-gram that a piece has several times counts once
        key = np.unique((self._piece[row].astype(np.int64) << 40) + (turn + 128 << 32) + gram) >> 32
        keys, shared = np.unique(key, return_counts=True)
        most = int(shared.argmax())
        return self.paths[int(keys[most] >> 8)], float(shared[most] / len(own.hash))


@dataclass(frozen=True)
class _Line:
    """Successive notes: pitches, uint8, and onsets, int32 [ms]."""

    pitch: np.ndarray
    onset_ms: np.ndarray


class _Joined:
    """One kind of line of all pieces, end to end."""

    def __init__(self, lines: Sequence[_Line]) -> None:
        between = np.array([_BETWEEN], np.uint8)
        self.pitch = np.concatenate([part for line in lines for part in (line.pitch, between)] or [between])
        self.onset_ms = np.concatenate([part for line in lines for part in (line.onset_ms, [0])] or [[0]])
        self._starts = np.cumsum([0, *(len(line.pitch) + 1 for line in lines)])

    def piece_of(self, place: int) -> int:
        """Return the number of the piece that a note belongs to."""
        return int(self._starts.searchsorted(place, side="right")) - 1

    def find(self, pitch: np.ndarray, size: int) -> tuple[int, int] | None:
        """Return where ``size`` notes of a line begin that are here too, transposed or not: there and here; or None."""
        wanted = _window_hashes(pitch, size)
        order = np.argsort(wanted)
        ordered = wanted[order]
        for begin in range(0, len(self.pitch) - size + 1, _AT_ONCE):
            hashes = _window_hashes(self.pitch[begin : begin + _AT_ONCE + size - 1], size)
            at = np.minimum(ordered.searchsorted(hashes), len(ordered) - 1)
            for there in np.flatnonzero(ordered[at] == hashes)[:64].tolist():
                here = int(order[at[there]])
                # hashes may meet by chance
                if self.length_of(pitch, here, begin + there) >= size:
                    return here, begin + there
        return None

    def length_of(self, pitch: np.ndarray, here: int, there: int) -> int:
        """Return how many successive notes are the same from one place of a line, and another of this, on."""
        own, known = pitch[here:].astype(np.int64), self.pitch[there : there + len(pitch) - here].astype(np.int64)
        differs = np.flatnonzero(own[: len(known)] - known != own[0] - known[0])
        return int(differs[0]) if len(differs) else min(len(own), len(known))


def lines_of(score: Score) -> list[_Line]:
    """Return the four lines of a piece, drums left out."""
    is_drum = np.array([track.is_drum for track in score.tracks] or [False])[score.notes.track]
    onset_sec, pitch = score.onset_sec[~is_drum], score.notes.pitch[~is_drum].astype(np.int8)
    lines = []
    for height in (pitch, -pitch):
        for rows in upper_edges(onset_sec, height, REACHES_SEC):
            onset_ms = np.rint(1000 * onset_sec[rows]).astype(np.int32)
            lines.append(_Line(pitch[rows].astype(np.uint8), onset_ms))
    return lines


def _window_hashes(pitch: np.ndarray, size: int) -> np.ndarray:
    """Return a number for every ``size`` successive notes that depends on their intervals alone, uint64."""
    steps = mixed(np.diff(pitch.astype(np.int64)).view(np.uint64) + _FACTOR)
    result, done, block, width = None, 0, steps, 1
    while done < size - 1:
        if size - 1 & width:
            result = block if result is None else _joined(result, block, done, width)
            done += width
        if done < size - 1:
            block, width = _joined(block, block, width, width), 2 * width
    return result


def _joined(first: np.ndarray, then: np.ndarray, first_width: int, then_width: int) -> np.ndarray:
    """Return the hashes of windows that are one window and the next, as polynomials are put together."""
    power = np.uint64(pow(int(_FACTOR), then_width, 1 << 64))
    count = len(then) - first_width
    return first[:count] * power + then[first_width:]
