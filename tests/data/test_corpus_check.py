"""The check-up of a corpus: whatever is planted is found, and named."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from corpus_for_tests import make_corpus
from pieces_for_tests import song, write_songs

from etude.data.digests import digest_of_splits
from etude.data.doctor import CHECKS, check_corpus
from etude.data.prepare import prepare
from etude.errors import CorpusError
from etude.files import write_json
from etude.music.edit import trim
from etude.music.midi import write_midi


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("check"))


@pytest.fixture
def corpus(made, tmp_path):
    """A healthy corpus of one's own."""
    return shutil.copytree(made, tmp_path / "corpus")


def problems(found):
    """Return the problems by check, those without any left out."""
    return {check["check"]: check["listed"] for check in found["checks"] if check["problems"]}


def rewrite(file, change):
    table = pq.read_table(file)
    pq.write_table(change(table), file)


def put(table, path, **values):
    """Return a table with values of one path replaced."""
    rows = table.to_pylist()
    for row in rows:
        if row["path"] == path:
            row.update(values)
    return pa.Table.from_pylist(rows, table.schema)


def seal(corpus):
    """Make ``corpus.json`` agree with the splits again, as somebody who edits them by hand would."""
    info = json.loads((corpus / "corpus.json").read_text())
    splits = pq.read_table(corpus / "splits.parquet")
    counts = {split: splits["split"].to_pylist().count(split) for split in ("train", "valid", "test")}
    groups = len(pc.unique(splits["group"]))
    write_json(
        corpus / "corpus.json",
        info | {"digest": digest_of_splits(info["content"], splits), "splits": counts, "groups": groups},
    )


def move(corpus, path, **values):
    rewrite(corpus / "splits.parquet", lambda table: put(table, path, **values))
    seal(corpus)


def test_a_healthy_corpus_has_no_problems(corpus):
    found = check_corpus(corpus)
    assert problems(found) == {}
    assert found["problems"] == 0
    assert [check["check"] for check in found["checks"]] == list(CHECKS)
    assert {c["check"] for c in found["checks"] if c["skipped"]} == {"labels", "source files"}


def test_a_planted_leak_is_found_and_both_files_are_named(corpus):
    """covers: B39"""
    move(corpus, "higher.mid", group="another", split="test")
    found = problems(check_corpus(corpus))
    assert list(found) == ["near duplicates"]
    (leak,) = found["near duplicates"]
    assert leak["files"] == ["bach_0.mid", "higher.mid"]
    assert leak["message"].startswith("bach_0.mid in train and higher.mid in test are ")
    assert leak["message"].endswith("alike, +3 semitones")


def test_a_leak_that_given_splits_make_is_found_too(tmp_path):
    """covers: B39 (partly)"""
    folder = tmp_path / "midi"
    write_songs(folder, ["a.mid", "b.mid", "c.mid"], num_notes=300)
    whole = song(0, num_notes=300)
    write_midi(trim(whole, 0.0, whole.duration_sec / 2), folder / "half.mid")
    (folder / "labels.csv").write_text("path,split\na.mid,train\nhalf.mid,valid\n")
    made = prepare(folder, tmp_path / "out", workers=1)
    (leak,) = problems(check_corpus(made["corpus"]))["near duplicates"]
    assert leak["files"] == ["a.mid", "half.mid"]


def test_a_group_in_two_splits_is_named_with_a_file_of_each(corpus):
    group = next(
        row["group"] for row in pq.read_table(corpus / "splits.parquet").to_pylist() if row["path"] == "higher.mid"
    )
    move(corpus, "higher.mid", split="valid")
    (torn,) = problems(check_corpus(corpus))["groups"]
    assert torn["message"] == f"group '{group}' is in train (bach_0.mid) and in valid (higher.mid)"
    assert torn["files"] == ["bach_0.mid", "higher.mid"]


def test_values_of_a_label_in_two_splits_are_found_when_asked_for(corpus):
    """covers: B39 (partly)"""
    quiet = check_corpus(corpus)
    assert quiet["problems"] == 0
    assert any(note.startswith("label performer: ") for note in quiet["notes"])
    found = problems(check_corpus(corpus, by=["performer"]))
    assert list(found) == ["labels"]
    splits = {row["path"]: row["split"] for row in pq.read_table(corpus / "splits.parquet").to_pylist()}
    for leak in found["labels"]:
        assert leak["message"].startswith("performer = ")
        assert len({splits[path] for path in leak["files"]}) == len(leak["files"]) > 1


def test_labels_that_a_corpus_is_grouped_by_are_always_examined(tmp_path):
    corpus = make_corpus(tmp_path, group_by=["composer"])
    assert check_corpus(corpus)["problems"] == 0
    splits = pq.read_table(corpus / "splits.parquet").to_pylist()
    here = next(row for row in splits if row["path"] == "chopin_5.mid")["split"]
    move(corpus, "chopin_5.mid", group="alone", split="test" if here != "test" else "train")
    (leak,) = problems(check_corpus(corpus))["labels"]
    assert leak["message"].startswith("composer = 'Chopin' is in ")
    assert "chopin_5.mid" in leak["files"]


def test_an_unknown_label_is_refused_with_the_nearest(corpus):
    with pytest.raises(CorpusError, match="by performr: no such label; did you mean 'performer'"):
        check_corpus(corpus, by=["performr"])


def test_the_same_notes_twice_are_found(corpus):
    def doubled(table):
        rows = table.to_pylist()
        copy = dict(rows[0]) | {"path": "zz_copy.mid"}
        return pa.Table.from_pylist([*rows, copy], table.schema)

    for name in ("pieces-00000.parquet", "splits.parquet", "ledger.parquet"):
        rewrite(corpus / name, doubled)
    found = problems(check_corpus(corpus))
    (copies,) = found["exact duplicates"]
    assert copies["files"] == ["bach_0.mid", "zz_copy.mid"]
    assert {"totals", "tables"} <= set(found), "the totals and the fingerprints are of before"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("duration_sec", 1.5, "duration_sec = 1.500000, and its last note ends at"),
        ("duration_sec", float("nan"), "duration_sec = nan"),
        ("num_notes", 7, "num_notes = 7, and it has 200"),
        ("id", "0" * 16, "its notes are not those of its id"),
        ("note_pitch", [200] * 200, "its columns are no Score: pitch = 200"),
        ("note_pitch", [60] * 3, "its columns are no Score"),
    ],
)
def test_facts_that_do_not_fit_the_notes_are_found(corpus, column, value, said):
    """covers: B39 (partly)"""
    rewrite(corpus / "pieces-00000.parquet", lambda table: put(table, "haydn_3.mid", **{column: value}))
    found = problems(check_corpus(corpus))["pieces"]
    assert found[0]["message"].startswith("haydn_3.mid: ")
    assert said in found[0]["message"]
    assert found[0]["files"] == ["haydn_3.mid"]


def test_totals_that_do_not_fit_the_tables_are_found(corpus):
    info = json.loads((corpus / "corpus.json").read_text())
    write_json(
        corpus / "corpus.json", info | {"notes": 5, "hours": 100.0, "digest": "0" * 32, "licence_digest": "0" * 32}
    )
    said = [problem["message"] for problem in problems(check_corpus(corpus))["totals"]]
    assert "notes is 1928, and corpus.json says 5" in said
    assert len(said) == 4


def test_splits_of_other_pieces_are_found(corpus):
    rewrite(corpus / "splits.parquet", lambda table: table.take(list(range(len(table)))[::-1]))
    seal(corpus)
    messages = [problem["message"] for problem in problems(check_corpus(corpus))["totals"]]
    assert messages == ["splits.parquet has other pieces, or another order, than pieces-*.parquet"]


@pytest.mark.parametrize("name", ["splits.parquet", "ledger.parquet", "pieces-00000.parquet", "fingerprints.parquet"])
def test_a_damaged_or_missing_table_is_named_and_the_rest_examined(corpus, name):
    data = (corpus / name).read_bytes()
    (corpus / name).write_bytes(data[: len(data) // 2])
    assert any(name in problem["files"] for problem in problems(check_corpus(corpus))["tables"])
    (corpus / name).unlink()
    assert problems(check_corpus(corpus))["tables"]


def test_no_flipped_bit_passes_unseen_unless_it_changes_nothing(corpus):
    file = corpus / "pieces-00000.parquet"
    data, truth = file.read_bytes(), pq.read_table(file)
    draw = np.random.default_rng(0)
    for place in draw.integers(4, len(data), 40).tolist():
        file.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        if not check_corpus(corpus)["problems"]:
            assert pq.read_table(file).equals(truth), f"byte {place}"


def test_a_folder_that_is_no_corpus_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"not a corpus, has no corpus\.json"):
        check_corpus(tmp_path)


def test_a_ledger_that_contradicts_the_pieces_is_found(corpus):
    rewrite(corpus / "ledger.parquet", lambda table: put(table, "haydn_3.mid", verdict="rejected"))
    said = [problem["message"] for problem in problems(check_corpus(corpus))["ledger"]]
    assert said == ["haydn_3.mid is a piece, and the ledger does not say that it was accepted"]
    rewrite(corpus / "ledger.parquet", lambda table: pa.concat_tables([table, table.slice(0, 1)]))
    said = [problem["message"] for problem in problems(check_corpus(corpus))["ledger"]]
    assert "bach_0.mid has more than one row" in said


def test_missing_and_changed_files_of_the_source_are_named_and_new_ones_noted(made, tmp_path):
    """covers: B39 (partly), star-9 (partly)"""
    midi = shutil.copytree(made.parent / "midi", tmp_path / "midi")
    assert check_corpus(made, files=midi)["problems"] == 0
    (midi / "haydn_3.mid").unlink()
    (midi / "broken.mid").write_bytes(b"still not MIDI")
    write_midi(song(77), midi / "fresh.mid")
    found = check_corpus(made, files=midi)
    assert [problem["files"] for problem in problems(found)["source files"]] == [["broken.mid"], ["haydn_3.mid"]]
    assert any("1 file is new" in note and "fresh.mid" in note for note in found["notes"])


def test_of_many_problems_all_are_counted_and_some_listed(corpus, monkeypatch):
    monkeypatch.setattr("etude.data.doctor.MOST_LISTED", 2)
    rewrite(
        corpus / "pieces-00000.parquet",
        lambda table: table.set_column(
            table.schema.get_field_index("num_notes"), "num_notes", pa.array([1] * len(table))
        ),
    )
    check = next(check for check in check_corpus(corpus)["checks"] if check["check"] == "pieces")
    assert (check["problems"], len(check["listed"])) == (10, 2)
