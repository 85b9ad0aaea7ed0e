"""Several processes that really train together, on CPUs, over gloo: equal, resharded, killed, stuck, drifting."""

import functools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_runs import make_corpus, small_config

from etude.errors import RunError
from etude.launch.ranks import run_ranks
from etude.runs.records import read_records
from etude.training.checkpoint_layout import read_whole
from etude.training.train import train

pytestmark = pytest.mark.services

WORKER = Path(__file__).parent / "rank_worker.py"
COMMAND = [sys.executable, "-m", "etude.cli"]
SETTINGS = {"batch_tokens": 384, "precision": "float32", "log_every_steps": 1, "sample_takes": 0}
"""12 rows: 1, 2, 3 or 6 ranks can share them."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    return train(small_config(corpus, **SETTINGS), runs_dir=tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def two(corpus, tmp_path_factory):
    """Gives a run of two ranks that nothing disturbs, by how they hold the model."""
    return functools.cache(lambda how: run_on(2, corpus, tmp_path_factory.mktemp(how), shard=how))


def run_on(devices: int, corpus: Path, runs: Path, *, fault: str = "", say=lambda line: None, **settings) -> Path:
    command = [sys.executable, str(WORKER), str(corpus), str(runs), json.dumps(SETTINGS | settings), fault]
    assert run_ranks(command, devices, say=say) == 0
    return only_run(runs)


def only_run(runs: Path) -> Path:
    [config] = runs.glob("*/config.json")
    return config.parent


def losses(run: Path) -> list[float]:
    names = {"train": "loss", "valid": "nats_per_token"}
    return [r[names[r["kind"]]] for r in read_records(run / "metrics.jsonl") if r["kind"] in names]


def tensors(run: Path) -> dict[str, torch.Tensor]:
    return read_whole(run / "checkpoints" / "step-00000012")


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = tensors(one), tensors(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert losses(one) == losses(other)
    best = "best/loss/model.safetensors"
    assert (one / best).read_bytes() == (other / best).read_bytes()


@pytest.mark.parametrize("how", ["replicate", "shard"])
def test_two_ranks_have_the_losses_of_one_process(how, two, alone):
    """covers: MT-13, B27, B28 (partly), K34 (partly)"""
    run = two(how)
    assert run.name == alone.run, "how many ranks is no part of what a run is"
    assert losses(run) == pytest.approx(losses(alone.path), rel=1e-5)
    files = {path.name for path in (run / "checkpoints" / "step-00000012").iterdir()}
    expected = {"shard-0-of-2.safetensors", "shard-1-of-2.safetensors", "shards.json"}
    assert files == (expected if how == "shard" else {"model.safetensors", "optimizer.safetensors"}) | {"state.json"}
    ours, theirs = (load_file(one / "best/loss/model.safetensors") for one in (run, alone.path))
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype == torch.float32
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("how", ["replicate", "shard"])
def test_a_run_leaves_its_records_where_it_is_and_a_log_for_each_rank(how, two):
    """covers: MT-13, AP-16"""
    run = two(how)
    assert sorted(path.name for path in (run / "logs").iterdir()) == ["rank_0.log", "rank_1.log"]
    assert "done at step 12" in (run / "logs" / "rank_1.log").read_text()
    assert json.loads((run / "status.json").read_text())["state"] == "done"
    assert not list((run / "checkpoints").glob(".*"))


def test_accumulation_and_ranks_are_two_ways_to_one_batch(corpus, tmp_path):
    """covers: B27"""
    no_dropout = {"num_steps": 4, "eval_every_steps": 0}
    config = small_config(corpus, **SETTINGS | no_dropout)
    found = []
    for name, micro in (("whole", None), ("rows", 32)):
        run = train(
            config.replace(train=config.train.replace(micro_batch_tokens=micro), model=without_dropout(config)),
            runs_dir=tmp_path / name,
        )
        found.append(losses(run.path))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def without_dropout(config):
    return config.model.replace(dropout=0.0)


@pytest.mark.parametrize(("devices", "how"), [(1, "replicate"), (2, "replicate"), (3, "shard")])
def test_what_two_ranks_saved_in_parts_goes_on_on_any_number(devices, how, corpus, alone, tmp_path):
    """covers: B28"""
    run_on(2, corpus, tmp_path, shard="shard", num_steps=8)
    if devices == 1:
        run = train(small_config(corpus, **SETTINGS), runs_dir=tmp_path).path
    else:
        run = run_on(devices, corpus, tmp_path, shard=how)
    assert losses(run) == pytest.approx(losses(alone.path), rel=1e-5)
    ours, theirs = tensors(run), tensors(alone.path)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-4)


def test_what_one_process_saved_goes_on_in_parts(corpus, alone, tmp_path):
    """covers: B28"""
    train(small_config(corpus, **SETTINGS | {"num_steps": 8}), runs_dir=tmp_path)
    assert losses(run_on(2, corpus, tmp_path, shard="shard")) == pytest.approx(losses(alone.path), rel=1e-5)


@pytest.mark.parametrize("how", ["replicate", "shard"])
def test_a_killed_rank_ends_the_command_and_the_run_goes_on_to_the_same_bits(how, two, corpus, tmp_path):
    """covers: K28, B16 (partly), AP-15"""
    step = random.SystemRandom().randrange(1, 12)
    print(f"killed at step {step}")
    with pytest.raises(RunError, match="rank 1 was ended by SIGKILL; the same command goes on"):
        run_on(2, corpus, tmp_path, shard=how, fault=f"kill@{step}@1")
    assert_same(run_on(2, corpus, tmp_path, shard=how), two(how))


@pytest.mark.parametrize("fault", ["before-writing@5@1", "half-written@5@1", "half-written@5@0", "before-the-end@5@0"])
def test_killed_at_any_moment_of_saving_by_several_ranks_the_checkpoint_before_loads(fault, two, corpus, tmp_path):
    """covers: K20"""
    with pytest.raises(RunError, match="was ended by SIGKILL"):
        run_on(2, corpus, tmp_path, shard="shard", fault=fault)
    checkpoints = only_run(tmp_path) / "checkpoints"
    assert [path.name for path in checkpoints.glob("step-*")] == ["step-00000003"]
    assert_same(run_on(2, corpus, tmp_path, shard="shard"), two("shard"))
    assert not list(checkpoints.glob(".*")), "drafts of the dead are cleared away"


def test_a_damaged_part_makes_all_ranks_pass_the_checkpoint_over(two, corpus, tmp_path):
    """covers: K20 (partly), B20 (partly)"""
    shutil.copytree(two("shard").parent, tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    part = run / "checkpoints" / "step-00000012" / "shard-1-of-2.safetensors"
    part.write_bytes(part.read_bytes()[:-5])
    assert_same(run_on(2, corpus, tmp_path / "runs", shard="shard"), two("shard"))
    assert all("damaged" in (run / "logs" / f"rank_{rank}.log").read_text() for rank in range(2))


def test_steps_go_on_while_a_checkpoint_is_written(two, corpus, tmp_path):
    run = run_on(2, corpus, tmp_path, shard="shard", fault="slow-writing@1@0")
    saved_at = [
        int(line.rsplit(" ", 1)[1])
        for line in (run / "logs" / "rank_0.log").read_text().splitlines()
        if "is written at" in line
    ]
    assert saved_at[0] > 3, "the checkpoint of step 3 was on the disk only when later steps were done"
    assert_same(run, two("shard"))


def test_the_first_failing_rank_is_what_the_user_sees(corpus, tmp_path):
    said = []
    with pytest.raises(RunError, match="^rank 1: ValueError: the string is out of tune$"):
        run_on(2, corpus, tmp_path, fault="fail@5@1", say=said.append)
    assert said[0] == "rank 1:"
    assert said[-1] == "ValueError: the string is out of tune"
    run = only_run(tmp_path)
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["reason"]) == ("failed", "rank 1: ValueError: the string is out of tune")
    assert "out of tune" in (run / "logs" / "rank_1.log").read_text()


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("skip_weight@5@1", r"blocks\.0\.attention\.out\.weight: has a gradient on some ranks and none on others"),
        ("drift@4@1", r"norm\.weight: is no longer the same on all ranks"),
    ],
)
def test_ranks_that_drift_apart_are_an_error_and_not_a_wait(fault, what, corpus, tmp_path):
    """covers: K35"""
    with pytest.raises(RunError, match=what):
        run_on(2, corpus, tmp_path, fault=fault)


def test_a_rank_that_is_stuck_is_given_up_and_its_log_shows_where(corpus, tmp_path):
    """covers: K35"""
    with pytest.raises(RunError, match="rank 0 lost another rank: Timed out"):
        run_on(2, corpus, tmp_path, fault="sleep@5@1", rank_timeout_minutes=0.05, stuck_after_sec=1.0)
    log = (only_run(tmp_path) / "logs" / "rank_1.log").read_text()
    assert re.search(r"rank_worker\.py\", line \d+ in sleep", log)


def words(corpus: Path, *more: str) -> list[str]:
    return [
        *("train", "llama-tiny", "model=toy", f"data.corpus={corpus}", "train.batch_tokens=768"),
        *("train.sample_takes=0", "train.precision=float32", *more),
    ]


def environment(runs: Path) -> dict[str, str]:
    return os.environ | {"ETUDE_RUNS": str(runs), "OMP_NUM_THREADS": "1"}


def test_the_command_trains_on_several_devices_and_prints_one_document(corpus, tmp_path):
    """covers: K28 (partly), B28 (partly)"""
    documents = []
    for number, more in enumerate([[], ["--devices", "2"], ["--devices", "2", "train.shard=shard"]]):
        done = subprocess.run(
            [*COMMAND, *words(corpus, "train.num_steps=4"), "--json", *more],
            env=environment(tmp_path / str(number)),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        documents.append(json.loads(done.stdout))
        assert "Traceback" not in done.stderr
    assert len({document["run"] for document in documents}) == 1
    found = [document["valid"]["nats_per_token"] for document in documents]
    assert found == pytest.approx([found[0]] * 3, rel=1e-5)


def test_sigterm_saves_on_all_ranks_and_the_same_command_goes_on(corpus, tmp_path):
    """covers: B16 (partly)"""
    command = [*COMMAND, *words(corpus, "--devices", "2", "train.shard=shard", "train.num_steps=100000")]
    process = subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    wait_for_records(tmp_path)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    saved = int(re.search(r"SIGTERM: saved at step (\d+)", told)[1])
    run = only_run(tmp_path)
    assert (run / "checkpoints" / f"step-{saved:08d}" / "shards.json").is_file()
    more = words(corpus, f"train.num_steps={saved + 2}")
    subprocess.run([*COMMAND, *more], env=environment(tmp_path), check=True, timeout=120, capture_output=True)
    assert f"resumed at step {saved}" not in told
    assert json.loads((run / "done.json").read_text())["step"] == saved + 2


def test_ranks_do_not_outlive_the_command_that_started_them(corpus, tmp_path):
    command = [*COMMAND, *words(corpus, "--devices", "2", "train.num_steps=100000")]
    process = subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.DEVNULL)
    wait_for_records(tmp_path)
    process.kill()
    process.wait()
    status = only_run(tmp_path) / "status.json"
    wait_until(lambda: json.loads(status.read_text())["state"] == "stopped", "the ranks end")


def test_torchrun_pre_trains_fine_tunes_and_resumes(corpus, tmp_path):
    """covers: AP-14 (partly)"""
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "etude.cli",
    ]
    budget = ["optim.peak_lr=0.01", "optim.warmup_steps=10", "optim.schedule_steps=200", "train.eval_every_steps=50"]
    told = []
    for more in (
        words(corpus, *budget, "train.num_steps=100"),
        words(corpus, *budget, "train.num_steps=104"),
        ["finetune", "", str(corpus), "train.num_steps=4", "--takes", "1", "--seconds", "2"],
    ):
        if more[0] == "finetune":
            more[1] = json.loads(told[0].stdout)["path"]
        told.append(
            subprocess.run(
                [*torchrun, *more, "--json"],
                env=environment(tmp_path),
                capture_output=True,
                text=True,
                check=True,
                timeout=200,
            )
        )
    first, resumed, tuned = (json.loads(one.stdout) for one in told)
    valid = [record["nats_per_token"] for record in read_records(Path(first["path"]) / "metrics.jsonl", kind="valid")]
    assert min(valid) < 0.8 * valid[0]
    assert (resumed["run"], resumed["step"]) == (first["run"], 104)
    assert f"run {first['run']}: resumed at step 100" in told[1].stderr
    assert tuned["step"] == 4
    assert tuned["run"] != first["run"]


# ── two network namespaces stand for two hosts ───────────────────────────────────────────────────────────────────────


class Hosts:
    """Two network namespaces and the wire between them."""

    def __init__(self) -> None:
        self.names = [f"etude-{side}-{os.getpid()}" for side in "ab"]
        self.wires = ["etude0", "etude1"]
        self.started: list[subprocess.Popen] = []
        for name in self.names:
            ip("netns", "add", name)
        ip("link", "add", self.wires[0], "netns", self.names[0], "type", "veth", "peer", "name", self.wires[1],
           "netns", self.names[1])  # fmt: skip
        for number, (name, wire) in enumerate(zip(self.names, self.wires, strict=True), 1):
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", wire)
            ip("-n", name, "link", "set", wire, "up")
            ip("-n", name, "link", "set", "lo", "up")

    def start(self, host: int, runs: Path, words: list[str]) -> subprocess.Popen:
        """Start one of two ranks on one of the hosts."""
        own = {
            "RANK": str(host),
            "LOCAL_RANK": "0",
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "10.77.0.1",
            "MASTER_PORT": "29400",
            "GLOO_SOCKET_IFNAME": self.wires[host],
        }
        self.started.append(
            subprocess.Popen(
                ["ip", "netns", "exec", self.names[host], *COMMAND, *words],
                env=environment(runs) | own,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return self.started[-1]

    def close(self) -> None:
        """Take everything down."""
        for process in self.started:
            process.kill()
            process.communicate()
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def hosts():
    try:
        made = Hosts()
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", b"") or str(error).encode()
        pytest.skip(f"network namespaces are not allowed here: {reason.decode().strip()}")
    yield made
    made.close()


def test_two_hosts_train_one_model_and_when_one_is_lost_the_other_ends_and_the_run_goes_on(hosts, corpus, tmp_path):
    """covers: K28, B28 (partly)"""
    long = words(corpus, "train.shard=shard", "train.num_steps=100000", "train.checkpoint_every_steps=2")
    first, second = (hosts.start(host, tmp_path, long) for host in range(2))
    wait_for_records(tmp_path)
    run = only_run(tmp_path)
    wait_until(lambda: list((run / "checkpoints").glob("step-*")), "a checkpoint is there")
    second.kill()
    _, told = first.communicate(timeout=10)  # what the row asks for
    assert first.returncode == 1
    assert "lost another rank" in told
    newest = max(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))
    short = words(corpus, "train.shard=shard", f"train.num_steps={newest + 2}", "--json")
    ends = [
        process.communicate(timeout=100)[0] for process in [hosts.start(host, tmp_path, short) for host in range(2)]
    ]
    assert json.loads(ends[0])["step"] == newest + 2
    assert ends[1] == ""


def test_without_a_network_training_completes_on_several_devices_too(hosts, corpus, tmp_path):
    """covers: MT-13"""
    ip("-n", hosts.names[0], "link", "set", hosts.wires[0], "down")
    inside = ["ip", "netns", "exec", hosts.names[0], *COMMAND]
    for devices in ("1", "2"):
        command = [*inside, *words(corpus, "train.num_steps=4", "--devices", devices, "--json")]
        runs = tmp_path / devices
        done = subprocess.run(command, env=environment(runs), capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["step"] == 4
        assert list(read_records(only_run(runs) / "metrics.jsonl", kind="valid"))


def test_a_wire_that_is_cut_is_given_up_in_time(hosts, corpus, tmp_path):
    long = words(corpus, "train.num_steps=100000", "train.rank_timeout_minutes=0.05")
    both = [hosts.start(host, tmp_path, long) for host in range(2)]
    wait_for_records(tmp_path)
    ip("-n", hosts.names[1], "link", "set", hosts.wires[1], "down")
    told = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [1, 1]
    assert all("lost another rank" in one for one in told)


def wait_for_records(runs: Path) -> None:
    wait_until(lambda: any(read_records(path) for path in runs.glob("*/metrics.jsonl")), "a run has begun")
    wait_until(lambda: len(list(read_records(only_run(runs) / "metrics.jsonl"))) > 2, "steps are recorded")


def wait_until(is_so, what: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.05)
