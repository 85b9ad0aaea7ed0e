"""The configuration that fits a model and a small corpus."""

from pathlib import Path

import pytest
from small_runs import tune

from etude.data.prepare import prepare
from etude.errors import SettingsError
from etude.models.settings import DecoderSettings
from etude.music.midi import write_midi
from etude.recipes import finetuning as made
from etude.recipes.finetuning import EPOCHS, STEPS, finetuning, with_conditions
from etude.tokens.performance import PerformanceSettings

MODEL = DecoderSettings(num_layers=1, model_dim=16, num_heads=2, ff_dim=32, ctx_len=32, tied=True, dropout=0.2)
PLAIN = PerformanceSettings()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Ten tunes with a composer each, one of them without."""
    from etude.data.corpus import Corpus

    folder = tmp_path_factory.mktemp("corpus")
    (folder / "midi").mkdir()
    for number in range(10):
        write_midi(tune(number), folder / "midi" / f"{number}.mid")
    rows = "".join(f"{number}.mid,{'Ann' if number % 3 else 'Bob'}\n" for number in range(9))
    (folder / "midi" / "labels.csv").write_text("path,composer\n" + rows)
    prepare(folder / "midi", folder / "corpus", workers=1)
    return Corpus.open(folder / "corpus")


def test_it_ends_on_held_out_pieces_and_varies_the_others(corpus):
    """covers: star-40 (partly)"""
    config = finetuning(MODEL, PLAIN, corpus, start="base")
    assert config.train.patience is not None
    assert config.train.num_steps == config.optim.schedule_steps >= STEPS[0]
    assert config.train.num_steps > config.train.patience * config.train.eval_every_steps
    assert config.data.transpose_semitones > 0
    assert config.data.augment.tempo_percent > 0
    assert config.model == MODEL, "a dropout that is there stays, and so does everything else"
    assert config.start.model == "base"


def test_blocks_drop_something_where_the_base_did_not(corpus):
    plain = MODEL.replace(dropout=0.0)
    assert finetuning(plain, PLAIN, corpus, start="base").model.dropout > 0
    assert finetuning(plain, PLAIN, corpus, start="base", trains="head").model.dropout == 0


@pytest.mark.parametrize("trains", ["head", "last_block"])
def test_a_head_that_is_trained_alone_is_none_of_the_embeddings(corpus, trains):
    assert not finetuning(MODEL, PLAIN, corpus, start="base", trains=trains).model.tied


def test_more_music_is_gone_through_as_often_in_more_steps(corpus, monkeypatch):
    monkeypatch.setattr("etude.recipes.finetuning.STEPS", (1, 10**9))
    monkeypatch.setattr("etude.recipes.finetuning._BATCH_TOKENS", 64)
    from etude.data.tokenize import tokenize
    from etude.tokens import tokenizer_of

    shards = tokenize(corpus, tokenizer_of(PLAIN))
    tokens = shards.lengths[shards.split_rows("train")].sum()
    assert finetuning(MODEL, PLAIN, corpus, start="base").train.num_steps == EPOCHS * tokens // 64


def test_conditions_are_the_values_of_a_label_or_thirds_of_something_measured(corpus):
    settings = with_conditions(PLAIN, corpus, ["composer", "note_density"])
    composer, density = settings.attributes
    assert settings.base == PLAIN
    assert set(composer.values) == {"Ann", "Bob"}
    assert len(density.thresholds) == 2
    assert with_conditions(PLAIN, corpus, []) == PLAIN


def test_what_is_no_label_and_cannot_be_measured_is_refused(corpus):
    with pytest.raises(SettingsError, match="neither a label of the pieces nor measured; did you mean 'composer'"):
        with_conditions(PLAIN, corpus, ["compser"])
    with pytest.raises(SettingsError, match="has conditions already"):
        with_conditions(with_conditions(PLAIN, corpus, ["composer"]), corpus, ["composer"])


def test_the_page_on_finetuning_tells_these_numbers():
    page = (Path(__file__).parents[2] / "docs" / "finetuning.md").read_text()
    rows = dict(line.split(" | ")[:2] for line in page.splitlines() if line.startswith("| `"))
    wanted = {
        "| `train.num_steps`": f"{EPOCHS} times through the music, at least {STEPS[0]} steps and at most {STEPS[1]:,}",
        "| `train.patience`": f"{made.PATIENCE} evaluations of {made.EVALUATIONS}",
        "| `data.transpose_semitones`": str(made.TRANSPOSE_SEMITONES),
        "| `data.augment.tempo_percent`": f"{made.TEMPO_PERCENT:g}",
        "| `data.augment.velocity_steps`": str(made.VELOCITY_STEPS),
        "| `model.dropout`": f"{made.DROPOUT} at least",
    }
    rates = {name: f"{rate:.0e}".replace("e-0", "e-") for name, rate in made.PEAK_LR.items()}
    wanted["| `optim.peak_lr`"] = f"{rates['all']}; adapters {rates['lora']}; head or last block {rates['head']}"
    assert made.PEAK_LR["head"] == made.PEAK_LR["last_block"]
    assert {name: rows[name] for name in wanted} == wanted
