"""The numbers of a corpus are those of its tables, however they are counted."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from corpus_for_tests import COMPOSERS, NUM_PIECES, make_corpus, with_everything
from pieces_for_tests import song

from etude.attributes.polyphony import Polyphony
from etude.data.corpus import Corpus
from etude.data.distribution import distribution
from etude.data.ledger_stats import dropped
from etude.data.music_stats import KEYS, MusicStats
from etude.data.prepare import prepare
from etude.data.rows import scores_of_rows, spread_rows
from etude.data.stats import corpus_stats, typical_pieces
from etude.music.columns import KeySignatures
from etude.music.edit import transpose
from etude.music.midi import write_midi
from etude.music.score import Score


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus.open(make_corpus(tmp_path_factory.mktemp("stats")))


@pytest.fixture(scope="module")
def stats(corpus):
    return corpus_stats(corpus)


def test_the_document_is_json(stats):
    assert json.loads(json.dumps(stats, allow_nan=False)) == stats


def test_totals_and_splits_are_those_of_the_tables(corpus, stats):
    pieces = pq.read_table(corpus.path / "pieces-00000.parquet").to_pylist()
    split_of = {row["path"]: row["split"] for row in corpus.splits.to_pylist()}
    assert stats["pieces"] == len(pieces) == NUM_PIECES
    assert stats["notes"] == sum(len(row["note_pitch"]) for row in pieces)
    assert stats["hours"] == pytest.approx(sum(row["duration_sec"] for row in pieces) / 3600)
    assert stats["files"] == {"accepted": 10, "duplicate": 1, "filtered": 2, "rejected": 1}
    for split in ("train", "valid", "test"):
        inside = [row for row in pieces if split_of[row["path"]] == split]
        assert stats["splits"][split]["pieces"] == len(inside) > 0
        assert stats["splits"][split]["notes"] == sum(row["num_notes"] for row in inside)
        assert stats["splits"][split]["hours"] == pytest.approx(sum(row["duration_sec"] for row in inside) / 3600)
    lengths = [row["duration_sec"] for row in pieces]
    assert stats["seconds"]["median"] == pytest.approx(np.median(lengths))
    assert sum(stats["seconds"]["histogram"]["counts"]) == len(pieces)


def test_labels_are_counted_by_split(corpus, stats):
    composer = stats["labels"]["composer"]
    assert (composer["known"], composer["values"], composer["complete"]) == (8, 3, True)
    assert [row["value"] for row in composer["top"]] == ["Chopin", "Haydn", "Bach"]
    split_of = {row["path"]: row["split"] for row in corpus.splits.to_pylist()}
    for row in composer["top"]:
        found = [split_of[f"{c.lower()}_{k}.mid"] for k, c in enumerate(COMPOSERS) if c == row["value"]]
        assert {split: row[split] for split in ("train", "valid", "test")} == {
            split: found.count(split) for split in ("train", "valid", "test")
        }


def test_what_was_left_out_comes_with_value_and_reason(stats):
    rule = stats["dropped"]["rules"]["min_notes"]
    assert (rule["files"], rule["first"], rule["low"], rule["high"]) == (2, 2, 0, 2)
    assert {(row["path"], row["value"]) for row in rule["examples"]} == {("empty.mid", 0), ("short.mid", 2)}
    (reason,) = stats["dropped"]["reasons"].values()
    assert reason["files"] == 1
    assert reason["examples"][0]["path"] == "broken.mid"


def test_a_file_counts_under_every_rule_that_it_broke(tmp_path):
    write_midi(Score.of([0], [10], [60]), tmp_path / "midi.mid")
    write_midi(song(1), tmp_path / "one.mid")
    made = prepare(tmp_path, tmp_path / "out", filters={"min_notes": 3, "min_length_sec": 1.0}, workers=1)
    rules = dropped(Corpus.open(made["corpus"]))["rules"]
    assert {name: (rule["files"], rule["first"]) for name, rule in rules.items()} == {
        "min_notes": (1, 1),
        "min_length_sec": (1, 0),
    }
    assert rules["min_length_sec"]["examples"][0]["value"] == pytest.approx(10 / 960, rel=1e-3)


def test_reasons_that_differ_in_numbers_alone_are_one(tmp_path):
    write_midi(song(1), tmp_path / "good.mid")
    for length in (1, 3, 5):
        (tmp_path / f"header_{length}.mid").write_bytes(b"MThd\0\0\0" + bytes([length]) + b"\0\0\0\1\1\xe0" + b"\0" * 8)
    reasons = dropped(Corpus.open(prepare(tmp_path, tmp_path / "out", workers=1)["corpus"]))["reasons"]
    assert [reason["files"] for reason in reasons.values()] == [3]
    assert len(next(iter(reasons.values()))["examples"]) == 3


def test_copies_and_variants_are_named(corpus, stats):
    assert stats["duplicates"] == {"files": 1, "pairs": [{"path": "zz_again.mid", "duplicate_of": "haydn_2.mid"}]}
    near = stats["near_duplicates"]
    assert (near["pairs"], near["leaks"], near["pieces"], near["num_groups"]) == (1, 0, 2, 1)
    assert near["groups"][0]["paths"] == ["bach_0.mid", "higher.mid"]
    group_of = {row["path"]: row["group"] for row in corpus.splits.to_pylist()}
    assert near["groups"][0]["group"] == group_of["higher.mid"] == group_of["bach_0.mid"]
    assert stats["groups"]["sizes"] == {"1": 8, "2": 1}


def test_variants_in_two_splits_are_leaks(tmp_path):
    folder = tmp_path / "midi"
    folder.mkdir()
    for name, score in {"a": song(0, num_notes=200), "b": transpose(song(0, num_notes=200), 2), "c": song(1)}.items():
        write_midi(score, folder / f"{name}.mid")
    (folder / "labels.csv").write_text("path,split\na.mid,train\nb.mid,test\n")
    near = corpus_stats(Corpus.open(prepare(folder, tmp_path / "out", workers=1)["corpus"]))["near_duplicates"]
    assert (near["leaks"], len(near["leaking"])) == (1, 1)
    (leak,) = near["leaking"]
    assert (leak["path_a"], leak["split_a"], leak["path_b"], leak["split_b"]) == ("a.mid", "train", "b.mid", "test")
    assert leak["semitones"] == 2


def test_a_corpus_without_fingerprints_says_so(tmp_path):
    assert corpus_stats(Corpus.open(make_corpus(tmp_path, near_duplicates=False)))["near_duplicates"] is None


def test_licences_come_with_hours_and_what_they_ask(stats):
    """covers: star-9 (partly)"""
    assert {name: (found["pieces"], found["asks"]) for name, found in stats["licences"].items()} == {
        "CC BY 4.0": (9, ["attribution"]),
        "CC0 1.0": (1, []),
    }
    assert sum(found["hours"] for found in stats["licences"].values()) == pytest.approx(stats["hours"])
    assert stats["sources"] == {"an attic": 10}


def test_the_music_is_counted_piece_by_piece():
    music = MusicStats()
    music.add(0, with_everything())
    music.add(1, song(0))
    found = music.document()
    assert found["stated_keys"] == {"C minor": 1}
    assert found["metres"] == {"3/4": 1, "none written": 1}
    assert found["families"] == {
        "piano": {"pieces": 1, "notes": 40},
        "bass": {"pieces": 1, "notes": 64},
        "drums": {"pieces": 1, "notes": 64},
    }
    assert found["pieces_with"] == {
        "sustain pedal": 1,
        "a change of tempo": 1,
        "a change of metre": 1,
        "no tempo written": 1,
        "one velocity throughout": 1,
        "pitch bends": 0,
        "lyrics": 0,
    }
    assert found["velocity"][90] >= 128
    assert sum(found["velocity"]) == 168
    assert sum(found["pitch"]) == 104, "drums have no pitch"
    assert sum(found["keys"].values()) == 2
    # 8 quarters at 150, 24 more at 100, less the 40 ticks that the last note is shorter than its step
    quarters = 8, 24 - 40 / 480
    assert found["tempo_qpm"]["min"] == pytest.approx(sum(quarters) / (quarters[0] / 150 + quarters[1] / 100))
    assert found["polyphony"]["max"] == pytest.approx(max(Polyphony.measure(song(0)), 1.0))


@pytest.mark.parametrize(
    ("sharps", "minor", "name"), [(0, 0, "C major"), (1, 1, "E minor"), (-4, 0, "A♭ major"), (4, 1, "C♯ minor")]
)
def test_a_written_key_has_its_name(sharps, minor, name):
    music = MusicStats()
    keys = KeySignatures.of(tick=[0], sharps=[sharps], is_minor=[minor])
    music.add(0, Score.of([0], [480], [60], key_signatures=keys))
    assert music.document()["stated_keys"] == {name: 1}
    assert name in KEYS


def test_a_piece_of_drums_and_an_empty_corpus_have_numbers_too(tmp_path):
    (tmp_path / "x.mid").write_bytes(b"")
    empty = corpus_stats(Corpus.open(prepare(tmp_path, tmp_path / "out", workers=1)["corpus"]))
    assert (empty["pieces"], empty["seconds"], empty["typical"]) == (0, {"count": 0}, [])
    json.dumps(empty, allow_nan=False)


def test_a_large_corpus_is_measured_at_equal_distances(corpus, stats):
    few = corpus_stats(corpus, most=4)
    assert few["measured"] == {"pieces": 4, "of": 10}
    assert few["notes_per_piece"] == stats["notes_per_piece"], "what takes no music is counted over all pieces"
    assert few["labels"] == stats["labels"]
    assert few["music"]["polyphony"]["count"] == 4
    assert spread_rows(1_000_000, 4).tolist() == [125_000, 375_000, 625_000, 875_000]


def test_scores_of_some_rows_are_those_rows(corpus):
    everything = [piece.score for piece in corpus.pieces()]
    rows = np.array([0, 3, 9])
    found = dict(scores_of_rows(corpus, rows))
    assert list(found) == [0, 3, 9]
    assert all(found[row] == everything[row] for row in found)


def test_row_groups_without_a_wanted_row_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("etude.data.build.ROW_GROUP_NOTES", 1)
    corpus = Corpus.open(make_corpus(tmp_path))
    read, real = [], pq.ParquetFile.iter_batches

    def reading(self, size, *, row_groups, columns):
        read.extend(row_groups)
        return real(self, size, row_groups=row_groups, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", reading)
    (found,) = scores_of_rows(corpus, np.array([7]))
    assert found[0] == 7
    assert read == [7]


def test_typical_pieces_are_of_the_corpus_and_from_all_over_it(corpus, stats):
    paths = [piece["path"] for piece in stats["typical"]]
    assert len(paths) == len(set(paths)) == 6
    score_of = {piece.path: piece.score for piece in corpus.pieces()}
    assert [(path, score) for path, score in typical_pieces(corpus, stats)] == [(p, score_of[p]) for p in sorted(paths)]


def test_a_few_outliers_do_not_squeeze_the_histogram():
    shown = distribution(np.concatenate([np.linspace(1, 10, 999), [1e9]]))
    assert shown["max"] == 1e9
    assert shown["histogram"]["edges"][-1] < 11
    assert shown["histogram"]["beyond"] + sum(shown["histogram"]["counts"]) == 1000
    assert distribution([float("nan")]) == {"count": 0}
    assert distribution([3.0, 3.0])["histogram"]["counts"].count(2) == 1


def test_a_label_with_too_many_values_is_said_to_be_incomplete(corpus, monkeypatch):
    monkeypatch.setattr("etude.data.stats._MOST_KINDS", 1)
    monkeypatch.setattr(Corpus, "tables", _one_by_one(Corpus.tables))
    label = corpus_stats(corpus)["labels"]["composer"]
    assert not label["complete"]
    assert label["values"] < 3


def _one_by_one(tables):
    def small(self, columns):
        for batch in tables(self, columns):
            yield from (batch.slice(k, 1) for k in range(len(batch)))

    return small
