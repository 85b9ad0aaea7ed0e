"""Takes and their recipes: the same bytes again."""

import json

import pytest
import torch

from etude.errors import ModelError, SettingsError
from etude.generate.prompt import read_prompt
from etude.generate.sample import Length, Sampling
from etude.generate.takes import next_number, read_recipe, replay
from etude.model_folder import load, save_model
from etude.models import build_model
from etude.models.settings import DecoderSettings
from etude.music.midi import midi_bytes, write_midi
from etude.music.score import Score
from etude.tokens import build_tokenizer

TOK = build_tokenizer("performance")


def save_random_model(folder, seed=0):
    torch.manual_seed(seed)
    sizes = {"num_layers": 1, "model_dim": 32, "num_heads": 2, "ff_dim": 64, "ctx_len": 64}
    return save_model(folder, build_model(DecoderSettings(**sizes), TOK.vocab_size), TOK, {"run": "none", "step": 0})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(save_random_model(tmp_path_factory.mktemp("model") / "m"))


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "song.mid"
    write_midi(Score.of([0, 480, 960, 1440], [480] * 4, [60, 62, 64, 65], [80] * 4), path)
    return path


def test_a_replayed_take_has_the_same_bytes(model, tmp_path):
    """covers: MT-14 (partly), star-53"""
    takes = model.generate(3, tokens=80, seed=4, sampling=Sampling(temperature=0.9, top_k=50))
    for place, take in enumerate(takes):
        midi_path, recipe_path = take.save(tmp_path, f"take-{place}")
        again, differences = replay(model.network, model.tokenizer, recipe_path, model=model.name)
        assert differences == []
        assert midi_bytes(again.score) == midi_path.read_bytes()
        assert again.recipe == take.recipe


def test_in_the_exact_mode_a_take_is_replayed_alone(model, tmp_path):
    take = model.generate(3, tokens=60, seed=4, exact=True)[2]
    midi_path, recipe_path = take.save(tmp_path, "take")
    assert read_recipe(recipe_path)[1].seeds == (6,)
    again, _ = replay(model.network, model.tokenizer, recipe_path, model=model.name)
    assert midi_bytes(again.score) == midi_path.read_bytes()


def test_a_replay_with_other_weights_is_refused(model, tmp_path):
    _, recipe_path = model.generate(tokens=20)[0].save(tmp_path, "take")
    other = load(save_random_model(tmp_path / "other", seed=1))
    with pytest.raises(ModelError, match="digest"):
        replay(other.network, other.tokenizer, recipe_path, model=other.name)


def test_a_recipe_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"schema": "else"}))
    with pytest.raises(SettingsError, match=r"x\.json: expected a take's recipe"):
        read_recipe(path)


@pytest.mark.parametrize("seconds", [3.0, 30.0])
def test_a_take_lasts_as_long_as_was_asked(model, seconds):
    """covers: MT-15"""
    for take in model.generate(2, seconds=seconds):
        assert take.score.duration_sec == pytest.approx(seconds, abs=1.0)


def test_a_take_with_a_prompt_begins_with_the_prompt_and_adds_the_seconds(model, song):
    """covers: MT-15"""
    prompt = read_prompt(song)
    take = model.generate(1, seconds=5.0, prompt=prompt)[0]
    assert take.score.duration_sec == pytest.approx(prompt.duration_sec + 5.0, abs=1.0)
    assert take.score.notes.pitch[:4].tolist() == [60, 62, 64, 65]


def test_a_prompt_is_cut_by_seconds_or_by_notes(song):
    """covers: MT-15"""
    assert read_prompt(song, seconds=1.2).notes.pitch.tolist() == [60, 62, 64]
    assert read_prompt(song, seconds=1.2).duration_sec == pytest.approx(1.2, abs=0.01)
    assert read_prompt(song, notes=2).notes.pitch.tolist() == [60, 62]


def test_a_prompt_without_notes_or_with_two_limits_is_refused(song, tmp_path):
    write_midi(Score.of(), tmp_path / "empty.mid")
    with pytest.raises(SettingsError, match="no note"):
        read_prompt(tmp_path / "empty.mid")
    with pytest.raises(SettingsError, match="give one of them"):
        read_prompt(song, seconds=1.0, notes=1)


def test_a_length_in_tokens_is_kept_to_the_token(model):
    take = model.generate(1, tokens=37)[0]
    assert take.recipe["length"] == {"seconds": None, "tokens": 37, "until_end": False}


def test_no_earlier_take_is_written_over(model, tmp_path):
    assert next_number(tmp_path) == 0
    model.generate(tokens=5)[0].save(tmp_path, "take-0009")
    (tmp_path / "take-notes.json").write_text("{}")
    assert next_number(tmp_path) == 10


def test_without_a_limit_a_take_fits_the_context():
    assert Length().max_tokens(64) == 64
