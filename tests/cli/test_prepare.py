"""`etude prepare`: one JSON document or lines for a person, one line for what a user must mend."""

import json
import re
import subprocess
import sys

import pytest

from etude.cli.__main__ import main
from etude.data.corpus import Corpus
from etude.music.midi import write_midi
from etude.music.score import Score

KEYS = ["corpus", "seen", "accepted", "duplicates", "filtered", "rejected", "notes", "hours", "seconds"]

WITH_A_FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # no file may grow beyond: writes fail as on a full disk
from etude.cli.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def midi(tmp_path):
    """A folder of four pieces, one of them twice, and a broken file."""
    folder = tmp_path / "midi"
    folder.mkdir()
    for k in range(4):
        score = Score.of([0, 480, 960 + k], [240, 240, 240], [60, 62, 64 + k])
        write_midi(score, folder / f"{k}.mid")
    (folder / "again.mid").write_bytes((folder / "0.mid").read_bytes())
    (folder / "broken.mid").write_bytes(b"not MIDI")
    return folder


def files_of(folder):
    found = {str(f.relative_to(folder)): f for f in sorted(folder.rglob("*")) if f.is_file()}
    return {name: file.read_bytes() for name, file in found.items() if ".reading/" not in name}


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_json_is_one_document_with_the_keys_that_scripts_rely_on(capsys, midi, tmp_path):
    code, out, err = run(capsys, "prepare", midi, tmp_path / "out", "--json", "--workers", 1)
    made = json.loads(out)
    assert (code, err) == (0, "")
    assert list(made)[: len(KEYS)] == KEYS
    assert made["corpus"] == str(tmp_path / "out")
    assert [made[key] for key in KEYS[1:7]] == [6, 4, 1, 0, 1, 12]
    assert made["seen"] == sum(made[key] for key in KEYS[2:6])
    assert Corpus.open(made["corpus"]).info["licences"] == {"unknown": 4}


def test_a_person_reads_what_was_made_and_what_to_do_next(capsys, midi, tmp_path):
    out = tmp_path / "out"
    code, text, _ = run(capsys, "prepare", midi, out, "--workers", 1, "--licence", "CC0 1.0", "--seed", 4)
    assert code == 0
    assert "4 pieces, 12 notes" in text
    assert "6 files seen: 4 accepted, 1 duplicates, 0 filtered, 1 rejected" in text
    assert f"next: etude train llama-tiny data.corpus={out}" in text
    assert Corpus.open(out).info["settings"]["seed"] == 4
    assert Corpus.open(out).info["licences"] == {"CC0 1.0": 4}


def test_rows_of_labels_without_a_file_are_noted_on_standard_error(capsys, midi, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("path;composer\n1.mid;Bach\n77.mid;Haydn\n")
    code, out, err = run(capsys, "prepare", midi, tmp_path / "out", "--json", "--labels", labels)
    assert code == 0
    assert err == f"etude: {labels}: 1 rows name no file under {midi}, such as '77.mid'\n"
    assert list(json.loads(out))[: len(KEYS)] == KEYS
    assert [piece.labels for piece in Corpus.open(tmp_path / "out").pieces()].count({"composer": "Bach"}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing", "out"], "missing: no such folder; expected a folder of MIDI files"),
        (["empty", "out"], "empty: empty; expected a folder of MIDI files"),
        (["texts", "out"], "texts: no file named .mid, .midi or .kar; expected a folder of MIDI files"),
        (["midi", "texts"], "texts: exists and is not a corpus; choose another folder"),
        (["midi", "out", "--labels", "none.csv"], "none.csv: cannot be read: No such file or directory"),
        (["sampler", "out", "--labels", "none.csv"], "none.csv: the built-in corpus has its own labels"),
    ],
)
def test_what_a_user_must_mend_is_one_line_and_exit_code_1(capsys, midi, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    before = files_of(tmp_path)
    code, out, err = run(capsys, "prepare", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert err.startswith("etude: ")
    assert err.count("\n") == 1
    assert files_of(tmp_path) == before


def test_a_full_disk_is_one_line_and_damages_nothing(capsys, midi, tmp_path):
    out = tmp_path / "out"
    assert run(capsys, "prepare", midi, out, "--workers", 1)[0] == 0
    before = files_of(tmp_path)
    command = [sys.executable, "-c", WITH_A_FULL_DISK, "prepare", midi]
    for place, more in ((out, ["--force"]), (tmp_path / "new", [])):
        ended = subprocess.run([*command, place, *more], capture_output=True, text=True)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert re.match(rf"etude: {tmp_path}/\S+: cannot be written: ", ended.stderr)
        assert ended.stderr.count("\n") == 1
        assert files_of(tmp_path) == before
        # what was read is kept for the next try
        assert {path.name for path in tmp_path.iterdir()} <= {"midi", "out", ".out.reading", ".new.reading"}


def test_a_folder_that_another_process_is_writing_is_refused(capsys, midi, tmp_path):
    hold = (
        "import sys, pathlib; from etude.data.lock import writing\n"
        "with writing(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, tmp_path / "out"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        code, _, err = run(capsys, "prepare", midi, tmp_path / "out")
        holder.stdin.close()
    assert code == 1
    assert f"out: is being written by process {holder.pid} on " in err
