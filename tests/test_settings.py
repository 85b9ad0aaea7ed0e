"""Settings refuse what they do not know, say so in one line, and know what of them makes a run."""

import json
import math
from typing import Literal

import pytest
from pydantic import model_validator

from etude.errors import SettingsError
from etude.settings import Settings, canonical_json, identity_values, leaves, setting


class Engine(Settings):
    """A part."""

    kind: Literal["engine"] = setting("engine", text="which engine")
    power: float = setting(1.0, text="strength", gt=0)
    gears: tuple[int, ...] = setting((1, 2), text="gears")

    @model_validator(mode="after")
    def _check(self):
        if self.power > 100:
            raise ValueError(f"power = {self.power}: more than 100; give less")
        return self


class Car(Settings):
    """A whole."""

    name: str = setting(text="what it is called")
    engine: Engine = setting(Engine(), text="what drives it")
    num_wheels: int = setting(4, text="wheels")
    limit: float | None = setting(None, text="speed limit", unit="km/h", kind="budget")
    garage: str = setting("home", text="where it stands", kind="machine")


class CarWithEditedDefault(Car):
    """The same schema later on: the default of a field was edited."""

    num_wheels: int = setting(3, text="wheels", first_release=4)


class CarWithNewField(Car):
    """The same schema later on: a field was added."""

    roof: str = setting("steel", text="what is above")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "num_wheel": 3}, "num_wheel: no such setting; did you mean 'num_wheels'?"),
        (
            {"name": "a", "engine": {"powr": 3}},
            "engine.powr: no such setting; did you mean 'power'?",
        ),
        ({}, "name: a value is required (what it is called); give name=VALUE"),
        ({"name": "a", "num_wheels": "four"}, "num_wheels = 'four': expected a whole number"),
        ({"name": "a", "num_wheels": 4.5}, "num_wheels = 4.5: expected a whole number"),
        ({"name": "a", "num_wheels": True}, "num_wheels = true: expected a whole number"),
        ({"name": "a", "engine": {"power": True}}, "engine.power = true: expected a number"),
        ({"name": "a", "engine": {"power": -1}}, "engine.power = -1: expected greater than 0"),
        ({"name": "a", "engine": {"kind": "steam"}}, "engine.kind = 'steam': expected 'engine'"),
        ({"name": "a", "engine": 3}, "engine = 3: expected settings by name"),
        ({"name": 5}, "name = 5: expected a text"),
        ({"name": "a", "engine": {"power": 101}}, "engine.power = 101.0: more than 100; give less"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_says_where_and_what(values, message):
    with pytest.raises(SettingsError) as caught:
        Car.parse(values)
    assert str(caught.value) == message


def test_messages_begin_with_the_section_they_are_about():
    with pytest.raises(SettingsError, match=r"^car\.engine\.powr: no such setting"):
        Car.parse({"name": "a", "engine": {"powr": 3}}, where="car")
    with pytest.raises(SettingsError, match=r"^engine\.power = 101\.0"):
        Engine.parse({"power": 101}, where="engine")


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(SettingsError, match=r"engine\.power"):
        Car.parse({"name": "a", "engine": {"power": math.nan}})


def test_a_whole_number_becomes_a_float_where_one_is_asked_for():
    assert isinstance(Engine.parse({"power": 2}).power, float)


def test_settings_cannot_be_changed_in_place_and_a_copy_is_checked_again():
    car = Car(name="a")
    with pytest.raises(ValueError, match="frozen"):
        car.name = "b"
    assert car.replace(num_wheels=3).num_wheels == 3
    assert car.num_wheels == 4
    with pytest.raises(SettingsError, match="num_wheels"):
        car.replace(num_wheels="three")


def test_plain_values_hold_every_default_and_give_the_same_settings_back():
    car = Car(name="a", engine=Engine(gears=(1, 2, 3)))
    plain = json.loads(json.dumps(car.plain()))
    assert plain["engine"] == {"kind": "engine", "power": 1.0, "gears": [1, 2, 3]}
    assert Car.parse(plain) == car


def test_identity_leaves_out_budget_machine_and_defaults_but_keeps_what_was_chosen():
    assert identity_values(Car(name="a", limit=50.0, garage="away")) == {"name": "a"}
    assert identity_values(Car(name="a", engine=Engine(power=2.0))) == {
        "name": "a",
        "engine": {"kind": "engine", "power": 2.0},
    }


def test_a_required_value_is_always_part_of_identity():
    assert identity_values(Car(name=""))["name"] == ""


def test_an_edited_default_gives_another_identity_and_the_old_value_the_old_one():
    """covers: B3 (partly)"""
    before = identity_values(Car(name="a"))
    assert identity_values(CarWithEditedDefault(name="a")) != before
    assert identity_values(CarWithEditedDefault(name="a", num_wheels=4)) == before


def test_a_new_field_with_its_default_leaves_identities_as_they_were():
    assert identity_values(CarWithNewField(name="a")) == identity_values(Car(name="a"))
    assert identity_values(CarWithNewField(name="a", roof="glass")) != identity_values(Car(name="a"))


def test_minus_zero_is_zero_and_orders_of_keys_do_not_count():
    class Point(Settings):
        """A point."""

        x: float = setting(1.0, text="place")

    assert canonical_json(identity_values(Point(x=-0.0))) == canonical_json(identity_values(Point(x=0.0)))
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"x": math.nan})


def test_every_single_value_is_listed_with_its_unit_and_kind():
    found = {leaf.name: leaf for leaf in leaves(Car(name="a", limit=50.0))}
    assert list(found) == [
        "name",
        "engine.kind",
        "engine.power",
        "engine.gears",
        "num_wheels",
        "limit",
        "garage",
    ]
    assert found["limit"][1:] == (50.0, "speed limit", "km/h", "budget")
    assert found["engine.gears"].value == [1, 2]
    assert found["garage"].kind == "machine"
