"""Names of ids, and the hash that ties ids to the tokenizer that made them."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from etude.errors import TokenError
from etude.settings import Settings, canonical_json, identity_values, nearest

SCHEMA = "etude-tokenizer"
"""The ``schema`` of a tokenizer's JSON."""

VERSION = 1
"""The version of that schema."""


class Vocab:
    """The names of all ids, in id order.

    Example:
        >>> vocab = Vocab(["ON", "OFF", "END"])
        >>> len(vocab), vocab.names[1], vocab.id_of("END")
        (3, 'OFF', 2)
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Keep the names; two equal names are a mistake of the tokenizer's author.

        Raises:
            ValueError: two ids have one name.
        """
        self.names = tuple(names)
        self._ids = {name: token_id for token_id, name in enumerate(self.names)}
        if len(self._ids) != len(self.names):
            raise ValueError("two ids have the same name")

    def __len__(self) -> int:
        """Return the number of ids."""
        return len(self.names)

    def id_of(self, name: str) -> int:
        """Return the id of a name.

        Raises:
            TokenError: there is no such name.
        """
        if name not in self._ids:
            raise TokenError(f"token {name!r}: no such name; {nearest(name, self.names)}")
        return self._ids[name]

    def words(self, ids: Iterable[int]) -> list[str]:
        """Return the names of ids, for people to read."""
        return [self.names[int(token_id)] for token_id in ids]


def describe(kind: str, settings: Settings, vocab: Vocab, *, revision: int) -> dict[str, Any]:
    """Return a tokenizer as JSON holds it, its hash included.

    The hash is of the kind, the settings that change ids, the names of all ids and the revision; shards,
    checkpoints and model folders carry it, so ids never meet a tokenizer that reads them differently.

    Args:
        kind: the name in the registry, or ``module:Class``.
        settings: the tokenizer's settings.
        vocab: its ids.
        revision: a number the author raises when the same settings begin to give other ids.

    Returns:
        ``{schema, version, kind, settings, hash}``, the hash as 16 hex digits.
    """
    content = {
        "kind": kind,
        "revision": revision,
        "settings": identity_values(settings),
        "vocab": vocab.names,
    }
    digest = blake2b(canonical_json(content).encode(), digest_size=8).hexdigest()
    return {"schema": SCHEMA, "version": VERSION, "kind": kind, "settings": settings.plain(), "hash": digest}
