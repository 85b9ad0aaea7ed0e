"""``etude corpus fetch`` as people type it."""

import json
import sys
import textwrap

import pytest
from mini_datasets import MINI, maestro

from etude.cli.__main__ import main
from etude.corpora import DATASETS, find_dataset


@pytest.fixture
def own_set(server, tmp_path, monkeypatch):
    """A dataset in a module outside of the package."""
    server.files["own.zip"] = maestro("v3.0.0").files["maestro-v3.0.0-midi.zip"]
    (tmp_path / "sets_of_mine.py").write_text(
        textwrap.dedent(
            f"""
            from dataclasses import replace
            from etude.corpora.dataset import Remote
            from etude.corpora.maestro import MAESTRO_V3
            REMOTE = replace(MAESTRO_V3.remotes[0], urls=("{server.url("own.zip")}",), checksum=None)
            OWN = replace(MAESTRO_V3, name="own", title="Mine", remotes=(REMOTE,))
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "sets_of_mine:OWN"
    sys.modules.pop("sets_of_mine", None)


def test_the_list_has_name_licence_size_and_homepage_of_each(capsys):
    """covers: star-14 (partly)"""
    assert main(["corpus", "fetch", "--list"]) == 0
    out = capsys.readouterr().out.splitlines()
    for line, name in zip(out, DATASETS, strict=False):
        dataset = find_dataset(name)
        assert line.split()[0] == name
        assert (dataset.licence or "not stated") in line
        assert line.endswith(dataset.homepage)
    assert "58.4 MB" in out[0]
    assert "agree to terms" in out[-1]


def test_the_list_is_one_json_document_and_may_be_of_one(capsys):
    assert main(["corpus", "fetch", "groove", "--list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["datasets"]
    assert row["licence"] == "CC BY 4.0"
    assert row["num_bytes"] == 3_260_318
    assert row["checksums"]["groove-v1.0.0-midionly.zip"].startswith("sha256:651cbc52")


def test_it_ends_with_what_to_do_next_and_says_what_is_not_sure(own_set, tmp_path, capsys):
    assert main(["corpus", "fetch", own_set, str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "Mine, fetched: 5 files; licence: CC BY-NC-SA 4.0" in captured.out
    assert "published split: 2 train, 1 valid, 2 test" in captured.out
    assert "no checksum is published of maestro-v3.0.0-midi.zip" in captured.out
    assert captured.out.splitlines()[-1] == f"next: etude prepare {tmp_path / 'out'} OUT"
    assert "Groups that the published split tears apart: 1" in captured.err


def test_json_is_one_document(own_set, tmp_path, capsys):
    assert main(["corpus", "fetch", own_set, str(tmp_path / "out"), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["splits"] == {"train": 2, "valid": 1, "test": 2}
    assert captured.err == ""


def test_a_copy_at_hand_is_named_with_from(tmp_path, capsys):
    copy = tmp_path / "as I called it.zip"
    copy.write_bytes(MINI["symphonynet"]().files["SymphonyNet_Dataset.zip"])
    assert main(["corpus", "fetch", "symphonynet", str(tmp_path / "out"), "--from", str(copy)]) == 0
    captured = capsys.readouterr()
    assert "SymphonyNet dataset, fetched: 3 files; licence: not stated" in captured.out
    assert "groups of more than one file: 1; no published split" in captured.out
    assert "its authors state no licence" in captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["maestro", "out"], "did you mean 'maestro-v3'?"),
        (["maestro-v3"], "expected NAME and DIR, or --list"),
        (["atepp", "out"], "get it from https://github.com/tangjjbetsy/ATEPP"),
        (["maestro-v3", "out", "--from", "nowhere"], "--from nowhere: there is nothing"),
    ],
)
def test_a_mistake_is_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["corpus", "fetch", *words]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
