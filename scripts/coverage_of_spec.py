"""Which rows of docs/spec.md do the tests cover?

    python scripts/coverage_of_spec.py           print rows, the tests that cover them, totals per family
    python scripts/coverage_of_spec.py --json    the same as one JSON document
    python scripts/coverage_of_spec.py --write   first bring the state column of docs/spec.md up to date

A test covers rows by its docstring, or by the docstring of its class or file:

    covers: MT-3, K24, star-32 (partly)

A row's state follows: ``tested`` when a test covers it, ``partly`` when tests cover it only partly, else
``planned``. The exit code is 1 when something is wrong: a row is missing or there twice, a test names a
row that does not exist, a row marked ``now`` has no test, the state column is out of date.
"""

import argparse
import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEC = "docs/spec.md"
SELF = "scripts/coverage_of_spec.py"
FAMILIES = {"MT-": 31, "AP-": 41, "K": 52, "B": 52, "star-": 89}
STATES = ("tested", "partly", "planned")

_ROW = re.compile(r"^\| (?P<id>(?:MT-|AP-|K|B|star-)\d+)(?P<now> now)? \|(?P<cells>.*)\| (?P<state>\w+) \|$")
_COVERS = re.compile(r"\bcovers:[ \t]*((?:.*,[ \t]*\n)*.*)")
_COVER = re.compile(r"(?P<id>\S+)(?P<partly> \(partly\))?")


@dataclass(frozen=True)
class Row:
    """One line of a table of the specification."""

    id: str
    now: bool
    what: str
    check: str
    state: str
    tests: tuple[str, ...] = field(default=())


def expected_ids() -> list[str]:
    """Return every id that the specification must hold, in its order."""
    return [f"{family}{number}" for family, count in FAMILIES.items() for number in range(1, count + 1)]


def rows_of(spec_text: str) -> list[Row]:
    """Read the rows of the tables; a cell holds no ``|``."""
    rows = []
    for line in spec_text.splitlines():
        if match := _ROW.match(line):
            what, check = (cell.strip() for cell in match["cells"].split("|"))
            rows.append(Row(match["id"], bool(match["now"]), what, check, match["state"]))
    return rows


def covers_in(docstring: str) -> Iterator[tuple[str, bool]]:
    """Yield (id, partly) for every row that a docstring says it covers.

    Example:
        >>> list(covers_in("A sentence. covers: MT-3, star-32 (partly)."))
        [('MT-3', False), ('star-32', True)]
    """
    for listed in _COVERS.findall(docstring):
        for item in listed.strip().removesuffix(".").split(","):
            match = _COVER.fullmatch(" ".join(item.split()))
            yield (match["id"], bool(match["partly"])) if match else (item.strip(), False)


def covers_of_file(path: Path, root: Path) -> Iterator[tuple[str, str, bool]]:
    """Yield (test, id, partly) for the docstrings of a test file, its classes and its tests."""
    name = path.relative_to(root).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module):
            test = name
        elif isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name.lower().startswith("test"):
            test = f"{name}::{node.name}"
        else:
            continue
        for row, partly in covers_in(ast.get_docstring(node) or ""):
            yield test, row, partly


def coverage(root: Path = ROOT) -> tuple[list[Row], list[str]]:
    """Return the rows of ``docs/spec.md`` with state and tests as they should be, and what is wrong.

    Args:
        root: the repository, with ``docs/spec.md`` and ``tests/``.
    """
    written = rows_of((root / SPEC).read_text(encoding="utf-8"))
    found = [hit for path in sorted((root / "tests").rglob("*.py")) for hit in covers_of_file(path, root)]
    known = {row.id for row in written}
    problems = wrong_ids([row.id for row in written])
    for test, row, _ in found:
        if row not in known:
            problems.append(f"{test}: covers: {row!r} is no row of {SPEC}; expected MT-3 or MT-3 (partly)")
    rows = []
    for row in written:
        hits = [(test, partly) for test, name, partly in found if name == row.id]
        state = "planned" if not hits else "partly" if all(partly for _, partly in hits) else "tested"
        rows.append(replace(row, state=state, tests=tuple(dict.fromkeys(test for test, _ in hits))))
        if row.now and not hits:
            problems.append(f"{SPEC}: row {row.id} is due now and no test covers it")
        if row.state != state:
            problems.append(f"{SPEC}: row {row.id} says {row.state!r} but is {state!r}; run {SELF} --write")
    return rows, problems


def wrong_ids(ids: list[str]) -> list[str]:
    """Say which rows are missing, there more than once, or were never promised."""
    counts, expected = Counter(ids), expected_ids()
    wrong = [f"{SPEC}: row {row} is there {counts[row]} times" for row in expected if counts[row] != 1]
    return wrong + [f"{SPEC}: row {row} is of no family" for row in sorted(counts.keys() - set(expected))]


def with_states(spec_text: str, rows: list[Row]) -> str:
    """Return the specification with the state column of each row as given."""
    states = {row.id: row.state for row in rows}
    lines = []
    for line in spec_text.splitlines(keepends=True):
        match = _ROW.match(line.rstrip("\n"))
        lines.append(f"{line[: match.start('state')]}{states[match['id']]} |\n" if match else line)
    return "".join(lines)


def totals(rows: list[Row]) -> dict[str, dict[str, int]]:
    """Count each family's rows by state, those due now, and those of them that have a test."""
    table = {}
    for family in FAMILIES:
        members = [row for row in rows if re.match(rf"{family}\d", row.id)]
        table[family.rstrip("-")] = {
            "rows": len(members),
            **{state: sum(row.state == state for row in members) for state in STATES},
            "now": sum(row.now for row in members),
            "now_tested": sum(row.now and bool(row.tests) for row in members),
        }
    return table


def print_report(rows: list[Row], problems: list[str]) -> None:
    """Print covered rows with their tests, the others by id, totals, and what is wrong."""
    for row in rows:
        for number, test in enumerate(row.tests):
            head = f"{row.id:<8}{'now' if row.now else '':<5}{row.state:<8}" if number == 0 else " " * 21
            print(head + test)
    print("\nwithout a test (! is due now)")
    for family in FAMILIES:
        members = [row for row in rows if row.id.startswith(family) and not row.tests]
        numbers = [row.id.removeprefix(family) + ("!" if row.now else "") for row in members]
        print(f"  {family.rstrip('-'):<6}{len(members):>4}  {' '.join(numbers)}")
    table = totals(rows)
    columns = next(iter(table.values())).keys()
    print("\n" + " " * 8 + "".join(f"{column:>12}" for column in columns))
    for family, counts in table.items():
        print(f"  {family:<6}" + "".join(f"{count:>12}" for count in counts.values()))
    sums = (sum(counts[column] for counts in table.values()) for column in columns)
    print("  all   " + "".join(f"{count:>12}" for count in sums))
    for problem in problems:
        print(f"WRONG {problem}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, or 1 when something is wrong."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", action="store_true", help=f"bring the state column of {SPEC} up to date")
    options = parser.parse_args(arguments)
    rows, problems = coverage()
    if options.write:
        spec = ROOT / SPEC
        spec.write_text(with_states(spec.read_text(encoding="utf-8"), rows), encoding="utf-8")
        rows, problems = coverage()
    if options.json:
        document = {"rows": [asdict(row) for row in rows], "families": totals(rows), "problems": problems}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print_report(rows, problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
