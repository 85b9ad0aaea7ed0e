"""Aria-MIDI: solo piano transcribed from recordings on the web, whole and in three selections.

A file is ``<recording>_<segment>.mid``; ``metadata.json`` has what was read of each recording's text and how clean each
segment sounds. It is read whole: about 1 kB of memory a file.
"""

from collections.abc import Iterator
from typing import Any

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked
from etude.corpora.tables import plain_name, read_json

_URL = "https://huggingface.co/datasets/loubb/aria-midi/resolve/main/{}?download=true"
_WORK = ("composer", "opus", "piece_number")


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    table = unpacked.find("metadata.json")
    known = {int(name): facts for name, facts in read_json(table).items()} if table else {}
    for path in unpacked.music:
        recording, _, segment = path.rsplit("/", 1)[-1].rsplit(".", 1)[0].partition("_")
        facts = known.get(int(recording), {}) if recording.isdigit() else {}
        labels = {name: _text(value) for name, value in facts.get("metadata", {}).items()}
        score = facts.get("audio_scores", {}).get(segment)
        yield Piece(path, _group(recording, labels), None, labels | {"audio_score": _text(score)})


def _group(recording: str, labels: dict[str, str]) -> str:
    composer, opus, number = (labels.get(name, "") for name in _WORK)
    if composer and (opus or number):
        return f"aria:{plain_name(composer)}/{plain_name(opus or '-')}/{plain_name(number or '-')}"
    return f"aria:{recording}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_text(one) for one in value)
    return "" if value is None else str(value)


def _dataset(part: str, about: str, *, num_bytes: int) -> Dataset:
    archive = f"aria-midi-v1-{part}-ext.tar.gz" if part else "aria-midi-v1-ext.tar.gz"
    return Dataset(
        name=f"aria-midi-{part}" if part else "aria-midi",
        title=f"Aria-MIDI 1 ({part or 'full'})",
        homepage="https://github.com/loubbrad/aria-midi",
        licence="CC BY-NC-SA 4.0",
        citation=(
            "L. Bradshaw, S. Colton. Aria-MIDI: A Dataset of Piano MIDI Files for Symbolic Music Modeling. ICLR 2025."
        ),
        remotes=(
            Remote(
                name=archive,
                urls=(_URL.format(archive),),
                num_bytes=num_bytes,
                wanted=("*.mid", "metadata.json"),
                strip=1,
            ),
        ),
        describe=_describe,
        remarks=(
            about,
            "Transcribed and labelled by machine. Whoever downloads it declares to agree to its disclaimer: "
            "https://github.com/loubbrad/aria-midi/blob/main/DISCLAIMER.md",
        ),
    )


ARIA_MIDI = _dataset("", "All 1,186,253 files, for the analysis of data.", num_bytes=8_510_000_000)
ARIA_MIDI_PRUNED = _dataset(
    "pruned", "820,944 files, lightly filtered, at most 10 of a popular piece.", num_bytes=5_410_000_000
)
ARIA_MIDI_DEDUPED = _dataset(
    "deduped", "371,053 files, heavily filtered, one of each piece that is known.", num_bytes=2_010_000_000
)
ARIA_MIDI_UNIQUE = _dataset("unique", "32,522 files of pieces whose opus and number are known.", num_bytes=254_000_000)
