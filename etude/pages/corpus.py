"""The page of ``etude corpus stats``: a corpus to look at, to listen to, and what became of every file.

Takes the document of ``etude.data.stats`` as plain values, and Scores to show; reads no files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from etude.music.edit import trim
from etude.music.score import Score
from etude.pages.bars import chips, count_bars, heading, masonry, whole_bar
from etude.pages.corpus_charts import (
    SPLIT_HUES,
    is_class,
    label_charts,
    most_of,
    sign_charts,
    size_charts,
    sound_charts,
)
from etude.pages.corpus_files import copies_part, dropped_parts, near_parts
from etude.pages.player import player_html
from etude.pages.report import Section, columns, facts, page, pairs, sheet
from etude.pages.text import Html, clock, markup

_FILE_HUES = {"accepted": 0, "duplicate": 4, "filtered": 1, "rejected": 6}
_SHOWN_SEC = 20.0


def corpus_page(stats: Mapping[str, Any], pieces: Sequence[tuple[str, Score]], *, footer: str = "") -> str:
    """Return a page about a corpus.

    Args:
        stats: the document of ``etude.data.stats.corpus_stats``.
        pieces: paths and Scores of typical pieces.
        footer: small print.
    """
    sections = [Section("At a glance", [sheet(facts(_facts(stats))), sheet(*_wholes(stats))])]
    if pieces:
        sections.append(Section("Look and listen", [masonry(map(_piece, pieces))], _LISTEN))
    if stats["music"]["polyphony"]["count"] or stats["seconds"]["count"]:
        sections.append(Section("How long, how dense", [columns(size_charts(stats))], _measured(stats)))
        sections.append(Section("Keys, tempo, metre", sign_charts(stats["music"])))
        sections.append(Section("Pitch, loudness, instruments", sound_charts(stats["music"])))
    if charts := label_charts(stats["labels"]):
        sections.append(Section("Labels", [chips(SPLIT_HUES), masonry(charts)], _labels_lead(stats["labels"])))
    sections.append(Section("Left out, and why", dropped_parts(stats), _dropped_lead(stats)))
    sections.append(
        Section(
            "Copies and variants",
            [copies_part(stats["duplicates"]), *near_parts(stats["near_duplicates"])],
            _copies_lead(stats),
        )
    )
    sections.append(Section("Licences and sources", [columns(_rights(stats))]))
    if stats["settings"]:
        sections.append(Section("How it was made", [sheet(pairs(stats["settings"], summary="Settings"))]))
    return page(stats["corpus"], sections, lead=_lead(stats), footer=footer, style_sheets=("bars.css",))


_LISTEN = (
    "The first seconds of typical pieces, one from each stretch of the corpus. Click into a roll to move there; "
    "space plays and pauses."
)


def _lead(stats: Mapping[str, Any]) -> str:
    seen = sum(stats["files"].values())
    groups = f" in {_count(stats['groups']['count'], 'group')}"
    music = f"{_count(stats['notes'], 'note')}, {stats['hours']:,.1f} hours of music"
    return f"{_count(stats['pieces'], 'piece')}{groups}: {music}, from {_count(seen, 'file')}."


def _facts(stats: Mapping[str, Any]) -> dict[str, Any]:
    near = stats["near_duplicates"]
    return {
        "pieces": stats["pieces"],
        "notes": stats["notes"],
        "hours": f"{stats['hours']:,.1f}",
        "groups": stats["groups"]["count"],
        "exact copies": stats["duplicates"]["files"],
        "pairs of variants": "not looked for" if near is None else near["pairs"],
        "licence": ", ".join(list(stats["licences"])[:3]) + (" …" if len(stats["licences"]) > 3 else ""),
        "digest": Html(f'<code title="{markup(stats["digest"])}">{markup(stats["digest"][:8])}</code>'),
    }


def _wholes(stats: Mapping[str, Any]) -> list[Html]:
    files = whole_bar(stats["files"], _FILE_HUES, title="Files that were seen")
    splits = {name: split["pieces"] for name, split in stats["splits"].items()}
    return [files, whole_bar(splits, SPLIT_HUES, title="Pieces by split")]


def _piece(piece: tuple[str, Score]) -> Html:
    path, score = piece
    begin = float(score.onset_sec[0]) if len(score.notes) else 0.0
    start = max(0.0, begin - 0.2)
    shown = trim(score, start, start + _SHOWN_SEC)
    folder, _, name = path.rpartition("/")
    note = f"{folder.rpartition('/')[2]}, {clock(score.duration_sec)} in all" if folder else clock(score.duration_sec)
    return sheet(player_html(shown, title=name, note=note))


def _measured(stats: Mapping[str, Any]) -> str:
    measured = stats["measured"]
    if measured["pieces"] >= measured["of"]:
        return "Of all pieces. The dashed line is the middle: half of the pieces lie on either side."
    return (
        f"Lengths and notes are of all pieces. Whatever takes the music was measured on {measured['pieces']:,} of "
        f"{measured['of']:,} pieces, at equal distances over the corpus. The dashed line is the middle."
    )


def _labels_lead(labels: Mapping[str, Any]) -> str:
    others = [f"{name} ({label['values']:,} values)" for name, label in labels.items() if not is_class(label)]
    return "Pieces by label and split." + (f" Hardly a value comes back in {', '.join(others)}." if others else "")


def _dropped_lead(stats: Mapping[str, Any]) -> str:
    files = stats["files"]
    if not files["filtered"] + files["rejected"]:
        return "Nothing: every file that was seen could be read and kept all rules."
    return (
        f"{_count(files['filtered'], 'file')} broke a rule and {_count(files['rejected'], 'file')} could not be read. "
        "Each has a row in ledger.parquet with what was measured."
    )


def _copies_lead(stats: Mapping[str, Any]) -> str:
    near = stats["near_duplicates"]
    if near is None:
        return "Exact copies are left out. Nobody looked for variants when this corpus was made."
    leaks = (
        f" {_count(near['leaks'], 'pair')} of variants lie in different splits: see below."
        if near["leaks"]
        else " No two variants lie in different splits."
    )
    return f"Exact copies are left out. Variants of one piece stay, and share a group.{leaks}"


def _rights(stats: Mapping[str, Any]) -> list[Html]:
    licences = {
        f"{name} ({', '.join(found['asks'])})" if found["asks"] else name: found["pieces"]
        for name, found in stats["licences"].items()
    }
    return [
        sheet(heading("Pieces by licence, and what it asks for"), count_bars(licences)),
        sheet(heading("Pieces by source"), count_bars(most_of(stats["sources"]))),
    ]


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
