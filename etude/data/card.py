"""The card of a corpus: ``README.md`` beside its tables, with front matter as hubs of data sets read it.

Every number is one of ``etude.data.stats``, and so one of the tables.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from etude.data.licence_names import hub_name

FILE = "README.md"
_MOST_ROWS = 20
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_PIECES = ("median", "p5", "p95", "max")


def corpus_card(stats: Mapping[str, Any], *, title: str = "", about: str = "", version: str = "") -> str:
    """Return the card of a corpus.

    Args:
        stats: the document of ``etude.data.stats.corpus_stats``.
        title: what people call the corpus; by default the name of its folder.
        about: a paragraph about what it is and where it is from, as Markdown.
        version: of the program that made it.
    """
    title = title or stats["corpus"]
    parts = [
        _front_matter(stats, title),
        f"# {_plain(title)}\n",
        about.strip() + "\n" if about.strip() else "",
        _summary(stats),
        _splits(stats),
        _together(stats),
        _licences(stats),
        _music(stats),
        _labels(stats),
        _left_out(stats),
        _files(stats),
        _made(stats, version),
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(stats: Mapping[str, Any], title: str) -> str:
    licences = list(dict.fromkeys(hub_name(None if name == "unknown" else name) for name in stats["licences"]))
    pieces = stats["pieces"]
    about = {
        "pretty_name": title,
        "license": licences[0] if len(licences) == 1 else licences or "unknown",
        "size_categories": [next((name for most, name in _SIZES if pieces < most), "n>10M")],
        "tags": ["music", "midi", "symbolic-music", "etude-corpus"],
        # by name, for the folder holds tables of other columns too
        "configs": [
            {"config_name": "pieces", "data_files": "pieces-*.parquet", "default": True},
            {"config_name": "splits", "data_files": "splits.parquet"},
            {"config_name": "ledger", "data_files": "ledger.parquet"},
        ],
    }
    return f"---\n{yaml.safe_dump(about, sort_keys=False, allow_unicode=True)}---\n"


def _summary(stats: Mapping[str, Any]) -> str:
    rows = {
        "pieces": _number(stats["pieces"]),
        "notes": _number(stats["notes"]),
        "hours": f"{stats['hours']:.2f}",
        "groups": _number(stats["groups"]["count"]),
        "files seen": _number(sum(stats["files"].values())),
        "digest": f"`{stats['digest']}`",
    }
    return _table(["", ""], rows.items(), "What is in it")


def _splits(stats: Mapping[str, Any]) -> str:
    rows = [
        [name, *map(_number, (split["pieces"], split["groups"], split["notes"])), f"{split['hours']:.2f}"]
        for name, split in stats["splits"].items()
    ]
    near = stats["near_duplicates"]
    said = "A group, such as a work with all its performances, is in one split."
    if near is None:
        said += " Variants of one piece were not looked for."
    elif near["leaks"]:
        said += (
            f" Of {_pairs(near['pairs'])} of variants {near['leaks']:,} lie in different splits, which the labels gave."
        )
    elif near["pairs"]:
        said += f" So are variants of one piece: {_pairs(near['pairs'])}."
    else:
        said += " No variants of one piece were found."
    return _table(["split", "pieces", "groups", "notes", "hours"], rows, "Splits") + f"\n{said}\n"


def _licences(stats: Mapping[str, Any]) -> str:
    rows = [
        [name, _number(found["pieces"]), f"{found['hours']:.2f}", ", ".join(found["asks"]) or "nothing"]
        for name, found in stats["licences"].items()
    ]
    text = _table(["licence", "pieces", "hours", "asks for"], rows, "Licences and sources")
    sources = [[name, _number(count)] for name, count in list(stats["sources"].items())[:_MOST_ROWS]]
    text += "\n" + _table(["source", "pieces"], sources)
    digest = f", which the digest `{stats['licence_digest']}` stands for" if stats["licence_digest"] else ""
    return text + (
        f"\nLicence and source of each piece are columns of `pieces-*.parquet`{digest}. "
        "A licence is that of the files; the music itself may be protected besides.\n"
    )


def _music(stats: Mapping[str, Any]) -> str:
    music, rows = stats["music"], []
    named = {
        "length [s]": stats["seconds"],
        "notes": stats["notes_per_piece"],
        "notes a second": music["notes_per_sec"],
        "notes at once": music["polyphony"],
        "tempo [quarters a minute]": music["tempo_qpm"],
    }
    for name, found in named.items():
        if found["count"]:
            rows.append([name, *(_short(found[key]) for key in _PIECES)])
    text = _table(["of a piece", "median", "5 %", "95 %", "most"], rows, "The music")
    measured = stats["measured"]
    if measured["pieces"] < measured["of"]:
        text += f"\nAll but the first two rows: of {measured['pieces']:,} pieces, at equal distances.\n"
    families = {name.replace("_", " "): found["pieces"] for name, found in music["families"].items()}
    lines = {
        "Instruments": _listed(families),
        "Keys as they sound": _listed(music["keys"]),
        "Metres at the beginning": _listed(music["metres"]),
        "Pieces with": _listed(music["pieces_with"]),
    }
    return text + "\n" + "".join(f"* {name}: {value}\n" for name, value in lines.items() if value)


def _labels(stats: Mapping[str, Any]) -> str:
    rows = [
        [
            f"`label_{name}`",
            _number(label["known"]),
            _number(label["values"]) + ("" if label["complete"] else " or more"),
            ", ".join(f"{_plain(row['value'])} {row['pieces']:,}" for row in label["top"][:5] if row["pieces"] > 1),
        ]
        for name, label in stats["labels"].items()
    ]
    return _table(["label", "pieces", "values", "most often"], rows, "Labels") if rows else ""


def _left_out(stats: Mapping[str, Any]) -> str:
    files = stats["files"]
    rows = [[name, _number(files[name])] for name in ("accepted", "duplicate", "filtered", "rejected")]
    text = _table(["verdict", "files"], rows, "What was left out")
    dropped = stats["dropped"]
    why = [[f"`{name}`", _number(found["files"])] for name, found in dropped["rules"].items()]
    if why:
        text += "\n" + _table(["rule that was broken", "files"], why[:_MOST_ROWS])
    why = [[_plain(name), _number(found["files"])] for name, found in dropped["reasons"].items()]
    if why:
        text += "\n" + _table(["reason why it could not be read", "files"], why[:_MOST_ROWS])
    return text + "\n`ledger.parquet` has a row for each file, with what was measured.\n"


def _together(stats: Mapping[str, Any]) -> str:
    largest = [[_plain(row["group"]), _number(row["pieces"]), row["split"]] for row in stats["groups"]["largest"][:10]]
    return _table(["largest groups", "pieces", "split"], largest) if largest else ""


def _files(stats: Mapping[str, Any]) -> str:
    return (
        "## How to read it\n\n"
        "```py\n"
        "from etude.data.corpus import Corpus\n\n"
        f'for piece in Corpus.open("{stats["corpus"]}").pieces("train"):\n'
        "    piece.score, piece.labels, piece.licence\n"
        "```\n\n"
        "`pieces-*.parquet` has a row a piece, the notes as list columns, and opens in pandas, polars, DuckDB and "
        "`datasets`. `splits.parquet` names group and split of each piece.\n"
    )


def _made(stats: Mapping[str, Any], version: str) -> str:
    chosen = {name: value for name, value in stats["settings"].items() if value not in (None, [], {}, (), "")}
    if isinstance(chosen.get("filters"), Mapping):
        chosen["filters"] = {name: value for name, value in chosen["filters"].items() if value not in (None, [])}
    text = yaml.safe_dump(chosen, sort_keys=True, allow_unicode=True, default_flow_style=None, width=110)
    by = f" by Etude {version}" if version else ""
    return f"## How it was made\n\nMade{by} with these settings:\n\n```yaml\n{text}```\n" if chosen else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> str:
    lines = [head, ["---"] + ["---:" if name in _NUMBERS else "---" for name in head[1:]], *rows]
    text = "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
    return (f"## {title}\n\n" if title else "") + text


_NUMBERS = ("pieces", "groups", "notes", "hours", "files", "values", "median", "5 %", "95 %", "most")


def _listed(counts: Mapping[str, int], most: int = 8) -> str:
    """Return the most frequent of many."""
    order = sorted((-count, name) for name, count in counts.items() if count)
    shown = ", ".join(f"{name} {-count:,}" for count, name in order[:most])
    return shown + (f", {len(order) - most} more" if len(order) > most else "")


def _pairs(count: int) -> str:
    return f"{count:,} pair{'s' * (count != 1)}"


def _number(value: int) -> str:
    return f"{value:,}"


def _short(value: float) -> str:
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _plain(text: str) -> str:
    """Return text that Markdown does not take for markup, on one line."""
    for mark in "\\`*_<>[]":
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())
