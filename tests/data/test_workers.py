"""Processes die, hang and come out of order; no item is lost and the order is kept."""

import json
import threading

import pytest

from etude.data.workers import run_in_order

READER = """
import json, os, signal, time

def read(items, begin):
    done = []
    for item in items:
        begin()
        print("libraries print; this must not end up among the frames")
        if item.startswith("crash"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if item.startswith("exit"):
            os._exit(3)
        if item.startswith("hang"):
            time.sleep(60)
        if item.startswith("once"):
            flag = item.split(":")[1]
            if not os.path.exists(flag):
                open(flag, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
        if item.startswith("slow"):
            time.sleep(0.2)
        if item.startswith("bug"):
            raise KeyError("a bug of the reader")
        done.append(item.upper())
    return json.dumps(done).encode()
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run jobs of items; return [(item, result or None, reason)] in the order they came."""
    (tmp_path / "reader_of_the_test.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)

    def run(jobs, *, workers=2, limit_sec=20.0):
        seen = []
        for outcome in run_in_order(jobs, "reader_of_the_test:read", workers=workers, limit_sec=limit_sec):
            results = json.loads(outcome.result) if outcome.result else [None] * len(outcome.job.items)
            seen += zip(outcome.job.items, results, [outcome.reason] * len(results), strict=True)
        assert threading.active_count() == 1
        return seen

    return run


def test_results_come_in_the_order_of_the_items_whatever_the_timing(run):
    jobs = [["slow a", "slow b"], ["c"], [], ["d", "e"], ["slow f"], ["g"]]
    seen = run(jobs, workers=3)
    assert [item for item, _, _ in seen] == [item for job in jobs for item in job]
    assert all(result == item.upper() for item, result, _ in seen)


def test_a_crash_costs_one_item_and_says_how_it_died(run):
    seen = run([["a", "crash", "b"], ["crash 2"], ["c", "d"], ["exit", "e"]])
    lost = {item: reason for item, result, reason in seen if result is None}
    assert lost == {
        "crash": "the reader crashed (SIGSEGV)",
        "crash 2": "the reader crashed (SIGSEGV)",
        "exit": "the reader ended with exit code 3",
    }
    assert [item for item, _, _ in seen] == ["a", "crash", "b", "crash 2", "c", "d", "exit", "e"]


def test_a_hanging_item_is_given_up(run):
    seen = run([["a", "hang", "b"]], workers=1, limit_sec=0.5)
    assert seen == [("a", "A", ""), ("hang", None, "the reader took more than 0.5 s"), ("b", "B", "")]


def test_an_item_that_was_killed_by_chance_is_read_the_second_time(run, tmp_path):
    item = f"once:{tmp_path / 'flag'}"
    assert [reason for _, _, reason in run([["a", item, "b"]])] == ["", "", ""]


def test_a_bug_of_the_function_is_raised_with_its_traceback(run):
    with pytest.raises(RuntimeError, match="a bug of the reader"):
        run([["a"], ["bug"], ["c"]])


def test_a_function_that_does_not_exist_is_raised(monkeypatch):
    with pytest.raises(RuntimeError, match="no_such_module"):
        list(run_in_order([["a"]], "no_such_module:read", workers=2, limit_sec=5.0))


def test_no_process_is_left_when_the_caller_stops_in_the_middle(run, tmp_path, monkeypatch):
    outcomes = run_in_order([["a"], ["hang"], ["hang 2"]], "reader_of_the_test:read", workers=3, limit_sec=50.0)
    assert json.loads(next(outcomes).result) == ["A"]
    outcomes.close()
    assert threading.active_count() == 1


def test_no_jobs_give_no_outcomes(run):
    assert run([]) == []
