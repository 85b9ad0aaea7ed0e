"""Kinds: from a name in a registry, or ``"module:Class"``, to a class and to its settings.

A registry is a dictionary literal of names to ``"module:Class"``. A class outside Etude needs no entry: its
own ``"their.module:Class"`` is its name. The settings of a class are found without importing it where its
folder keeps them apart in a torch-free ``settings.py``; otherwise they are its ``settings_class``, or the
class that annotates the parameter ``settings`` of its ``__init__``.
"""

from importlib import import_module
from typing import Annotated, Any, get_type_hints

from pydantic import PlainSerializer, PlainValidator

from etude.errors import SettingsError, nearest
from etude.settings import Settings


def class_of_kind(kind: str, registry: dict[str, str], *, where: str) -> type:
    """Import the class that a kind names.

    Args:
        kind: a name in ``registry`` or ``"module:Class"``.
        registry: names to ``"module:Class"``.
        where: dotted place for messages, such as ``model``.

    Raises:
        SettingsError: no such name, module or class.

    Example:
        >>> class_of_kind("fractions:Fraction", {}, where="model")
        <class 'fractions.Fraction'>
    """
    module, colon, name = registry.get(kind, kind).partition(":")
    if not colon:
        raise SettingsError(f"{where}.kind = {kind!r}: no such kind; {nearest(kind, registry)}")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise SettingsError(f"{where}.kind = {kind!r}: {error}; expected 'module:Class' that can be imported") from None
    if not isinstance(found, type):
        raise SettingsError(f"{where}.kind = {kind!r}: module {module} has no class {name!r}; check its spelling")
    return found


def parse_kind(
    values: Any,
    registry: dict[str, str],
    *,
    where: str,
    settings_in: str | None = None,
    default: str | None = None,
) -> Settings:
    """Validate the settings of one kind.

    Args:
        values: a dict with ``kind``, a kind alone for all its defaults, or settings that are whole already.
        registry: names to ``"module:Class"``.
        where: dotted place for messages, such as ``data.tokenizer``.
        settings_in: module that holds the settings of the registry's own kinds, so that they need no import
            of the classes themselves.
        default: kind of a dict that names none.

    Raises:
        SettingsError: an unknown kind, or values that do not fit it.
    """
    if isinstance(values, Settings):
        return values
    if isinstance(values, str):
        values = {"kind": values}
    if not isinstance(values, dict) or not isinstance(values.get("kind", default), str):
        raise SettingsError(f"{where} = {values!r}: expected a kind; {nearest('', registry)}, or 'module:Class'")
    kind = values.get("kind", default)
    return _settings_class(kind, registry, where, settings_in).parse({**values, "kind": kind}, where=where)


def chosen_by_kind(
    registry: dict[str, str], *, where: str, settings_in: str | None = None, default: str | None = None
) -> Any:
    """Return the type of a field of ``Settings`` that holds the settings of one kind; see ``parse_kind``."""

    def validate(values: Any) -> Settings:
        return parse_kind(values, registry, where=where, settings_in=settings_in, default=default)

    return Annotated[Settings, PlainValidator(validate), PlainSerializer(lambda settings: settings.plain())]


def _settings_class(kind: str, registry: dict[str, str], where: str, settings_in: str | None) -> type[Settings]:
    if settings_in is not None and kind in registry:
        for candidate in vars(import_module(settings_in)).values():
            own = candidate.model_fields.get("kind") if _is_settings(candidate) else None
            if own is not None and own.default == kind:
                return candidate
    cls = class_of_kind(kind, registry, where=where)
    found = getattr(cls, "settings_class", None) or get_type_hints(cls.__init__).get("settings")
    if not _is_settings(found):
        raise SettingsError(
            f"{where}.kind = {kind!r}: its settings are unknown; "
            f"give {cls.__name__} a settings_class that derives from etude.settings.Settings"
        )
    return found


def _is_settings(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Settings)
