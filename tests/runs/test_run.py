"""A run is one folder: what it is, where it stands, what it measured; opened by one process at a time."""

import json
import os
import signal
import subprocess
import sys

import pytest

from etude.config import config_of_run
from etude.errors import CorpusError, EtudeError, RunError
from etude.recipes import resolve
from etude.runs import environment
from etude.runs import run as run_module
from etude.runs.definition import read_config
from etude.runs.environment import read_environment
from etude.runs.find import summarize
from etude.runs.identity import run_id
from etude.runs.run import open_run
from etude.runs.status import enter_state, read_status

CORPUS, TOKENIZER = "c0ffee00c0ffee00", "70ce70ce70ce70ce"


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Return a function that opens a run of ``llama-tiny`` with changes; asking git and pip is left out."""
    facts = {"time": "t", "commit": "abc", "dirty_diff": "", "python": "3", "packages": {"numpy": "2"}}
    facts |= {"host": "h", "pid": 1, "cpus": 2, "platform": "p"}

    def describe(**given):
        return facts | given

    monkeypatch.setattr(run_module, "describe_environment", describe)

    def open_it(*typed, corpus=CORPUS, tokenizer=TOKENIZER, **options):
        return open_run(tmp_path / "runs", resolve("llama-tiny", list(typed)), corpus, tokenizer, **options)

    open_it.facts = facts
    return open_it


def history(run):
    return [entry["state"] for entry in json.loads((run.path / "status.json").read_text())["history"]]


def log_of(run):
    return (run.path / "logs" / "rank_0.log").read_text()


def test_a_new_run_lies_under_its_id_and_says_everything_about_itself(start, tmp_path):
    """covers: K2 (partly)"""
    with start("train.num_steps=5", command=["etude", "train"], recipe="llama-tiny") as run:
        assert run.is_new
        assert run.path == tmp_path / "runs" / run_id(resolve("llama-tiny"), CORPUS, TOKENIZER)
        run.log("train", 5, {"loss": 1.0})
        run.finish({"step": 5, "valid": {"nats_per_token": 1.0}})
    assert sorted(path.name for path in run.path.iterdir()) == [
        "config.json",
        "done.json",
        "environment.json",
        "logs",
        "metrics.jsonl",
        "status.json",
    ]
    config = json.loads((run.path / "config.json").read_text())
    assert config["run"]["id"] == run.id == run.path.name
    assert config["train"]["num_steps"] == 5
    assert config["optim"]["eps"] == 1e-8
    done = json.loads((run.path / "done.json").read_text())
    assert done["step"] == 5
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]


def test_the_stored_configuration_gives_the_same_run_again(start):
    with start("model=small", "train.device=cuda") as run:
        run.finish({"step": 0})
    assert run_id(config_of_run(run.path), CORPUS, TOKENIZER) == run.id
    assert config_of_run(run.path).train.device == "cuda"


def test_a_run_goes_from_created_over_running_to_done_and_can_be_extended(start):
    """covers: B9 (partly), B5 (partly)"""
    with start("train.num_steps=2") as run:
        assert read_status(run.path)["state"] == "running"
        run.finish({"step": 2})
    assert history(run) == ["created", "running", "done"]
    with start("train.num_steps=4") as again:
        assert not again.is_new
        assert again.path == run.path
        assert not (run.path / "done.json").exists()
        again.finish({"step": 4})
    assert history(run) == ["created", "running", "done", "running", "done"]
    assert config_of_run(run.path).train.num_steps == 4
    assert "train.num_steps is 2 in the run and 4 now" in log_of(run)


def test_a_failure_is_kept_with_its_reason_and_its_traceback(start):
    """covers: B9 (partly)"""
    opened = []

    def break_down():
        with start() as run:
            opened.append(run)
            raise ZeroDivisionError("nothing to divide")

    with pytest.raises(ZeroDivisionError):
        break_down()
    (run,) = opened
    status = read_status(run.path)
    assert status["state"] == "failed"
    assert status["reason"] == "ZeroDivisionError: nothing to divide"
    assert "break_down" in log_of(run)
    assert not (run.path / "lock").exists()
    with start() as again:
        again.stop("enough")
    assert history(run) == ["created", "running", "failed", "running", "stopped"]


def test_an_error_of_the_user_is_the_reason_as_it_stands(start):
    run = start()
    run.fail(CorpusError("corpus: damaged"))
    run.close()
    assert read_status(run.path)["reason"] == "corpus: damaged"


def test_an_interrupt_stops_a_run_and_a_run_that_is_left_counts_as_stopped(start):
    with start() as run:
        pass
    assert read_status(run.path)["state"] == "stopped"

    def interrupt():
        with start():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert read_status(run.path)["reason"] == "interrupted by KeyboardInterrupt"


def test_there_is_no_way_from_created_to_done(tmp_path):
    enter_state(tmp_path, "created")
    with pytest.raises(RunError, match="a run that is created cannot become done"):
        enter_state(tmp_path, "done")


def test_a_second_start_is_refused_and_changes_nothing(start):
    """covers: B7"""
    with start("train.num_steps=5") as run:
        before = {path: path.read_bytes() for path in run.path.rglob("*.json")}
        with pytest.raises(RunError, match=f"run {run.id}: held by process {os.getpid()}"):
            start("train.num_steps=6", clear=True)
        assert {path: path.read_bytes() for path in run.path.rglob("*.json")} == before
        run.finish({"step": 5})


KILLED = """
import os, signal, sys
from etude.recipes import resolve
from etude.runs.run import open_run
run = open_run(sys.argv[1], resolve("llama-tiny"), "c0ffee00c0ffee00", "70ce70ce70ce70ce")
for step in (1, 2, 3):
    run.log("train", step, {"loss": 1.0 / step})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_whose_process_was_killed_reads_as_stopped_and_goes_on(start, tmp_path):
    """covers: B7, K3 (partly)"""
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "runs")], check=False)
    assert killed.returncode == -signal.SIGKILL
    (path,) = (tmp_path / "runs").iterdir()
    assert (path / "lock").exists()
    summary = summarize(path)
    assert (summary.state, summary.reason) == ("stopped", "its process is gone")
    with start() as run:
        assert run.path == path
        run.drop_records_after(2)
        run.log("train", 3, {"loss": 1.0 / 3})
        run.finish({"step": 3})
    assert [json.loads(line)["step"] for line in (path / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3]
    assert history(run) == ["created", "running", "stopped", "running", "done"]
    said = [line.split()[1] for line in log_of(run).splitlines()]
    assert [word for word in said if word != "since"] == ["started", "resumed", "done"]


def test_a_stored_run_is_not_continued_with_other_settings_or_data(start):
    """covers: B3 (partly)"""
    with start() as run:
        run.finish({"step": 0})
    with pytest.raises(RunError) as caught:
        start("model.num_layers=6", "train.num_steps=3", expected_id=run.id)
    message = str(caught.value)
    assert f"run {run.id}: started with other settings: model.num_layers is 4 in the run and 6 now" in message
    assert "--fork" in message
    assert "num_steps" not in message
    assert "\n" not in message
    with pytest.raises(RunError, match=f"the corpus is {CORPUS} in the run and other now"):
        start(corpus="other", expected_id=run.id)
    with start("train.num_steps=3", expected_id=run.id) as same:
        same.finish({"step": 3})


def test_a_stored_configuration_that_was_changed_by_hand_is_refused(start):
    """covers: B3 (partly)"""
    with start() as run:
        run.finish({"step": 0})
    path = run.path / "config.json"
    config = json.loads(path.read_text())
    config["model"]["num_layers"] = 9
    path.write_text(json.dumps(config))
    with pytest.raises(RunError, match="model.num_layers is 9 in the run and 4 now"):
        start()
    assert not (run.path / "lock").exists()
    assert json.loads(path.read_text())["model"]["num_layers"] == 9


def test_clear_begins_anew(start):
    """covers: K4 (partly)"""
    with start() as run:
        run.log("train", 1, {"loss": 1.0})
        (run.path / "checkpoints" / "step-1").mkdir(parents=True)
        run.stop("enough")
    with start(clear=True) as again:
        assert again.is_new
        assert again.newest("train") is None
        assert not (run.path / "checkpoints").exists()
        again.finish({"step": 0})
    assert history(run) == ["created", "running", "done"]


def test_a_fork_knows_its_parent_and_an_extension_keeps_its_origin(start):
    """covers: K5 (partly)"""
    with start("train.seed=2", recipe="llama-tiny", overrides=("train.seed=2",), parent="feedfeedfeedfeed") as run:
        run.finish({"step": 0})
    with start("train.seed=2", "train.num_steps=9", recipe="another") as run:
        run.finish({"step": 9})
    definition = read_config(run.path)
    assert definition.recipe == "llama-tiny"
    assert definition.overrides == ("train.seed=2",)
    assert definition.parent == "feedfeedfeedfeed"


def test_the_best_loss_follows_the_records(start):
    with start() as run:
        for step, loss in ((0, 5.0), (1, 3.0), (2, 4.0)):
            run.log("valid", step, {"nats_per_token": loss, "accuracy": 0.5})
        assert run.newest("valid") == {"nats_per_token": 4.0, "accuracy": 0.5}
        status = read_status(run.path)
        assert (status["step"], status["best"]) == (2, 3.0)
        run.drop_records_after(0)
        run.log("valid", 1, {"nats_per_token": 4.5})
        assert read_status(run.path)["best"] == 4.5
        run.stop("enough")


def test_log_files_are_plain_text(start):
    """covers: B14"""
    with start() as run:
        run.say("\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b[K\r and \t tab\n")
        run.stop("enough")
    text = log_of(run)
    assert "\x1b" not in text
    assert "\r" not in text
    assert text.splitlines()[1].endswith("Z red link and \t tab")


def test_what_changed_since_the_last_start_is_told(start):
    """covers: B6"""
    with start() as run:
        run.stop("enough")
    start.facts.update(commit="def", packages={"numpy": "3", "torch": "2"})
    with start() as run:
        run.stop("enough")
    for line in ("commit abc is now def", "numpy 2 is now 3", "torch absent is now 2"):
        assert f"since the last start: {line}" in log_of(run)
    assert [one["commit"] for one in read_environment(run.path)["starts"]] == ["abc", "def"]


def test_a_full_disk_fails_in_one_line_and_gives_the_lock_back(start, monkeypatch):
    with start() as run:
        run.stop("enough")
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}

    def no_space(*_args):
        raise EtudeError("status.json: cannot be written: No space left on device; nothing there was changed")

    monkeypatch.setattr(run_module, "write_config", no_space)
    monkeypatch.setattr(run_module, "record_start", no_space)
    with pytest.raises(EtudeError, match="No space left"):
        start("train.num_steps=77")
    assert {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()} == before


def test_runs_cannot_be_made_where_a_file_stands(start, tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunError, match="cannot be made"):
        start()


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "damaged"), ('{"schema": "etude-run", "version": 99, "run": {}}', "schema etude-run version 99")],
)
def test_a_damaged_or_newer_definition_is_refused_in_one_line(tmp_path, content, message):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunError, match=message):
        read_config(tmp_path)
    with pytest.raises(RunError, match="missing; expected the folder of a run"):
        read_config(tmp_path / "nowhere")


def test_the_environment_names_code_versions_and_machine():
    """covers: B6, K30 (partly)"""
    facts = environment.describe_environment(device="cpu", command=["etude", "train"])
    assert facts["packages"]["numpy"]
    assert facts["python"].count(".") == 2
    assert facts["pid"] == os.getpid()
    assert facts["command"] == ["etude", "train"]
    assert set(facts) >= {"commit", "dirty_diff", "device", "host", "platform", "cpus", "time"}


def test_the_environment_does_without_git(monkeypatch):
    def no_git(*_args, **_kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(environment.subprocess, "run", no_git)
    facts = environment.describe_environment()
    assert (facts["commit"], facts["dirty_diff"]) == (None, "")
