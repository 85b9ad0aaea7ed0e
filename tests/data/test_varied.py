"""Pieces varied in training: the same for any worker and whatever the step, whole by piece, and legal."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pieces_for_tests import song

from etude.data.batches import TrainBatches
from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.data.settings import DataSettings
from etude.data.tokenize import tokenize
from etude.data.varied import varied_pieces
from etude.errors import SettingsError
from etude.music.augment import AugmentSettings, augment
from etude.music.midi import write_midi
from etude.settings import identity_values
from etude.tokens import build_tokenizer

DENSITY = {"name": "note_density", "thresholds": [5, 7, 9, 11, 13]}
COMPOSER = {"name": "composer", "values": ["Bach", "Haydn"]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("varied")
    (folder / "midi").mkdir()
    for number in range(4):
        write_midi(song(number, num_notes=60 + 20 * number), folder / "midi" / f"{number}.mid")
    (folder / "midi" / "labels.csv").write_text("path,composer\n0.mid,Bach\n1.mid,Haydn\n2.mid,Satie\n")
    prepare(folder / "midi", folder / "out", workers=1, near_duplicates=False, fractions=[1.0, 0.0, 0.0])
    return Corpus.open(folder / "out")


def varied_of(corpus, kind="performance", *, seed=3, tokenizer=None, transpose_semitones=0, **augment):
    shards = tokenize(corpus, build_tokenizer(kind, **(tokenizer or {})))
    data = DataSettings.parse({"transpose_semitones": transpose_semitones, "augment": augment})
    return shards, varied_pieces(shards, corpus, data, seed=seed)


def batches_of(corpus, kind="performance", **settings):
    shards, varied = varied_of(corpus, kind, **settings)
    return TrainBatches(shards, ctx_len=32, batch_size=4, seed=3, varied=varied)


def test_nothing_asked_and_what_ids_can_do_exactly_need_nothing_here(corpus):
    assert varied_of(corpus)[1] is None
    assert varied_of(corpus, transpose_semitones=3)[1] is None
    assert varied_of(corpus, "control", tokenizer={"attributes": [DENSITY]}, transpose_semitones=3)[1] is None


def test_a_varied_piece_is_the_encoding_of_the_varied_score(corpus):
    shards, varied = varied_of(corpus, transpose_semitones=4, tempo_percent=20.0, velocity_steps=2)
    settings = AugmentSettings(transpose_semitones=4, tempo_percent=20.0, velocity_steps=2)
    seen = set()
    for epoch in range(3):
        for row, piece in enumerate(corpus.pieces()):
            score = augment(piece.score, settings, seed=3, index=(epoch, piece.id))
            expected = [*shards.tokenizer.encode(score).tolist(), shards.tokenizer.end_id]
            assert varied(row, epoch).tolist() == expected
            seen.add(tuple(expected))
    assert len(seen) == 12


def test_workers_of_any_number_and_another_process_draw_what_one_draws(corpus):
    """covers: K38"""
    make = {"transpose_semitones": 2, "tempo_percent": 20.0, "velocity_steps": 1}
    expected = np.stack([batches_of(corpus, **make).at(step) for step in range(30)])
    batches = batches_of(corpus, **make)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(batches.at, reversed(range(30))))
    assert (np.stack(drawn[::-1]) == expected).all()
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from test_varied import *\n"
        f"batches = batches_of(Corpus.open(sys.argv[1]), **{make!r})\n"
        "print(*batches.at(17).ravel())"
    )
    arguments = [sys.executable, "-c", code, corpus.path, str(__file__).rpartition("/")[0]]
    drawn = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split()
    assert [int(number) for number in drawn] == expected[17].ravel().tolist()
    assert (batches_of(corpus, seed=4, **make).at(17) != expected[17]).any()


@pytest.mark.parametrize("tempo_percent", [0.0, 40.0])
def test_windows_are_parts_of_the_varied_pieces_laid_end_to_end(corpus, tempo_percent):
    batches = batches_of(corpus, tempo_percent=tempo_percent, velocity_steps=2)
    _, varied = varied_of(corpus, tempo_percent=tempo_percent, velocity_steps=2)
    end = batches.shards.tokenizer.end_id
    for number in range(2 * batches.windows_per_epoch):
        epoch = number // batches.windows_per_epoch
        pieces = [bytes(varied(row, epoch).astype(np.uint16)) for row in range(4)]
        window = batches.window(number)
        assert window.shape == (33,)
        parts = np.split(window.astype(np.uint16), np.flatnonzero(window == end) + 1)
        parts = [bytes(part) for part in parts if len(part)]
        assert any(parts[0] in piece for piece in pieces)
        assert all(part in pieces for part in parts[1:-1])
        assert len(parts) == 1 or any(piece.startswith(parts[-1]) for piece in pieces)


def test_an_epoch_of_varied_pieces_reaches_the_end_of_each(corpus):
    batches = batches_of(corpus, tempo_percent=40.0)
    for epoch in range(3):
        first = epoch * batches.windows_per_epoch
        targets = [batches.window(first + k)[1:] for k in range(batches.windows_per_epoch)]
        assert (np.concatenate(targets) == batches.shards.tokenizer.end_id).sum() >= 4


@pytest.mark.parametrize("kind", ["absolute", "relative"])
@pytest.mark.parametrize("vary", ["scores", "ids"])
def test_chords_are_mixed_and_ids_varied_where_the_tokenizer_can_have_it(corpus, kind, vary):
    asked = {"vary": vary, "mix_chords": True, "tempo_percent": 20.0, "transpose_semitones": 3}
    shards, varied = varied_of(corpus, kind, **asked)
    _, again = varied_of(corpus, kind, **asked)
    for row in range(4):
        ids = varied(row, 1)
        assert ids.tolist() == again(row, 1).tolist()
        assert shards.tokenizer.grammar.first_illegal(ids) is None
        assert shards.tokenizer.measure(ids)[0] == shards.notes[row]
        assert ids.tolist() != shards.ids(row).tolist()


def test_a_measured_condition_follows_what_the_varied_piece_is(corpus):
    shards, varied = varied_of(corpus, "control", tokenizer={"attributes": [COMPOSER, DENSITY]}, tempo_percent=50.0)
    tokenizer, told, piece = shards.tokenizer, set(), next(corpus.pieces())
    for epoch in range(12):
        score = augment(piece.score, AugmentSettings(tempo_percent=50.0), seed=3, index=(epoch, piece.id))
        said = tokenizer.conditions_of(varied(0, epoch))
        density = tokenizer.settings.attributes[1].value_of({}, score)
        assert said == {"composer": "Bach", "note_density": density}
        told.add(density)
    assert len(told) > 1


def test_conditions_are_dropped_by_epoch_and_piece_and_nothing_else_changes(corpus):
    shards, varied = varied_of(
        corpus, "control", tokenizer={"attributes": [COMPOSER, DENSITY], "order": "short"}, drop_conditions=0.5
    )
    counts = []
    for epoch in range(100):
        ids = varied(1, epoch)
        stored = shards.ids(1)
        told = shards.tokenizer.conditions_of(ids)
        assert told.items() <= shards.tokenizer.conditions_of(stored).items()
        assert ids[len(told) + 1 :].tolist() == stored[3:].tolist()
        counts.append(len(told))
    assert 0.8 < np.mean(counts) < 1.2
    assert set(counts) == {0, 1, 2}


def test_over_a_base_that_can_have_it_ids_behind_a_prefix_are_varied(corpus):
    tokenizer = {"attributes": [COMPOSER], "base": "absolute"}
    shards, varied = varied_of(corpus, "control", tokenizer=tokenizer, vary="ids", velocity_steps=2, mix_chords=True)
    ids = varied(0, 0)
    assert shards.tokenizer.conditions_of(ids) == {"composer": "Bach"}
    assert shards.tokenizer.grammar.first_illegal(ids) is None
    assert ids.tolist() != shards.ids(0).tolist()


@pytest.mark.parametrize(
    ("kind", "asked", "message"),
    [
        ("performance", {"mix_chords": True}, "data.augment.mix_chords.*performance cannot have it"),
        ("performance", {"vary": "ids"}, "data.augment.vary = ids.*take absolute or relative"),
        ("absolute", {"vary": "ids", "drop_tracks": 0.5}, "data.augment.drop_tracks"),
        ("absolute", {"drop_conditions": 0.5}, "data.augment.drop_conditions.*take control"),
    ],
)
def test_what_a_tokenizer_cannot_have_is_refused(corpus, kind, asked, message):
    with pytest.raises(SettingsError, match=message):
        varied_of(corpus, kind, **asked)


def test_settings_that_are_not_used_are_no_part_of_a_runs_identity():
    plain = DataSettings()
    assert "augment" not in identity_values(plain)
    assert "augment" in identity_values(plain.replace(augment={"tempo_percent": 5.0}))


def test_pieces_that_are_kept_are_bounded_in_memory_and_the_same_as_made_anew(corpus, monkeypatch):
    shards, varied = varied_of(corpus, tempo_percent=10.0)
    first = [varied(row, 0) for row in range(len(shards))]
    assert all(varied(row, 0) is ids for row, ids in enumerate(first))
    monkeypatch.setattr("etude.data.varied._KEPT_BYTES", first[0].nbytes + first[1].nbytes)
    _, short_of_memory = varied_of(corpus, tempo_percent=10.0)
    for _ in range(2):
        for row, ids in enumerate(first):
            assert np.array_equal(short_of_memory(row, 0), ids)
    assert sum(ids.nbytes for ids in short_of_memory._kept.values()) <= first[0].nbytes + first[1].nbytes
    assert {ids.dtype for ids in first} == {shards.ids(0).dtype}
