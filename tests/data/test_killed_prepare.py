"""``prepare`` is killed, and so are its readers, at moments drawn by chance; in the end the corpus is the same bytes.

A campaign: ``ETUDE_CAMPAIGN_SECONDS`` says how long to go on, 60 by default; results are kept in ``docs/campaigns.md``.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pieces_for_tests import tree_of, write_songs

from etude.data.prepare import prepare

pytestmark = pytest.mark.campaign
COMMAND = [sys.executable, "-m", "etude.cli", "prepare", "midi", "out", "--json", "--workers", "2"]


@pytest.fixture
def reference(tmp_path):
    """Files to read, and the bytes of the corpus that they make."""
    write_songs(tmp_path / "midi", [f"{k:04d}.mid" for k in range(1500)], num_notes=600)
    prepare(tmp_path / "midi", tmp_path / "reference", workers=2)
    return tree_of(tmp_path / "reference")


def start(folder):
    return subprocess.Popen(COMMAND, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def readers_of(pid):
    try:
        return [
            int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()
        ]
    except OSError:
        return []


def seconds():
    return float(os.environ.get("ETUDE_CAMPAIGN_SECONDS", "60")) / 2


def test_a_command_that_is_killed_again_and_again_gets_there(reference, tmp_path):
    """covers: star-11 (partly)"""
    draw, until, kills, rounds = random.Random(1), time.monotonic() + seconds(), 0, 0
    while time.monotonic() < until or not rounds:
        # one round is a corpus; it is left alone in the end
        for patience in (1.2, 1.6, 2.0, None):
            process = start(tmp_path)
            try:
                process.wait(timeout=patience and draw.uniform(0.3, patience))
            except subprocess.TimeoutExpired:
                kills += 1
                process.send_signal(draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
            out, err = process.communicate()
            assert process.returncode in (0, 130, -signal.SIGKILL, -signal.SIGTERM), err.decode()
            # a kill may come between the last rename and the end of the process: then the corpus is there all the same
            if process.returncode == 0 or (tmp_path / "out" / "corpus.json").exists():
                break
        assert tree_of(tmp_path / "out") == reference
        rounds += 1
        for path in (tmp_path / "out").iterdir():
            path.unlink()
    left = {path.name for path in tmp_path.iterdir()} - {"midi", "reference", "out"}
    assert {name for name in left if not name.endswith(".lock")} == set()
    print(f"{rounds} corpora of 1,500 files, the command killed {kills} times: all the same bytes")


def test_readers_that_are_killed_from_outside_cost_nothing_but_time(reference, tmp_path):
    """covers: star-11 (partly)"""
    draw, until, kills, rounds = random.Random(2), time.monotonic() + seconds(), 0, 0
    while time.monotonic() < until or not rounds:
        process = start(tmp_path)
        while process.poll() is None:
            time.sleep(draw.uniform(0.2, 1.5))
            readers = readers_of(process.pid)
            if readers:
                kills += 1
                os.kill(draw.choice(readers), signal.SIGKILL)
        out, err = process.communicate()
        assert process.returncode == 0, err.decode()
        assert tree_of(tmp_path / "out") == reference
        rounds += 1
        for path in (tmp_path / "out").iterdir():
            path.unlink()
    print(f"{rounds} corpora of 1,500 files, {kills} readers killed: all the same bytes")
