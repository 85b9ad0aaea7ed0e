"""The Ray engine gives what the local one gives, whatever happens to the machines; on a real cluster of two nodes."""

import json
import sys
import time
from pathlib import Path

import pytest
from pieces_for_tests import tree_of, write_songs

from etude.data import ray_engine
from etude.data.prepare import prepare
from etude.data.workers import run_in_order
from etude.errors import CorpusError, MissingExtraError

NO_RAY = "Ray is not installed: pip install 'etude[ray]'"
HERE = str(Path(__file__).parent)
JOBS = [
    ["a", "b"],
    ["c", "abort", "d", "take 400", "e"],
    ["leave 3"],
    [],
    ["slow f", "hang", "g"],
    *([f"h {k}", f"slow i {k}"] for k in range(8)),
]
LIMITS = {"limit_sec": 2.0, "memory_mb": 200}


def plainly(outcomes):
    return [(outcome.job.first, tuple(outcome.job.items), outcome.result, outcome.reason) for outcome in outcomes]


def by_item(outcomes):
    """Return (item, result, reason) for each item: how a job was cut around a death is left to the engine."""
    rows = []
    for first, items, result, reason in plainly(outcomes):
        assert first == len(rows)
        results = json.loads(result) if result else [None] * len(items)
        rows += zip(items, results, [reason] * len(items), strict=True)
    return rows


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        MissingExtraError, match=r"the engine ray needs the package ray; run: pip install 'etude\[ray\]'"
    ):
        list(ray_engine.run_in_order([["a"]], "reader_with_faults:read", workers=1, limit_sec=5.0))


@pytest.mark.services
# Ray's own: what it will do in a later release, and files that it leaves open
@pytest.mark.filterwarnings("ignore")
class TestOnACluster:
    """Two nodes with one processor each, both on this machine."""

    @pytest.fixture(scope="class")
    def cluster(self):
        cluster_utils = pytest.importorskip("ray.cluster_utils", reason=NO_RAY)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
            # what nodes must be able to import, they are given when they start
            patch.setenv("PYTHONPATH", HERE)
            cluster = cluster_utils.Cluster(
                initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
            )
            cluster.add_node(num_cpus=1)
            patch.setenv("RAY_ADDRESS", cluster.address)
            yield cluster
            cluster.shutdown()

    def test_its_outcomes_are_those_of_the_local_engine(self, cluster):
        """covers: star-11 (partly)"""
        there = by_item(ray_engine.run_in_order(JOBS, "reader_with_faults:read", workers=2, **LIMITS))
        assert there == by_item(run_in_order(JOBS, "reader_with_faults:read", workers=2, **LIMITS))
        assert len({reason for _, _, reason in there}) == 5

    def test_options_make_the_function_on_every_node(self, cluster):
        made = {"options": {"mark": "#", "times": 2}, "limit_sec": 5.0, "workers": None}
        rows = by_item(ray_engine.run_in_order([["a"], ["b"], ["c"]], "reader_with_faults:Reader", **made))
        assert [result.split()[0] for _, result, _ in rows] == ["#aa", "#bb", "#cc"]

    def test_faults_of_the_program_and_errors_of_the_user_stay_what_they_are(self, cluster):
        with pytest.raises(RuntimeError, match="a bug of the reader"):
            list(ray_engine.run_in_order([["a"], ["bug"]], "reader_with_faults:read", workers=2, limit_sec=5.0))
        with pytest.raises(CorpusError, match="^not on this node$"):
            list(
                ray_engine.run_in_order(
                    [["refuse not on this node"]], "reader_with_faults:read", workers=1, limit_sec=5.0
                )
            )

    def test_a_node_with_other_libraries_is_refused(self, cluster, monkeypatch):
        here = ray_engine._versions()
        monkeypatch.setattr(ray_engine, "_versions", lambda: here | {"symusic": "0.0.1"})
        with pytest.raises(CorpusError, match=r"^ray: node \S+ has symusic [\d.]+, this machine has 0.0.1; install"):
            list(ray_engine.run_in_order([["a"]], "reader_with_faults:read", workers=1, limit_sec=5.0))

    def test_jobs_are_taken_only_as_they_are_needed(self, cluster):
        taken = []

        def jobs():
            for number in range(1000):
                taken.append(number)
                yield [str(number)]

        outcomes = ray_engine.run_in_order(jobs(), "reader_with_faults:read", workers=2, limit_sec=5.0, ahead=3)
        for _ in range(3):
            next(outcomes)
        time.sleep(0.5)
        assert len(taken) <= 3 + 2 * 3 + 4
        outcomes.close()

    def test_a_corpus_is_the_same_bytes_though_a_node_dies_in_the_middle(self, cluster, tmp_path, monkeypatch):
        """covers: AP-8 (partly), star-11 (partly)"""
        monkeypatch.setattr("etude.data.prepare._JOB_FILES", 8)
        write_songs(tmp_path / "midi", [f"{k:04d}.mid" for k in range(400)], num_notes=300)
        (tmp_path / "midi" / "0300.mid").write_bytes(b"MThd, or so it says")
        local = prepare(tmp_path / "midi", tmp_path / "local", workers=2)

        # slow enough that all are at work when the node dies
        monkeypatch.setattr("etude.data.prepare._READER", "slow_reader:SlowPieceReader")
        crews, begin = [], ray_engine._Crew.__init__
        monkeypatch.setattr(ray_engine._Crew, "__init__", lambda *args: crews.append(args[0]) or begin(*args))
        lost, lose = [], ray_engine._Crew._lose
        monkeypatch.setattr(ray_engine._Crew, "_lose", lambda *args: lost.append(args[1].job) or lose(*args))
        doomed = [cluster.add_node(num_cpus=2)]

        def kill(done, total):
            if doomed and len(crews[0].is_ready) == 4:
                cluster.remove_node(doomed.pop(), allow_graceful=False)

        there = prepare(tmp_path / "midi", tmp_path / "there", workers=4, engine="ray", progress=kill)
        assert not doomed
        assert any(lost), "the node that died had nothing to do"
        assert (there["accepted"], there["rejected"]) == (399, 1)
        assert local["accepted"] == there["accepted"]
        assert tree_of(tmp_path / "there") == tree_of(tmp_path / "local")

    def test_when_no_node_is_left_it_says_so_in_the_end(self, cluster, monkeypatch):
        monkeypatch.setattr(ray_engine, "_NO_NODE_LIMIT_SEC", 2.0)
        import ray

        @ray.remote(num_cpus=1)
        def busy():
            time.sleep(60)

        ray.init(log_to_driver=False)
        try:
            others = [busy.remote() for _ in range(2)]
            time.sleep(2)
            with pytest.raises(CorpusError, match="no node has offered a processor for 2 s; see `ray status`"):
                list(ray_engine.run_in_order([["a"]], "reader_with_faults:read", workers=1, limit_sec=5.0))
            for one in others:
                ray.cancel(one, force=True)
        finally:
            ray.shutdown()


@pytest.mark.services
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:999999"])
def test_an_address_where_no_cluster_is_is_told_at_once(monkeypatch, address):
    pytest.importorskip("ray", reason=NO_RAY)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(CorpusError, match=rf"^ray: no cluster answers: .*{address}.*; set RAY_ADDRESS to the address"):
        list(ray_engine.run_in_order([["a"]], "reader_with_faults:read", workers=1, limit_sec=5.0))


@pytest.mark.services
@pytest.mark.filterwarnings("ignore")
def test_without_a_cluster_one_is_started_for_as_long_as_it_is_needed(monkeypatch):
    ray = pytest.importorskip("ray", reason=NO_RAY)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setenv("PYTHONPATH", HERE)
    rows = by_item(ray_engine.run_in_order([["a"], ["b"]], "reader_with_faults:read", workers=2, limit_sec=5.0))
    assert [result for _, result, _ in rows] == ["A", "B"]
    assert not ray.is_initialized()
