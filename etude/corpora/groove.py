"""Groove MIDI Dataset 1.0.0: ten drummers play beats and fills to a click, with the published split.

A group is a session of a drummer, except for the beats of the ``eval_session``, which four drummers play: there it is
the beat.
"""

from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked
from etude.corpora.tables import by_tail, read_rows, split_name, tail


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    file_of = by_tail(unpacked.music, 3)
    table = unpacked.find("info.csv")
    for row in read_rows(table) if table else map(_from_name, unpacked.music):
        path = file_of.get(tail(row["midi_filename"], 3))
        if path is None:
            continue
        group = row["style"] if row["session"].endswith("/eval_session") else row["session"]
        labels = {name: row[name] for name in ("drummer", "session", "style", "bpm", "beat_type")}
        labels |= {"genre": row["style"].split("/")[0], "time_signature": row["time_signature"].replace("-", "/")}
        yield Piece(path, f"groove:{group}", split_name(row["split"]), labels)


def _from_name(path: str) -> dict[str, str]:
    """Return what ``drummer1/session1/27_jazz-funk_116_fill_4-4.mid`` says, as a row of the table."""
    parts = ["", "", *path.split("/")]
    said = parts[-1].rsplit(".", 1)[0].split("_")
    names = ("number", "style", "bpm", "beat_type", "time_signature")
    row = dict(zip(names, said, strict=True)) if len(said) == len(names) else dict.fromkeys(names, "")
    row["style"] = row["style"].replace("-", "/", 1)
    return row | {"drummer": parts[-3], "session": "/".join(parts[-3:-1]), "midi_filename": path, "split": ""}


GROOVE = Dataset(
    name="groove",
    title="Groove MIDI Dataset 1.0.0",
    homepage="https://magenta.tensorflow.org/datasets/groove",
    licence="CC BY 4.0",
    citation=(
        "J. Gillick, A. Roberts, J. Engel, D. Eck, D. Bamman. Learning to Groove with Inverse Sequence "
        "Transformations. ICML 2019."
    ),
    remotes=(
        Remote(
            name="groove-v1.0.0-midionly.zip",
            urls=("https://storage.googleapis.com/magentadata/datasets/groove/groove-v1.0.0-midionly.zip",),
            num_bytes=3_260_318,
            checksum="sha256:651cbc524ffb891be1a3e46d89dc82a1cecb09a57c748c7b45b844c4841dcc1e",
            wanted=("*.mid", "info.csv"),
            strip=1,
        ),
    ),
    describe=_describe,
    remarks=("Drums only. The published split is by take: the takes of one session are in several parts of it.",),
)
