"""What is known of a published dataset: where it is, its licence, how it is cited, what its files say of the music.

A dataset's module holds one ``Dataset`` or several. Its ``describe`` goes through the unpacked files and yields a
``Piece`` for each file of music: the group that must stay in one split, the split that its authors published, and
labels. Paths are relative to the unpacked folder, with forward slashes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

SUFFIXES = {"midi": (".mid", ".midi", ".kar"), "musicxml": (".mxl", ".musicxml", ".xml")}
"""Ends of the names of files of music, by the names that ``etude prepare`` has for formats."""

PAPERS = ("*license*", "*licence*", "*readme*", "*copyright*", "*citation*", "*disclaimer*")
"""What is unpacked of every archive, wherever it lies."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file that has to be had.

    Attributes:
        name: what it is called on disk.
        urls: where it is, the first that answers; empty if a person has to get it from ``page``.
        num_bytes: its size, exact or nearly so; None if nobody says it.
        checksum: ``sha256:…`` or ``md5:…`` of the bytes; ``git-blob:…``, the id that Git has for the bytes;
            ``git-tree:…``, the id that Git has for what is in the archive of a commit, which its host may pack
            differently from day to day. None if nobody published one: what came first is then recorded.
        unpack: it is an archive, its files are wanted; else it is wanted as it is.
        wanted: patterns of paths in the archive, in any case; ``*`` stands for no slash, and a path may have more
            folders in front.
        strip: this many folders at the front of every path in the archive are left out.
        page: where a person reads the terms and gets it.
        needed: without it there is no dataset; else there are only fewer labels.
    """

    name: str
    urls: tuple[str, ...] = ()
    num_bytes: int | None = None
    checksum: str | None = None
    unpack: bool = True
    wanted: tuple[str, ...] = ("*.mid", "*.midi")
    strip: int = 0
    page: str = ""
    needed: bool = True

    def wants(self, path: str) -> bool:
        """Say whether a path in the archive is to be unpacked."""
        place = PurePosixPath(path.lower())
        if place.name.startswith("._") or "__macosx" in place.parts:
            return False
        return any(place.match(pattern.lower()) for pattern in (*self.wanted, *PAPERS))


@dataclass(frozen=True)
class Piece:
    """What a dataset says of one of its files.

    Attributes:
        path: relative to the unpacked folder.
        group: what must not be torn apart by a split; None if the file stands alone.
        split: ``train``, ``valid`` or ``test`` as its authors published it.
        labels: names to texts; empty texts are left out.
        licence: if it is not the dataset's.
    """

    path: str
    group: str | None = None
    split: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    licence: str | None = None


@dataclass
class Unpacked:
    """The files of a dataset on disk, as its ``describe`` sees them.

    Attributes:
        root: the folder.
        files: all files, sorted.
        music: those that hold music, sorted.
        remarks: what a person should know of these files; ``describe`` adds to them.
    """

    root: Path
    files: list[str]
    music: list[str]
    remarks: list[str] = field(default_factory=list)

    def find(self, *names: str) -> Path | None:
        """Return the file of the first of these names that there is, the one nearest to the top; None if none."""
        for name in names:
            found = [path for path in self.files if path.rsplit("/", 1)[-1].lower() == name.lower()]
            if found:
                return self.root / min(found, key=lambda path: (path.count("/"), path))
        self.remarks.append(f"{' or '.join(names)} is not there: what it says of the pieces is missing")
        return None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A published collection of music.

    Attributes:
        name: by which ``etude corpus fetch`` knows it.
        title: with the version, as a corpus names its source.
        homepage: where it is described.
        licence: of the files; empty if its authors do not state one.
        citation: as its authors ask for it.
        remotes: its files.
        describe: see the module's header.
        formats: of its music, keys of ``SUFFIXES``.
        remarks: what a person should know before using it, a sentence each.
    """

    name: str
    title: str
    homepage: str
    licence: str
    citation: str
    remotes: tuple[Remote, ...]
    describe: Callable[[Unpacked], Iterable[Piece]]
    formats: tuple[str, ...] = ("midi",)
    remarks: tuple[str, ...] = ()

    @property
    def num_bytes(self) -> int | None:
        """Size of the archives that have to be had, None if it is not known of some."""
        sizes = [remote.num_bytes for remote in self.remotes if remote.unpack]
        return None if None in sizes else sum(sizes)

    @property
    def by_hand(self) -> Remote | None:
        """The file that a person has to get, if there is one."""
        return next((remote for remote in self.remotes if not remote.urls), None)

    def unpacked(self, folder: Path) -> Unpacked:
        """List the files of a folder, those beginning with a dot left out."""
        paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
        files = sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
        ends = tuple(end for name in self.formats for end in SUFFIXES[name])
        return Unpacked(folder, files, [path for path in files if path.lower().endswith(ends)])

    def pieces(self, unpacked: Unpacked) -> Iterator[Piece]:
        """Yield a piece for every file of music: as described, or bare where nothing is said of it."""
        known = {piece.path: piece for piece in self.describe(unpacked)}
        for path in unpacked.music:
            piece = known.get(path, Piece(path))
            yield replace(piece, labels={name: text for name, text in piece.labels.items() if text})


def commit_archive(
    repository: str, commit: str, *, tree: str, wanted: tuple[str, ...], num_bytes: int | None = None
) -> Remote:
    """Return the archive of one commit of a repository on GitHub.

    Args:
        repository: ``owner/name``.
        commit: 40 hex digits.
        tree: the id of the commit's tree, 40 hex digits: ``git rev-parse COMMIT^{tree}``.
        wanted: patterns of paths in the repository.
        num_bytes: about how large the archive is.
    """
    return Remote(
        name=f"{repository.rsplit('/', 1)[-1]}-{commit[:12]}.zip",
        urls=(f"https://github.com/{repository}/archive/{commit}.zip",),
        checksum=f"git-tree:{tree}",
        num_bytes=num_bytes,
        wanted=wanted,
        strip=1,
    )


def commit_file(repository: str, commit: str, path: str, *, blob: str, **facts: object) -> Remote:
    """Return one file of one commit of a repository on GitHub.

    Args:
        repository: ``owner/name``.
        commit: 40 hex digits.
        path: in the repository.
        blob: the id of the file, 40 hex digits: ``git rev-parse COMMIT:PATH``.
        facts: other attributes of the ``Remote``.
    """
    urls = (f"https://raw.githubusercontent.com/{repository}/{commit}/{path}",)
    return Remote(**{"name": path.rsplit("/", 1)[-1], "urls": urls, "checksum": f"git-blob:{blob}", **facts})
