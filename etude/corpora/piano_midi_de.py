"""Classical Piano Midi Page (piano-midi.de): sequenced by hand with expressive tempo, by Bernd Krueger.

A group is a work: files whose names differ in a last number are its movements or parts.
"""

import re
from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Unpacked, commit_archive
from etude.corpora.tables import read_rows, tail


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    table = unpacked.find("metadata.csv")
    rows = {tail(row["midi"], 2): row for row in read_rows(table)} if table else {}
    for path in unpacked.music:
        folder, _, name = tail(path, 2).rpartition("/")
        row = rows.get(tail(path, 2), {})
        work = re.sub(r"[_-][0-9]+$", "", name.rsplit(".", 1)[0])
        labels = {name: row.get(name, "") for name in ("composer", "title", "year")}
        yield Piece(path, f"piano-midi-de:{folder}/{work}", None, labels | {"composer": row.get("composer") or folder})


PIANO_MIDI_DE = Dataset(
    name="piano-midi-de",
    title="Classical Piano Midi Page",
    homepage="http://www.piano-midi.de",
    licence="CC BY-SA 3.0 DE",
    citation="B. Krueger. Classical Piano Midi Page, http://www.piano-midi.de.",
    remotes=(
        commit_archive(
            "cheriell/ClassicalPianoMIDI-dataset",
            "505aef5e7539ac56cdb4cbc72d08a98bfaf7a208",
            tree="379ea86e09ed5793bd8bb882a4c17b342de73c70",
            num_bytes=2_828_000,
            wanted=("*.mid", "metadata.csv"),
        ),
    ),
    describe=_describe,
    remarks=(
        "The collection as it was in August 2021, with a table of titles; one tempo track, quantised notes.",
        "Name of the author and address of his page go with every use, and what is made of it keeps the licence.",
    ),
)
