"""A copy at hand of a dataset: one of its archives, a folder of its archives, or a folder of its unpacked files."""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from etude.corpora.dataset import SUFFIXES, Dataset, Remote
from etude.corpora.unpack import is_archive, require_room
from etude.errors import CorpusError


class Copies:
    """What somebody has of a dataset already.

    Args:
        place: a file or a folder; None for nothing.

    Raises:
        CorpusError: there is nothing at that place.
    """

    def __init__(self, place: Path | str | None) -> None:
        self.place = Path(place) if place is not None else None
        if self.place is not None and not self.place.exists():
            raise CorpusError(f"--from {self.place}: there is nothing; name an archive or a folder")

    def find(self, remote: Remote, dataset: Dataset) -> Path | None:
        """Return the copy of one file of a dataset, None if there is none.

        A single archive stands for the first archive of the dataset, whatever it is called.
        """
        if self.place is None:
            return None
        if self.place.is_file():
            first = next((one for one in dataset.remotes if one.unpack), None)
            return self.place if self.place.name in _names(remote) or remote is first else None
        found = [self.place / name for name in _names(remote) if (self.place / name).is_file()]
        return found[0] if found else None

    def is_unpacked(self, dataset: Dataset) -> bool:
        """Say whether it is a folder with the files of the dataset, not with its archives.

        Raises:
            CorpusError: it is a folder with neither, or a file that is no archive.
        """
        if self.place is None:
            return False
        if self.place.is_file():
            if not is_archive(self.place):
                raise CorpusError(f"--from {self.place}: no zip and no tar; name an archive or a folder")
            return False
        archives = [remote for remote in dataset.remotes if remote.unpack]
        if any(self.find(remote, dataset) for remote in archives):
            return False
        ends = tuple(end for name in dataset.formats for end in SUFFIXES[name])
        if any(path.name.lower().endswith(ends) for path in self.place.rglob("*")):
            return True
        names = " or ".join(remote.name for remote in archives)
        raise CorpusError(f"--from {self.place}: neither {names} nor files ending in {', '.join(ends)} are there")

    def copy_files(self, dataset: Dataset, folder: Path) -> dict[str, Any]:
        """Copy the files of the dataset that are wanted into a folder, and return what is to be remembered."""
        tables = {remote.name for remote in dataset.remotes if not remote.unpack}
        archives = [remote for remote in dataset.remotes if remote.unpack]
        chosen = []
        for path in sorted(self.place.rglob("*")):
            name = path.relative_to(self.place).as_posix()
            hidden = any(part.startswith(".") for part in name.split("/"))
            wanted = path.name in tables or any(remote.wants(name) for remote in archives)
            if wanted and not hidden and path.is_file():
                chosen.append((path, folder / name))
        require_room(folder, sum(path.stat().st_size for path, _ in chosen), what="a copy of the dataset")
        for path, target in chosen:
            # tables are looked for at the top
            target = folder / path.name if path.name in tables else target
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return {"name": dataset.name, "url": None, "checksum": None, "num_bytes": None, "sha256": None, "trust": "copy"}


def _names(remote: Remote) -> list[str]:
    last = [unquote(urlsplit(url).path).rsplit("/", 1)[-1] for url in remote.urls]
    return list(dict.fromkeys([remote.name, *(name for name in last if name)]))
