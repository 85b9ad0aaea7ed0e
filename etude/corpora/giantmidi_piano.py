"""GiantMIDI-Piano: classical piano music transcribed from recordings on the web.

A file is ``Surname, First name, Title, VIDEO.mid``, the video's name having 11 signs. The table, tab-separated, has a
split that was made by counting, so that performances of one work are in different parts of it.
"""

from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked, commit_file
from etude.corpora.tables import plain_name, read_rows, split_name

_TABLE = "full_music_pieces_youtube_similarity_pianosoloprob_split.csv"
_VIDEO = 11  # signs
_PAGE = "https://github.com/bytedance/GiantMIDI-Piano/blob/master/disclaimer.md"


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    table = unpacked.find(_TABLE)
    rows = {row["youtube_id"]: row for row in read_rows(table, delimiter="\t")} if table else {}
    for path in unpacked.music:
        stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        row = rows.get(stem[-_VIDEO:]) or _from_name(stem)
        composer = f"{row['firstname']} {row['surname']}".strip()
        yield Piece(
            path,
            f"giantmidi:{plain_name(composer)}/{plain_name(row['music'])}",
            split_name(row.get("split", "")),
            {
                "composer": composer,
                "title": row["music"],
                "nationality": row.get("nationality", "").replace("unknown", ""),
                "birth": row.get("birth", "").replace("unknown", ""),
                "death": row.get("death", "").replace("unknown", ""),
                "video": stem[-_VIDEO:],
                "surname_in_video_title": {"1": "yes", "0": "no"}.get(row.get("surname_in_youtube_title", ""), ""),
            },
        )


def _from_name(stem: str) -> dict[str, str]:
    parts = stem[: -_VIDEO - 2].split(", ", 2)
    return dict(zip(("surname", "firstname", "music"), parts + [""] * 3, strict=False))


GIANTMIDI_PIANO = Dataset(
    name="giantmidi-piano",
    title="GiantMIDI-Piano 1.2",
    homepage="https://github.com/bytedance/GiantMIDI-Piano",
    licence="CC BY 4.0",
    citation=(
        "Q. Kong, B. Li, J. Chen, Y. Wang. GiantMIDI-Piano: A Large-Scale MIDI Dataset for Classical Piano Music. "
        "TISMIR 2022."
    ),
    remotes=(
        Remote(name="midis_v1.2.zip", num_bytes=193_000_000, page=_PAGE),
        commit_file(
            "bytedance/GiantMIDI-Piano",
            "930d535a3882f301f7dd8b4c1389072e04989037",
            f"resources/{_TABLE}",
            blob="598598d80414a4e9212b509304581215deeee05c",
            unpack=False,
            needed=False,
        ),
    ),
    describe=_describe,
    remarks=(
        "Transcribed by machine. The label `surname_in_video_title` is yes for the curated subset.",
        "The published split was made by counting, not by work: one that keeps them together is "
        "`etude prepare DIR OUT given_splits=ignore`.",
    ),
)
