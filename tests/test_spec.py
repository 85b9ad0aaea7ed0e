"""The specification holds every row once, and says of each what the tests say."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

_module = importlib.util.spec_from_file_location("coverage_of_spec", ROOT / "scripts" / "coverage_of_spec.py")
coverage_of_spec = importlib.util.module_from_spec(_module)
_module.loader.exec_module(coverage_of_spec)

SPEC = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report():
    rows, problems = coverage_of_spec.coverage()
    return {row.id: row for row in rows}, problems


@pytest.fixture
def small_project(tmp_path):
    """Return a function that writes a project of the whole specification and one test file."""

    def write(test_source: str) -> Path:
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "tests" / "deep").mkdir(parents=True, exist_ok=True)
        rows = [row.id for row in coverage_of_spec.rows_of(SPEC)]
        lines = [f"| {row}{' now' if row == 'MT-1' else ''} | what | check | planned |\n" for row in rows]
        (tmp_path / "docs" / "spec.md").write_text("".join(lines))
        (tmp_path / "tests" / "deep" / "test_it.py").write_text(test_source)
        return tmp_path

    return write


def test_every_row_is_there_exactly_once_and_in_order():
    ids = [row.id for row in coverage_of_spec.rows_of(SPEC)]
    assert ids == coverage_of_spec.expected_ids()
    assert len(ids) == 31 + 41 + 52 + 52 + 89


def test_every_table_line_of_the_specification_is_read_as_a_row():
    lines = [line for line in SPEC.splitlines() if line.startswith("|") and not line.startswith(("| id |", "|---"))]
    assert len(lines) == len(coverage_of_spec.rows_of(SPEC))


def test_every_row_says_what_there_is_and_how_it_is_checked(report):
    rows, _ = report
    assert [row.id for row in rows.values() if not row.what.endswith(".") or not row.check.endswith(".")] == []


def test_no_test_names_an_unknown_row_no_row_due_now_lacks_a_test_and_the_state_column_is_true(report):
    _, problems = report
    assert problems == []


def test_the_rows_due_now_are_those_of_the_first_complete_path(report):
    rows, _ = report
    music = [f"MT-{number}" for number in (1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15, 31)]
    assert [row.id for row in rows.values() if row.now] == [*music, "K51", "B47", "star-32", "star-88"]


def test_rows_are_found_in_docstrings_of_files_classes_and_tests_and_nowhere_else(small_project):
    root = small_project(
        '"""A file. covers: AP-1"""\n'
        "class TestIt:\n"
        '    """covers: K1, K2 (partly),\n    star-3."""\n'
        "    def test_that(self):\n"
        '        """A sentence.\n\n        covers: MT-1\n        """\n'
        '        text = "covers: MT-2"\n'
        "def helper():\n"
        '    """covers: MT-3"""\n'
    )
    rows, problems = coverage_of_spec.coverage(root)
    found = {row.id: (row.state, row.tests) for row in rows if row.tests}
    assert found == {
        "MT-1": ("tested", ("tests/deep/test_it.py::test_that",)),
        "AP-1": ("tested", ("tests/deep/test_it.py",)),
        "K1": ("tested", ("tests/deep/test_it.py::TestIt",)),
        "K2": ("partly", ("tests/deep/test_it.py::TestIt",)),
        "star-3": ("tested", ("tests/deep/test_it.py::TestIt",)),
    }
    assert all("--write" in problem for problem in problems)
    assert len(problems) == len(found)


def test_one_whole_test_outweighs_partial_ones(small_project):
    root = small_project('def test_a():\n    """covers: MT-1 (partly)"""\ndef test_b():\n    """covers: MT-1"""\n')
    rows, _ = coverage_of_spec.coverage(root)
    assert rows[0].state == "tested"
    assert len(rows[0].tests) == 2


@pytest.mark.parametrize("listed", ["MT-32", "MT-1-5", "mt-1", "K01", "K1 K2", "K1; K2", "B47 (mostly)"])
def test_anything_that_is_not_a_row_is_a_problem(small_project, listed):
    root = small_project(f'def test_a():\n    """covers: MT-1, {listed}"""\n')
    _, problems = coverage_of_spec.coverage(root)
    assert [problem for problem in problems if "tests/deep/test_it.py::test_a" in problem]


def test_a_row_due_now_without_a_test_is_a_problem(small_project):
    _, problems = coverage_of_spec.coverage(small_project("def test_a():\n    pass\n"))
    assert problems == ["docs/spec.md: row MT-1 is due now and no test covers it"]


def test_missing_repeated_and_foreign_rows_are_problems():
    ids = coverage_of_spec.expected_ids()
    problems = coverage_of_spec.wrong_ids([*ids[1:], ids[5], "K53"])
    assert [problem.split(": ")[1] for problem in problems] == [
        "row MT-1 is there 0 times",
        "row MT-6 is there 2 times",
        "row K53 is of no family",
    ]


def test_writing_states_changes_nothing_else(small_project):
    root = small_project('def test_a():\n    """covers: MT-1, B47 (partly)"""\n')
    before = (root / "docs" / "spec.md").read_text()
    rows, _ = coverage_of_spec.coverage(root)
    after = coverage_of_spec.with_states("a heading\n\n" + before, rows)
    expected = before.replace("| MT-1 now | what | check | planned |", "| MT-1 now | what | check | tested |")
    expected = expected.replace("| B47 | what | check | planned |", "| B47 | what | check | partly |")
    assert after == "a heading\n\n" + expected


def test_the_command_prints_one_json_document_with_totals(capsys, report):
    rows, problems = report
    assert coverage_of_spec.main(["--json"]) == (1 if problems else 0)
    document = json.loads(capsys.readouterr().out)
    assert len(document["rows"]) == len(rows)
    assert document["families"]["star"]["rows"] == 89
    for counts in document["families"].values():
        assert counts["tested"] + counts["partly"] + counts["planned"] == counts["rows"]


def test_the_command_prints_tests_and_rows_without_any(capsys, report):
    rows, _ = report
    coverage_of_spec.main([])
    out = capsys.readouterr().out
    for row in rows.values():
        for test in row.tests:
            assert test in out
    assert "without a test" in out
