"""SymphonyNet's collection: symphonic and other orchestral MIDI files from the web.

A group is a name without the movement's number and without who sequenced it, where the names say so:
``beethoven_symphony_9_4_(c)cvikl.mid``.
"""

import re
from collections.abc import Iterator

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked
from etude.corpora.tables import plain_name


def _describe(unpacked: Unpacked) -> Iterator[Piece]:
    for path in unpacked.music:
        stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        title = re.sub(r"_*\(c\).*$", "", stem, flags=re.IGNORECASE)
        work = re.sub(r"_[0-9]+$", "", title)
        bare = re.fullmatch(r"[0-9_ -]*", work)
        group = None if bare else f"symphonynet:{plain_name(work.replace('_', ' '))}"
        yield Piece(path, group, None, {"title": title.replace("_", " ")})


SYMPHONYNET = Dataset(
    name="symphonynet",
    title="SymphonyNet dataset",
    homepage="https://symphonynet.github.io",
    licence="",
    citation=(
        "J. Liu, Y. Dong, Z. Cheng, X. Zhang, X. Li, F. Yu, M. Sun. Symphony Generation with Permutation Invariant "
        "Language Model. ISMIR 2022."
    ),
    remotes=(Remote(name="SymphonyNet_Dataset.zip", page="https://symphonynet.github.io"),),
    describe=_describe,
    remarks=("The code of SymphonyNet is MIT; for the files, which are from the web, its authors state no licence.",),
)
