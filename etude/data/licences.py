"""Licences of files: which are allowed, where they are stated, and the digest of what a corpus may be used for."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from etude.data.licence_names import normal_licence

_FILES = ("SOURCE", "SOURCE.md", "SOURCE.txt")
_MOST_CHARACTERS = 1 << 18
_SAID = re.compile(
    r"^[\s>*_#|-]*(licence|license|source|repository|homepage|url|set)[\s*_|]*:[\s*_|]*(\S.*)$", re.IGNORECASE
)
_SOURCES = ("source", "repository", "homepage", "url", "set")
"""What names the source, the first that is there."""


def allowed(licence: str | None, patterns: Iterable[str]) -> bool:
    """Tell whether a licence is among those that somebody allows.

    Args:
        licence: of a file; None, not known, is never allowed.
        patterns: licences in any spelling. One without a version stands for all versions, never for another
            licence: ``CC BY`` is not ``CC BY-NC``. With a star at the end it stands for all that begin so.

    Example:
        >>> [allowed("CC BY-NC 4.0", [pattern]) for pattern in ("CC BY", "CC BY-NC", "CC BY*")]
        [False, True, True]
        >>> allowed("MIT AND CC BY-NC 3.0", ["MIT"]), allowed("GPL 2.0 OR MIT", ["MIT"]), allowed(None, ["*"])
        (False, True, False)
    """
    licence = normal_licence(licence)
    if licence is None:
        return False
    patterns = list(patterns)
    return any(
        all(any(_fits(name, pattern) for pattern in patterns) for name in choice.split(" AND "))
        for choice in licence.split(" OR ")
    )


def source_files(folder: Path | str, paths: Iterable[str]) -> dict[str, tuple[str | None, str | None]]:
    """Read the licence and source of files from the ``SOURCE`` file that is nearest at or above each.

    A file ``SOURCE``, ``SOURCE.md`` or ``SOURCE.txt`` speaks for its folder and the folders below it that have none of
    their own. Lines ``Licence: …``, ``Source: …``, ``Repository: …``, ``Set: …`` are read; a list or bold does not
    matter. What lies above ``folder`` is not looked at.

    Args:
        folder: the folder that is prepared, or the one file.
        paths: files relative to it, with forward slashes.

    Returns:
        (licence, source) of the paths for which there is a ``SOURCE``; None for what it does not say.
    """
    folder = Path(folder)
    folder = folder if folder.is_dir() else folder.parent
    known: dict[str, tuple[str | None, str | None] | None] = {}

    def said_of(parent: str) -> tuple[str | None, str | None] | None:
        if parent not in known:
            here = _said_in(folder / parent)
            known[parent] = here if here or not parent else said_of(parent.rpartition("/")[0])
        return known[parent]

    said = ((path, said_of(path.rpartition("/")[0])) for path in paths)
    return {path: found for path, found in said if found}


class LicenceDigest:
    """Takes the pieces of a corpus one by one; its digest stands for what each may be used for and where it is from."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)

    def add(self, piece_id: str, licence: str | None, source: str | None) -> None:
        """Add one piece; the order counts."""
        self._digest.update(repr((piece_id, licence, source)).encode())

    def hexdigest(self) -> str:
        """Return 32 hex digits for the pieces so far."""
        return self._digest.hexdigest()


def _fits(name: str, pattern: str) -> bool:
    begins = pattern.endswith("*")
    wanted = pattern.rstrip("*").strip()
    wanted = (normal_licence(wanted) or wanted).casefold()
    name = name.casefold()
    if begins:
        return name.startswith(wanted)
    rest = name.removeprefix(wanted)
    # what a pattern may leave open is the version and what follows it
    return name == wanted or (name.startswith(wanted) and re.match(r" (\d|or later|[a-z]{2,3}$)", rest) is not None)


def _said_in(folder: Path) -> tuple[str | None, str | None] | None:
    for name in _FILES:
        try:
            with (folder / name).open(encoding="utf-8-sig", errors="replace") as file:
                text = file.read(_MOST_CHARACTERS)
        except (OSError, ValueError):
            continue
        said: dict[str, str] = {}
        for line in text.splitlines():
            if match := _SAID.match(line):
                said.setdefault(match[1].lower(), match[2].strip(" `*_|"))
        source = next((said[key] for key in _SOURCES if key in said), None)
        return normal_licence(said.get("licence", said.get("license"))), source
    return None
