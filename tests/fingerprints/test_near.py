"""Near duplicates: variants are found, strangers are not, in bounded memory."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pieces_with_variants import joined_in_time, sampler_pieces, tune

from etude.corpora.sampler import list_pieces
from etude.errors import SettingsError
from etude.fingerprints import NearSettings, near, near_pairs, shared, sketch, sketches_to_arrow
from etude.music import edit
from etude.music.score import Score, Track


@pytest.fixture(scope="module")
def pieces():
    return sampler_pieces()


@pytest.fixture(scope="module")
def sketches(pieces):
    return [sketch(score) for score in pieces]


def transposed(score):
    return edit.transpose(score, 5)


def stretched(score):
    notes = score.notes
    return replace(score, notes=notes.replace(onset_tick=notes.onset_tick * 6 // 5))


def thinned(score):
    return replace(score, notes=score.notes.take(np.random.default_rng(1).random(len(score.notes)) > 0.1))


VARIANTS = {
    "transposed": transposed,
    "faster": lambda score: edit.stretch_time(score, 1 / 1.2),
    "slower": lambda score: edit.stretch_time(score, 1 / 0.8),
    "stretched": stretched,
    "thinned": thinned,
    "on 12": lambda score: edit.resample(score, 12),
    "on 4": lambda score: edit.resample(score, 4),
    "first half": lambda score: edit.trim(score, 0.0, score.duration_sec / 2),
    "last half": lambda score: edit.trim(score, score.duration_sec / 2, score.duration_sec),
    "one track": lambda score: replace(
        score, notes=score.notes.replace(track=np.zeros(len(score.notes))), tracks=score.tracks[:1]
    ),
}


def found(scores, **settings):
    pairs = near_pairs(sketches_to_arrow([sketch(score) for score in scores]), settings=NearSettings(**settings))
    return list(zip(pairs.a.tolist(), pairs.b.tolist(), pairs.semitones.tolist(), strict=True))


@pytest.mark.parametrize("kind", VARIANTS)
def test_a_variant_is_joined_with_its_source_and_with_no_other(pieces, sketches, kind):
    """covers: star-8 (partly)"""
    variants = [sketch(VARIANTS[kind](score)) for score in pieces]
    pairs = near_pairs(sketches_to_arrow(sketches + variants))
    count = len(pieces)
    right = (pairs.b - pairs.a == count).sum()
    assert count >= 35
    assert right >= 0.97 * count
    assert len(pairs.a) - right <= 1
    assert set(pairs.semitones[pairs.b - pairs.a == count].tolist()) == {5 if kind == "transposed" else 0}
    assert ((pairs.similarity > 0) & (pairs.similarity <= 1)).all()


def test_pieces_of_the_sampler_are_joined_only_where_they_are_one_melody():
    """covers: star-8 (partly)"""
    from etude.corpora.sampler import iter_pieces

    facts = list_pieces()
    pairs = near_pairs(sketches_to_arrow([sketch(piece.score) for piece in iter_pieces()]))
    strange = {
        (facts[a].title, facts[b].title)
        for a, b in zip(pairs.a, pairs.b, strict=True)
        if facts[a].group != facts[b].group
    }
    assert len(pairs.a) > 80
    assert len(strange) <= 6, strange


def test_equal_sketches_are_equal_to_one():
    twice = sketches_to_arrow([sketch(tune(1))] * 2)
    pairs = near_pairs(twice)
    assert pairs.similarity.tolist() == [1.0]
    assert [column.dtype for column in pairs] == [np.int32, np.int32, np.float32, np.int8]


@pytest.mark.parametrize("count", [8, 12, 16])
def test_a_few_notes_are_a_commonplace(count):
    assert found([tune(1, count), tune(1, count), transposed(tune(1, count))]) == []


def test_a_fill_of_one_bar_is_a_commonplace():
    fill = Score.of(
        np.arange(12) * 120, [60] * 12, [38, 38, 45, 47, 38, 36, 45, 43, 41, 36, 38, 49], tracks=[Track(0, True)]
    )
    assert found([fill, fill]) == []


def test_a_beat_is_joined_with_itself_and_not_with_another():
    def beat(seed):
        rng = np.random.default_rng(seed)
        pitch = rng.choice([36, 38, 42, 45, 49, 51], 400, p=[0.3, 0.2, 0.2, 0.15, 0.05, 0.1])
        return Score.of(np.arange(400) * 120, [60] * 400, pitch, tracks=[Track(0, True)])

    assert found([beat(1), beat(2), beat(3), edit.stretch_time(beat(2), 1.2)]) == [(1, 3, 0)]


def test_the_same_phrases_in_another_order_are_another_piece():
    phrases = [tune(seed, 24) for seed in range(24)]
    assert found([joined_in_time(phrases), joined_in_time(phrases[:12] + phrases[12:])]) == [(0, 1, 0)]
    assert found([joined_in_time(phrases), joined_in_time(phrases[::-1])], min_places=9) == []


def test_the_same_phrases_in_other_keys_are_another_piece():
    phrases = [tune(seed, 24) for seed in range(24)]
    moved = [edit.transpose(phrase, 3 * (place % 8) - 12) for place, phrase in enumerate(phrases)]
    assert found([joined_in_time(phrases), joined_in_time(moved)]) == []


def test_a_tenth_of_a_piece_is_found_in_it():
    whole = [tune(seed, 6_000) for seed in range(10)]
    parts = [edit.trim(score, 600.0, 800.0) for score in whole]
    joined = {(a, b) for a, b, _ in found(whole + parts)}
    assert sum((row, row + 10) in joined for row in range(10)) >= 8
    assert all(b - a == 10 for a, b in joined)


def test_a_medley_is_joined_with_its_parts():
    parts = [tune(seed, 400) for seed in range(3)]
    assert [pair[:2] for pair in found([*parts, joined_in_time(parts)])] == [(0, 3), (1, 3), (2, 3)]


def test_hundreds_of_copies_are_connected_by_few_pairs():
    copies = [sketch(tune(1, 500))] * 300 + [sketch(tune(2, 500))] * 300
    pairs = near_pairs(sketches_to_arrow(copies), settings=NearSettings(num_neighbours=3))
    assert len(pairs.a) <= 600 * 3
    assert {(row, row + 1) for row in range(599)} - {(299, 300)} <= set(
        zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)
    )
    assert ((pairs.a < 300) == (pairs.b < 300)).all()


def test_the_result_is_the_same_in_any_number_of_batches_passes_and_blocks(pieces, sketches, monkeypatch):
    every = sketches + [sketch(thinned(transposed(score))) for score in pieces]
    table = pa.Table.from_batches([sketches_to_arrow(every)])
    whole = near_pairs(table)
    assert len(whole.a) >= 30
    batches = [sketches_to_arrow(every[begin : begin + 7]) for begin in range(0, len(every), 7)]
    calls = []

    def read():
        calls.append(1)
        return iter(batches)

    monkeypatch.setattr(near, "HASHES_AT_ONCE", 900)
    monkeypatch.setattr(near, "COUNTED_AT_ONCE", 50)
    monkeypatch.setattr(near, "JUDGED_AT_ONCE", 400)
    for parts in (near_pairs(read), near_pairs(table.slice(0)), near_pairs(table.combine_chunks().to_batches()[0])):
        assert all(np.array_equal(*columns) for columns in zip(whole, parts, strict=True))
    assert len(calls) > 10


def test_other_columns_and_slices_do_not_matter():
    table = pa.Table.from_batches([sketches_to_arrow([sketch(tune(seed)) for seed in (1, 2, 3, 2)])])
    table = table.append_column("id", pa.array(list("abcd")))
    pairs = near_pairs(table.slice(1))
    assert (pairs.a.tolist(), pairs.b.tolist()) == ([0], [2])


@pytest.mark.parametrize("scores", [[], [Score.of()], [Score.of(), Score.of()], [tune(1)]], ids=len)
def test_nothing_to_compare_gives_no_pairs(scores):
    assert found(scores) == []


def test_a_table_without_rows_or_batches_gives_no_pairs():
    assert len(near_pairs(lambda: iter([])).a) == 0


def test_stricter_settings_join_less(pieces, sketches):
    table = sketches_to_arrow(sketches + [sketch(thinned(score)) for score in pieces])
    loose, strict = near_pairs(table), near_pairs(table, settings=NearSettings(min_similarity=0.6))
    assert 0 < len(strict.a) < len(loose.a)
    assert strict.similarity.min() >= 0.6


def test_a_share_is_at_most_one():
    with pytest.raises(SettingsError, match="min_similarity"):
        NearSettings.parse({"min_similarity": 1.5})


def test_sizes_count_exactly_at_every_power_of_two():
    hashes = [0, 1, 2**40 - 1, 2**40, 2**62 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
    batch = sketches_to_arrow(
        [sketch(Score.of())._replace(hash=np.array(hashes, np.uint64), place=np.zeros(9), pitch=np.zeros(9))]
    )
    sizes = shared.sizes_of(lambda: iter([batch]))
    assert sizes.counts[0].tolist() == [sum(value < 2 ** (64 - level) for value in hashes) for level in range(25)]
