"""The base of all settings: frozen, strict, each field with a description, a unit and a kind.

A field's kind says what it does to a run's identity:

    identity   part of it: another value is another experiment (the default)
    budget     how long to go on: steps, minutes; a run can be extended
    machine    where and how it runs: workers, devices, paths, cadence of logs and checkpoints

Identity is a hash of validated values, never of what was typed. A field whose value equals the
default of its *first release* is left out of the hash, so the schema can grow without changing old
ids, while an edited default gives a new id by itself. When a default is edited, the old one goes
into ``first_release``.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etude.errors import SettingsError, nearest

Kind = Literal["identity", "budget", "machine"]
_SAME_AS_DEFAULT = object()
_EXPECTED = {
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "string_type": "expected a text",
    "tuple_type": "expected a list",
    "model_type": "expected settings by name",
}
_STARTS_WITH_FIELD = re.compile(r"[a-z_]+ = ")


def setting(
    default: Any = ...,
    *,
    text: str,
    unit: str = "",
    kind: Kind = "identity",
    first_release: Any = _SAME_AS_DEFAULT,
    **bounds: Any,
) -> Any:
    """Declare one field of a ``Settings`` class.

    Args:
        default: the value when none is given; ``...`` makes the field required.
        text: one sentence for ``--help``, the docs and error messages.
        unit: the unit of the value, empty for counts, flags and names.
        kind: what the field does to a run's identity, see the module's header.
        first_release: the default that the field was first released with, once it has been edited.
        bounds: pydantic's ``ge``, ``gt``, ``le``, ``lt``, ``min_length`` and the like.
    """
    extra: dict[str, Any] = {"unit": unit, "kind": kind}
    if first_release is not _SAME_AS_DEFAULT:
        extra["first_release"] = first_release
    return Field(default, description=text, json_schema_extra=extra, **bounds)


class Settings(BaseModel):
    """The base of every settings class: immutable, no unknown fields, no silent conversions.

    An int is accepted where a float is asked for and becomes one; nothing else is converted.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    def replace(self, **changes: Any) -> "Settings":
        """Return a copy with some fields changed, validated again."""
        return type(self).parse({name: getattr(self, name) for name in type(self).model_fields} | changes)

    @classmethod
    def parse(cls, values: dict[str, Any], *, where: str = "") -> "Settings":
        """Validate plain values.

        Args:
            values: field names to values; nested settings may be dicts.
            where: dotted prefix for messages, such as ``model``.

        Raises:
            SettingsError: one line that names the field, the value and what was expected.
        """
        try:
            # through JSON, where a list is a tuple's own form and strict types still hold
            return cls.model_validate_json(json.dumps(values, default=_as_plain))
        except ValidationError as error:
            raise SettingsError(_explain(error, cls, where)) from None

    def plain(self) -> dict[str, Any]:
        """Return every field, defaults included, as values that JSON holds."""
        return self.model_dump(mode="json")


class Leaf(NamedTuple):
    """One value of nested settings.

    Args:
        name: dotted name.
        value: plain.
        text: what it is for.
        unit: its unit, often empty.
        kind: what it does to a run's identity.
    """

    name: str
    value: Any
    text: str
    unit: str
    kind: Kind


def leaves(settings: Settings, *, where: str = "") -> Iterator[Leaf]:
    """Yield every single value of nested settings in the order of the fields.

    Args:
        settings: validated settings.
        where: dotted prefix of names.
    """
    plain = settings.plain()
    for name, field in type(settings).model_fields.items():
        place, value = f"{where}.{name}" if where else name, getattr(settings, name)
        if isinstance(value, Settings):
            yield from leaves(value, where=place)
        else:
            extra = field.json_schema_extra or {}
            text = field.description or ("a name, or module:Class" if name == "kind" else "")
            yield Leaf(place, plain[name], text, extra.get("unit", ""), extra.get("kind", "identity"))


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, UTF-8, NaN refused.

    Example:
        >>> canonical_json({"b": 1.0, "a": [1, None]})
        '{"a":[1,null],"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def identity_values(settings: Settings) -> dict[str, Any]:
    """Return the part of settings that makes a run what it is, as plain values.

    Budget and machine fields are left out, and so is every field that equals the default of its first
    release; ``kind``, which tells alternatives apart, always stays.
    """
    kept = {}
    for name, field in type(settings).model_fields.items():
        extra = field.json_schema_extra or {}
        if extra.get("kind", "identity") != "identity":
            continue
        value = _plain_identity(getattr(settings, name))
        if name == "kind" or not _is_first_default(value, field):
            kept[name] = value
    return kept


def _is_first_default(value: Any, field: Any) -> bool:
    extra = field.json_schema_extra or {}
    if "first_release" in extra:
        return value == _plain_identity(extra["first_release"])
    return not field.is_required() and value == _plain_identity(field.default)


def _plain_identity(value: Any) -> Any:
    if isinstance(value, Settings):
        return identity_values(value)
    if isinstance(value, (list, tuple)):
        return [_plain_identity(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain_identity(item) for item in value)
    if isinstance(value, dict):
        return {str(key): _plain_identity(item) for key, item in value.items()}
    if isinstance(value, float):
        return value + 0.0  # -0.0 becomes 0.0
    return value


def _as_plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.plain()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def _explain(error: ValidationError, cls: type[Settings], where: str) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    place = ".".join(([where] if where else []) + path) or cls.__name__
    if first["type"] == "extra_forbidden":
        owner = _owner(cls, path[:-1])
        return f"{place}: no such setting; {nearest(path[-1], owner.model_fields if owner else [])}"
    if first["type"] == "missing":
        field = (_owner(cls, path[:-1]) or cls).model_fields.get(path[-1])
        meaning = f" ({field.description})" if field is not None and field.description else ""
        return f"{place}: a value is required{meaning}; give {place}=VALUE"
    if first["type"] == "value_error":
        message, place = str(first["ctx"]["error"]), ".".join(([where] if where else []) + path)
        # a contradiction that begins with a field of its own section is told with the section before it
        return (place + ("." if _STARTS_WITH_FIELD.match(message) else ": ") if place else "") + message
    expected = _EXPECTED.get(first["type"]) or first["msg"].replace("Input should be", "expected")
    shown = repr(first["input"]) if isinstance(first["input"], str) else json.dumps(first["input"])
    return f"{place} = {shown}: {expected}"


def _owner(cls: type[Settings], path: list[str]) -> type[Settings] | None:
    """Follow field names, and the kinds of alternatives, down to the settings class that was meant."""
    for part in path:
        choices = _settings_classes(cls.model_fields[part].annotation) if part in cls.model_fields else []
        if not choices:
            # pydantic puts the tag of a union alternative into the location
            continue
        cls = choices[0]
        for choice in choices:
            kind = choice.model_fields.get("kind")
            if kind is not None and kind.default in path:
                cls = choice
    return cls


def _settings_classes(annotation: Any) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [cls for part in getattr(annotation, "__args__", ()) for cls in _settings_classes(part)]
