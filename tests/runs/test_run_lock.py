"""A lock keeps every second process out, and nobody has to clean up after one that was killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from etude.errors import RunError
from etude.runs import lock as module
from etude.runs.lock import Lock, holder

HOLD = """
import sys, time
from etude.runs.lock import Lock
lock = Lock(sys.argv[1], what="run abc")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def hold_in_another_process(path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


def write_lock(path, **changes):
    content = {"host": socket.gethostname(), "pid": os.getpid(), "since": "2020-01-01T00:00:00Z", "word": "x"}
    path.write_text(json.dumps(content | changes))


def test_a_second_process_is_refused_with_the_process_and_host_that_hold_it(path):
    """covers: B7"""
    process = hold_in_another_process(path)
    try:
        with pytest.raises(RunError) as caught:
            Lock(path, what="run abc")
        assert f"run abc: held by process {process.pid} on {socket.gethostname()}" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert holder(path)["pid"] == process.pid
    finally:
        end(process)


def test_the_lock_of_a_killed_process_is_taken_over(path):
    """covers: B7"""
    process = hold_in_another_process(path)
    process.send_signal(signal.SIGKILL)
    end(process)
    assert path.exists()
    assert holder(path) is None
    with Lock(path, what="run abc"):
        assert holder(path)["pid"] == os.getpid()
    assert list(path.parent.iterdir()) == []


def test_the_same_process_cannot_take_it_twice(path):
    with Lock(path, what="run abc"), pytest.raises(RunError, match="held by process"):
        Lock(path, what="run abc")


def test_a_released_lock_is_free_and_its_file_gone(path):
    Lock(path, what="run abc").release()
    assert not path.exists()
    Lock(path, what="run abc").release()


def test_a_lock_that_another_took_over_is_left_alone_on_release(path):
    lock = Lock(path, what="run abc")
    write_lock(path, word="another's")
    lock.release()
    assert path.exists()


def test_a_lock_of_another_host_counts_as_long_as_its_heart_beats(path):
    write_lock(path, host="another-host", pid=1)
    with pytest.raises(RunError, match="on another-host"):
        Lock(path, what="run abc")
    old = time.time() - module.STALE_SEC - 1
    os.utime(path, (old, old))
    Lock(path, what="run abc").release()


def test_a_process_number_that_was_given_again_does_not_hold_the_lock(path):
    write_lock(path, process_start="long ago")
    if module._process_start(os.getpid()) is None:
        pytest.skip("this system does not tell when a process started")
    Lock(path, what="run abc").release()


def test_a_lock_that_is_just_being_written_is_respected_and_an_old_torn_one_is_not(path):
    path.write_text("")
    with pytest.raises(RunError, match="held by process"):
        Lock(path, what="run abc")
    old = time.time() - module.STALE_SEC - 1
    os.utime(path, (old, old))
    Lock(path, what="run abc").release()


def test_the_heart_beats(path, monkeypatch):
    monkeypatch.setattr(module, "BEAT_SEC", 0.01)
    with Lock(path, what="run abc"):
        old = time.time() - 1000
        os.utime(path, (old, old))
        for _ in range(500):
            if path.stat().st_mtime > old + 500:
                break
            time.sleep(0.01)
        assert path.stat().st_mtime > old + 500


def test_of_many_that_find_a_stale_lock_exactly_one_gets_it(path):
    for _ in range(20):
        write_lock(path, pid=2**22 + 1)
        got, barrier = [], threading.Barrier(6)

        def take(got=got, barrier=barrier):
            barrier.wait()
            with contextlib.suppress(RunError):
                got.append(Lock(path, what="run abc"))

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        got[0].release()
        assert list(path.parent.iterdir()) == []


def test_the_claim_of_a_process_that_was_killed_in_taking_over_does_not_last(path):
    write_lock(path, pid=2**22 + 1, word="stale")
    claim = path.with_name("lock.stale.claim")
    write_lock(claim, pid=2**22 + 2)
    Lock(path, what="run abc").release()
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path):
    with pytest.raises(RunError, match="cannot be written: No such file or directory"):
        Lock(tmp_path / "nowhere" / "lock", what="run abc")
