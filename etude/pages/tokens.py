"""The page of ``etude tokenize --report``: what a tokenizer loses of a corpus, to look at and to listen to.

Takes the document of ``etude.data.token_losses`` as plain values, and Scores to show; reads no files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from etude.pages.bars import heading, histogram_chart, whole_bar
from etude.pages.player import player_html
from etude.pages.report import Section, columns, facts, page, pairs, sheet, table
from etude.pages.text import Html, markup, number

_NOTE_HUES = {"come back": 2, "drums": 4, "doubled": 1, "others": 6}
_MOST_TICKS = 11
_ONSET_HUE, _DURATION_HUE, _VELOCITY_HUE, _TEMPO_HUE = 0, 3, 5, 7
# by table: the word for it in what a tokenizer says of itself, and what its rows are
_TABLES = {
    "tempos": ("tempo", "tempos"),
    "metres": ("metre", "metres"),
    "keys": ("key", "key signatures"),
    "pedal": ("pedal", "sustain pedal, goes down"),
    "tracks": ("tracks", "tracks with notes"),
    "programs": ("programs", "instruments"),
    "instrument": ("programs", "notes on their instrument"),
    "drums": ("drums", "drum notes"),
    "controls": ("controls", "other control changes"),
    "bends": ("controls", "pitch bends"),
    "texts": ("texts", "words and names"),
}


def tokens_page(document: Mapping[str, Any], examples: Sequence[Mapping[str, Any]], *, footer: str = "") -> str:
    """Return a page about what a tokenizer loses.

    Args:
        document: of ``etude.data.token_losses.corpus_losses``.
        examples: stretches of pieces, as ``etude.data.token_losses.examples`` gives them.
        footer: small print.
    """
    sections = [
        Section(
            "At a glance", [sheet(facts(_facts(document))), sheet(_notes_bar(document["notes"]))], _notes(document)
        ),
        Section("What comes back", [_tables(document)], _told(document)),
    ]
    if document["notes"]["kept"]:
        sections.append(Section("How far off", [columns(_charts(document))], _clock(document)))
    if examples:
        sections.append(Section("Before and after", [_example(one) for one in examples], _LISTEN))
    if document["worst"]:
        sections.append(Section("Where most is lost", [_worst(document["worst"])], _WORST))
    if document["refused"]["pieces"]:
        sections.append(Section("Refused", [_refused(document["refused"])], "Pieces that the tokenizer cannot encode."))
    sections.append(Section("The tokenizer", [sheet(pairs(_made_of(document), summary="Settings"))]))
    title = f"{document['tokenizer']} on {document['corpus']}"
    return page(title, sections, lead=_lead(document), footer=footer, style_sheets=("bars.css",))


_LISTEN = (
    "The first seconds of a few pieces: as they are, and as they come back from their ids. Colours are tracks; "
    "click into a roll to move there, space plays and pauses."
)
_WORST = "By the share of notes lost, then by onset. The onset is that within which 95% of the piece's notes come back."


def share(kept: int, of: int) -> str:
    """Return a share for people, never rounded to all or nothing.

    Example:
        >>> share(1, 3), share(99_999, 100_000), share(5, 5), share(0, 0)
        ('33.3%', '99.99%', '100%', '–')
    """
    if not of:
        return "–"
    if kept in (0, of):
        return "100%" if kept else "0%"
    digits = 1 if 0.001 < kept / of < 0.999 else 2
    return f"{min(max(100 * kept / of, 0.01), 99.99):.{digits}f}%"


def short(value: float) -> str:
    """Return a size in few digits.

    Example:
        >>> short(2.1234), short(10932.5)
        ('2.12', '10,932')
    """
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _lead(document: Mapping[str, Any]) -> str:
    notes, measured = document["notes"], document["measured"]
    words = document["loses"]
    lost = ", ".join(words[:-1]) + " and " * (len(words) > 1) + words[-1] if words else "nothing"
    pieces = f"{measured['pieces']:,} piece{'s' * (measured['pieces'] != 1)}"
    if measured["pieces"] < measured["of"]:
        pieces += f" of {measured['of']:,}, at equal distances over the corpus,"
    return (
        f"Its ids leave out {lost}. Of {pieces} that were encoded and decoded again, "
        f"{share(notes['kept'], notes['before'])} of the notes come back."
    )


def _facts(document: Mapping[str, Any]) -> dict[str, Any]:
    notes = document["notes"]

    def within(name: str, unit: str) -> str:
        found = document[name]
        return f"{short(found['size']['p95'])}{unit}" if found["count"] else "–"

    return {
        "notes": notes["before"],
        "come back": share(notes["kept"], notes["before"]),
        "onset, 95% within": within("onset_ms", " ms"),
        "duration, 95% within": within("duration_ms", " ms"),
        "velocity, 95% within": within("velocity", ""),
        "ids a note": f"{document['ids_per_note']:.2f}",
        "ids a second": f"{document['ids_per_sec']:.1f}",
        "vocabulary": document["vocab_size"],
        "hash": Html(f"<code>{markup(document['hash'][:8])}</code>"),
    }


def _notes_bar(notes: Mapping[str, int]) -> Html:
    parts = {
        "come back": notes["kept"],
        "drums": notes["lost_drums"],
        "doubled": notes["lost_doubled"],
        "others": notes["lost_other"],
    }
    return whole_bar(parts, _NOTE_HUES, title="Notes that come back, and notes that are lost")


def _notes(document: Mapping[str, Any]) -> str:
    notes = document["notes"]
    said = []
    if notes["lost_doubled"]:
        said.append("A doubled note begins within 50 ms of another of its pitch, which stays.")
    if notes["cut"]:
        said.append(f"{_count(notes['cut'], 'note')} end 0.2 s or more too early.")
    if notes["added"]:
        said.append(f"{_count(notes['added'], 'note')} come back that were not there.")
    return " ".join(said)


def _told(document: Mapping[str, Any]) -> str:
    folded = document["ends"].get("pedal", 0)
    if not folded:
        return "Everything that can be counted, in the pieces and in what comes back of them."
    return (
        f"In {_count(folded, 'piece')} the sustain pedal has gone into the lengths of notes: "
        "they come back as long as they sound."
    )


def _tables(document: Mapping[str, Any]) -> Html:
    notes, loses = document["notes"], document["loses"]
    instrument = {"before": notes["kept"], "kept": notes["same_instrument"], "after": 1, "pieces": None}
    tables = document["tables"] | {"instrument": instrument}
    rows = []
    for name, (word, what) in _TABLES.items():
        found = tables.get(name, {"before": 0, "kept": 0, "after": 0, "pieces": 0})
        told = _mark("no", "poor") if word in loses else _mark("yes", "good")
        if name == "pedal" and word not in loses and document["ends"].get("pedal") and not found["after"]:
            told = _mark("as lengths", "poor")
        before = found["before"]
        rows.append(
            [what, told, found["kept"] if before else None, share(found["kept"], before), before, found["pieces"]]
        )
    return table(["What", "In the ids", "Come back", "", "Of", "In pieces"], rows)


def _mark(word: str, how: str) -> Html:
    return Html(f'<span class="etude-{how}">{word}</span>')


def _clock(document: Mapping[str, Any]) -> str:
    clock = document["clock"]
    kept = max(clock, key=lambda kind: clock[kind])
    others = sum(clock.values()) - clock[kept]
    axis = "seconds" if kept == "seconds" else "quarter notes, at the tempo of the piece"
    more = f" ({_count(others, 'piece')} the other way)" if others else ""
    return (
        f"What comes back less what was there, note by note. Times are compared in {axis}{more}; "
        "the dashed line is the middle. Bins in the middle hold no error."
    )


def _charts(document: Mapping[str, Any]) -> list[Html]:
    charts = [
        ("onset_ms", "Onset, ms", _ONSET_HUE),
        ("duration_ms", "Duration, ms", _DURATION_HUE),
        ("onset_quarter", "Onset, quarter notes", _ONSET_HUE),
        ("duration_quarter", "Duration, quarter notes", _DURATION_HUE),
        ("velocity", "Velocity, of 127", _VELOCITY_HUE),
    ]
    shown = [
        sheet(
            histogram_chart(document[name], title=title, hue=hue, ticks=_whole_ticks(document[name])),
            _sizes(document[name]),
        )
        for name, title, hue in charts
        if document[name]["count"]
    ]
    tempo = document["tempo_error"]
    if tempo["count"]:
        chart = histogram_chart(tempo, title="Tempo of a piece", shown=lambda value: f"{value:.2g}", hue=_TEMPO_HUE)
        said = f"As a share of the right tempo, a mean over time; over all pieces {tempo['mean']:.1%}."
        shown.append(sheet(chart, Html(f'<p class="etude-note">{markup(said)}</p>')))
    return shown


def _whole_ticks(found: Mapping[str, Any]) -> list[int] | None:
    """Return the middles of bins where there are few and they are whole numbers."""
    edges = found["histogram"]["edges"]
    middles = [(low + high) / 2 for low, high in zip(edges[:-1], edges[1:], strict=True)]
    is_few = len(middles) <= _MOST_TICKS and all(middle == int(middle) for middle in middles)
    return [int(middle) for middle in middles] if is_few else None


def _sizes(found: Mapping[str, Any]) -> Html:
    size, beyond = found["size"], found["histogram"]["beyond"]
    half, most, everything = (short(size[name]) for name in ("median", "p95", "max"))
    said = f"Half within {half}, 95% within {most}, all within {everything}."
    if beyond:
        said += f" {_count(beyond, 'note')} lie outside the chart."
    return Html(f'<p class="etude-note">{markup(said)}</p>')


def _example(example: Mapping[str, Any]) -> Html:
    notes = example["notes"]
    lost = {"drums": notes["lost_drums"], "doubled": notes["lost_doubled"], "others": notes["lost_other"]}
    said = f"Of the whole piece {share(notes['kept'], notes['before'])} of {_count(notes['before'], 'note')} come back."
    if words := ", ".join(f"{name} {count:,}" for name, count in lost.items() if count):
        said += f" Lost: {words}."
    rolls = [
        player_html(example["before"], title="Before", name="before"),
        player_html(example["after"], title="After", name="after"),
    ]
    about = Html(f'<p class="etude-note">{markup(said)}</p>')
    return sheet(heading(f"{example['path']}: {example['why']}"), about, columns(rolls))


def _worst(rows: Sequence[Mapping[str, Any]]) -> Html:
    body = [
        [row["path"], f"{row['lost_share']:.1%}", f"{row['onset_ms_p95']:,.3g} ms", f"{row['tempo_error']:.1%}"]
        for row in rows
    ]
    return table(["Piece", "Notes lost", "Onset", "Tempo off"], body)


def _refused(refused: Mapping[str, Any]) -> Html:
    rows = [[row["path"], row["reason"]] for row in refused["examples"]]
    return table(["Piece", "Why"], rows, caption=f"{number(refused['pieces'])} in all")


def _made_of(document: Mapping[str, Any]) -> dict[str, Any]:
    return {**document["settings"], "hash": document["hash"], "vocabulary": document["vocab_size"]}


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
