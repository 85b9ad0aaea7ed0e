"""A kind is a name in a registry or somebody's own class."""

from typing import Literal

import pytest

from etude.errors import SettingsError
from etude.registry import class_of_kind, parse_kind
from etude.settings import Settings, setting


class KazooSettings(Settings):
    """Somebody's own settings."""

    kind: Literal["kazoo", "test_registry:Kazoo", "test_registry:AnnotatedKazoo"] = setting(
        "kazoo", text="which instrument"
    )
    buzz: int = setting(3, text="how loud")


class Kazoo:
    """Somebody's own class, which names its settings."""

    settings_class = KazooSettings


class AnnotatedKazoo:
    """Somebody's own class, whose parameter names its settings."""

    def __init__(self, settings: KazooSettings):
        self.settings = settings


class Triangle:
    """A class that says nothing of settings."""


REGISTRY = {"kazoo": "test_registry:Kazoo"}


def parse(values, **options):
    return parse_kind(values, REGISTRY, where="band.first", **options)


@pytest.mark.parametrize("kind", ["kazoo", "test_registry:Kazoo", "test_registry:AnnotatedKazoo"])
def test_a_kind_is_a_registered_name_or_a_class_of_ones_own(kind):
    assert parse({"kind": kind, "buzz": 5}) == KazooSettings(kind=kind, buzz=5)
    assert parse(kind) == KazooSettings(kind=kind)


def test_settings_of_registered_kinds_are_found_without_importing_the_class():
    registry = {"kazoo": "no_such_module:Kazoo"}
    found = parse_kind("kazoo", registry, where="band.first", settings_in="test_registry")
    assert found == KazooSettings()


def test_whole_settings_pass_and_a_missing_kind_is_the_default():
    assert parse(KazooSettings(buzz=9)).buzz == 9
    assert parse({"buzz": 9}, default="kazoo").buzz == 9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("kazo", "band.first.kind = 'kazo': no such kind; did you mean 'kazoo'?"),
        ("nowhere:Kazoo", "band.first.kind = 'nowhere:Kazoo': No module named 'nowhere'"),
        ("test_registry:Kazo", "module test_registry has no class 'Kazo'"),
        ("test_registry:Triangle", "its settings are unknown; give Triangle a settings_class"),
        ({"kind": "kazoo", "buz": 1}, "band.first.buz: no such setting; did you mean 'buzz'?"),
        ({"buzz": 1}, "expected a kind"),
        (7, "band.first = 7: expected a kind"),
    ],
)
def test_what_is_no_kind_is_refused_in_one_line(values, message):
    with pytest.raises(SettingsError) as caught:
        parse(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_is_imported_when_it_is_used():
    assert class_of_kind("kazoo", REGISTRY, where="band.first") is not None
