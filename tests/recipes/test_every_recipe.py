"""Every recipe is a whole configuration that says truly what it is."""

import inspect
import re
from functools import cache

import pytest
import torch

from etude.config import RunConfig
from etude.models import build_model
from etude.optim_settings import noam_peak_lr
from etude.recipes import RECIPES, recipe
from etude.runs.identity import run_id
from etude.tokens import tokenizer_of


@pytest.fixture(params=sorted(RECIPES))
def name(request):
    return request.param


def test_it_says_in_one_line_what_it_is_for(name):
    line = (inspect.getdoc(RECIPES[name]) or "").splitlines()[0]
    assert line.endswith(".")
    assert len(line) < 110


def test_it_is_a_configuration_of_its_own_and_always_the_same(name):
    assert isinstance(recipe(name), RunConfig)
    assert recipe(name) == recipe(name)
    ids = {run_id(recipe(other), "corpus", "tokenizer") for other in RECIPES}
    assert len(ids) == len(RECIPES)


def test_it_has_the_number_of_parameters_that_it_says(name):
    said = re.match(r"([\d.]+) million parameters", inspect.getdoc(RECIPES[name]))
    assert f"{num_weights(name) / 1e6:.1f}" == said.group(1)


@pytest.mark.parametrize(("name", "published"), [("aria-medium", 658_538_496), ("aria-large", 1_146_486_784)])
def test_a_published_size_is_met_to_the_weight(name, published):
    assert num_weights(name) == published


@cache
def num_weights(name: str) -> int:
    """Count the weights of a recipe's model with its tokenizer's vocabulary; none is made."""
    config = recipe(name)
    with torch.device("meta"):
        model = build_model(config.model, tokenizer_of(config.data.tokenizer).vocab_size)
    return sum(weight.numel() for weight in model.parameters())


def test_the_paper_recipe_trains_by_the_rule_of_the_paper():
    """covers: MT-9 (partly)"""
    config = recipe("music-transformer-paper")
    assert (config.optim.kind, config.optim.betas, config.optim.schedule) == ("adam", (0.9, 0.98), "noam")
    assert config.optim.peak_lr == noam_peak_lr(config.model.model_dim, config.optim.warmup_steps)
    assert (config.model.num_layers, config.model.model_dim, config.model.num_heads) == (6, 512, 8)
    assert (config.model.ff_dim, config.model.ctx_len, config.model.dropout) == (1024, 2048, 0.1)
    assert config.optim.clip_norm is None
