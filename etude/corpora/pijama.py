"""PiJAMA: solo jazz piano by 120 pianists, transcribed from recordings; the published split.

A group is a tune: its title, over all pianists. The split was made by recording, so that many tunes are in several
parts of it.
"""

import re
from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked, commit_file
from etude.corpora.tables import by_tail, plain_name, read_rows, split_name, tail

# what albums write after a title
_TAKE = re.compile(r"\s+-\s+(live|remaster|instrumental|solo|take|alternate|bonus|mono|stereo|[0-9]{4})\b.*$", re.I)


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    # live or studio, artist, album, title; what is above differs from archive to archive
    file_of = by_tail(unpacked.music, 4)
    table = unpacked.find("pijama.csv")
    for row in read_rows(table) if table else ():
        path = file_of.get(tail(row["midi_filepath"], 4))
        if path is not None:
            tune = plain_name(_TAKE.sub("", row["title"]))
            labels = {"performer": row["artist"], "tune": tune, "title": row["title"], "album": row["album"]}
            labels["recording"] = row["recording_condition"]
            yield Piece(path, f"tune:{tune}", split_name(row["split"]), labels)


PIJAMA = Dataset(
    name="pijama",
    title="PiJAMA",
    homepage="https://almostimplemented.github.io/PiJAMA/",
    licence="CC BY-NC 3.0",
    citation=(
        "D. Edwards, S. Dixon, E. Benetos. PiJAMA: Piano Jazz with Automatic MIDI Annotations. TISMIR 6 (2023), "
        "pp. 89-102."
    ),
    remotes=(
        Remote(
            name="midi_kong.zip",
            urls=("https://zenodo.org/records/8354955/files/midi_kong.zip?download=1",),
            wanted=("*.mid", "*.midi"),
        ),
        commit_file(
            "almostimplemented/PiJAMA",
            "8498db56dc1dc69eaa58ec7807c5806ed5f06ed3",
            "pijama.csv",
            blob="c5605b4a352f78d94b864f479c5d9500c44b4d78",
            num_bytes=1_286_021,
            unpack=False,
        ),
    ),
    describe=_describe,
    remarks=(
        "Transcribed by machine (the model of Kong and others) from recordings of tunes mostly in copyright.",
        "The published split is by recording: one that keeps tunes together is "
        "`etude prepare DIR OUT given_splits=ignore --group-by tune`.",
    ),
)
