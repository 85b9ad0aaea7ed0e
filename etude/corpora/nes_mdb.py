"""NES-MDB: music of games for the Nintendo Entertainment System, with the published split, by composer.

A file is ``297_SkyKid_00_01StartMusicBGMIntroBGM.mid``: number and name of the game, number and name of the song. A
group is a game. Four voices: two pulse waves, triangle, noise; 44,100 ticks a second.
"""

import re
from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked
from etude.corpora.tables import split_name

_NAME = re.compile(r"([0-9]+)_(.*?)_([0-9]+)_(?:[0-9]*)(.*)\.mid$")


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    for path in unpacked.music:
        folder, _, name = ("/" + path).rpartition("/")
        found = _NAME.match(name)
        if found is not None:
            number, game, _, title = found.groups()
            split = split_name(folder.rsplit("/", 1)[-1])
            yield Piece(path, f"nes-mdb:{number}_{game}", split, {"game": game, "title": title})


NES_MDB = Dataset(
    name="nes-mdb",
    title="NES-MDB 1.0",
    homepage="https://github.com/chrisdonahue/nesmdb",
    licence="",
    citation=(
        "C. Donahue, H. H. Mao, J. McAuley. The NES Music Database: A multi-instrumental dataset with expressive "
        "performance attributes. ISMIR 2018."
    ),
    remotes=(
        Remote(
            name="nesmdb_midi.tar.gz",
            urls=(
                "https://drive.google.com/uc?export=download&id=1w2uo1Cmio4gz6nGUhZOtzF54kPkoKyo7",
                "http://deepyeti.ucsd.edu/cdonahue/nesmdb/nesmdb_midi.tar.gz",
            ),
            num_bytes=12_922_275,
            checksum="sha256:37610e2ca5fe70359c85170cf1f4982596783bb304c59d9c439f68c24ff4ee93",
        ),
    ),
    describe=_describe,
    remarks=("Its authors state no licence for the files; the music belongs to the games' makers.",),
)
