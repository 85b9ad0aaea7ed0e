"""Blocks that run again for the backward pass give the same bits in less memory."""

import json
from pathlib import Path

import pytest
import torch

from etude.cli.__main__ import main
from etude.errors import SettingsError
from etude.models.decoder import Decoder
from etude.models.recompute import recompute_activations
from etude.models.settings import DecoderSettings

SMALL = {"num_layers": 4, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 32, "dropout": 0.3}


def trained(positions: str, *, recompute: bool) -> tuple[torch.Tensor, list[torch.Tensor], int]:
    """Return loss, gradients and the bytes that the forward pass kept."""
    torch.manual_seed(0)
    model = Decoder(DecoderSettings(**SMALL, positions=positions), 30)
    if recompute:
        recompute_activations(model)
    ids_BT = torch.randint(0, 30, (4, 33))
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:], segments_BT=(ids_BT == 0).cumsum(1)[:, :-1])
    nats.backward()
    return nats, [weight.grad for weight in model.parameters()], sum(kept.values())


@pytest.mark.parametrize("positions", ["rope", "relative"])
def test_losses_and_gradients_keep_their_bits_dropout_and_all(positions):
    (nats, grads, kept), (again, grads_again, kept_again) = (trained(positions, recompute=way) for way in (False, True))
    assert torch.equal(nats, again)
    assert all(torch.equal(mine, other) for mine, other in zip(grads, grads_again, strict=True))
    assert kept_again < kept / 3


def test_a_run_keeps_its_id_and_its_losses(tmp_path, monkeypatch, capsys):
    losses, ids = [], []
    for way in ("false", "true"):
        monkeypatch.setenv("ETUDE_RUNS", str(tmp_path / way))
        small = ["model=toy", "train=toy", "train.num_steps=2", "train.batch_tokens=256", "train.sample_takes=0"]
        argv = ["train", "music-transformer-small", *small, "train.eval_pieces=1", "train.log_every_steps=1"]
        assert main([*argv, f"train.recompute_activations={way}", "--json"]) == 0
        run = json.loads(capsys.readouterr().out)
        ids.append(run["run"])
        records = [json.loads(line) for line in (Path(run["path"]) / "metrics.jsonl").read_text().splitlines()]
        losses.append([record["loss"] for record in records if "loss" in record] + [run["valid"]])
    assert ids[0] == ids[1]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3


def test_a_model_that_cannot_do_it_is_refused_by_name():
    model = torch.nn.Linear(2, 2)
    model.settings = None
    with pytest.raises(SettingsError, match="kind Linear cannot do this"):
        recompute_activations(model)
