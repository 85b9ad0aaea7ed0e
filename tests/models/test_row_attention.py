"""Attention by rows in bfloat16 on a CPU: the numbers of torch's kernel, and gradients no worse than its own."""

import pytest
import torch
from torch.nn import functional as F

from etude.models import row_attention as by_rows
from etude.models.decoder import Decoder
from etude.models.positions import RotaryAngles, split_heads
from etude.models.row_attention import row_attention
from etude.models.settings import DecoderSettings

HEADS, WIDTH = 2, 16


def angles_of(num_tokens: int, *, interleaved: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    return RotaryAngles(WIDTH, 10_000.0, interleaved=interleaved)(num_tokens, torch.device("cpu"))


def attended(qkv: torch.Tensor, angles, *, interleaved: bool = False) -> torch.Tensor:
    """Return what torch's own attention finds."""
    q, k, v = split_heads(qkv, HEADS, angles, interleaved=interleaved)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0).transpose(1, 2).flatten(2)


def with_gradient(attend, qkv: torch.Tensor, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    qkv = qkv.clone().requires_grad_()
    out = attend(qkv)
    out.backward(grad.to(out.dtype))
    return out.detach(), qkv.grad


def distance(x: torch.Tensor, y: torch.Tensor) -> float:
    return float((x.double() - y.double()).norm() / y.double().norm())


@pytest.mark.parametrize(
    ("rows", "num_tokens", "turned", "interleaved"),
    [(3, 40, True, False), (2, 33, True, True), (1, 100, True, False), (2, 50, False, False), (1, 1, True, False)],
)
def test_gradients_are_as_near_to_float64_as_those_of_torchs_kernel(monkeypatch, rows, num_tokens, turned, interleaved):
    # blocks of 32 queries, and groups of one head
    monkeypatch.setattr(by_rows, "_BLOCK", 32)
    monkeypatch.setattr(by_rows, "_LOGITS_PER_GROUP", 32 * num_tokens)
    draw = torch.Generator().manual_seed(num_tokens)
    qkv = torch.randn(rows, num_tokens, 3 * HEADS * WIDTH, generator=draw).bfloat16()
    grad = torch.randn(rows, num_tokens, HEADS * WIDTH, generator=draw).bfloat16()
    angles = angles_of(num_tokens, interleaved=interleaved) if turned else None
    exact = with_gradient(lambda x: attended(x, angles, interleaved=interleaved), qkv.double(), grad)
    theirs = with_gradient(lambda x: attended(x, angles, interleaved=interleaved), qkv, grad)
    ours = with_gradient(lambda x: row_attention(x, HEADS, angles, interleaved=interleaved), qkv, grad)
    for place in (0, 1):
        assert distance(ours[place], exact[place]) <= 1.2 * distance(theirs[place], exact[place]) + 1e-3


def test_a_group_is_a_few_rows_or_a_few_heads_and_changes_no_bit(monkeypatch):
    draw = torch.Generator().manual_seed(1)
    qkv = torch.randn(5, 24, 3 * HEADS * WIDTH, generator=draw).bfloat16()
    grad = torch.randn(5, 24, HEADS * WIDTH, generator=draw).bfloat16()
    found = []
    for size in (1, 24 * 24 * HEADS * 2, 2**22):
        monkeypatch.setattr(by_rows, "_LOGITS_PER_GROUP", size)
        found.append(with_gradient(lambda x: row_attention(x, HEADS, angles_of(24)), qkv, grad))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("positions", ["rope", "learned"])
def test_training_in_bfloat16_goes_by_rows_and_learns_what_it_would(monkeypatch, positions):
    torch.manual_seed(0)
    settings = DecoderSettings(num_layers=2, model_dim=32, num_heads=2, ff_dim=64, ctx_len=48, positions=positions)
    model = Decoder(settings, 50)
    ids_BT = torch.randint(50, (3, 49))

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0].backward()
        return [weight.grad.clone() for weight in model.parameters()]

    ours = gradients()
    assert all(torch.equal(a, b) for a, b in zip(ours, gradients(), strict=True))
    calls = []
    monkeypatch.setattr("etude.models.attention.goes_by_rows", lambda qkv: calls.append(1))
    theirs = gradients()
    assert len(calls) == settings.num_layers
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0.1, atol=2e-3)


def test_float32_a_window_and_scoring_go_the_plain_way(monkeypatch):
    def refused(*args, **options):
        raise AssertionError("by rows")

    monkeypatch.setattr("etude.models.attention.row_attention", refused)
    ids_BT = torch.zeros(2, 20, dtype=torch.long)
    small = {"num_layers": 1, "model_dim": 32, "num_heads": 2, "ff_dim": 64, "ctx_len": 32}
    Decoder(DecoderSettings(**small), 9).loss(ids_BT, ids_BT)[0].backward()
    with torch.autocast("cpu", torch.bfloat16):
        Decoder(DecoderSettings(**small, attention_window=8), 9).loss(ids_BT, ids_BT)[0].backward()
        Decoder(DecoderSettings(**small, num_kv_heads=1), 9).loss(ids_BT, ids_BT)[0].backward()
        Decoder(DecoderSettings(**small), 9).score(ids_BT, ids_BT)
        with pytest.raises(AssertionError, match="by rows"):
            Decoder(DecoderSettings(**small), 9).loss(ids_BT, ids_BT)
