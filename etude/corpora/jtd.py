"""Jazz Trio Database: the pianist of jazz trios, transcribed from recordings whose instruments were separated.

A performance is a folder with ``piano_midi.mid``, ``metadata.json`` and beats. A group is a tune: its title, over all
pianists, by the same names that PiJAMA has for tunes.
"""

from collections.abc import Iterator
from typing import Any

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked
from etude.corpora.tables import plain_name, read_json


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    there = set(unpacked.files)
    for path in unpacked.music:
        folder = path.rpartition("/")[0]
        table = f"{folder}/metadata.json".lstrip("/")
        if table not in there:
            continue
        facts = read_json(unpacked.root / table)
        players = facts.get("musicians") or {}
        labels = {
            "performer": _text(players.get("pianist") or facts.get("pianist")),
            "bassist": _text(players.get("bassist")),
            "drummer": _text(players.get("drummer")),
            "title": _text(facts.get("track_name")),
            "album": _text(facts.get("album_name")),
            "year": _text(facts.get("recording_year")),
            "tempo_qpm": _text(facts.get("tempo")),
            "beats_in_a_bar": _text(facts.get("time_signature")),
        }
        tune = plain_name(labels["title"] or folder)
        yield Piece(path, f"tune:{tune}", None, labels | {"tune": tune})


def _text(value: Any) -> str:
    # NaN, which these files have for unknown numbers, is the one value that differs from itself
    return "" if value is None or value != value else str(round(value, 2) if isinstance(value, float) else value)


JTD = Dataset(
    name="jtd",
    title="Jazz Trio Database 2",
    homepage="https://github.com/HuwCheston/Jazz-Trio-Database",
    licence="MIT",
    citation=(
        "H. Cheston, J. L. Schlichting, I. Cross, P. M. C. Harrison. Jazz Trio Database: Automated Annotation of Jazz "
        "Piano Trio Recordings Processed Using Audio Source Separation. TISMIR 2024."
    ),
    remotes=(
        Remote(
            name="jazz-trio-database-v02.zip",
            urls=(
                "https://github.com/HuwCheston/Jazz-Trio-Database/releases/download/v02-zenodo/"
                "jazz-trio-database-v02.zip",
            ),
            num_bytes=24_000_000,
            checksum="md5:43f543fb286c6222ae1f52bcf7561f37",
            wanted=("*.mid", "metadata.json", "beats.csv"),
            strip=1,
        ),
    ),
    describe=_describe,
    remarks=("Transcribed by machine from recordings of tunes mostly in copyright; the audio is not part of it.",),
)
