"""From a folder of MIDI to a corpus: every file has a verdict, and the result does not depend on timing."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pieces_for_tests import song, tree_of, write_songs

import etude.data.prepare
from etude.corpora.sampler import iter_pieces
from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.errors import CorpusError
from etude.files import sha256_of_file
from etude.music.midi import write_midi
from etude.music.score import Score

GOOD = ["a/one.mid", "a/two.MID", "b/three.midi", "b/deep/er/four.KAR", "é/Dvořák.mid", "folder.mid/five.mid"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with every kind of file that one finds in such folders."""
    folder = tmp_path_factory.mktemp("midi")
    write_songs(folder, GOOD)
    write_midi(song(1, ppq=960), folder / "0-first.mid")  # a/two.MID again, in another resolution
    write_midi(song(2), folder / "zz.mid")  # b/three.midi again
    write_midi(Score.of(), folder / "empty.mid")
    far = 250_000_000  # ticks, at 960 a second
    write_midi(Score.of([0, far, far], [1, 1, 1], [60, 61, 62], ppq=480), folder / "endless.mid")
    (folder / "broken.mid").write_bytes(b"MThd, or so it says")
    (folder / "nothing.mid").write_bytes(b"")
    (folder / "notes.txt").write_text("not MIDI by its name")
    (folder / "dangling.mid").symlink_to("nowhere.mid")
    (folder / "itself.mid").symlink_to("itself.mid")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.mid")
    write_midi(song(7), Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.mid")))
    (folder / "labels.csv").write_text(
        "path,composer,group,split,licence,source\n"
        "a/one.mid,Bach,g1,test,CC0 1.0,archive\n"
        "0-first.mid,Haydn,g2,,,\n"
        "é/Dvořák.mid,Dvořák,g2,,,\n"
        "not/there.mid,Nobody,g9,train,,\n"
    )
    return folder


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    """What ``prepare`` returned for it."""
    out = tmp_path_factory.mktemp("corpora") / "out"
    return prepare(folder, out, labels=folder / "labels.csv", licence="CC BY 4.0", workers=2)


@pytest.fixture(scope="module")
def corpus(made):
    return Corpus.open(made["corpus"])


@pytest.fixture
def small(tmp_path):
    """A folder of four good files."""
    write_songs(tmp_path / "midi", [f"{k}.mid" for k in range(4)])
    return tmp_path / "midi"


def rows(corpus):
    return {row["path"]: row for row in corpus.ledger.to_pylist()}


def test_every_file_has_one_verdict_and_they_add_up(made, corpus):
    """covers: star-9, AP-6"""
    verdicts = {path: row["verdict"] for path, row in rows(corpus).items()}
    assert verdicts == {
        "0-first.mid": "accepted",
        "a/one.mid": "accepted",
        "a/two.MID": "duplicate",
        "b/deep/er/four.KAR": "accepted",
        "b/three.midi": "accepted",
        "broken.mid": "rejected",
        "caf\\xe9.mid": "accepted",
        "dangling.mid": "rejected",
        "empty.mid": "filtered",
        "endless.mid": "filtered",
        "folder.mid/five.mid": "accepted",
        "itself.mid": "rejected",
        "nothing.mid": "rejected",
        "pipe.mid": "rejected",
        "zz.mid": "duplicate",
        "é/Dvořák.mid": "accepted",
    }
    assert corpus.ledger["path"].to_pylist() == sorted(verdicts)
    assert (made["seen"], made["accepted"], made["duplicates"], made["filtered"], made["rejected"]) == (16, 7, 2, 2, 5)
    assert made["notes"] == 7 * 40
    assert made["unmatched_labels"] == ["not/there.mid"]


def test_verdicts_come_with_what_explains_them(folder, corpus):
    ledger = rows(corpus)
    assert ledger["zz.mid"]["duplicate_of"] == "b/three.midi"
    assert ledger["a/two.MID"]["duplicate_of"] == "0-first.mid"
    assert ledger["a/two.MID"]["id"] == ledger["0-first.mid"]["id"]
    assert (ledger["empty.mid"]["rule"], ledger["empty.mid"]["value"]) == ("min_notes", 0.0)
    assert (ledger["endless.mid"]["rule"], ledger["endless.mid"]["value"]) == (
        "max_hours",
        pytest.approx(72.338, abs=1e-3),
    )
    assert ledger["dangling.mid"]["reason"] == "cannot be read: No such file or directory"
    assert ledger["pipe.mid"]["reason"] == "not a regular file"
    for name in ("broken.mid", "nothing.mid"):
        assert ledger[name]["reason"]
        assert "\n" not in ledger[name]["reason"]
    assert ledger["broken.mid"]["sha256"] == sha256_of_file(folder / "broken.mid")


def test_scores_come_back_as_they_were_read(corpus):
    scores = {piece.path: piece.score for piece in corpus.pieces()}
    for number, name in enumerate(GOOD):
        if name in scores:
            assert scores[name].notes == song(number).notes
    assert scores["0-first.mid"].ppq == 960


def test_labels_are_joined_and_licence_and_source_have_defaults(folder, corpus):
    pieces = {piece.path: piece for piece in corpus.pieces(columns=())}
    assert pieces["a/one.mid"].labels == {"composer": "Bach"}
    assert pieces["b/three.midi"].labels == {}
    assert (pieces["a/one.mid"].licence, pieces["a/one.mid"].source) == ("CC0 1.0", "archive")
    assert (pieces["b/three.midi"].licence, pieces["b/three.midi"].source) == ("CC BY 4.0", folder.name)
    assert pieces["a/one.mid"].score is None
    assert corpus.info["labels"] == ["composer"]
    assert corpus.info["licences"] == {"CC BY 4.0": 6, "CC0 1.0": 1}


def test_groups_and_given_splits_are_honoured(corpus):
    """covers: AP-8"""
    table = {row["path"]: row for row in corpus.splits.to_pylist()}
    assert (table["a/one.mid"]["group"], table["a/one.mid"]["split"]) == ("g1", "test")
    assert table["0-first.mid"]["split"] == table["é/Dvořák.mid"]["split"]
    assert table["b/three.midi"]["group"] == table["b/three.midi"]["id"]
    assert {row["split"] for row in table.values()} == {"train", "valid", "test"}
    assert corpus.splits["path"].to_pylist() == [piece.path for piece in corpus.pieces(columns=())]


def test_pieces_of_one_split_are_those_that_the_table_names(corpus):
    for split in ("train", "valid", "test"):
        named = [row["path"] for row in corpus.splits.to_pylist() if row["split"] == split]
        assert [piece.path for piece in corpus.pieces(split)] == named


def test_a_moved_corpus_opens_and_no_path_of_the_machine_is_in_it(small, tmp_path):
    """covers: MT-6 (partly), AP-1 (partly)"""
    prepare(small, tmp_path / "out", workers=1)
    moved = Corpus.open((tmp_path / "out").rename(tmp_path / "moved"))
    assert [piece.path for piece in moved.pieces()] == ["0.mid", "1.mid", "2.mid", "3.mid"]
    assert {piece.source for piece in moved.pieces()} == {"midi"}
    assert str(tmp_path) not in (moved.path / "corpus.json").read_text()


def test_any_reader_of_parquet_finds_plain_columns(corpus):
    table = pq.read_table(corpus.path / "pieces-00000.parquet")
    row = table.slice(table["path"].to_pylist().index("a/one.mid"), 1).to_pylist()[0]
    assert row["label_composer"] == "Bach"
    assert row["note_pitch"] == song(0).notes.pitch.tolist()
    assert row["num_notes"] == 40
    assert row["duration_sec"] == pytest.approx(song(0).duration_sec)


def test_the_corpus_is_the_same_bytes_whatever_the_number_of_workers(folder, corpus, tmp_path, monkeypatch):
    """covers: AP-8"""
    monkeypatch.setattr(etude.data.prepare, "_JOB_FILES", 1)
    other = prepare(folder, tmp_path / "out", labels=folder / "labels.csv", licence="CC BY 4.0", workers=3)
    assert tree_of(Path(other["corpus"])) == tree_of(corpus.path)


def test_another_seed_changes_the_split_and_the_digest_but_not_the_pieces(tmp_path):
    write_songs(tmp_path / "midi", [f"{k}.mid" for k in range(12)], num_notes=5)
    one, two = (Corpus.open(prepare(tmp_path / "midi", tmp_path / f"{k}", seed=k, workers=1)["corpus"]) for k in (1, 2))
    assert one.content == two.content
    assert one.digest != two.digest
    assert (one.path / "pieces-00000.parquet").read_bytes() == (two.path / "pieces-00000.parquet").read_bytes()


def test_row_groups_and_files_are_of_bounded_size(small, tmp_path, monkeypatch):
    monkeypatch.setattr("etude.data.build.ROW_GROUP_BYTES", 1)
    monkeypatch.setattr("etude.data.build.FILE_BYTES", 1)
    monkeypatch.setattr(etude.data.prepare, "_JOB_FILES", 1)
    corpus = Corpus.open(prepare(small, tmp_path / "out", workers=1)["corpus"])
    assert [file.name for file in sorted(corpus.path.glob("pieces-*"))] == [f"pieces-{k:05d}.parquet" for k in range(4)]
    assert [piece.score.notes for piece in corpus.pieces()] == [song(k).notes for k in range(4)]


FAULTY = """
import json, os, signal, time
import etude.data.parse
import etude.music.score

read = etude.data.parse.read_midi
whole = etude.data.parse._parse_file

def faulty(path):
    if path.name == "1.mid":
        os.kill(os.getpid(), signal.SIGSEGV)
    if path.name == "2.mid":
        time.sleep(60)
    return whole(path)

def out_of_memory(data):
    raise MemoryError

def failing(data):
    raise IndexError("a fault of\\nthe reader")

def odd_text(data):
    import dataclasses
    score = read(data)
    texts = etude.music.score.Texts.of(tick=[0], kind=["text"], text=["half a \\udc80 letter"], track=[0])
    return dataclasses.replace(score, texts=texts) if data == open(os.environ["ODD"], "rb").read() else score

def parse_with_odd_text(items, begin):
    etude.data.parse.read_midi = odd_text
    return etude.data.parse.parse_files(items, begin)

def parse(items, begin):
    etude.data.parse._parse_file = faulty
    return etude.data.parse.parse_files(items, begin)

def parse_with_little_memory(items, begin):
    etude.data.parse.read_midi = out_of_memory
    return etude.data.parse.parse_files(items, begin)

def parse_with_a_fault(items, begin):
    etude.data.parse.read_midi = failing
    return etude.data.parse.parse_files(items, begin)
"""


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    (tmp_path / "faulty_reader_of_the_test.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: monkeypatch.setattr(etude.data.prepare, "_READER", f"faulty_reader_of_the_test:{name}")


def test_files_that_crash_or_hang_the_reader_are_rejected_and_the_rest_goes_on(small, tmp_path, faulty, monkeypatch):
    """covers: star-11"""
    faulty("parse")
    monkeypatch.setattr(etude.data.prepare, "FILE_LIMIT_SEC", 0.5)
    corpus = Corpus.open(prepare(small, tmp_path / "out", workers=1)["corpus"])
    assert {path: row["reason"] for path, row in rows(corpus).items()} == {
        "0.mid": None,
        "1.mid": "the reader crashed (SIGSEGV)",
        "2.mid": "the reader took more than 0.5 s",
        "3.mid": None,
    }
    assert [piece.path for piece in corpus.pieces()] == ["0.mid", "3.mid"]


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        ("parse_with_little_memory", "needs more memory than there is"),
        ("parse_with_a_fault", "the reader failed: IndexError: a fault of the reader"),
    ],
)
def test_a_reader_that_raises_costs_the_file_alone(small, tmp_path, faulty, reader, reason):
    faulty(reader)
    made = prepare(small, tmp_path / "out", workers=1)
    assert made["rejected"] == 4
    assert {row["reason"] for row in rows(Corpus.open(made["corpus"])).values()} == {reason}
    assert list(Corpus.open(made["corpus"]).pieces()) == []


def test_a_piece_that_columns_cannot_hold_costs_itself_alone(small, tmp_path, faulty, monkeypatch):
    faulty("parse_with_odd_text")
    monkeypatch.setenv("ODD", str(small / "2.mid"))
    corpus = Corpus.open(prepare(small, tmp_path / "out", workers=1)["corpus"])
    assert [piece.path for piece in corpus.pieces()] == ["0.mid", "1.mid", "3.mid"]
    assert rows(corpus)["2.mid"]["reason"].startswith("the reader failed: UnicodeEncodeError")


def test_a_file_too_large_to_be_music_is_rejected(small, tmp_path):
    with (small / "large.mid").open("wb") as file:
        file.truncate((64 << 20) + 1)
    made = prepare(small, tmp_path / "out", workers=1)
    reason = rows(Corpus.open(made["corpus"]))["large.mid"]["reason"]
    assert reason == "67108865 bytes; at most 67108864 are read"


def test_progress_counts_files_up_to_all_of_them(small, tmp_path):
    seen = []
    prepare(small, tmp_path / "out", workers=1, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4)


def test_the_digest_stands_for_order_labels_and_notes(small, tmp_path):
    digests = []
    for k, change in enumerate(
        [
            lambda: None,
            lambda: (small / "0.mid").rename(small / "9.mid"),
            lambda: (tmp_path / "labels.csv").write_text("path,x\n9.mid,2\n"),
            lambda: write_midi(song(30), small / "9.mid"),
        ]
    ):
        change()
        labels = tmp_path / "labels.csv"
        made = prepare(small, tmp_path / f"out {k}", workers=1, labels=labels if labels.exists() else None)
        digests.append(Corpus.open(made["corpus"]).digest)
    assert len(set(digests)) == 4


def test_a_folder_reached_by_two_links_is_read_once(tmp_path):
    write_songs(tmp_path / "elsewhere", ["0.mid"])
    (tmp_path / "midi").mkdir()
    for name in ("a", "b"):
        (tmp_path / "midi" / name).symlink_to(tmp_path / "elsewhere")
    assert prepare(tmp_path / "midi", tmp_path / "out", workers=1)["seen"] == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such folder; expected a folder of MIDI files"),
        (lambda path: path.write_text(""), "not a folder; expected a folder of MIDI files"),
        (lambda path: path.mkdir(), "empty; expected a folder of MIDI files"),
        (lambda path: (path / "x").mkdir(parents=True), "no file named .mid, .midi or .kar"),
    ],
)
def test_a_folder_without_midi_is_refused_in_one_line_and_nothing_is_made(tmp_path, make, message):
    make(tmp_path / "midi")
    with pytest.raises(CorpusError) as error:
        prepare(tmp_path / "midi", tmp_path / "deep" / "out")
    assert str(error.value).startswith(f"{tmp_path / 'midi'}: {message}")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "deep").exists()


def test_what_is_not_a_corpus_is_never_replaced(small, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(CorpusError, match="exists and is not a corpus; choose another folder"):
            prepare(small, out, force=force)
    assert tree_of(out) == {"thesis.txt": b"years of work"}


def test_a_corpus_is_replaced_only_when_forced(small, tmp_path):
    out = tmp_path / "out"
    out.mkdir()  # an empty folder is no obstacle
    prepare(small, out, workers=1)
    before = tree_of(out)
    with pytest.raises(CorpusError, match="a corpus is here already; replace it with --force"):
        prepare(small, out, seed=5)
    assert tree_of(out) == before
    prepare(small, out, seed=5, licence="CC0 1.0", workers=1, force=True)
    assert tree_of(out) != before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_interrupted_run_leaves_what_was_there_and_nothing_else(small, tmp_path):
    out = tmp_path / "out"
    prepare(small, out, workers=1)
    before = tree_of(out)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(small, out, workers=1, force=True, progress=interrupt)
    assert tree_of(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["midi", "out"]


def test_notes_and_hours_are_those_of_the_pieces(corpus, made):
    pieces = list(corpus.pieces())
    assert made["notes"] == sum(len(piece.score.notes) for piece in pieces)
    assert made["hours"] == pytest.approx(sum(piece.score.duration_sec for piece in pieces) / 3600, abs=1e-4)
    assert np.isclose(corpus.info["hours"], made["hours"], atol=1e-4)


def test_the_name_sampler_stands_for_the_built_in_pieces_with_their_own_groups_and_splits(tmp_path):
    made = prepare("sampler", tmp_path / "out", seed=9)
    corpus = Corpus.open(made["corpus"])
    built_in = {piece.path: piece for piece in iter_pieces()}
    assert made["seen"] == len(built_in)
    assert made["accepted"] > 300
    for row in corpus.splits.to_pylist():
        assert (row["group"], row["split"]) == (built_in[row["path"]].group, built_in[row["path"]].split)
    for piece in corpus.pieces("test"):
        assert piece.score == built_in[piece.path].score
        assert piece.labels == built_in[piece.path].labels
        assert piece.source == built_in[piece.path].source
        assert piece.id == built_in[piece.path].id
