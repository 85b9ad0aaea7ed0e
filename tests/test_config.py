"""RunConfig: every section is checked, and the id of a run depends on what is meant, not on what was typed."""

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from etude.config import RunConfig
from etude.errors import SettingsError
from etude.optim_settings import OptimSettings, noam_peak_lr
from etude.recipes import PRESETS, RECIPES, recipe, resolve
from etude.runs.identity import differences, run_id
from etude.settings import Settings, identity_values, leaves, setting

CORPUS, TOKENIZER = "c0ffee00c0ffee00", "70ce70ce70ce70ce"
TYPED = ["model=small", "optim.peak_lr=3e-4", "train.seed=7", "data.transpose_semitones=2"]


def id_of(*args, name="llama-tiny", corpus=CORPUS, tokenizer=TOKENIZER):
    return run_id(resolve(name, list(args)), corpus, tokenizer)


def test_an_id_is_sixteen_hex_digits_and_pinned():
    config = RunConfig.parse({"model": {"num_layers": 2, "ctx_len": 512}})
    assert run_id(config, "a", "b") == "eee477984af7a38b"


def test_the_order_of_what_was_typed_does_not_count():
    """covers: B1"""
    assert len({id_of(*order) for order in itertools.permutations(TYPED)}) == 1


def test_equal_forms_of_a_number_give_one_id():
    """covers: B1"""
    forms = ["1", "1.0", "1e0", "+1", "1E0", "01"]
    assert len({id_of(f"optim.peak_lr={form}") for form in forms}) == 1


@pytest.mark.parametrize("name", ["optim.peak_lr", "train.seed"])
def test_a_truth_value_is_no_number(name):
    """covers: B1"""
    with pytest.raises(SettingsError, match=f"^{name} = true: expected a "):
        id_of(f"{name}=true")


def test_a_default_that_is_typed_is_still_the_default():
    """covers: B2"""
    listed = [f"{leaf.name}={'null' if leaf.value is None else leaf.value}" for leaf in leaves(recipe("llama-tiny"))]
    assert id_of(*listed) == id_of()


@pytest.mark.parametrize(("section", "preset"), [(s, p) for s in PRESETS for p in PRESETS[s]])
def test_a_preset_is_the_same_as_its_values(section, preset):
    """covers: B2"""
    typed = [f"{section}.{name}={value}" for name, value in PRESETS[section][preset].items()]
    assert id_of(f"{section}={preset}") == id_of(*typed)


@pytest.mark.parametrize("typed", ["train.num_steps=7", "train.max_minutes=1"])
def test_a_budget_is_no_part_of_identity(typed):
    """covers: B5 (partly)"""
    assert id_of(typed) == id_of()


def machine_settings():
    return [leaf.name for leaf in leaves(recipe("llama-tiny")) if leaf.kind == "machine"]


def test_the_machine_settings_are_the_ones_that_do_not_change_results():
    assert machine_settings() == [
        "data.corpus",
        "train.micro_batch_tokens",
        "train.recompute_activations",
        "train.compile",
        "train.prefetch_batches",
        "train.checkpoint_every_steps",
        "train.checkpoint_every_minutes",
        "train.keep_checkpoints",
        "train.log_every_steps",
        "train.sample_takes",
        "train.sample_every_steps",
        "train.alarms",
        "train.stuck_after_sec",
        "train.profile",
        "train.show_syncs",
        "train.device",
        "train.shard",
        "train.rank_timeout_minutes",
        "start.model",
    ]


@pytest.mark.parametrize("name", machine_settings())
def test_where_and_how_it_runs_is_no_part_of_identity(name):
    """covers: K6"""
    [value] = [leaf.value for leaf in leaves(recipe("llama-tiny")) if leaf.name == name]
    other = str(not value).lower() if isinstance(value, bool) else "elsewhere" if isinstance(value, str) else 3
    other = {"start.model": "elsewhere", "train.shard": "shard"}.get(name, other)
    assert id_of(f"{name}={other}") == id_of()


OTHER_VALUES = {
    "label": "again",
    "model.num_layers": 3,
    "model.ctx_len": 128,
    "data.transpose_semitones": 5,
    "data.tokenizer.pedal": "ignore",
    "optim.kind": "adam",
    "optim.betas": [0.9, 0.99],
    "optim.clip_norm": "null",
    "optim.schedule_steps": 999,
    "train.batch_tokens": 8192,
    "train.seed": 1,
    "train.precision": "float32",
    "train.made_data": "true",
    "data.separate_pieces": "true",
    "optim.embedding_lr_factor": 0.5,
    "train.eval_every_steps": 99,
}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_everything_else_is_part_of_identity(name):
    """covers: K6, K7"""
    assert id_of(f"{name}={OTHER_VALUES[name]}") != id_of()


def test_the_data_and_the_tokenizer_are_part_of_identity():
    """covers: B6"""
    assert len({id_of(), id_of(corpus="other"), id_of(tokenizer="other")}) == 3


def test_thousands_of_configurations_have_thousands_of_ids():
    """covers: B4"""
    config, ids = recipe("llama-tiny"), set()
    for seed in range(5000):
        ids.add(run_id(config.replace(train=config.train.replace(seed=seed)), CORPUS, TOKENIZER))
    assert len(ids) == 5000


def test_the_id_is_the_same_in_another_process_and_another_folder(tmp_path):
    """covers: K1"""
    code = (
        "from etude.recipes import resolve; from etude.runs.identity import run_id;"
        f"print(run_id(resolve('llama-tiny', {TYPED!r}), {CORPUS!r}, {TOKENIZER!r}))"
    )
    elsewhere = {**os.environ, "PYTHONHASHSEED": "12345", "ETUDE_RUNS": str(tmp_path), "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=elsewhere, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == id_of(*TYPED)


def test_differences_are_named_with_their_kind():
    before, now = recipe("llama-tiny"), resolve("llama-tiny", ["model.num_layers=5", "train.num_steps=9"])
    found = differences(before.plain(), now)
    assert [(one.name, one.kind, one.stored, one.current) for one in found] == [
        ("model.num_layers", "identity", 4, 5),
        ("train.num_steps", "budget", 1000, 9),
    ]
    assert str(found[0]) == "model.num_layers is 4 in the run and 5 now"


def test_a_setting_newer_than_the_run_counts_as_its_first_default():
    class Later(Settings):
        """Settings with a field that the stored run does not know."""

        old: int = setting(1, text="was there")
        new: int = setting(3, text="came later", first_release=2)

    assert [one.name for one in differences({"old": 1}, Later(new=2))] == []
    assert [one.name for one in differences({"old": 1}, Later())] == ["new"]
    assert [one.name for one in differences({"old": 1, "gone": 5}, Later(new=2))] == ["gone"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"kind": "decodr"}}, "model.kind = 'decodr': no such kind; did you mean 'decoder'?"),
        ({"model": {"num_layer": 3}}, "model.num_layer: no such setting; did you mean 'num_layers'?"),
        ({"model": {"model_dim": 130}}, "model.model_dim = 130: not a multiple of"),
        ({"model": {}, "train": {"num_step": 3}}, "train.num_step: no such setting; did you mean 'num_steps'?"),
        ({"model": {}, "trian": {}}, "trian: no such setting; did you mean 'train'?"),
        ({"model": {}, "task": "next_tokn"}, "task.kind = 'next_tokn': no such kind; did you mean 'next_token'?"),
        ({"model": {}, "data": {"tokenizer": "perform"}}, "data.tokenizer.kind = 'perform': no such kind"),
        (
            {"model": {"ctx_len": 512}, "train": {"batch_tokens": 1000}},
            "train.batch_tokens = 1000: not a multiple of model.ctx_len = 512; the nearest that fits is 1024",
        ),
        (
            {"model": {}, "optim": {"warmup_steps": 3000}},
            "optim.warmup_steps = 3000: not below optim.schedule_steps = 1000",
        ),
        ({"model": {}, "optim": {"schedule": "noam", "warmup_steps": 0}}, "optim.warmup_steps = 0: the noam"),
        ({}, "model: a value is required"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_would_fit(values, message):
    """covers: B37"""
    with pytest.raises(SettingsError) as caught:
        RunConfig.parse(values)
    assert str(caught.value).startswith(message)


def test_a_configuration_is_the_same_after_a_journey_through_json():
    for name in RECIPES:
        config = recipe(name)
        assert RunConfig.parse(config.plain()) == config
        assert identity_values(RunConfig.parse(config.plain())) == identity_values(config)


def test_the_noam_peak_is_the_one_of_the_paper():
    settings = OptimSettings(schedule="noam", peak_lr=noam_peak_lr(768, 4000), warmup_steps=4000)
    assert settings.peak_lr * 211 / settings.warmup_steps == pytest.approx(3.0096213e-05, rel=1e-7)


def test_the_table_in_the_docs_lists_every_setting_as_it_is():
    place = Path(__file__).resolve().parent.parent / "scripts" / "settings_table.py"
    spec = importlib.util.spec_from_file_location("settings_table", place)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.table_of_page() == script.table(), "run `python scripts/settings_table.py --write`"
