"""A sliding window in blocks against one mask over everything."""

import pytest
import torch

from etude.models import attention as module
from etude.models.decoder import Decoder
from etude.models.settings import DecoderSettings


def inputs(num_tokens: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(num_tokens)
    drawn = [torch.randn(2, 3, num_tokens, 8, generator=generator) for _ in range(3)]
    # queries as the input projection gives them, with heads inside tokens
    drawn[0] = drawn[0].transpose(1, 2).contiguous().transpose(1, 2)
    return [x.requires_grad_() for x in drawn]


@pytest.mark.parametrize(("num_tokens", "window"), [(5, 9), (16, 16), (17, 16), (61, 16), (61, 20), (61, 3), (64, 1)])
def test_a_window_in_blocks_equals_one_mask_over_everything(monkeypatch, num_tokens, window):
    monkeypatch.setattr(module, "_BLOCK", 16)
    given = inputs(num_tokens)
    ours = module._attention_in_blocks(*given, window=window)
    plain = module._plain_attention(*given, window=window)
    torch.testing.assert_close(ours, plain)
    assert ours.transpose(1, 2).is_contiguous()
    grad = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    ours, plain = (torch.autograd.grad(out, given, grad) for out in (ours, plain))
    for mine, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", ["relative", "rope", "learned", "sinusoidal"])
def test_a_window_below_ctx_len_is_how_far_one_block_sees(positions):
    torch.manual_seed(0)
    settings = {"num_layers": 1, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 32, "attention_window": 6}
    model = Decoder(DecoderSettings(**settings, positions=positions), 40).eval()
    ids_BT = torch.arange(32)[None]
    other_BT = ids_BT.clone()
    other_BT[0, 3] = 39
    differs_T = (model(ids_BT) - model(other_BT)).abs().amax(dim=(0, 2))
    assert differs_T[3:9].min() > 0
    assert differs_T[9:].max() == 0
    assert differs_T[:3].max() == 0
