"""Pages put together: a title, sections, facts, tables, commands, words explained."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etude.pages.player import SCRIPTS
from etude.pages.text import Html, json_attribute, markup, scripts, styles

# a page may use what it holds and nothing else; the browser enforces it
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; media-src data: blob:"
)
_MARK = (
    '<p class="etude-mark"><svg viewBox="0 0 42 24" aria-hidden="true">'
    '<path d="M0 4h42M0 12h42M0 20h42" stroke="currentColor" stroke-opacity=".3"/>'
    '<path d="M3 16h8M13 8h6M21 12h10M33 4h6" stroke="currentColor" stroke-width="5" stroke-linecap="round"/>'
    "</svg>Etude</p>"
)


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading, a sentence or two, and what is shown."""

    title: str
    parts: Sequence[Html]
    lead: str | Html = ""


def page(
    title: str,
    sections: Sequence[Section],
    *,
    lead: str | Html = "",
    footer: str | Html = "",
    style_sheets: Sequence[str] = (),
) -> str:
    """Return a whole document.

    Args:
        title: the heading, and the name of the browser's tab.
        sections: what the page holds, in order; two or more get links at the top.
        lead: what to know first, in a sentence or two.
        footer: small print.
        style_sheets: files of this folder that the sections need besides ``style.css``.

    Example:
        >>> page("Takes", [Section("One", [facts({"notes": 3})])]).startswith("<!doctype html>")
        True
    """
    links = "".join(f'<a href="#part-{i}">{markup(part.title)}</a>' for i, part in enumerate(sections))
    links = f'<nav aria-label="Sections">{links}</nav>' if len(sections) > 1 else ""
    body = "".join(_section(part, i) for i, part in enumerate(sections))
    lead = f'<p class="etude-lead">{markup(lead)}</p>' if lead else ""
    return (
        '<!doctype html>\n<html lang="en" class="etude"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{markup(title)}</title>'
        f'<link rel="icon" href="data:,">{styles(*style_sheets)}</head><body class="etude-page">'
        '<a class="etude-skip" href="#main">Skip to content</a>'
        f'<header>{_MARK}<h1>{markup(title)}</h1>{lead}{links}</header><main id="main">{body}</main>'
        f"<footer>{markup(footer)}</footer>{scripts(*SCRIPTS, 'plots.js')}</body></html>\n"
    )


def _section(part: Section, index: int) -> str:
    lead = f"<p>{markup(part.lead)}</p>" if part.lead else ""
    return f'<section id="part-{index}"><h2>{markup(part.title)}</h2>{lead}{"".join(part.parts)}</section>'


def facts(values: Mapping[str, Any]) -> Html:
    """Return small captions with large values."""
    items = "".join(f"<div><dt>{markup(name)}</dt><dd>{markup(value)}</dd></div>" for name, value in values.items())
    return Html(f'<dl class="etude-facts">{items}</dl>')


def sheet(*parts: str) -> Html:
    """Return parts on one card."""
    return Html(f'<div class="etude-sheet">{"".join(parts)}</div>')


def columns(parts: Iterable[str]) -> Html:
    """Return parts side by side where there is room."""
    return Html(f'<div class="etude-columns">{"".join(parts)}</div>')


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    caption: str | Html = "",
    highlight: str | None = None,
) -> Html:
    """Return a table; the first column names the rows.

    Args:
        head: a heading for each column.
        rows: values; None shows as a dash.
        caption: what the table says.
        highlight: the name of the row to set off.
    """
    top = "".join(f'<th scope="col">{markup(name)}</th>' for name in head)
    body = []
    for name, *values in rows:
        cells = "".join(f"<td>{markup(value)}</td>" for value in values)
        first = ' class="etude-first"' if name == highlight else ""
        body.append(f'<tr{first}><th scope="row">{markup(name)}</th>{cells}</tr>')
    caption = f"<caption>{markup(caption)}</caption>" if caption else ""
    # a region that scrolls must be reachable by keyboard
    return Html(
        f'<div class="etude-scroll" tabindex="0" role="region" aria-label="Table: {markup(", ".join(head))}">'
        f"<table>{caption}<thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def words(meanings: Mapping[str, str | Html], *, summary: str) -> Html:
    """Return explanations that open on demand."""
    items = "".join(f"<dt>{markup(name)}</dt><dd>{markup(text)}</dd>" for name, text in meanings.items())
    return Html(f'<details><summary>{markup(summary)}</summary><dl class="etude-words">{items}</dl></details>')


def pairs(values: Mapping[str, Any], *, summary: str) -> Html:
    """Return names and values that open on demand; values that nest are shown as JSON."""
    items = "".join(f"<dt>{markup(name)}</dt><dd>{_plain(value)}</dd>" for name, value in values.items())
    return Html(f'<details><summary>{markup(summary)}</summary><dl class="etude-pairs">{items}</dl></details>')


def _plain(value: Any) -> str:
    if isinstance(value, (dict, list, tuple)):
        return f"<code>{json_attribute(value)}</code>"
    # a seed is a name, not a quantity: no commas
    return markup("–" if value is None else str(value))


def commands(lines: Iterable[tuple[str, str]]) -> Html:
    """Return commands to type, each with what it does."""
    items = "".join(f"<li><span>{markup(what)}</span><code>{markup(line)}</code></li>" for line, what in lines)
    return Html(f'<ul class="etude-commands">{items}</ul>')
