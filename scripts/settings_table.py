"""Bring the table of settings in docs/configuration.md up to date.

python scripts/settings_table.py          print the table
python scripts/settings_table.py --write  put it into the page
"""

import json
import re
import sys
from pathlib import Path

from etude.config import RunConfig
from etude.settings import leaves

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
_TABLE = re.compile(r"(?:^\| `[\w.]+` \|.*\| (?:identity|budget|machine) \|.*\|\n)+", re.MULTILINE)


def table() -> str:
    """Return one line a setting of a default configuration, as the page has them."""
    lines = []
    for leaf in leaves(RunConfig.parse({"model": {}})):
        value = leaf.value if isinstance(leaf.value, str) else json.dumps(leaf.value)
        shown = f"`{value}`" if value else ""
        lines.append(f"| `{leaf.name}` | {shown} | {leaf.unit} | {leaf.kind} | {leaf.text} |\n")
    return "".join(lines)


def table_of_page() -> str:
    """Return the table as the page has it now."""
    return _TABLE.search(PAGE.read_text(encoding="utf-8")).group()


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(table_of_page(), table()), encoding="utf-8")
    else:
        print(table(), end="")
