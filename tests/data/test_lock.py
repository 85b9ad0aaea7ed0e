"""One writer at a time, and no stale locks."""

import os
import signal
import subprocess
import sys

import pytest

from etude.data.lock import writing
from etude.errors import CorpusError

HOLD = """
import sys, pathlib
from etude.data.lock import writing
with writing(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "out"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_refused_and_told_who_holds_it(tmp_path, holder):
    with (
        pytest.raises(CorpusError, match=f"out: is being written by process {holder.pid} on "),
        writing(tmp_path / "out"),
    ):
        pytest.fail("both write")


def test_a_second_writer_may_wait(tmp_path, holder):
    holder.stdin.close()
    with writing(tmp_path / "out", wait=True):
        pass


def test_the_lock_of_a_killed_process_is_no_obstacle(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with writing(tmp_path / "out"):
        pass


def test_another_folder_is_free(tmp_path, holder):
    with writing(tmp_path / "other"):
        pass


def test_nothing_is_left_behind(tmp_path):
    with writing(tmp_path / "deep" / "out"):
        pass
    assert list((tmp_path / "deep").iterdir()) == []


def test_drafts_of_a_killed_writer_are_removed_and_those_of_others_kept(tmp_path):
    for name in (".out.abc.draft", ".other.abc.draft"):
        (tmp_path / name).mkdir()
    with writing(tmp_path / "out"):
        assert [path.name for path in tmp_path.glob("*.draft")] == [".other.abc.draft"]


def test_a_folder_that_a_killed_writer_had_put_aside_is_put_back(tmp_path):
    (tmp_path / ".out.abc.old" / "was").mkdir(parents=True)
    (tmp_path / ".out.abc.old" / "was" / "corpus.json").write_text("{}")
    with writing(tmp_path / "out"):
        assert (tmp_path / "out" / "corpus.json").read_text() == "{}"
        assert not (tmp_path / ".out.abc.old").exists()


def test_a_parent_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot be written"), writing(tmp_path / "file" / "out"):
        pytest.fail("there is no folder to write in")
