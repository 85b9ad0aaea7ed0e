"""Processes die, hang, eat memory and come out of order; no item is lost and the order is kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from etude.data import memory
from etude.data.engines import engine_named
from etude.data.workers import run_in_order
from etude.errors import CorpusError

READ = "reader_with_faults:read"


def run(jobs, call=READ, *, workers=2, limit_sec=20.0, **more):
    """Run jobs of items; return [(item, result or None, reason)] in the order they came."""
    seen = []
    for outcome in run_in_order(jobs, call, workers=workers, limit_sec=limit_sec, **more):
        results = json.loads(outcome.result) if outcome.result else [None] * len(outcome.job.items)
        assert outcome.job.first == len(seen)
        seen += zip(outcome.job.items, results, [outcome.reason] * len(results), strict=True)
    assert threading.active_count() == 1
    return seen


def lost(seen):
    return {item: reason for item, result, reason in seen if result is None}


def is_alive(pid):
    try:
        # one that ended and that nobody waited for is not alive
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, *, at_most_sec=20.0):
    until = time.monotonic() + at_most_sec
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_results_come_in_the_order_of_the_items_whatever_the_timing():
    jobs = [["slow a", "slow b"], ["c"], [], ["d", "e"], ["slow f"], ["g"]]
    seen = run(jobs, workers=3)
    assert [item for item, _, _ in seen] == [item for job in jobs for item in job]
    assert all(result == item.upper() for item, result, _ in seen)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("crash", "the reader crashed (SIGSEGV)"),
        ("segfault", "the reader crashed (SIGSEGV)"),
        ("overflow", "the reader crashed (SIGSEGV)"),
        ("abort", "the reader crashed (SIGABRT)"),
        ("leave 3", "the reader ended with exit code 3"),
        ("babble ff", "the reader wrote what nobody understands"),
        ("babble 3d0000", "the reader wrote what nobody understands"),
    ],
)
def test_what_brings_a_process_down_costs_one_item_and_says_how(item, reason):
    """covers: star-11 (partly)"""
    assert run([["a", item, "b"], ["c"]]) == [("a", "A", ""), (item, None, reason), ("b", "B", ""), ("c", "C", "")]


def test_many_crashes_in_a_row_cost_themselves_alone():
    """covers: star-11 (partly)"""
    jobs = [["abort 1", "abort 2", "abort 3"], ["a", "abort 4", "b", "abort 5"], ["c"]]
    seen = run(jobs, workers=2)
    assert [item for item, _, _ in seen] == [item for job in jobs for item in job]
    assert set(lost(seen)) == {f"abort {k}" for k in range(1, 6)}


@pytest.mark.parametrize("item", ["hang", "hold"])
def test_a_hanging_item_is_given_up(item):
    """covers: star-11 (partly)"""
    seen = run([["a", item, "b"]], workers=1, limit_sec=0.5)
    assert seen == [("a", "A", ""), (item, None, "the reader took more than 0.5 s"), ("b", "B", "")]


def test_what_libraries_print_goes_nowhere(capfd):
    assert lost(run([["a", "flood", "b"]])) == {}
    assert capfd.readouterr() == ("", "")


def test_children_of_a_process_that_died_end_with_it(tmp_path):
    assert lost(run([["a", f"family {tmp_path / 'child'}", "b"]], limit_sec=20.0)) == {
        f"family {tmp_path / 'child'}": "the reader crashed (SIGSEGV)"
    }
    wait_until(lambda: not is_alive(int((tmp_path / "child").read_text())))


class TestMemory:
    """Limits of memory, with memory that is really taken."""

    @pytest.mark.parametrize("item", ["take 400", "list_of 400", "swallow 10000"])
    def test_an_item_that_takes_too_much_is_given_up_and_says_so(self, item):
        """covers: star-11 (partly)"""
        seen = run([["a", item, "b"]], workers=1, memory_mb=200)
        reason = "the reader needed more than 200 MB of memory"
        assert seen == [("a", "A", ""), (item, None, reason), ("b", "B", "")]

    def test_less_than_the_limit_is_no_fault_however_often(self):
        assert lost(run([["take 150"] * 4, ["list_of 50"] * 2], workers=1, memory_mb=200)) == {}

    def test_what_others_left_behind_does_not_count_against_an_item(self):
        """Each item fits a fresh process; together they do not, so some run again by themselves."""
        assert lost(run([["keep 90"] * 3, ["keep 91", "take 150"]], workers=1, memory_mb=200)) == {}

    def test_without_a_limit_memory_is_free(self):
        assert lost(run([["take 400"]], workers=1)) == {}

    def test_where_the_system_knows_no_limit_the_owner_watches(self, monkeypatch, tmp_path):
        monkeypatch.setattr("etude.data.memory.LIMITED_BY_SYSTEM", False)
        monkeypatch.setattr("etude.data.worker_process._WATCH_EVERY_SEC", 0.05)
        asked = []
        # of each process twice: when it is ready, and while it works
        monkeypatch.setattr(
            "etude.data.memory.resident_mb", lambda pid: asked.append(pid) or (300.0 if asked.count(pid) > 1 else 50.0)
        )
        seen = run([["a", f"tell {tmp_path / 'flag'}"]], workers=1, memory_mb=200)
        assert list(lost(seen).values()) == ["the reader needed more than 200 MB of memory"]

    @pytest.mark.skipif(shutil.which("ps") is None, reason="there is no ps on this machine")
    def test_the_memory_of_a_process_is_what_the_system_says(self):
        lines = Path("/proc/self/status").read_text().splitlines()
        here = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
        assert memory.resident_mb(os.getpid()) == pytest.approx(here, rel=0.2)
        assert memory.resident_mb(2**22 - 1) == 0


class TestKilledFromOutside:
    """Whoever kills a process when memory is short says nothing about the item that was being read."""

    def test_an_item_that_was_killed_by_chance_is_read_the_second_time(self, tmp_path):
        item = f"outside {tmp_path / 'flag'} 1"
        assert lost(run([["a", item, "b"]])) == {}

    def test_it_gets_more_than_one_chance_alone(self, tmp_path):
        assert lost(run([["a", f"outside {tmp_path / 'flag'} 3", "b"]])) == {}

    def test_but_not_for_ever(self, tmp_path):
        seen = run([["a", f"outside {tmp_path / 'flag'}", "b"]])
        assert [reason for _, _, reason in seen] == [
            "",
            "the reader was killed from outside (SIGKILL); the machine may lack memory",
            "",
        ]
        assert (tmp_path / "flag").read_text() == "xxxx"

    def test_a_process_killed_while_it_waits_is_replaced(self):
        """The third job is only given when the first two are back, to a process that is dead by then."""
        go_on = threading.Event()

        def jobs():
            yield ["a"]
            go_on.wait()
            yield ["b"]

        outcomes = run_in_order(jobs(), READ, workers=1, limit_sec=20.0)
        first = next(outcomes)
        children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        (pid,) = {int(pid) for file in children for pid in file.read_text().split()}
        os.kill(pid, signal.SIGKILL)
        go_on.set()
        assert [first.result, *(outcome.result for outcome in outcomes)] == [b'["A"]', b'["B"]']


class TestStarting:
    """Processes that end before they are ready."""

    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch):
        monkeypatch.setattr("etude.data.workers._PAUSE_SEC", 0.0)

    def doomed(self, path, by, times):
        options = {"by": by, "path": str(path), "times": times}
        return run([["a"]], "reader_with_faults:Doomed", workers=1, options=options)

    def test_a_crash_at_the_start_is_raised_when_it_comes_again(self, tmp_path):
        with pytest.raises(RuntimeError, match=r"could not start: the reader crashed \(SIGSEGV\)"):
            self.doomed(tmp_path / "starts", signal.SIGSEGV, 100)
        assert (tmp_path / "starts").read_text() == "xxx"

    def test_a_machine_short_of_memory_gets_more_time(self, tmp_path):
        assert lost(self.doomed(tmp_path / "starts", signal.SIGKILL, 5)) == {}

    def test_but_not_for_ever(self, tmp_path, monkeypatch):
        monkeypatch.setattr("etude.data.workers._STARTS_WHEN_KILLED", 4)
        with pytest.raises(CorpusError, match="readers are killed as soon as they start: .*; take fewer workers"):
            self.doomed(tmp_path / "starts", signal.SIGKILL, 100)


class TestOptions:
    """A class that makes the function, once in each process."""

    def test_options_are_keywords_for_what_makes_the_function(self):
        seen = run([["a", "b"]], "reader_with_faults:Reader", options={"mark": "#", "times": 2})
        assert [result for _, result, _ in seen] == ["#aa False", "#bb True"]

    def test_the_function_is_made_once_in_each_process(self):
        seen = run([["a"], ["b"], ["c"]], "reader_with_faults:Reader", options={"mark": ""}, workers=1)
        assert [result for _, result, _ in seen] == ["a False", "b True", "c True"]

    def test_options_that_do_not_fit_are_raised(self):
        with pytest.raises(RuntimeError, match="unexpected keyword argument 'mrak'"):
            run([["a"]], "reader_with_faults:Reader", options={"mrak": "#"})


def test_a_bug_of_the_function_is_raised_with_its_traceback():
    with pytest.raises(RuntimeError, match="a bug of the reader"):
        run([["a"], ["bug"], ["c"]])


def test_an_error_that_a_user_can_act_on_stays_one():
    with pytest.raises(CorpusError, match="^the folder is not here$"):
        run([["a"], ["refuse the folder is not here"]])


def test_a_function_that_does_not_exist_is_raised():
    with pytest.raises(RuntimeError, match="no_such_module"):
        list(run_in_order([["a"]], "no_such_module:read", workers=2, limit_sec=5.0))


def test_no_process_is_left_when_the_caller_stops_in_the_middle():
    outcomes = run_in_order([["a"], ["hang"], ["hang 2"]], READ, workers=3, limit_sec=50.0)
    assert json.loads(next(outcomes).result) == ["A"]
    outcomes.close()
    assert threading.active_count() == 1


def test_no_jobs_give_no_outcomes():
    assert run([], workers=None) == []
    assert run([[], []]) == []


def test_jobs_are_taken_only_as_they_are_needed():
    taken = 0

    def jobs():
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield [str(number)]

    outcomes = run_in_order(jobs(), READ, workers=2, limit_sec=20.0, ahead=3)
    next(outcomes)
    time.sleep(0.3)
    assert taken <= 1 + 2 * 3 + 2
    outcomes.close()


def test_what_fails_while_jobs_are_taken_is_raised():
    def jobs():
        yield ["a"]
        raise OSError("the list of files cannot be read")

    with pytest.raises(OSError, match="the list of files"):
        run(jobs())


OWNER = """
import signal, sys
from etude.data.workers import run_in_order
# a shell that starts its jobs in the background lets them ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)
list(run_in_order([["a", "tell " + sys.argv[1]]], "reader_with_faults:read", workers=1, limit_sec=float(sys.argv[2])))
"""


@pytest.fixture
def owner(tmp_path):
    """Start a process that owns a worker that hangs; return it and the worker's number."""

    def start(limit_sec):
        path = os.pathsep.join(filter(None, sys.path))
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, tmp_path / "pid", str(limit_sec)],
            env=os.environ | {"PYTHONPATH": path},
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        return process, int((tmp_path / "pid").read_text())

    return start


def test_an_interrupt_ends_all_at_once(owner):
    process, worker = owner(limit_sec=300)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == -signal.SIGINT
    assert not is_alive(worker)


def test_a_worker_whose_owner_was_killed_ends_by_itself_even_when_it_hangs(owner):
    process, worker = owner(limit_sec=0.5)
    process.kill()
    process.wait()
    wait_until(lambda: not is_alive(worker))


def test_engines_go_by_name():
    assert engine_named("local") is run_in_order
    assert engine_named("etude.data.workers:run_in_order") is run_in_order
    with pytest.raises(CorpusError, match="engine = 'locla': no such engine; did you mean 'local'"):
        engine_named("locla")
    with pytest.raises(CorpusError, match="engine = 'no_such:thing': No module named 'no_such'; expected 'module:"):
        engine_named("no_such:thing")
