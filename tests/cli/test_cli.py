"""The command line answers fast, names what it does not know, and keeps its promises about codes and streams."""

import csv
import errno
import io
import json
import os
import subprocess
import sys

import pytest

from etude import cli
from etude.cli import COMMANDS, Command
from etude.cli.__main__ import main
from etude.errors import EtudeError
from etude.recipes import RECIPES, recipe
from etude.runs.definition import Definition, write_config
from etude.runs.records import Records
from etude.runs.status import enter_state

RUN = "3fa9c1b200000001"
HEAVY = {"torch", "symusic", "pyarrow"}


@pytest.fixture
def etude(capsys):
    """Return a function that runs a command and returns its exit code and both streams."""

    def run(*argv):
        code = main(list(argv))
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return run


@pytest.fixture
def one_run(tmp_path, monkeypatch):
    """A folder of runs with one run that is done."""
    monkeypatch.setenv("ETUDE_RUNS", str(tmp_path))
    path = tmp_path / RUN
    path.mkdir()
    write_config(path, Definition(RUN, "c0ffee", "70ce", recipe("llama-tiny").plain(), "llama-tiny", ("label=x",)))
    records = Records(path / "metrics.jsonl")
    records.append("valid", 0, {"nats_per_token": 5.9, "by": {"note": 2.0}})
    records.append("train", 1, {"loss": 5.5, "lr": 1e-3})
    records.close()
    for state in ("created", "running", "done"):
        enter_state(path, state, step=1, best=5.9)
    return path


def modules_after(*argv):
    code = (
        "import sys; from etude.cli.__main__ import main; code = main(sys.argv[1:]);"
        "print(code, *sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True)
    exit_code, *names = done.stderr.split("\n")[-2].split()
    return int(exit_code), set(names), done


def test_help_of_everything_waits_for_no_heavy_library():
    """covers: B15"""
    code, names, done = modules_after("--help")
    assert code == 0
    assert names & HEAVY == set()
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("argv", [["runs", "list"], ["recipes"], ["recipes", "llama-tiny"], ["train", "--help"]])
def test_commands_about_settings_and_runs_wait_for_no_heavy_library(argv):
    """covers: B15"""
    code, names, _ = modules_after(*argv)
    assert code == 0
    assert names & HEAVY == set()


def test_showing_a_run_waits_for_no_heavy_library(one_run):
    """covers: B15"""
    code, names, done = modules_after("runs", "show", RUN)
    assert code == 0
    assert RUN in done.stdout
    assert names & HEAVY == set()


def test_a_misspelt_setting_waits_for_no_heavy_library():
    code, names, done = modules_after("train", "llama-tiny", "train.num_step=5")
    assert code == 1
    assert names & HEAVY == set()
    assert "train.num_step: no such setting; did you mean 'num_steps'?" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(etude, name):
    code, out, _ = etude(name, "--help")
    assert code == 0
    assert "Example:" in out
    assert f"etude {name}" in out


def test_without_a_command_the_help_is_shown(etude):
    code, out, err = etude()
    assert (code, err) == (0, "")
    assert "Usage: etude" in out
    for panel in {command.panel for command in COMMANDS.values()}:
        assert panel in out


def test_the_version_is_told(etude):
    import etude as package

    code, out, _ = etude("--version")
    assert (code, out) == (0, f"etude {package.__version__}\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["trian"], "etude: 'trian': no such command; did you mean 'train'?"),
        (["recipes", "--jsno"], "etude: recipes: No such option: --jsno"),
        (["recipes", "llama-tin"], "etude: 'llama-tin': no such recipe; did you mean 'llama-tiny'?"),
        (["runs", "lst"], "etude: runs: No such command 'lst'"),
        (["runs", "show"], "etude: runs show: Missing argument 'RUN'"),
        (["runs", "show", "feed"], "etude: 'feed': no run in"),
        (["--colour"], "etude: No such option: --colour"),
    ],
)
def test_what_is_not_known_is_one_line_and_code_1(etude, argv, message):
    code, out, err = etude(*argv)
    assert (code, out) == (1, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (EtudeError("a.mid: not MIDI"), 1, "etude: a.mid: not MIDI\n"),
        (EtudeError("two\nlines"), 1, "etude: two lines\n"),
        (OSError(errno.ENOSPC, "No space left on device", "x.bin"), 1, "etude: x.bin: No space left on device\n"),
        (PermissionError(errno.EACCES, "Permission denied", "x.bin"), 1, "etude: x.bin: Permission denied\n"),
        (KeyboardInterrupt(), 130, "etude: interrupted\n"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(etude, monkeypatch, error, code, message):
    module = type(sys)("broken_command")

    def run() -> None:
        """Break."""
        raise error

    module.run = run
    monkeypatch.setitem(sys.modules, "broken_command", module)
    monkeypatch.setitem(cli.COMMANDS, "broken", Command("Begin", "broken_command"))
    assert etude("broken") == (code, "", message)


def test_a_bug_shows_itself_with_a_traceback(etude, monkeypatch):
    module = type(sys)("broken_command")

    def run() -> None:
        """Break."""
        raise ZeroDivisionError

    module.run = run
    monkeypatch.setitem(sys.modules, "broken_command", module)
    monkeypatch.setitem(cli.COMMANDS, "broken", Command("Begin", "broken_command"))
    with pytest.raises(ZeroDivisionError):
        etude("broken")


def test_recipes_are_listed_for_people_and_for_scripts(etude):
    code, out, _ = etude("recipes")
    assert code == 0
    assert "model=small" in out
    code, out, _ = etude("recipes", "--json")
    document = json.loads(out)
    assert [row["recipe"] for row in document["recipes"]] == list(RECIPES)
    assert document["presets"]["model"]["small"]["num_layers"] == 6
    settings = json.loads(etude("recipes", "llama-tiny", "--json")[1])["settings"]
    assert settings["train.num_steps"] == 1000
    assert settings["data.tokenizer.kind"] == "performance"


@pytest.mark.parametrize("argv", [["runs"], ["runs", "list"]])
def test_runs_are_listed(etude, one_run, argv):
    code, out, _ = etude(*argv)
    assert code == 0
    header, row = out.splitlines()
    assert header.split()[0] == "run"
    assert row.split()[:4] == ["3fa9c1", "llama-tiny", "done", "1"]
    document = json.loads(etude(*argv, "--json")[1])
    (listed,) = document["runs"]
    assert set(listed) >= {"run", "recipe", "state", "step", "best", "path"}
    assert (listed["run"], listed["state"], listed["best"]) == (RUN, "done", 5.9)
    assert listed["path"] == str(one_run)


def test_an_empty_folder_of_runs_says_what_to_do(etude, tmp_path, monkeypatch):
    monkeypatch.setenv("ETUDE_RUNS", str(tmp_path))
    assert "begin one with `etude train`" in etude("runs")[1]
    assert json.loads(etude("runs", "--json")[1]) == {"runs": []}


def test_a_run_is_shown_with_what_it_is_and_where_it_stands(etude, one_run):
    code, out, _ = etude("runs", "show", "3fa9")
    assert code == 0
    assert RUN in out
    assert "state        done" in out
    assert "train.num_steps = 1000" in out
    document = json.loads(etude("runs", "show", "3fa9", "--json")[1])
    assert document["run"] == RUN
    assert document["settings"]["model"]["num_layers"] == 4
    assert document["overrides"] == ["label=x"]


def test_records_are_printed_as_a_table_as_csv_and_as_json(etude, one_run):
    """covers: MT-11 (partly)"""
    code, out, _ = etude("runs", "log", RUN)
    assert code == 0
    assert out.splitlines()[0].split() == ["step", "kind", "nats_per_token", "by.note", "loss", "lr"]
    rows = list(csv.DictReader(io.StringIO(etude("runs", "log", RUN, "--csv")[1])))
    assert (rows[0]["step"], rows[0]["lr"], rows[0]["train_loss"], rows[0]["valid_loss"]) == ("0", "", "", "5.9")
    rows = list(csv.DictReader(io.StringIO(etude("runs", "log", RUN, "--kind", "train", "--csv")[1])))
    assert float(rows[0]["lr"]) == 1e-3
    document = json.loads(etude("runs", "log", RUN, "--kind", "train", "--json")[1])
    assert document == {"run": RUN, "records": [{"step": 1, "kind": "train", "loss": 5.5, "lr": 1e-3}]}


def test_a_run_without_records_says_so(etude, one_run):
    os.truncate(one_run / "metrics.jsonl", 0)
    assert "no records yet" in etude("runs", "log", RUN)[1]
    assert etude("runs", "log", RUN, "--csv")[0] == 0


def test_a_reader_that_goes_away_is_no_error(one_run):
    command = f"{sys.executable} -m etude.cli recipes llama-tiny | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "# llama-tiny\n"
    assert "Traceback" not in done.stderr
