"""From what was typed to a configuration: presets first, then single values, then validation as a whole.

Values are YAML scalars of the 1.2 kind: ``1e-3`` is a number and ``no`` is a word. Where a setting holds
text, what was typed is text, so that ``label=2`` needs no quotes.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from etude.errors import SettingsError, nearest
from etude.settings import Settings

Presets = dict[str, dict[str, dict[str, Any]]]
Chosen = TypeVar("Chosen", bound=Settings)
_INT = re.compile(r"[-+]?[0-9][0-9_]*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.?[0-9]*)([eE][-+]?[0-9]+)?")
_BY_KIND = ("model", "task", "data.tokenizer", "data.tokenizer.base")
"""Places whose settings are told apart by kind; another kind begins with its own defaults."""


class Assignment(NamedTuple):
    """One ``name=value``; ``text`` is what was typed, None if it came from a file."""

    name: str
    value: Any
    text: str | None


class _Loader(yaml.SafeLoader):
    """Safe YAML whose plain scalars are those of YAML 1.2: no octals, sexagesimals, dates, yes or no."""

    yaml_implicit_resolvers: dict = {}


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("!int", re.compile(_INT.pattern + "$"), list("-+0123456789"))
_Loader.add_implicit_resolver("!float", re.compile(_FLOAT.pattern + "$"), list("-+.0123456789"))
_Loader.add_constructor("!int", lambda loader, node: int(node.value.replace("_", "")))
_Loader.add_constructor("!float", lambda loader, node: float(node.value.replace("_", "")))


def override(
    config: Chosen, args: Iterable[str] = (), config_yaml: Path | str | None = None, *, presets: Presets
) -> Chosen:
    """Return a configuration with changes on top.

    Args:
        config: what to begin with: a ``RunConfig``, or other settings that nest.
        args: ``section=preset`` and ``a.b=value``, in any order; presets apply first.
        config_yaml: a YAML file of the same names and values, which apply before ``args``.
        presets: section to name to values.

    Raises:
        SettingsError: an unknown preset or setting, with the nearest name; a value that does not fit.
    """
    assignments = [] if config_yaml is None else _read_overlay(Path(config_yaml))
    assignments += [parse_assignment(text) for text in args]
    values = config.plain()
    singles = []
    for assignment in assignments:
        if "." not in assignment.name and assignment.name in _sections(config):
            singles += _expand(assignment, values, presets)
        else:
            singles.append(assignment)
    # a kind decides which other names there are, so it comes first whatever the order typed, the outer one before
    # that of what it nests
    for assignment in sorted(singles, key=lambda one: (not _names_kind(one.name), _depth_of_kind(one.name))):
        _assign(values, assignment)
    return type(config).parse(values)


def parse_assignment(text: str) -> Assignment:
    """Split ``name=value`` and read the value.

    Raises:
        SettingsError: no equals sign, or not a YAML value.

    Example:
        >>> parse_assignment("optim.peak_lr=1e-3").value
        0.001
    """
    name, equals, typed = text.partition("=")
    if not equals or not name.strip():
        raise SettingsError(f"{text!r}: expected section=preset or section.name=value")
    return Assignment(name.strip(), parse_value(typed, where=name.strip()), typed)


def parse_value(text: str, *, where: str) -> Any:
    """Read one YAML value; nothing at all is an empty text.

    Raises:
        SettingsError: not a YAML value.

    Example:
        >>> [parse_value(text, where="x") for text in ("1e0", "010", "no", "null", "[0.9, 0.95]")]
        [1.0, 10, 'no', None, [0.9, 0.95]]
    """
    if not text.strip():
        return ""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError:
        raise SettingsError(f"{where} = {text!r}: not a YAML value; put quotes around it") from None


def _read_overlay(path: Path) -> list[Assignment]:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if found is None:
        return []
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: expected lines of the form section.name: value")
    for name, value in found.items():
        if isinstance(value, dict) and value:
            inner = next(iter(value))
            raise SettingsError(f"{path}: {name}: settings are written flat; write {name}.{inner}: {value.get(inner)}")
    return [Assignment(str(name), value, None) for name, value in found.items()]


def _expand(assignment: Assignment, values: dict[str, Any], presets: Presets) -> list[Assignment]:
    """Apply ``section=preset`` to the values at once, or turn ``section=kind`` into an assignment."""
    section, name, _ = assignment
    known = presets.get(section, {})
    if isinstance(name, str) and name in known:
        for inner, value in known[name].items():
            _assign(values, Assignment(f"{section}.{inner}", value, None))
        return []
    if section in _BY_KIND and isinstance(name, str) and (":" in name or not known):
        return [Assignment(f"{section}.kind", name, None)]
    if not known:
        raise SettingsError(f"{section} = {name!r}: there are no presets for {section}; write {section}.name=value")
    raise SettingsError(f"{section} = {name!r}: no such preset; {nearest(str(name), known)}")


def _assign(values: dict[str, Any], assignment: Assignment) -> None:
    name, value, text = assignment
    if name in _BY_KIND:
        name += ".kind"
    *path, last = name.split(".")
    for depth, part in enumerate(path):
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{name}: {'.'.join(path[: depth + 1])} is one value and has no settings of its own")
        values = inner
    if values.get(last) and isinstance(values[last], dict):
        raise SettingsError(
            f"{name} = {value!r}: expected one of its settings; write {name}.{next(iter(values[last]))}=VALUE"
        )
    if text is not None and isinstance(values.get(last), str) and not isinstance(value, str):
        value = text.strip()
    if last == "kind" and ".".join(path) in _BY_KIND and values.get("kind") != value:
        values.clear()
    values[last] = value


def _names_kind(name: str) -> bool:
    return name in _BY_KIND or name.endswith(".kind")


def _depth_of_kind(name: str) -> int:
    return name.removesuffix(".kind").count(".") if _names_kind(name) else 0


def _sections(config: Settings) -> set[str]:
    return {name for name in type(config).model_fields if isinstance(getattr(config, name), Settings)}
