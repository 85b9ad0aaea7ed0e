"""Blocks under torch.compile: one graph each, and the numbers of the code as it is written."""

import pytest
import torch

from etude.models import attention, decoder
from etude.models.decoder import Decoder
from etude.models.settings import DecoderSettings

# the compiler itself looks at gradients that are not there
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")

SMALL = {"num_layers": 1, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 24}


@pytest.mark.parametrize(
    "changes",
    [{}, {"num_kv_heads": 2, "attention_window": 9, "biases": True, "rope_pairing": "interleaved"}],
    ids=["plain", "grouped, in a window"],
)
def test_a_block_is_one_graph_with_segments_as_accelerators_take_them(monkeypatch, changes):
    for module in (attention, decoder):
        monkeypatch.setattr(module, "one_segment_at_a_time", lambda x: False)
    torch.manual_seed(0)
    model = Decoder(DecoderSettings(**SMALL | changes), 30)
    ids_BT = torch.randint(0, 30, (2, 25))
    segments_BT = (ids_BT == ids_BT[0, 9]).cumsum(1)[:, :-1]

    def step() -> list[torch.Tensor]:
        nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:], segments_BT=segments_BT)
        return [nats, *torch.autograd.grad(nats, list(model.parameters()))]

    expected = step()
    for block in model.blocks:
        block.compile(backend="eager", fullgraph=True)  # a break in the graph raises; no compiler is needed
    for mine, plain in zip(step(), expected, strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-5, rtol=1e-4)


def test_relative_attention_is_left_to_itself():
    torch.manual_seed(0)
    model = Decoder(DecoderSettings(**SMALL, positions="relative"), 30).eval()
    ids_BT = torch.randint(0, 30, (2, 25))
    expected = model(ids_BT)
    model.blocks[0].compile(backend="eager")
    torch.testing.assert_close(model(ids_BT), expected)
