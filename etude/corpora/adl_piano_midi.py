"""ADL Piano MIDI: piano tracks of Lakh MIDI files and others from the web, in folders of genre, subgenre and artist."""

import re
from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Unpacked, commit_file
from etude.corpora.tables import plain_name


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    for path in unpacked.music:
        parts = path.split("/")
        if len(parts) < 4:
            continue
        genre, subgenre, artist = parts[-4:-1]
        title = parts[-1].rsplit(".", 1)[0]
        # takes of one song differ in a number at the end
        group = f"adl:{plain_name(artist)}/{plain_name(re.sub(r'[ ._-]*[0-9]+$', '', title) or title)}"
        yield Piece(path, group, None, {"genre": genre, "subgenre": subgenre, "artist": artist, "title": title})


ADL_PIANO_MIDI = Dataset(
    name="adl-piano-midi",
    title="ADL Piano MIDI",
    homepage="https://github.com/lucasnfe/adl-piano-midi",
    licence="",
    citation=(
        "L. N. Ferreira, L. H. S. Lelis, J. Whitehead. Computer-Generated Music for Tabletop Role-Playing Games. "
        "AIIDE 2020."
    ),
    remotes=(
        commit_file(
            "lucasnfe/adl-piano-midi",
            "bdb483614c25d64794c798a21adde9504eb09719",
            "midi/adl-piano-midi.zip",
            blob="3d00b27fa0b3c5c440f0d3010812cde11fe2f29a",
        ),
    ),
    describe=_describe,
    remarks=(
        "Its authors state no licence; the larger part was made from the Lakh MIDI Dataset (CC BY 4.0), the rest from "
        "the web.",
        "Genres were looked up by artist.",
    ),
)
