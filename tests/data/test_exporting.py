"""A corpus goes out as MIDI or MidiDict and comes back as the same corpus."""

import csv
import json
import shutil
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pieces_for_tests import write_songs

from etude.data.corpus import Corpus
from etude.data.export import export_midi, export_midi_dict
from etude.data.import_midi_dict import import_midi_dict
from etude.data.midi_dict import KEYS, midi_dict_line
from etude.data.prepare import prepare
from etude.errors import CorpusError, EtudeError
from etude.music.midi import read_midi
from etude.music.score import Score

NAMES = ["a/one.mid", "a/two.MID", "b/three.midi", "four.kar", "b/c/five.mid", "six.mid"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Six pieces with labels, groups, licences and an official split."""
    folder = tmp_path_factory.mktemp("made")
    write_songs(folder / "midi", NAMES)
    with (folder / "midi" / "labels.csv").open("w") as file:
        file.write("path,composer,title,group,split,licence,source\n")
        for number, name in enumerate(NAMES):
            split = ("train", "valid", "test")[number % 3]
            file.write(f'{name},Bach,"No. {number}, the",work {number % 3},{split},CC0 1.0,box {number % 2}\n')
    prepare(folder / "midi", folder / "corpus", workers=1)
    return folder / "corpus"


def told(corpus, *, with_paths=True):
    """Return what a corpus says of each piece."""
    corpus = Corpus.open(corpus)
    groups = zip(corpus.splits["group"].to_pylist(), corpus.splits["split"].to_pylist(), strict=True)
    return sorted(
        (piece.path if with_paths else "", piece.id, *placed, piece.licence, piece.source, str(piece.labels))
        for piece, placed in zip(corpus.pieces(columns=()), groups, strict=True)
    )


def test_a_folder_of_midi_makes_the_same_corpus_again(corpus, tmp_path):
    made = export_midi(corpus, tmp_path / "midi")
    assert (made["pieces"], made["changed"]) == (6, [])
    assert sorted(f.relative_to(tmp_path / "midi").as_posix() for f in (tmp_path / "midi").rglob("*.*")) == sorted(
        [*NAMES, "SOURCE.md", "labels.csv"]
    )
    prepare(tmp_path / "midi", tmp_path / "again", workers=1)
    assert told(tmp_path / "again") == told(corpus)
    assert Corpus.open(tmp_path / "again").digest == Corpus.open(corpus).digest


def test_the_source_file_says_what_holds_for_all(corpus, tmp_path):
    export_midi(corpus, tmp_path / "midi")
    text = (tmp_path / "midi" / "SOURCE.md").read_text()
    assert "- Licence: CC0 1.0" in text
    assert "- Source:" not in text, "there are two"


def test_one_split_alone(corpus, tmp_path):
    seen = []
    made = export_midi(corpus, tmp_path / "midi", split="test", progress=lambda *counts: seen.append(counts))
    assert made["pieces"] == 2
    assert seen == [(1, 2), (2, 2)]
    with (tmp_path / "midi" / "labels.csv").open() as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"test"}


def test_a_piece_whose_path_is_no_midi_file_gets_an_ending(tmp_path):
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc" / "a.abc").write_text("X:1\nK:C\nCDE|\nX:2\nK:C\nEDC|\n")
    prepare(tmp_path / "abc", tmp_path / "corpus", workers=1, formats=("abc",))
    export_midi(tmp_path / "corpus", tmp_path / "midi")
    assert {file.name for file in (tmp_path / "midi").glob("*.mid")} == {"a.abc#1.mid", "a.abc#2.mid"}
    prepare(tmp_path / "midi", tmp_path / "again", workers=1)
    ids = [[piece.id for piece in Corpus.open(tmp_path / name).pieces(columns=())] for name in ("corpus", "again")]
    assert ids[0] == ids[1]


def test_notes_that_midi_cannot_say_are_reported(tmp_path):
    # a note inside another of its pitch: which end is whose, MIDI does not say
    nested = Score.of([0, 100], [480, 100], [60, 60])
    (tmp_path / "a.jsonl").write_text(midi_dict_line(nested) + "\n")
    prepare(tmp_path / "a.jsonl", tmp_path / "corpus", workers=1)
    assert export_midi(tmp_path / "corpus", tmp_path / "midi")["changed"] == ["a.jsonl#1"]


def test_lines_of_midi_dict_make_the_same_pieces_again(corpus, tmp_path):
    made = export_midi_dict(corpus, tmp_path / "x.jsonl")
    assert made == {"files": {str(tmp_path / "x.jsonl"): 6}}
    import_midi_dict(tmp_path / "x.jsonl", tmp_path / "again", workers=1)
    assert told(tmp_path / "again", with_paths=False) == told(corpus, with_paths=False)


def test_metadata_hold_labels_and_no_path_of_this_machine(corpus, tmp_path):
    export_midi_dict(corpus, tmp_path / "x.jsonl", split="valid")
    text = (tmp_path / "x.jsonl").read_text()
    metadata = [json.loads(line)["metadata"] for line in text.splitlines()]
    assert [(one["abs_load_path"], one["title"]) for one in metadata] == [
        ("a/two.MID", "No. 1, the"),
        ("b/c/five.mid", "No. 4, the"),
    ]
    assert {one["split"] for one in metadata} == {"valid"}
    assert list(metadata[0]) == ["abs_load_path", "composer", "title", "id", "group", "split", "licence", "source"]
    assert str(tmp_path) not in text
    assert str(corpus.parent) not in text


def test_a_file_for_each_split(corpus, tmp_path):
    seen = []
    made = export_midi_dict(corpus, tmp_path / "x.jsonl", by_split=True, progress=lambda *counts: seen.append(counts))
    assert {file.rpartition("/")[2]: lines for file, lines in made["files"].items()} == {
        "x_train.jsonl": 2,
        "x_val.jsonl": 2,
        "x_test.jsonl": 2,
    }
    assert seen[-1] == (6, 6)


def test_labels_beside_the_lines_are_taken_before_their_metadata(corpus, tmp_path):
    (tmp_path / "in").mkdir()
    export_midi_dict(corpus, tmp_path / "in" / "x.jsonl")
    (tmp_path / "in" / "labels.csv").write_text("path,composer\nx.jsonl#1,Liszt\n")
    import_midi_dict(tmp_path / "in", tmp_path / "again", workers=1)
    labels = [piece.labels for piece in Corpus.open(tmp_path / "again").pieces(columns=())]
    assert labels[0] == {"composer": "Liszt"}
    assert labels[1:] == [{}] * 5


def test_lines_without_metadata_and_broken_lines_are_read_as_far_as_they_go(corpus, tmp_path):
    export_midi_dict(corpus, tmp_path / "x.jsonl")
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    values = json.loads(lines[0])
    values["metadata"] = {"abs_load_path": "/a/b.mid", "list": [1], "genre": "jazz", "year": 1961}
    (tmp_path / "x.jsonl").write_text("\n".join([json.dumps(values), "{", json.dumps(values | {"metadata": {}})]))
    made = import_midi_dict(tmp_path / "x.jsonl", tmp_path / "again", workers=1)
    assert (made["accepted"], made["duplicates"], made["rejected"]) == (1, 1, 1)
    (piece,) = Corpus.open(tmp_path / "again").pieces()
    assert (piece.labels, piece.path) == ({"genre": "jazz", "year": "1961"}, "x.jsonl#1")
    rows = Corpus.open(tmp_path / "again").ledger.to_pylist()
    assert rows[1]["reason"].startswith("no JSON: ")


def test_nothing_is_overwritten(corpus, tmp_path):
    (tmp_path / "midi").mkdir()
    (tmp_path / "midi" / "mine.txt").touch()
    with pytest.raises(CorpusError, match="midi: is there already; choose another folder"):
        export_midi(corpus, tmp_path / "midi")
    (tmp_path / "x.jsonl").write_text("mine")
    with pytest.raises(CorpusError, match="x.jsonl: is there already; replace it with --force"):
        export_midi_dict(corpus, tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_text() == "mine"
    export_midi_dict(corpus, tmp_path / "x.jsonl", force=True)
    with pytest.raises(CorpusError, match="no such folder"):
        export_midi(tmp_path / "none", tmp_path / "out")
    with pytest.raises(CorpusError, match="split = 'tests'"):
        export_midi(corpus, tmp_path / "out", split="tests")


@pytest.mark.parametrize("path", ["../out.mid", "/etc/out.mid", "a/../../out.mid"])
def test_a_path_never_leads_out_of_the_folder(corpus, tmp_path, path):
    shutil.copytree(corpus, tmp_path / "corpus")
    file = tmp_path / "corpus" / "pieces-00000.parquet"
    table = pq.read_table(file)
    paths = [path, *table["path"].to_pylist()[1:]]
    pq.write_table(table.set_column(table.schema.get_field_index("path"), table.field("path"), pa.array(paths)), file)
    with pytest.raises(CorpusError, match="leads out of the folder"):
        export_midi(tmp_path / "corpus", tmp_path / "x" / "midi")
    assert not (tmp_path / "x" / "midi").exists()


def test_a_full_disk_leaves_nothing_behind(corpus, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(EtudeError, match="No space left on device"):
        export_midi(corpus, tmp_path / "midi")
    assert not (tmp_path / "midi").exists()


def test_fifty_performances_give_fifty_lines(shared_data, tmp_path):
    """covers: AP-1"""
    midi = tmp_path / "midi"
    with tarfile.open(shared_data / "asap" / "asap.tar.gz") as archive:
        performances = (one for one in archive if one.name.endswith(".mid") and "midi_score" not in one.name)
        chosen = [next(performances) for _ in range(50)]
        archive.extractall(midi, chosen, filter="data")
    first = midi / chosen[0].name
    first.rename(first.with_suffix(".MID"))
    made = prepare(midi, tmp_path / "corpus", workers=2, near_duplicates=False)
    assert (made["seen"], made["accepted"]) == (50, 50)
    export_midi_dict(tmp_path / "corpus", tmp_path / "x.jsonl")
    text = (tmp_path / "x.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 50
    assert all(tuple(line) == KEYS for line in lines)
    assert sum(line["metadata"]["abs_load_path"].endswith(".MID") for line in lines) == 1
    assert str(tmp_path) not in text
    assert lines[0]["note_msgs"][0].keys() == {"type", "data", "tick", "channel"}


def test_the_same_piece_is_written_the_same(tmp_path):
    write_songs(tmp_path / "a", ["x.mid"])
    prepare(tmp_path / "a", tmp_path / "corpus", workers=1)
    export_midi(tmp_path / "corpus", tmp_path / "b")
    assert (tmp_path / "b" / "x.mid").read_bytes() == (tmp_path / "a" / "x.mid").read_bytes()
    assert read_midi(tmp_path / "b" / "x.mid") == read_midi(tmp_path / "a" / "x.mid")
