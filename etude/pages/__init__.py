"""Self-contained HTML: what Scores, takes, runs and reports show themselves with.

Everything a page needs is inside it: no network, no fonts, no libraries. Pages follow the reader's light or
dark scheme and work with a keyboard and without a mouse; without JavaScript they still show and play.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "DemoContent": "demo",
    "Html": "text",
    "Section": "report",
    "Take": "demo",
    "bar_chart": "plots",
    "demo_page": "demo",
    "histogram": "plots",
    "line_chart": "plots",
    "page": "report",
    "player_html": "player",
    "roll_svg": "picture",
    "score_html": "player",
    "strip_chart": "plots",
    "table": "report",
    "takes_page": "demo",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'etude.pages' has no attribute '{name}'")
    return getattr(import_module(f"etude.pages.{_PUBLIC[name]}"), name)
