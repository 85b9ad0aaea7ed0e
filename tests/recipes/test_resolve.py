"""What is typed becomes a configuration: presets first, then values; what is not known is refused by name."""

import sys
import types

import pytest

from etude.errors import SettingsError
from etude.recipes import PRESETS, RECIPES, recipe, resolve
from etude.recipes.resolve import parse_value
from etude.settings import leaves


def values(name, *typed, **options):
    return {leaf.name: leaf.value for leaf in leaves(resolve(name, list(typed), **options))}


def test_single_values_reach_their_place_and_nothing_else_changes():
    before, after = values("llama-tiny"), values("llama-tiny", "optim.peak_lr=1e-4", "label=b")
    assert {name for name in before if before[name] != after[name]} == {"optim.peak_lr", "label"}
    assert after["optim.peak_lr"] == 1e-4


@pytest.mark.parametrize(("section", "preset"), [(s, p) for s in PRESETS for p in PRESETS[s]])
def test_a_preset_changes_exactly_its_values(section, preset):
    """covers: K8 (partly)"""
    before, after = values("music-transformer-paper"), values("music-transformer-paper", f"{section}={preset}")
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {f"{section}.{name}" for name in PRESETS[section][preset]}
    assert {after[f"{section}.{name}"] == value for name, value in PRESETS[section][preset].items()} == {True}


def test_presets_apply_first_whatever_the_order_typed():
    one = values("llama-tiny", "model.model_dim=64", "model=small")
    other = values("llama-tiny", "model=small", "model.model_dim=64")
    assert one == other
    assert (one["model.model_dim"], one["model.num_layers"]) == (64, 6)


def test_of_one_value_typed_twice_the_last_counts():
    assert values("llama-tiny", "train.seed=1", "train.seed=2")["train.seed"] == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2", -2),
        ("10_000", 10_000),
        ("010", 10),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("no", "no"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", ""),
        ("'null'", "null"),
        ("[0.9, 0.98]", [0.9, 0.98]),
        ("C:/data", "C:/data"),
        ("a=b", "a=b"),
    ],
)
def test_values_are_yaml_without_its_surprises(text, value):
    found = parse_value(text, where="x")
    assert found == value
    assert type(found) is type(value)


def test_what_is_typed_for_a_text_is_text():
    assert values("llama-tiny", "label=2")["label"] == "2"
    assert values("llama-tiny", "label=true")["label"] == "true"
    assert values("llama-tiny", "data.corpus=2024")["data.corpus"] == "2024"
    assert values("llama-tiny", "label=")["label"] == ""


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("train.num_step=5", "train.num_step: no such setting; did you mean 'num_steps'?"),
        ("trian.num_steps=5", "trian: no such setting; did you mean 'train'?"),
        ("model.kind=decoder2", "model.kind = 'decoder2': no such kind; did you mean 'decoder'?"),
        ("model=smal", "model = 'smal': no such preset; did you mean 'small'?"),
        ("model=5", "model = 5: no such preset; there are: large, medium, small, tiny, toy"),
        ("task=next_tokn", "task.kind = 'next_tokn': no such kind; did you mean 'next_token'?"),
        ("task=5", "task = 5: there are no presets for task; write task.name=value"),
        ("data.tokenizer=perform", "data.tokenizer.kind = 'perform': no such kind"),
        ("train.seed.x=5", "train.seed.x: train.seed is one value and has no settings of its own"),
        ("train.seed=[", "train.seed = '[': not a YAML value; put quotes around it"),
        ("train.num_steps=ten", "train.num_steps = 'ten': expected a whole number"),
        ("train", "'train': expected section=preset or section.name=value"),
        ("=5", "'=5': expected section=preset or section.name=value"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(typed, message):
    """covers: B37, K8 (partly)"""
    with pytest.raises(SettingsError) as caught:
        resolve("llama-tiny", [typed])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(SettingsError, match="'llama-tine': no such recipe; did you mean 'llama-tiny'"):
        recipe("llama-tine")


def test_a_flat_yaml_file_lies_below_what_is_typed(tmp_path):
    """covers: AP-23 (partly)"""
    path = tmp_path / "mine.yaml"
    path.write_text("model: small\noptim.peak_lr: 1e-4\ntrain.seed: 5\noptim.betas: [0.9, 0.99]\n")
    found = values("llama-tiny", "train.seed=6", config_yaml=path)
    assert (found["train.seed"], found["optim.peak_lr"], found["model.model_dim"]) == (6, 1e-4, 256)
    assert found["optim.betas"] == [0.9, 0.99]
    assert values("llama-tiny", "model=tiny", config_yaml=path)["model.model_dim"] == 128


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  seed: 5\n", "settings are written flat; write train.seed: 5"),
        ("train.sed: 5\n", "train.sed: no such setting; did you mean 'seed'?"),
        ("- a\n", "expected lines of the form section.name: value"),
        ("a: [\n", "not YAML"),
        ("train.seed: five\n", "train.seed = 'five': expected a whole number"),
        ("!!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, text, message):
    """covers: AP-23 (partly)"""
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        resolve("llama-tiny", [], path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_changes_nothing_and_a_missing_one_is_refused(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert resolve("llama-tiny", [], tmp_path / "empty.yaml") == recipe("llama-tiny")
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        resolve("llama-tiny", [], tmp_path / "missing.yaml")


@pytest.fixture
def their_module(monkeypatch):
    """Somebody's own module with a tokenizer and a recipe, not a part of Etude."""
    code = """
from etude.recipes import llama
from etude.settings import Settings, setting

class KazooSettings(Settings):
    kind: str = setting("theirs:Kazoo", text="which tokenizer")
    buzz: int = setting(3, text="how loud")

class Kazoo:
    settings_class = KazooSettings

def mine():
    return llama.tiny().replace(label="mine")
"""
    module = types.ModuleType("theirs")
    monkeypatch.setitem(sys.modules, "theirs", module)
    exec(compile(code, "theirs.py", "exec"), module.__dict__)
    return module


def test_somebodys_own_kind_works_wherever_a_name_does(their_module):
    for typed in (["data.tokenizer=theirs:Kazoo"], ["data.tokenizer.kind=theirs:Kazoo"]):
        tokenizer = resolve("llama-tiny", [*typed, "data.tokenizer.buzz=5"]).data.tokenizer
        assert tokenizer == their_module.KazooSettings(buzz=5)
    reordered = resolve("llama-tiny", ["data.tokenizer.buzz=5", "data.tokenizer=theirs:Kazoo"])
    assert reordered.data.tokenizer == tokenizer
    with pytest.raises(SettingsError, match=r"data\.tokenizer\.buz: no such setting; did you mean 'buzz'"):
        resolve("llama-tiny", ["data.tokenizer=theirs:Kazoo", "data.tokenizer.buz=5"])


def test_naming_the_kind_that_is_there_keeps_its_values():
    kept = values("llama-tiny", "data.tokenizer=performance", "model.kind=decoder", "data.tokenizer.pedal=ignore")
    assert kept == values("llama-tiny", "data.tokenizer.pedal=ignore")


def test_somebodys_own_recipe_is_named_by_its_place(their_module):
    assert resolve("theirs:mine", ["train.seed=4"]).label == "mine"
    for name, message in (("theirs:yours", "no function 'yours'"), ("nowhere:mine", "No module named")):
        with pytest.raises(SettingsError, match=message):
            recipe(name)


def test_what_a_recipe_shows_is_what_config_reads(tmp_path, capsys):
    from etude.cli.recipes import run

    for name in RECIPES:
        run(name, as_json=False)
        path = tmp_path / "shown.yaml"
        path.write_text(capsys.readouterr().out)
        assert resolve("llama-small", [], path) == recipe(name)


def test_a_setting_that_is_a_table_can_be_set_and_shown_and_emptied(tmp_path):
    config = resolve("musecoco-std", ['data.tokenizer.replaced={"o-96": "HIST"}'])
    assert config.data.tokenizer.replaced == {"o-96": "HIST"}
    path = tmp_path / "table.yaml"
    path.write_text("data.tokenizer.replaced.o-96: HIST\n")
    assert resolve("musecoco-std", [], path) == config
    path.write_text("data.tokenizer.replaced: {}\n")
    assert resolve("musecoco-std", [], path) == resolve("musecoco-std")
