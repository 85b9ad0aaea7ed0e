"""What makes a run the run it is: a hash of resolved values, never of what was typed.

    id = blake2b-64(project ‖ task ‖ schema epoch ‖ canonical JSON of settings, corpus digest, tokenizer hash)

Budget and machine settings are no part of it, nor are settings that equal the default of their first
release; see ``etude.settings``. So the id of a configuration is the same on every machine, in every folder,
however it was typed, and stays the same when the schema grows.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from etude.settings import Settings, canonical_json, identity_values

PROJECT = "etude"
SCHEMA_EPOCH = 1
"""Raised only if the meaning of existing settings changes, so that no old run is ever taken for a new one."""

_ABSENT = "not set"
_SHORTEST = 6


@dataclass(frozen=True)
class Difference:
    """One setting that differs between a stored run and a configuration.

    Args:
        name: dotted name.
        kind: what it does to identity: ``identity``, ``budget`` or ``machine``.
        stored: the run's value, plain.
        current: the configuration's value, plain.
    """

    name: str
    kind: str
    stored: Any
    current: Any

    def __str__(self) -> str:
        return f"{self.name} is {self.stored!r} in the run and {self.current!r} now"


def run_id(config: Any, corpus_digest: str, tokenizer_hash: str) -> str:
    """Return the identity of a run, 16 hex digits.

    Args:
        config: a ``RunConfig``, validated.
        corpus_digest: digest of the corpus' content; its path is no part of a run.
        tokenizer_hash: hash of the tokenizer's kind, settings and vocabulary.
    """
    values = {"config": identity_values(config), "corpus": corpus_digest, "tokenizer": tokenizer_hash}
    text = "\n".join([PROJECT, config.task.kind, str(SCHEMA_EPOCH), canonical_json(values)])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def differences(stored: dict[str, Any], config: Settings, *, where: str = "") -> list[Difference]:
    """Compare stored settings with a configuration, in the order of its fields.

    Args:
        stored: plain values; a setting that is newer than the run may be missing and then counts as the
            default of its first release.
        config: validated settings.
        where: dotted prefix of names.
    """
    found = []
    for name, field in type(config).model_fields.items():
        extra = field.json_schema_extra or {}
        current = getattr(config, name)
        place = f"{where}.{name}" if where else name
        if isinstance(current, Settings):
            inner = stored.get(name, {})
            found += differences(inner if isinstance(inner, dict) else {}, current, where=place)
            continue
        current = config.plain()[name]
        released = extra.get("first_release", None if field.is_required() else field.default)
        before = stored.get(name, list(released) if isinstance(released, tuple) else released)
        if before != current:
            found.append(Difference(place, extra.get("kind", "identity"), before, current))
    known = set(type(config).model_fields)
    for name in sorted(set(stored) - known):
        found.append(Difference(f"{where}.{name}" if where else name, "identity", stored[name], _ABSENT))
    return found


def short_ids(ids: list[str]) -> dict[str, str]:
    """Return the shortest prefix of each id that no other id shares, 6 digits or more.

    Example:
        >>> short_ids(["aaaaaaaa00000000", "aaaaaaab00000000", "bbbbbbbbbbbbbbbb"])
        {'aaaaaaaa00000000': 'aaaaaaaa', 'aaaaaaab00000000': 'aaaaaaab', 'bbbbbbbbbbbbbbbb': 'bbbbbb'}
    """
    ordered = sorted(set(ids))
    short = {}
    for place, whole in enumerate(ordered):
        around = ordered[max(0, place - 1) : place] + ordered[place + 1 : place + 2]
        length = max([_SHORTEST] + [1 + _shared_length(whole, other) for other in around])
        short[whole] = whole[:length]
    return short


def _shared_length(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
