"""Bring the table of rules in docs/filters.md up to date.

python scripts/filters_table.py          print the table
python scripts/filters_table.py --write  put it into the page
"""

import re
import sys
from pathlib import Path

from etude.data.filters import FILTER_PRESETS, FilterSettings
from etude.settings import leaves

PAGE = Path(__file__).resolve().parent.parent / "docs" / "filters.md"
_TABLE = re.compile(r"^\| setting \| unit \|.*\|\n(?:^\|.*\|\n)+", re.MULTILINE)


def table() -> str:
    """Return a line a setting: its unit, its value in every preset, and what it bounds."""
    presets = {name: FilterSettings.parse(values) for name, values in FILTER_PRESETS.items()}
    header = ["setting", "unit", *(f"`{name}`" for name in presets), "what it bounds"]
    lines = [header, ["---"] * len(header)]
    for leaf in leaves(FilterSettings()):
        values = [_shown(getattr(settings, leaf.name)) for settings in presets.values()]
        lines.append([f"`{leaf.name}`", leaf.unit, *values, leaf.text])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def table_of_page() -> str:
    """Return the table as the page has it now."""
    return _TABLE.search(PAGE.read_text(encoding="utf-8")).group()


def _shown(value: object) -> str:
    """Return a value as a cell: nothing if the rule is off, and ``bound in window`` of windows."""
    if isinstance(value, tuple):
        return ", ".join(f"{bound:g} in {window_sec:g}" for bound, window_sec in value)
    return "" if value is None else f"{value:g}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(table_of_page(), table()), encoding="utf-8")
    else:
        print(table(), end="")
