"""Fetching: what is there afterwards, what a broken call leaves, what is refused."""

import fcntl
import hashlib
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from mini_datasets import maestro, tune, zipped

from etude.corpora.dataset import Dataset, Piece, Remote
from etude.corpora.download import Patience
from etude.corpora.fetch import fetch
from etude.corpora.maestro import MAESTRO_V3
from etude.errors import CorpusError

QUICK = Patience(tries=2, most_tries=8, stall_sec=0.3, stall_bytes=10, first_wait_sec=0.001)
FILES = {f"midi/{number}.mid": tune(number) for number in range(8)} | {"pad.mid": random.Random(0).randbytes(60_000)}
ARCHIVE = zipped(FILES, "set-1/")


def describe(unpacked):
    table = unpacked.find("table.csv")
    for path in unpacked.music:
        yield Piece(path, f"own:{len(path)}", None, {"genre": "folk", "table": "yes" if table else ""})


@pytest.fixture
def dataset(server):
    server.files |= {"own.zip": ARCHIVE, "table.csv": b"a,b\n"}
    sha256 = f"sha256:{hashlib.sha256(ARCHIVE).hexdigest()}"
    remotes = (
        Remote(name="own.zip", urls=(server.url("own.zip"),), checksum=sha256, strip=1),
        Remote(name="table.csv", urls=(server.url("table.csv"),), unpack=False, needed=False),
    )
    facts = {"title": "My own set 1", "homepage": "https://own.example", "licence": "MIT", "citation": "Me."}
    return Dataset(name="own", remotes=remotes, describe=describe, **facts)


def get(dataset, folder, **options):
    return fetch(dataset, folder, patience=QUICK, **options)


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_afterwards_files_labels_and_source_are_there_and_nothing_else(dataset, tmp_path):
    told = []
    made = get(dataset, tmp_path / "own", progress=lambda *facts: told.append(facts))
    there = files_of(tmp_path / "own")
    assert set(there) == {*FILES, "table.csv", "labels.csv", "SOURCE.md", "fetched.json"}
    assert all(there[name] == data for name, data in FILES.items())
    assert (made["files"], made["groups"], made["splits"], made["already"]) == (9, 1, {}, False)
    assert {what for what, _, _ in told} == {"own.zip", "unpacking own.zip", "table.csv"}
    source = there["SOURCE.md"].decode()
    for text in ("# My own set 1", "Licence: MIT", "Source: https://own.example", "Citation: Me.", "9 of music"):
        assert text in source


def test_checksums_are_remembered_and_it_is_said_where_none_was_published(dataset, tmp_path):
    get(dataset, tmp_path)
    archive, table = json.loads((tmp_path / "fetched.json").read_text())["downloads"]
    assert (archive["trust"], table["trust"]) == ("published", "first use")
    assert archive["sha256"] == hashlib.sha256(ARCHIVE).hexdigest()
    assert table["sha256"] == hashlib.sha256(b"a,b\n").hexdigest()
    assert f"sha256 {table['sha256']} (checksum none is published)" in (tmp_path / "SOURCE.md").read_text()


def test_what_came_first_holds_when_it_is_fetched_again(dataset, server, tmp_path):
    get(dataset, tmp_path)
    server.files["table.csv"] = b"c,d\n"
    needed = replace(dataset, remotes=(dataset.remotes[0], replace(dataset.remotes[1], needed=True)))
    before = files_of(tmp_path)
    with pytest.raises(CorpusError, match=r"table\.csv: its SHA-256 is .*, and was .* when it was fetched first"):
        get(needed, tmp_path, force=True)
    assert {name: data for name, data in files_of(tmp_path).items() if ".fetch/" not in name} == before


@pytest.mark.parametrize("moods", [["corrupt"], ["cut", "corrupt"], ["cut", "ignore range"], ["stall"]])
def test_a_server_that_corrupts_or_cuts_once_is_got_over(dataset, server, tmp_path, moods):
    server.moods = moods
    get(dataset, tmp_path)
    assert files_of(tmp_path)["pad.mid"] == FILES["pad.mid"]


def test_a_wrong_checksum_is_refused_and_nothing_is_left(dataset, server, tmp_path):
    """covers: star-14"""
    server.moods = ["corrupt", "corrupt"]
    with pytest.raises(
        CorpusError, match=r"own\.zip: its checksum is sha256:.*, expected sha256:.*; it was downloaded"
    ) as caught:
        get(dataset, tmp_path / "own")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "own").exists()


def test_an_archive_without_checksum_that_is_none_is_refused(dataset, server, tmp_path):
    server.files["own.zip"] = b"<html>please log in</html>"
    bare = replace(dataset, remotes=(replace(dataset.remotes[0], checksum=None),))
    with pytest.raises(CorpusError, match=r"own\.zip: what the server sent is no archive"):
        get(bare, tmp_path)


def test_a_call_that_was_cut_off_is_continued_by_the_next(dataset, server, tmp_path):
    server.moods = ["cut", "404"]
    with pytest.raises(CorpusError, match="run the command again to continue"):
        get(dataset, tmp_path / "own")
    assert set(files_of(tmp_path / "own")) == {".fetch/lock", ".fetch/own.zip.part", ".fetch/own.zip.part.json"}
    get(dataset, tmp_path / "own")
    assert server.seen[-2] == ("own.zip", f"bytes={len(ARCHIVE) // 2}-")


def test_a_call_that_ended_while_files_moved_is_made_whole_by_the_next(dataset, tmp_path, monkeypatch):
    moved = []

    def dies_later(self, target):
        if self.parent.name == "unpacked":
            moved.append(self.name)
            if len(moved) == 3:
                raise KeyboardInterrupt
        return original(self, target)

    original = Path.replace
    monkeypatch.setattr(Path, "replace", dies_later)
    with pytest.raises(KeyboardInterrupt):
        get(dataset, tmp_path / "own")
    assert not (tmp_path / "own" / "fetched.json").exists()
    monkeypatch.setattr(Path, "replace", original)
    get(dataset, tmp_path / "own")
    assert set(files_of(tmp_path / "own")) == {*FILES, "table.csv", "labels.csv", "SOURCE.md", "fetched.json"}


def test_fetched_already_it_is_labelled_anew_without_a_server(dataset, server, tmp_path):
    get(dataset, tmp_path)
    before, asked = files_of(tmp_path), len(server.seen)
    (tmp_path / "labels.csv").write_text("gone")
    made = get(dataset, tmp_path)
    assert made["already"]
    assert len(server.seen) == asked
    assert files_of(tmp_path) == before


def test_force_fetches_again_what_was_changed(dataset, tmp_path):
    get(dataset, tmp_path)
    (tmp_path / "midi" / "1.mid").write_bytes(b"mine")
    assert not get(dataset, tmp_path, force=True)["already"]
    assert files_of(tmp_path)["midi/1.mid"] == FILES["midi/1.mid"]


def test_a_table_that_is_not_needed_may_be_missing_and_that_is_said(dataset, server, tmp_path):
    del server.files["table.csv"]
    made = get(dataset, tmp_path)
    assert any("without it there are fewer labels" in remark for remark in made["remarks"])
    assert "table.csv is not there" in (tmp_path / "SOURCE.md").read_text()


def test_what_people_have_to_agree_to_is_not_taken_behind_their_back(dataset, tmp_path):
    asks = replace(dataset, remotes=(Remote(name="own.zip", page="https://own.example/terms"),))
    with pytest.raises(
        CorpusError, match="own: own.zip is given to people who agree to its terms: get it from https://own"
    ):
        get(asks, tmp_path / "own")
    assert not (tmp_path / "own").exists()
    (tmp_path / "any name.zip").write_bytes(ARCHIVE)
    assert get(asks, tmp_path / "own", copy=tmp_path / "any name.zip")["files"] == 9


def test_a_copy_of_the_wrong_archive_is_refused_and_kept(dataset, tmp_path):
    copy = tmp_path / "own.zip"
    copy.write_bytes(zipped({"set/other.mid": b"x"}))
    with pytest.raises(CorpusError, match=r"own\.zip: its checksum is"):
        get(dataset, tmp_path / "own", copy=copy)
    assert copy.exists()


@pytest.mark.parametrize("deep", ["", "one/two/"])
def test_a_folder_of_files_is_copied_from_wherever_it_begins(tmp_path, deep):
    mini = maestro("v3.0.0")
    for name, data in (mini.layout | {".hidden/x.midi": b"", "2018/a.wav": b""}).items():
        path = tmp_path / "copy" / deep / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    made = fetch(MAESTRO_V3, tmp_path / "set", copy=tmp_path / "copy")
    assert made["splits"] == {"train": 2, "valid": 1, "test": 2}
    names = set(files_of(tmp_path / "set"))
    assert {f"{deep}{path}" for path in mini.expected} <= names
    assert not any("hidden" in name or name.endswith(".wav") for name in names)
    assert "there is no checksum for loose files" in (tmp_path / "set" / "SOURCE.md").read_text()


def test_maestro_with_its_json_alone_says_the_same(tmp_path):
    import csv
    import io

    mini = maestro("v3.0.0")
    rows = list(csv.DictReader(io.StringIO(mini.layout["maestro-v3.0.0.csv"].decode())))
    columns = {name: {str(number): row[name] for number, row in enumerate(rows)} for name in rows[0]}
    made = {}
    for name, document in (("v2", rows), ("v3", columns)):
        for path in mini.expected:
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(mini.layout[path])
        (tmp_path / name / f"maestro-{name}.0.0.json").write_text(json.dumps(document))
        fetch(MAESTRO_V3, tmp_path / f"{name}-set", copy=tmp_path / name)
        made[name] = (tmp_path / f"{name}-set" / "labels.csv").read_text()
    assert made["v2"] == made["v3"]
    assert "maestro:alban berg/sonata op 1,train" in made["v2"]


def test_what_is_no_copy_is_refused(dataset, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no")
    for copy, message in (
        ("nowhere", "--from .*nowhere: there is nothing"),
        ("text.zip", "no zip and no tar"),
        ("empty", r"neither own\.zip nor files ending in \.mid"),
    ):
        with pytest.raises(CorpusError, match=message):
            get(dataset, tmp_path / "own", copy=tmp_path / copy)


def test_folders_of_others_are_never_touched(dataset, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "song.mid").write_bytes(b"x")
    with pytest.raises(CorpusError, match=r"holds other files, such as 'song\.mid'"):
        get(dataset, mine)
    with pytest.raises(CorpusError, match="a file; name a folder"):
        get(dataset, mine / "song.mid")
    get(dataset, tmp_path / "own")
    with pytest.raises(CorpusError, match="holds own; name another folder for other"):
        get(replace(dataset, name="other"), tmp_path / "own")
    assert set(files_of(mine)) == {"song.mid"}


def test_two_processes_do_not_fetch_into_one_folder(dataset, tmp_path):
    (tmp_path / ".fetch").mkdir()
    with (tmp_path / ".fetch" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CorpusError, match="another process is fetching into it"):
            get(dataset, tmp_path)
    assert get(dataset, tmp_path)["files"] == 9


def test_a_full_disk_is_said_and_nothing_is_left(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(CorpusError, match="make room"):
        get(dataset, tmp_path / "own")
    monkeypatch.undo()
    assert get(dataset, tmp_path / "own")["files"] == 9
