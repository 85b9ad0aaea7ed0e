"""Groups: which pieces share music, or a person, and so must not be torn apart by a split.

Pieces are joined by the group that labels give, by equal values of chosen labels, by the groups of files that
are exact duplicates of them, and by near-duplicate pairs, the most similar first. Two sets of pieces whose
splits are settled and differ are never joined: such a pair is a leak, and is reported.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from etude.errors import CorpusError, nearest

_GIVEN, _LABEL, _ID = range(3)


@dataclass(frozen=True)
class Grouping:
    """Groups of pieces.

    Attributes:
        groups: the group of each piece.
        given: the split of each group that has a settled one.
        joined: of each near pair, whether it now is in one group; False is a leak.
    """

    groups: list[str]
    given: dict[str, str]
    joined: np.ndarray


def group_pieces(
    ids: Sequence[str],
    *,
    given_groups: Sequence[str | None],
    given_splits: Sequence[str | None],
    keys: Mapping[str, Sequence[str | None]] | None = None,
    copies: Iterable[tuple[str, str]] = (),
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Grouping:
    """Join pieces to groups.

    Args:
        ids: of the pieces.
        given_groups: what labels call the group of each, or None.
        given_splits: the settled split of each, or None; it holds for the whole given group.
        keys: columns of labels; pieces with equal values belong together.
        copies: id of a piece and the group that labels give to an exact duplicate of it.
        pairs: rows a, rows b and similarity of near duplicates.

    Raises:
        CorpusError: equal values of a key in two settled splits.

    Example:
        >>> group_pieces(["1", "2", "3"], given_groups=["x", "x", None], given_splits=[None] * 3).groups
        ['x', 'x', '3']
    """
    names = _Names()
    base = [
        names.add(piece, _ID) if group is None else names.add(group, _GIVEN)
        for group, piece in zip(given_groups, ids, strict=True)
    ]
    for node, split in zip(base, given_splits, strict=True):
        if split is not None:
            names.split[node] = split
    _join_by_keys(names, base, keys or {})
    row_of = {piece: row for row, piece in enumerate(ids)}
    for piece, group in copies:
        if piece in row_of:
            names.join(base[row_of[piece]], names.add(group, _GIVEN))
    a, b, similarity = pairs if pairs is not None else (np.empty(0, np.int64),) * 3
    joined = np.zeros(len(a), bool)
    for k in np.lexsort((b, a, -similarity)).tolist():
        joined[k] = names.join(base[a[k]], base[b[k]])
    groups = names.names_of(base)
    roots = [names.root(node) for node in base]
    given = {group: names.split[root] for group, root in zip(groups, roots, strict=True) if root in names.split}
    return Grouping(groups, given, joined)


def check_keys(group_by: Sequence[str], labels: Sequence[str], *, where: str = "") -> None:
    """Refuse a label to group by that a corpus does not have.

    Raises:
        CorpusError: with the nearest label.
    """
    for name in group_by:
        if name not in labels:
            raise CorpusError(f"{where}group by {name}: no such label; {nearest(name, labels)}")


class _Names:
    """Disjoint sets of names; each set may have a settled split."""

    def __init__(self) -> None:
        self.split: dict[int, str] = {}
        self._of: dict[str, int] = {}
        self._rank: list[tuple[int, str]] = []
        self._parent: list[int] = []

    def add(self, name: str, rank: int) -> int:
        node = self._of.setdefault(name, len(self._parent))
        if node == len(self._parent):
            self._parent.append(node)
            self._rank.append((rank, name))
        return node

    def root(self, node: int) -> int:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(self, a: int, b: int) -> bool:
        """Join two sets unless their settled splits differ; return whether they are one set now."""
        a, b = self.root(a), self.root(b)
        if a == b:
            return True
        first, second = self.split.get(a), self.split.get(b)
        if first is not None and second is not None and first != second:
            return False
        # the name of a set is that of its root: a given group before a label before an id
        if self._rank[b] < self._rank[a]:
            a, b = b, a
        self._parent[b] = a
        if (settled := first or second) is not None:
            self.split[a] = settled
        return True

    def names_of(self, nodes: Sequence[int]) -> list[str]:
        return [self._rank[self.root(node)][1] for node in nodes]


def _join_by_keys(names: _Names, base: Sequence[int], keys: Mapping[str, Sequence[str | None]]) -> None:
    for column, values in keys.items():
        for node, value in zip(base, values, strict=True):
            if value is None:
                continue
            if not names.join(names.add(f"{column}={value}", _LABEL), node):
                raise CorpusError(
                    f"group by {column}: '{value}' has pieces in more than one of the splits that the labels give; "
                    "leave those out with --given-splits ignore, or group by another label"
                )
