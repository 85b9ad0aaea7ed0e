"""Text that goes into pages: what is markup already, what must be escaped, how numbers read."""

import html
import json
from functools import cache
from pathlib import Path
from typing import Any


class Html(str):
    """Markup that is ready; every other string is text and gets escaped."""

    __slots__ = ()


def markup(value: Any) -> Html:
    """Return a value as markup: ``Html`` as it is, anything else escaped, numbers made readable.

    Example:
        >>> markup("a < b"), markup(Html("<b>a</b>")), markup(12345)
        ('a &lt; b', '<b>a</b>', '12,345')
    """
    return value if isinstance(value, Html) else Html(html.escape(number(value)))


def number(value: Any) -> str:
    """Return a number as people read it: thousands apart, three digits after the point below ten.

    Example:
        >>> [number(value) for value in (1234567, 2.34567, 23.4567, 1234.5, 0, None, "as it is")]
        ['1,234,567', '2.346', '23.46', '1,234', '0', '–', 'as it is']
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"


def clock(seconds: float) -> str:
    """Return minutes and seconds.

    Example:
        >>> clock(75.4)
        '1:15'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def json_attribute(value: Any) -> str:
    """Return a value as JSON that can stand between double quotes in a tag."""
    return html.escape(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def styles(*more: str) -> Html:
    """Return the style sheet, and more of this folder, as one tag."""
    return Html(f"<style>{''.join(_asset(name) for name in ('style.css', *more))}</style>")


def scripts(*names: str) -> Html:
    """Return scripts of this folder as one tag; each may stand in a document more than once."""
    return Html(f"<script>{''.join(_asset(name) for name in names)}</script>")


@cache
def _asset(name: str) -> str:
    """Read a file of this folder without its indents and comment lines, which readers of pages never see."""
    lines = (line.strip() for line in Path(__file__).with_name(name).read_text().splitlines())
    kept = (
        line
        for line in lines
        if line and not line.startswith("//") and not (line.startswith("/*") and line.endswith("*/"))
    )
    return "\n".join(kept) + "\n"
