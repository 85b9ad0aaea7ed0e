"""Exact duplicates: files whose notes are the same, whatever their resolution, tempo or names."""


class ExactDuplicates:
    """Remembers which path was first with some notes; ask in the order in which ties are to be broken.

    Example:
        >>> seen = ExactDuplicates()
        >>> seen.first("00ff", "a.mid"), seen.first("00ff", "b.mid")
        ('a.mid', 'a.mid')
    """

    def __init__(self) -> None:
        self._path_of: dict[bytes, str] = {}

    def first(self, note_digest: str, path: str) -> str:
        """Return the first path that came with this digest of notes, 16 hex digits: itself if it is new."""
        return self._path_of.setdefault(bytes.fromhex(note_digest), path)
