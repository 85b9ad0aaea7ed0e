"""Which pieces are settings of one thing, and the split that keeps them together.

A family has one group name: settings of one chorale melody, movements of one work, variants of one tune. Pieces
join by name (the ``group`` they come with) or by ear: their top lines open alike, or share many phrases, or
``etude.fingerprints`` calls them near-duplicates, as ``etude corpus check`` will.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from etude.fingerprints import near_pairs, sketch, sketches_to_arrow
from etude.music.score import Score

OPENING_BEATS = 12
BEATS_APART = 2  # openings may differ on so many beats
PHRASE_INTERVALS = 7
SHARED_PHRASES = 0.4  # of the phrases of the piece that has fewer
FRACTIONS = (("valid", 0.1), ("test", 0.1))  # the rest is train


def top_line(score: Score) -> np.ndarray:
    """Return the melody's pitches, int: the first track of voices, else the highest note of every onset."""
    notes = score.notes
    if len(score.tracks) == 4 and score.tracks[0].name.startswith("Soprano"):
        return notes.pitch[notes.track == 0]
    onsets = np.unique(notes.onset_tick, return_inverse=True)[1]
    highest = np.zeros(onsets.max() + 1, np.int32)
    np.maximum.at(highest, onsets, notes.pitch)
    return highest


def phrases(score: Score) -> set[tuple[int, ...]]:
    """Return every run of seven intervals of the top line, in semitones; repeated notes do not count."""
    line = top_line(score)
    steps = np.diff(line)
    steps = steps[steps != 0]
    if len(steps) < PHRASE_INTERVALS:
        return set()
    return {tuple(run) for run in np.lib.stride_tricks.sliding_window_view(steps, PHRASE_INTERVALS).tolist()}


def opening(score: Score) -> tuple[int, ...]:
    """Return the highest pitch on each of the first beats, as semitones above the first."""
    notes = score.notes
    beats = np.arange(int(notes.onset_tick[0]), int(notes.onset_tick.max()) + 1, score.ppq)[:OPENING_BEATS]
    ends = notes.onset_tick + notes.duration_tick
    sounding = [notes.pitch[(notes.onset_tick <= beat) & (ends > beat)] for beat in beats]
    pitches = [int(chord.max()) for chord in sounding if len(chord)]
    return tuple(pitch - pitches[0] for pitch in pitches)


def related(one: tuple, other: tuple) -> bool:
    """Tell whether two (opening, phrases) belong to one family."""
    apart = sum(a != b for a, b in zip(one[0], other[0], strict=False))
    if len(one[0]) == len(other[0]) == OPENING_BEATS and len(set(one[0])) > 3 and apart <= BEATS_APART:
        return True
    fewer = min(len(one[1]), len(other[1]))
    return fewer > 0 and len(one[1] & other[1]) >= SHARED_PHRASES * fewer


def families(groups: Sequence[str], scores: Sequence[Score]) -> list[str]:
    """Return one group name for each piece, the first in the alphabet of all names that belong together."""
    leader = {group: group for group in groups}

    def find(group: str) -> str:
        while leader[group] != group:
            group = leader[group]
        return group

    heard = [(opening(score), phrases(score)) for score in scores]
    for (first, one), (second, other) in combinations(zip(groups, heard, strict=True), 2):
        low, high = sorted((find(first), find(second)))
        if low != high and related(one, other):
            leader[high] = low
    pairs = near_pairs(sketches_to_arrow([sketch(score) for score in scores]))
    for a, b in zip(pairs.a.tolist(), pairs.b.tolist(), strict=True):
        low, high = sorted((find(groups[a]), find(groups[b])))
        leader[high] = low
    return [find(group) for group in groups]


def splits(groups: Sequence[str], genres: Sequence[str], *, order: Callable[[str], str]) -> list[str]:
    """Return train, valid or test for each piece: whole groups, and about a tenth of each genre held out twice.

    Args:
        groups: the group of each piece.
        genres: the genre of each piece; a group counts for the genre of its first piece.
        order: gives the key that a group is drawn by; the seed is in it.
    """
    sizes: dict[str, int] = defaultdict(int)
    by_genre: dict[str, list[str]] = defaultdict(list)
    for group, genre in zip(groups, genres, strict=True):
        if group not in sizes:
            by_genre[genre].append(group)
        sizes[group] += 1
    part = dict.fromkeys(sizes, "train")
    for members in by_genre.values():
        total = sum(sizes[group] for group in members)
        for name, fraction in FRACTIONS:
            missing = round(total * fraction)
            for group in sorted(members, key=order):
                if part[group] == "train" and missing > 0 and sizes[group] <= 2 * missing:
                    part[group] = name
                    missing -= sizes[group]
    return [part[group] for group in groups]
