"""Runs are found again by folder, id or the beginning of an id, without reading anything large."""

import pytest

from etude.errors import RunError
from etude.recipes import recipe
from etude.runs.definition import Definition, write_config
from etude.runs.find import find_run, list_runs, runs_root
from etude.runs.identity import short_ids
from etude.runs.status import enter_state

IDS = ["aaaaaaaa00000001", "aaaaaaab00000002", "bbbbbbbb00000003"]


@pytest.fixture
def root(tmp_path):
    settings = recipe("llama-tiny").plain()
    for place, run in enumerate(IDS):
        (tmp_path / run).mkdir()
        write_config(tmp_path / run, Definition(run, "c", "t", settings | {"label": f"l{place}"}, "llama-tiny"))
        enter_state(tmp_path / run, "created")
        enter_state(tmp_path / run, "running", step=place)
        enter_state(tmp_path / run, "done", step=10 * place, best=1.5 * place)
    return tmp_path


def test_every_run_is_listed_with_where_it_stands(root):
    runs = {run.run: run for run in list_runs(root)}
    assert sorted(runs) == IDS
    last = runs[IDS[2]]
    assert (last.recipe, last.label, last.state, last.step, last.best) == ("llama-tiny", "l2", "done", 20, 3.0)
    assert last.path == root / IDS[2]


def test_listing_reads_nothing_but_the_definition_and_the_status(root):
    for run in IDS:
        (root / run / "metrics.jsonl").mkdir()
        (root / run / "environment.json").write_bytes(b"\xff")
    assert len(list_runs(root)) == 3


def test_damaged_folders_are_passed_over(root):
    (root / IDS[0] / "config.json").write_text("{")
    (root / IDS[1] / "status.json").unlink()
    (root / "notes").mkdir()
    assert [run.run for run in list_runs(root)] == [IDS[2]]


def test_a_folder_without_runs_lists_none(tmp_path):
    assert list_runs(tmp_path) == []
    assert list_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize("name", ["b", "bbbbbb", IDS[2]])
def test_the_beginning_of_an_id_is_enough_if_it_is_the_only_one(root, name):
    """covers: B4"""
    assert find_run(name, root).run == IDS[2]


def test_two_runs_with_the_same_beginning_are_both_usable(root):
    """covers: B4"""
    assert find_run("aaaaaaaa", root).run == IDS[0]
    assert find_run("aaaaaaab", root).run == IDS[1]
    with pytest.raises(RunError, match="'aaa': 2 runs in .* begin so: aaaaaaaa, aaaaaaab; give more of the id"):
        find_run("aaa", root)


@pytest.mark.parametrize("name", ["c", "", "*", "../x"])
def test_a_name_that_no_run_has_is_refused_in_one_line(root, name):
    with pytest.raises(RunError, match="no run in .* begins so; `etude runs` lists them"):
        find_run(name, root)


def test_a_folder_is_a_name_too(root):
    assert find_run(str(root / IDS[0]), "nowhere").run == IDS[0]


def test_the_environment_names_the_folder_of_runs(monkeypatch, tmp_path):
    monkeypatch.delenv("ETUDE_RUNS", raising=False)
    assert str(runs_root()) == "runs"
    monkeypatch.setenv("ETUDE_RUNS", str(tmp_path))
    assert runs_root() == tmp_path


def test_short_ids_are_unique_and_six_digits_or_more():
    """covers: B4"""
    short = short_ids(IDS)
    assert len(set(short.values())) == 3
    assert [len(short[run]) for run in IDS] == [8, 8, 6]
    assert short_ids([IDS[0]]) == {IDS[0]: IDS[0][:6]}
    assert short_ids([]) == {}
