"""Lists of files on the page of a corpus: what was left out with its reasons, copies, variants, leaks."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from etude.pages.bars import count_bars, heading
from etude.pages.report import sheet
from etude.pages.text import Html, markup

_MOST_BARS = 20
_MOST_EXAMPLES = 3
_MOST_RULES_SHOWN = 12
_RULE_HUE, _REASON_HUE = 1, 6
_UNITS = {"_per_sec": "", "_sec": " s", "_bits": " bits"}


def dropped_parts(stats: Mapping[str, Any]) -> list[Html]:
    """Return bars and examples of the rules that were broken and the reasons why files could not be read."""
    limits = (stats["settings"] or {}).get("filters") or {}
    parts = []
    if rules := stats["dropped"]["rules"]:
        shown = {rule_in_words(rule, limits): found for rule, found in list(rules.items())[:_MOST_BARS]}
        bars = count_bars({name: found["files"] for name, found in shown.items()}, hue=_RULE_HUE)
        parts.append(sheet(heading("Rules that were broken; a file may break several"), bars))
        parts.append(sheet(heading("Some of these files, and what was measured"), _examples_of_rules(shown)))
    if reasons := stats["dropped"]["reasons"]:
        shown = dict(list(reasons.items())[:_MOST_BARS])
        bars = count_bars({name: found["files"] for name, found in shown.items()}, hue=_REASON_HUE)
        items = [
            f"{markup(row['path'])} <span>{markup(row['reason'])}</span>"
            for found in shown.values()
            for row in found["examples"][:_MOST_EXAMPLES]
        ]
        parts.append(sheet(heading("Why files could not be read"), bars))
        parts.append(sheet(heading("Some of these files"), _list(items, wide=True)))
    return parts


def copies_part(duplicates: Mapping[str, Any]) -> Html:
    """Return the list of exact copies."""
    if not duplicates["files"]:
        return sheet(heading("Exact copies"), Html('<p class="etude-note">none</p>'))
    items = [pair_of_paths(row["path"], row["duplicate_of"], "has the notes of") for row in duplicates["pairs"]]
    return sheet(heading("Exact copies, left out"), _list(items), _more(duplicates["files"] - len(items)))


def near_parts(near: Mapping[str, Any] | None) -> list[Html]:
    """Return the leaks, if there are any, and the groups that hold variants."""
    if not near or not near["pairs"]:
        said = "none" if near else "not looked for"
        return [sheet(heading("Variants of one piece"), Html(f'<p class="etude-note">{said}</p>'))]
    parts = []
    if near["leaking"]:
        items = [
            f"{pair_of_paths(row['path_a'], row['path_b'], 'and')} <small>{row['similarity']:.0%} alike"
            f"{_moved(row['semitones'])}, {markup(row['split_a'])} and {markup(row['split_b'])}</small>"
            for row in near["leaking"]
        ]
        warning = Html('<h3 class="etude-poor">Variants in different splits</h3>')
        parts.append(sheet(warning, _list(items), _more(near["leaks"] - len(items))))
    found = f"{near['pairs']:,} pairs among {near['pieces']:,} pieces, {near['num_groups']:,} groups"
    groups = _list([_group(row) for row in near["groups"]], wide=True)
    return [
        *parts,
        sheet(heading(f"Variants of one piece: {found}"), groups, _more(near["num_groups"] - len(near["groups"]))),
    ]


def rule_in_words(rule: str, limits: Mapping[str, Any]) -> str:
    """Return a rule of ``etude.data.filters`` with its limit, as people say it.

    Example:
        >>> rule_in_words("max_mean_velocity", {"max_mean_velocity": 105.0})
        'mean velocity, at most 105'
        >>> rule_in_words("min_pitches_in_window[60s]", {"min_pitches_in_window": [[8.0, 60.0]]})
        'pitches in 60 s, at least 8'
    """
    match = re.fullmatch(r"(min|max)_(\w+?)(?:_in_window\[([\d.]+)s\])?", rule)
    if not match:
        return rule
    end, name, window = match.groups()
    limit = limits.get(f"{end}_{name}" if window is None else f"{end}_{name}_in_window")
    if isinstance(limit, (list, tuple)):
        limit = next((most for most, seconds in limit if window and seconds == float(window)), None)
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    name = name.removesuffix("_sec").removesuffix("_bits") if unit else name
    words = name.replace("per_sec", "a second").replace("_", " ") + (f" in {window} s" if window else "")
    said = "at least" if end == "min" else "at most"
    return f"{words}, {said} {limit:g}{unit}" if isinstance(limit, (int, float)) else f"{words}, {said}"


def pair_of_paths(first: str, second: str, between: str) -> Html:
    """Return two paths, the folder that they share said once.

    Example:
        >>> pair_of_paths("a/b.mid", "a/c.mid", "and")
        '<span>a/</span> b.mid <span>and</span> c.mid'
    """
    parts = [path.split("/") for path in (first, second)]
    shared = 0
    while shared < min(map(len, parts)) - 1 and parts[0][shared] == parts[1][shared]:
        shared += 1
    folder = "".join(f"{name}/" for name in parts[0][:shared])
    a, b = ("/".join(names[shared:]) for names in parts)
    return Html(
        (f"<span>{markup(folder)}</span> " if folder else "") + f"{markup(a)} <span>{between}</span> {markup(b)}"
    )


def _group(row: Mapping[str, Any]) -> str:
    paths = "".join(f"<li>{markup(path)}</li>" for path in row["paths"])
    rest = row["pieces"] - len(row["paths"])
    rest = f"<li>and {rest:,} more</li>" if rest > 0 else ""
    said = f"{row['pieces']} pieces, {row['pairs']} pairs, {row['lowest']:.0%} alike or more, {row['split']}"
    return (
        f"<details><summary>{markup(str(row['group']))} <small>{markup(said)}</small></summary>"
        f"<ul>{paths}{rest}</ul></details>"
    )


def _examples_of_rules(rules: Mapping[str, Mapping[str, Any]]) -> Html:
    items = []
    for name, found in list(rules.items())[:_MOST_RULES_SHOWN]:
        lines = [
            f"<li>{markup(row['path'])} <em>{_measured(row['value'])}</em></li>"
            for row in found["examples"][:_MOST_EXAMPLES]
        ]
        low, high = found["low"], found["high"]
        between = f" <small>{_measured(low)} to {_measured(high)}</small>" if low is not None and low != high else ""
        items.append(f"{markup(name)}{between}<ul>{''.join(lines)}</ul>")
    return _list(items, wide=True)


def _measured(value: float | str) -> Html:
    if isinstance(value, str):
        return markup(value)
    if 0 < abs(value) < 0.001:
        return markup("under 0.001")
    return markup(f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}")


def _moved(semitones: int) -> str:
    return f", {semitones:+d} semitones".replace("-", "−") if semitones else ""


def _list(items: Sequence[str], *, wide: bool = False) -> Html:
    kind = "etude-files etude-wide" if wide else "etude-files"
    return Html(f'<ul class="{kind}">{"".join(f"<li>{item}</li>" for item in items)}</ul>')


def _more(count: int) -> Html:
    return Html(f'<p class="etude-note">and {count:,} more</p>') if count > 0 else Html("")
