"""What every task promises, whichever it is."""

import json

import pytest
import torch
from small_runs import make_corpus, small_config

from etude.data.corpus import Corpus
from etude.models import build_model
from etude.optim import build_optimizer
from etude.tasks import TASKS, build_task
from etude.tokens import build_tokenizer

PERFORMANCE = build_tokenizer("performance")
DENSITY = {"name": "note_density", "thresholds": [4, 5]}
TOKENIZERS = {"controlled": build_tokenizer("control", attributes=[DENSITY])}
"""What a task needs another tokenizer for."""


@pytest.fixture(params=sorted(TASKS))
def parts(request, tmp_path):
    """A task, a model and its optimiser, on a small corpus."""
    config = small_config(make_corpus(tmp_path)).replace(task=request.param)
    tokenizer = TOKENIZERS.get(request.param, PERFORMANCE)
    torch.manual_seed(0)
    model = build_model(config.model, tokenizer.vocab_size)
    task = build_task(config, Corpus.open(tmp_path / "corpus"), tokenizer, say=lambda line: None)
    return task, model, build_optimizer(config.optim.replace(peak_lr=3e-3), model)


def test_the_loss_falls_in_thirty_steps(parts):
    task, model, optimizer = parts
    losses = []
    for step in range(30):
        loss = task.loss(model, task.train_batch(step))
        loss.nats.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.nats.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_a_batch_is_a_function_of_the_step(parts):
    task, _, _ = parts
    assert torch.equal(task.train_batch(5), task.train_batch(5))
    assert not torch.equal(task.train_batch(5), task.train_batch(6))


def test_evaluation_is_deterministic_and_counts_what_it_scores(parts):
    task, model, _ = parts
    model.eval()
    with torch.inference_mode():
        first, second = task.evaluate(model), task.evaluate(model)
    assert first == second
    assert 0 <= first["accuracy"] <= 1
    assert first["nats_per_note"] > first["nats_per_token"] > 0


def test_what_a_task_remembers_is_plain_json(parts):
    task, _, _ = parts
    values = task.state_dict()
    task.load_state_dict(json.loads(json.dumps(values)))
    assert task.state_dict() == values


class Oracle(torch.nn.Module):
    """A model that is certain of every target."""

    def __init__(self):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def score(self, ids_BT, targets_BT):
        return torch.zeros(targets_BT.shape), torch.ones(targets_BT.shape, dtype=torch.bool)


def test_a_perfect_prediction_scores_perfectly(parts):
    task, _, _ = parts
    found = task.evaluate(Oracle())
    assert found["nats_per_token"] == 0.0
    assert found["accuracy"] == 1.0
