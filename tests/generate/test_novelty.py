"""Copies are found in any key, at any speed and with notes missing; music of the same kind is not called one."""

import numpy as np
import pytest

from etude.generate.novelty import RUN_LIMITS, KnownMusic, Limits, Novelty
from etude.music.edit import stretch_time, transpose, trim
from etude.music.score import Score, Track


def walk(seed: int, num_notes: int = 150) -> Score:
    """Return two lines that wander about a scale."""
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    steps = np.cumsum(rng.integers(-3, 4, num_notes)) % 14
    high = 60 + scale[steps % 7] + 12 * (steps // 7)
    low = 40 + scale[rng.integers(0, 7, num_notes // 2)]
    onset = np.concatenate([np.arange(num_notes) * 240, np.arange(num_notes // 2) * 480])
    return Score.of(onset, np.full(len(onset), 200), np.concatenate([high, low]))


@pytest.fixture(scope="module")
def known():
    return KnownMusic([(f"piece-{number}.mid", walk(number)) for number in range(8)])


def without(score: Score, share: float) -> Score:
    """Return a score with some notes left out."""
    keep = np.random.default_rng(0).random(len(score.notes)) >= share
    notes = score.notes
    return Score.of(*(column[keep] for column in (notes.onset_tick, notes.duration_tick, notes.pitch, notes.velocity)))


def test_an_excerpt_in_another_key_and_tempo_is_found_with_its_place(known):
    """covers: star-40 (partly)"""
    excerpt = trim(walk(5), 10.0, 30.0)
    found = known.compare(stretch_time(transpose(excerpt, -4), 1.3))
    assert (found.run_piece, found.nearest, found.semitones) == ("piece-5.mid", "piece-5.mid", -4)
    assert found.run_notes > 60
    assert found.run_piece_at_sec == pytest.approx(10.0 + found.at_sec / 1.3, abs=0.3)
    assert found.nearest_share > 0.4
    assert not Limits().is_new(found)


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_a_copy_with_notes_missing_is_still_a_copy(known, share):
    found = known.compare(without(trim(walk(3), 5.0, 30.0), share))
    assert found.nearest == "piece-3.mid"
    assert not Limits().is_new(found)


def test_other_music_of_the_same_kind_is_new(known):
    limits = Limits.of(known, [walk(number) for number in (20, 21, 22)], seconds=20.0)
    assert limits.measured_on == 3
    assert limits.usual_run < RUN_LIMITS[0] / 2
    found = [known.compare(trim(walk(number), 0.0, 20.0)) for number in range(30, 36)]
    assert all(limits.is_new(one) for one in found)


def test_held_out_variants_do_not_make_every_copy_pass(known):
    limits = Limits.of(known, [walk(0), walk(1)], seconds=20.0)
    assert limits.run_notes == RUN_LIMITS[1]
    assert not limits.is_new(known.compare(trim(walk(2), 0.0, 30.0)))


def test_the_longest_run_equals_that_of_a_plain_search():
    rng = np.random.default_rng(4)
    for _ in range(20):
        a, b = rng.integers(60, 63, (2, 60))
        found = KnownMusic([("a", line(a))]).compare(line(b)).run_notes
        wanted = max(longest(tops(a), tops(b)), longest(tops(a, low=True), tops(b, low=True)))
        assert found == (wanted if wanted >= 8 else 0)


def line(pitches) -> Score:
    """Return notes a second apart, so that every note is an edge."""
    return Score.of(np.arange(len(pitches)) * 960, np.full(len(pitches), 900), pitches)


def tops(pitches, *, low: bool = False) -> list[int]:
    """Return pitches without neighbours that are equal."""
    return [int(p) for k, p in enumerate(pitches) if k == 0 or p != pitches[k - 1]]


def longest(a: list[int], b: list[int]) -> int:
    """Return the notes of the longest run of equal intervals, one pair of places after the other."""
    best = 0
    for i in range(len(a)):
        for j in range(len(b)):
            k = 0
            while i + k < len(a) and j + k < len(b) and a[i + k] - a[i] == b[j + k] - b[j]:
                k += 1
            best = max(best, k)
    return best


def test_a_run_does_not_reach_from_one_piece_into_the_next():
    pitches = [60, 64, 62, 65, 64, 67, 65, 69, 67, 71, 69, 72, 60, 61]
    halves = KnownMusic([("a", line(pitches[:9])), ("b", line(pitches[9:]))])
    assert halves.compare(line(pitches)).run_notes == 9


def test_nothing_to_compare_is_new():
    empty = Score.of([], [], [])
    drums = Score.of([0, 480], [10, 10], [36, 38], tracks=[Track(0, is_drum=True)])
    for known in (KnownMusic([]), KnownMusic([("empty", empty)])):
        for score in (empty, drums, walk(1)):
            assert known.compare(score) == Novelty()
    assert Limits.of(KnownMusic([]), [], seconds=10.0) == Limits()
