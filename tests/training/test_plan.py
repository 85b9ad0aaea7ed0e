"""What a training is said to take, and how many rows go through the model at once."""

import torch

from etude.config import RunConfig
from etude.models.settings import DecoderSettings
from etude.models.sizes import step_memory
from etude.training import micro_batch, probe
from etude.training.memory import kept_memory
from etude.training.micro_batch import rows_at_once
from etude.training.probe import probed_step_seconds
from etude.training.settings import TrainSettings

CPU = torch.device("cpu")
MODEL = DecoderSettings(num_layers=3, model_dim=32, num_heads=2, ff_dim=64, ctx_len=32)


def config_of(**train) -> RunConfig:
    return RunConfig(model=MODEL, train=TrainSettings(batch_tokens=12 * 32, **train))


def test_the_whole_batch_goes_at_once_while_it_is_small(monkeypatch):
    assert rows_at_once(config_of(), 100, 12, CPU, "float32") == 12


def test_a_larger_batch_is_divided_evenly_below_the_limit(monkeypatch):
    parts = step_memory(MODEL, 100, 1, "float32")
    monkeypatch.setattr(micro_batch, "CPU_BYTES", 5.5 * (parts["activations"] + parts["work"]))
    assert rows_at_once(config_of(), 100, 12, CPU, "float32") == 4
    assert rows_at_once(config_of(), 100, 7, CPU, "float32") == 1
    assert rows_at_once(config_of(micro_batch_tokens=6 * 32), 100, 12, CPU, "float32") == 6


def test_an_accelerator_is_filled_with_what_weights_and_moments_leave(monkeypatch):
    parts = step_memory(MODEL, 100, 1, "bfloat16")
    row = parts.pop("activations") + parts.pop("work")
    monkeypatch.setattr(micro_batch, "_free_bytes", lambda device: (sum(parts.values()) + 3.2 * row) / 0.8)
    assert rows_at_once(config_of(), 100, 12, CPU, "bfloat16") == 3
    # two devices that share them out have room for more
    assert rows_at_once(config_of(), 100, 12, CPU, "bfloat16", num_shards=2) > 3
    monkeypatch.setattr(micro_batch, "_free_bytes", lambda device: 0)
    assert rows_at_once(config_of(), 100, 12, CPU, "bfloat16") == 1


def test_a_probe_is_stretched_to_the_layers_and_the_micro_batches_of_a_step(monkeypatch):
    """covers: B38 (partly)"""
    asked = []

    def made(config, vocab_size, rows, device, precision):
        asked.append((config.model.num_layers, rows))
        layers = config.model.num_layers
        return (2.0 + 3.0 * layers, 0.5 + 0.25 * layers)

    monkeypatch.setattr(probe, "_probe", made)
    monkeypatch.setattr(probe, "_seconds", lambda work, device: work)
    monkeypatch.setattr(probe, "_CPU_TOKENS", 2 * 32)
    # three layers, 3 micro-batches of 4 rows, of which the probe does 2: 6 * (2 + 9) and one update
    assert probed_step_seconds(config_of(), 100, 4, 3, CPU, "float32") == 6 * 11.0 + 1.25
    assert asked == [(1, 2), (2, 2)]


def test_a_probe_is_two_small_models_and_draws_nothing():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert probed_step_seconds(config_of(), 100, 2, 6, CPU, "bfloat16") > 0
    assert torch.equal(torch.rand(1), expected)


def test_memory_is_kept_within_the_block_alone(monkeypatch):
    asked = []

    class Libc:
        def mallopt(self, name, value):
            asked.append((name, value))

        def malloc_trim(self, rest):
            asked.append("trim")

    monkeypatch.setattr("etude.training.memory._glibc", Libc)
    with kept_memory(False):
        assert asked == []
    with kept_memory():
        assert all(value >= 2**30 for _, value in asked)
        inside = len(asked)
    assert [value for _, value in asked[inside:-1]] == [2**17, 2**17]
    assert asked[-1] == "trim"
    monkeypatch.setattr("etude.training.memory._glibc", lambda: None)
    with kept_memory():
        pass


def test_the_real_allocator_takes_it():
    with kept_memory():
        assert torch.ones(1000).sum() == 1000
