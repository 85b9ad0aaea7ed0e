"""Sketches: bounded samples that can be compared with each other."""

import numpy as np
import pyarrow as pa
import pytest
from pieces_with_variants import sampler_pieces, tune

from etude.fingerprints import SKETCH_FIELDS, ngrams, sketch, sketches_to_arrow
from etude.fingerprints.sketches import MAX_HASHES
from etude.music import edit
from etude.music.score import Score


@pytest.mark.parametrize("count", [0, 6, 30, 100, 1_000, 50_000])
def test_a_sketch_is_bounded_whatever_the_length(count):
    made = sketch(tune(1, count))
    assert len(made.hash) == len(made.place) == len(made.pitch) <= MAX_HASHES
    assert (made.level > 0) == (count >= 100)
    if made.level:
        assert len(made.hash) > MAX_HASHES // 4


def test_a_sketch_holds_every_ngram_below_its_level_and_where_it_is_first():
    score = tune(1, 2_000)
    every, made = ngrams(score), sketch(score)
    limit = 2 ** (64 - made.level)
    below = sorted({value for value in every.hash.tolist() if value < limit})
    assert made.hash.tolist() == below
    for value, place, pitch in zip(made.hash, made.place, made.pitch, strict=True):
        assert place == every.place[every.hash == value].min()
        assert pitch in every.pitch[(every.hash == value) & (every.place == place)]


def test_one_level_lower_would_be_too_much():
    for score in sampler_pieces(every=100):
        made = sketch(score)
        if made.level:
            assert len({v for v in ngrams(score).hash.tolist() if v < 2 ** (65 - made.level)}) > MAX_HASHES


def test_an_excerpt_shares_nearly_all_of_its_sketch_with_the_whole_at_the_level_of_the_whole():
    whole = tune(1, 4_000)
    part = edit.trim(whole, 200.0, 500.0)
    of_whole, of_part = sketch(whole), sketch(part)
    assert of_part.level < of_whole.level
    comparable = of_part.hash[of_part.hash < 2 ** (64 - of_whole.level)]
    assert len(comparable) > 15
    assert np.isin(comparable, of_whole.hash).mean() > 0.9


def test_sketches_are_rows_of_a_table():
    made = [sketch(tune(1, 50)), sketch(Score.of()), sketch(tune(2, 3_000))]
    table = sketches_to_arrow(made)
    assert table.schema == pa.schema(SKETCH_FIELDS)
    for row, one in zip(table.to_pylist(), made, strict=True):
        assert row["sketch_level"] == one.level
        assert [row[f"sketch_{name}"] for name in ("hash", "place", "pitch")] == [c.tolist() for c in one[1:]]


def test_no_sketches_are_a_table_without_rows():
    table = sketches_to_arrow([])
    assert table.num_rows == 0
    assert table.schema == pa.schema(SKETCH_FIELDS)
