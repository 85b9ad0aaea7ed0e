"""EMOPIA 2.2: clips of pop piano music in four quadrants of emotion, transcribed from recordings; the published split.

A file is ``Q1_VIDEO_0.mid``: quadrant, video, number of the clip. A group is a song, which is a video. Valence and
arousal follow from the quadrant.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked
from etude.corpora.tables import read_rows

# the name of a video may hold underscores
_NAME = re.compile(r"(Q[1-4])_(.{11})_([0-9]+)\.mid$")
_FEELINGS = {"Q1": ("high", "high"), "Q2": ("low", "high"), "Q3": ("low", "low"), "Q4": ("high", "low")}
_SPLITS = {"train_clip.csv": "train", "val_clip.csv": "valid", "test_clip.csv": "test"}


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    split_of = {}
    for name, split in _SPLITS.items():
        table = unpacked.find(name)
        split_of |= {row["clip_name"].removesuffix(".mid"): split for row in read_rows(table)} if table else {}
    annotator_of = {row.get("ID"): row.get("annotator", "") for row in _table(unpacked, "label.csv")}
    keys = {row.get("name"): row for row in _table(unpacked, "key_mode_tempo.csv")}
    for path in unpacked.music:
        found = _NAME.search(path)
        if found is None:
            continue
        quadrant, video, _ = found.groups()
        clip = PurePosixPath(path).stem
        valence, arousal = _FEELINGS[quadrant]
        labels = {"quadrant": quadrant, "valence": valence, "arousal": arousal, "song": video}
        labels |= {"annotator": annotator_of.get(clip, ""), "key": keys.get(clip, {}).get("keyname", "")}
        yield Piece(path, f"emopia:{video}", split_of.get(clip), labels)


def _table(unpacked: Unpacked, name: str) -> list[dict[str, str]]:
    table = unpacked.find(name)
    return read_rows(table) if table else []


EMOPIA = Dataset(
    name="emopia",
    title="EMOPIA 2.2",
    homepage="https://annahung31.github.io/EMOPIA/",
    licence="CC BY-NC-SA 4.0",
    citation=(
        "H.-T. Hung, J. Ching, S. Doh, N. Kim, J. Nam, Y.-H. Yang. EMOPIA: A Multi-Modal Pop Piano Dataset For Emotion "
        "Recognition and Emotion-based Music Generation. ISMIR 2021."
    ),
    remotes=(
        Remote(
            name="EMOPIA_2.2.zip",
            urls=(
                "https://zenodo.org/records/5257995/files/EMOPIA_2.2.zip?download=1",
                "https://zenodo.org/record/5257995/files/EMOPIA_2.2.zip",
            ),
            checksum="md5:bad5171786a4898f37fc2678e99afd94",
            wanted=("*.mid", "*.csv"),
            strip=1,
        ),
    ),
    describe=_describe,
    remarks=(
        "The licence is that of its authors' README; other places name CC BY 4.0. The songs are in copyright, and its "
        "authors ask that no result defame who made them.",
    ),
)
