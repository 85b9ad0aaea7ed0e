"""JSB Chorales: chorales by J. S. Bach as MIDI in the split of Allan and Williams that papers on polyphony use."""

from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked
from etude.corpora.tables import split_name


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    for path in unpacked.music:
        parts = path.split("/")
        split = split_name(parts[-2]) if len(parts) > 1 else None
        yield Piece(path, None, split, {"composer": "Johann Sebastian Bach", "form": "chorale"})


JSB_CHORALES = Dataset(
    name="jsb-chorales",
    title="JSB Chorales",
    homepage="http://www-etud.iro.umontreal.ca/~boulanni/icml2012",
    licence="",
    citation=(
        "N. Boulanger-Lewandowski, Y. Bengio, P. Vincent. Modeling Temporal Dependencies in High-Dimensional "
        "Sequences: Application to Polyphonic Music Generation and Transcription. ICML 2012."
    ),
    remotes=(
        Remote(
            name="JSB Chorales.zip",
            urls=("http://www-etud.iro.umontreal.ca/~boulanni/JSB%20Chorales.zip",),
            num_bytes=215_242,
            checksum="sha256:69924294546a71620c06374085cd6b0300665ea215e2f854f65a11929f1e723c",
        ),
    ),
    describe=_describe,
    remarks=(
        "The files say 100 ticks a quarter and mean 120: bars and tempi read from them are off by a sixth.",
        "The music is in the public domain; for the files no licence is stated. Settings of one tune are not marked: "
        "near-duplicates alone keep them together.",
    ),
)
