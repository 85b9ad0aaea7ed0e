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
from etude.errors import CorpusError, SettingsError
from etude.files import sha256_of_file
from etude.music.edit import transpose, trim
from etude.music.midi import write_midi
from etude.music.score import Score, Track

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
    monkeypatch.setattr("etude.data.build.ROW_GROUP_NOTES", 40)
    monkeypatch.setattr("etude.data.build.FILE_NOTES", 40)
    corpus = Corpus.open(prepare(small, tmp_path / "out", workers=1)["corpus"])
    assert [file.name for file in sorted(corpus.path.glob("pieces-*"))] == [f"pieces-{k:05d}.parquet" for k in range(4)]
    assert [piece.score.notes for piece in corpus.pieces()] == [song(k).notes for k in range(4)]


FAULTY = """
import dataclasses, os, signal, time
import etude.data.inputs
from etude.data.parse import PieceReader
from etude.music.midi import read_midi
from etude.music.score import Texts

class Crashing(PieceReader):
    def read(self, one):
        if one.name == "1.mid":
            os.kill(os.getpid(), signal.SIGSEGV)
        if one.name == "2.mid":
            time.sleep(60)
        return super().read(one)

class OutOfMemory(PieceReader):
    def judge(self, score, digest):
        raise MemoryError

class Failing(PieceReader):
    def judge(self, score, digest):
        raise IndexError("a fault of\\nthe reader")

class OddText(PieceReader):
    def read(self, one):
        self.name = one.name
        return super().read(one)

    def judge(self, score, digest):
        if self.name == "2.mid":
            texts = Texts.of(tick=[0], kind=["text"], text=["half a \\udc80 letter"], track=[0])
            return super().judge(score, digest)._replace(score=dataclasses.replace(score, texts=texts))
        return super().judge(score, digest)
"""


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    (tmp_path / "faulty_reader_of_the_test.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: monkeypatch.setattr(etude.data.prepare, "_READER", f"faulty_reader_of_the_test:{name}")


def test_files_that_crash_or_hang_the_reader_are_rejected_and_the_rest_goes_on(small, tmp_path, faulty):
    """covers: star-11"""
    faulty("Crashing")
    corpus = Corpus.open(prepare(small, tmp_path / "out", workers=1, file_limit_sec=0.5)["corpus"])
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
        ("OutOfMemory", "the reader needed more than 1024 MB of memory"),
        ("Failing", "the reader failed: IndexError: a fault of the reader"),
    ],
)
def test_a_reader_that_raises_costs_the_file_alone(small, tmp_path, faulty, reader, reason):
    faulty(reader)
    made = prepare(small, tmp_path / "out", workers=1)
    assert made["rejected"] == 4
    assert {row["reason"] for row in rows(Corpus.open(made["corpus"])).values()} == {reason}
    assert list(Corpus.open(made["corpus"]).pieces()) == []


def test_a_piece_that_columns_cannot_hold_costs_itself_alone(small, tmp_path, faulty):
    faulty("OddText")
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


def test_an_interrupted_run_leaves_what_was_there_and_what_it_has_read(small, tmp_path):
    out = tmp_path / "out"
    prepare(small, out, workers=1)
    before = tree_of(out)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(small, out, workers=1, force=True, progress=interrupt)
    assert tree_of(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.reading", "midi", "out"]


@pytest.fixture
def in_steps(monkeypatch):
    monkeypatch.setattr(etude.data.prepare, "_JOB_FILES", 2)


def interrupted(folder, out, *, at):
    """Prepare until some files are read; return how many progress told of."""

    def interrupt(done, total):
        if done >= at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(folder, out, labels=folder / "labels.csv", licence="CC BY 4.0", workers=1, progress=interrupt)


def test_a_run_that_was_interrupted_continues_and_gives_the_same_bytes(folder, corpus, tmp_path, in_steps):
    out = tmp_path / "out"
    for at in (4, 9):
        interrupted(folder, out, at=at)
        assert not out.exists()
    made = prepare(folder, out, labels=folder / "labels.csv", licence="CC BY 4.0", workers=2)
    assert made["continued"] == 10
    assert tree_of(out) == tree_of(corpus.path)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_that_changed_since_the_interruption_is_read_again(small, tmp_path, in_steps):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(small, tmp_path / "out", workers=1, progress=interrupt)
    write_midi(song(30), small / "0.mid")
    made = prepare(small, tmp_path / "out", workers=1)
    assert made["continued"] == 0
    assert next(Corpus.open(made["corpus"]).pieces()).score.notes == song(30).notes


def test_a_run_with_other_filters_does_not_continue(small, tmp_path, in_steps):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(small, tmp_path / "out", workers=1, progress=interrupt)
    made = prepare(small, tmp_path / "out", workers=1, filters={"min_notes": 1000})
    assert (made["continued"], made["filtered"], made["rules"]) == (0, 4, {"min_notes": 4})


def test_filters_leave_their_rules_and_values_in_the_ledger(small, tmp_path):
    """covers: AP-5"""
    write_midi(song(9, num_notes=400), small / "long.mid")
    made = prepare(small, tmp_path / "out", workers=1, filters={"min_notes": 41, "max_mean_velocity": 1.0})
    found = rows(Corpus.open(made["corpus"]))
    assert (made["accepted"], made["filtered"]) == (0, 5)
    assert (found["0.mid"]["rule"], found["0.mid"]["value"]) == ("min_notes", 40)
    assert [broken.split("=")[0] for broken in found["0.mid"]["broken"]] == ["min_notes", "max_mean_velocity"]
    assert found["long.mid"]["rule"] == "max_mean_velocity"
    assert found["long.mid"]["value"] == pytest.approx(song(9, num_notes=400).notes.velocity.mean())
    assert made["rules"] == {"max_mean_velocity": 5, "min_notes": 4}


def test_only_allowed_licences_enter(small, tmp_path):
    """covers: star-9"""
    (tmp_path / "labels.csv").write_text("path,licence\n0.mid,CC0 1.0\n1.mid,CC BY-NC 4.0\n2.mid,CC BY 4.0\n")
    made = prepare(small, tmp_path / "out", labels=tmp_path / "labels.csv", workers=1, allow_licence=["CC0", "CC BY"])
    corpus = Corpus.open(made["corpus"])
    assert [piece.path for piece in corpus.pieces()] == ["0.mid", "2.mid"]
    assert {path: row["reason"] for path, row in rows(corpus).items()} == {
        "0.mid": None,
        "1.mid": "CC BY-NC 4.0",
        "2.mid": None,
        "3.mid": "unknown",
    }
    assert made["rules"] == {"licence": 2}
    assert rows(corpus)["1.mid"]["licence"] == "CC BY-NC 4.0"
    assert len(corpus.info["licence_digest"]) == 32


def test_labels_come_from_a_table_in_the_folder_from_names_and_from_what_is_said_of_all(small, tmp_path):
    """covers: AP-7"""
    (small / "1.mid").rename(small / "Chopin_Nocturne.mid")
    (small / "labels.csv").write_text("path,composer\n0.mid,Haydn\n")
    fixed = {"composer": "liszt", "set": "mine"}
    made = prepare(small, tmp_path / "out", workers=1, names=["composer", "form"], fixed_labels=fixed)
    labels = {piece.path: piece.labels for piece in Corpus.open(made["corpus"]).pieces(columns=())}
    assert labels["0.mid"] == {"composer": "Haydn", "set": "mine"}
    assert labels["Chopin_Nocturne.mid"] == {"composer": "Chopin", "form": "nocturne", "set": "mine"}
    assert labels["3.mid"] == {"composer": "Liszt", "set": "mine"}
    with pytest.raises(SettingsError, match="'Chopinn': not a known composer; did you mean 'Chopin'?"):
        prepare(small, tmp_path / "other", workers=1, fixed_labels={"composer": "Chopinn"})


def test_a_label_to_group_by_must_be_there(small, tmp_path):
    (small / "labels.csv").write_text("path,composer\n0.mid,Haydn\n")
    with pytest.raises(CorpusError, match="group by composr: no such label; did you mean 'composer'"):
        prepare(small, tmp_path / "out", workers=1, group_by=["composr"])
    with pytest.raises(CorpusError, match="group by composr: no such label; did you mean 'composer'"):
        prepare("sampler", tmp_path / "out", group_by=["composr"])


def test_variants_of_a_piece_share_a_group_and_a_split(tmp_path):
    """covers: star-8"""
    write_songs(tmp_path / "midi", [f"{k}.mid" for k in range(12)], num_notes=200)
    one = song(3, num_notes=200)
    variants = {
        "transposed": transpose(one, 3),
        "slower": Score.of(one.notes.onset_tick * 6 // 5, one.notes.duration_tick * 6 // 5, one.notes.pitch),
        "half": trim(one, 0.0, one.duration_sec / 2),
    }
    for name, score in variants.items():
        write_midi(score, tmp_path / "midi" / f"{name}.mid")
    made = prepare(tmp_path / "midi", tmp_path / "out", workers=1)
    groups = {row["path"]: row["group"] for row in Corpus.open(made["corpus"]).splits.to_pylist()}
    assert {groups[f"{name}.mid"] for name in variants} == {groups["3.mid"]}
    assert (made["groups"], made["leaks"]) == (12, 0)
    pairs = pq.read_table(tmp_path / "out" / "near.parquet").to_pylist()
    assert {"3.mid", "transposed.mid"} in [{pair["path_a"], pair["path_b"]} for pair in pairs]


def test_variants_in_two_given_splits_are_leaks_and_stay_where_they_are(tmp_path):
    write_songs(tmp_path / "midi", ["0.mid", "1.mid"], num_notes=200)
    write_midi(transpose(song(0, num_notes=200), 2), tmp_path / "midi" / "copy.mid")
    (tmp_path / "midi" / "labels.csv").write_text("path,split\n0.mid,train\ncopy.mid,test\n")
    made = prepare(tmp_path / "midi", tmp_path / "out", workers=1)
    splits = {row["path"]: row["split"] for row in Corpus.open(made["corpus"]).splits.to_pylist()}
    assert (splits["0.mid"], splits["copy.mid"], made["leaks"]) == ("train", "test", 1)


def test_pieces_are_edited_before_they_are_judged(small, tmp_path):
    drums = Score.of([0, 480], [480, 480], [60, 36], track=[0, 1], tracks=[Track(0), Track(0, is_drum=True)])
    write_midi(drums, small / "drums.mid")
    made = prepare(small, tmp_path / "out", workers=1, remove_families=["drums"])
    pieces = {piece.path: piece.score for piece in Corpus.open(made["corpus"]).pieces()}
    assert pieces["drums.mid"].notes.pitch.tolist() == [60]
    with pytest.raises(SettingsError, match="remove_families"):
        prepare(small, tmp_path / "other", workers=1, remove_families=["drum"])


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
    assert made["leaks"] == 0
    for row in corpus.splits.to_pylist():
        assert (row["group"], row["split"]) == (built_in[row["path"]].group, built_in[row["path"]].split)
    for piece in corpus.pieces("test"):
        assert piece.score == built_in[piece.path].score
        assert piece.labels == built_in[piece.path].labels
        assert piece.source == built_in[piece.path].source
        assert piece.id == built_in[piece.path].id
