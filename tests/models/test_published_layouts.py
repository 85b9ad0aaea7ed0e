"""Decoders of published systems, said in settings, against their forward passes written out plainly.

Dimension key:  T tokens   D model width   H heads   G heads of keys and values   K width of one head
"""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from etude.models.decoder import Decoder
from etude.models.settings import DecoderSettings

VOCAB, WIDTH, HEADS, CTX = 40, 48, 4, 256
SIZE = {"num_layers": 2, "model_dim": WIDTH, "num_heads": HEADS, "ff_dim": 80, "ctx_len": CTX}
ARIA = SIZE | {"norm": "layer", "feed_forward": "swiglu", "rope_base": 500_000.0}
CLASSIC = SIZE | {
    "positions": "relative",
    "relative_shared": True,
    "sinusoids": True,
    "norm": "layer",
    "norm_placement": "post",
    "biases": True,
    "head_bias": True,
    "feed_forward": "relu",
}
GPT2 = SIZE | {"positions": "learned", "norm": "layer", "biases": True, "feed_forward": "gelu_tanh", "tied": True}
LLAMA = SIZE | {"num_kv_heads": 2, "norm_eps": 1e-6, "rope_base": 500_000.0}
LLAMA_INTERLEAVED = LLAMA | {"rope_pairing": "interleaved"}
LAYOUTS = {
    "aria": ARIA,
    "classic": CLASSIC,
    "gpt2": GPT2,
    "llama": LLAMA,
    "llama interleaved": LLAMA_INTERLEAVED,
    "sliding window": LLAMA | {"attention_window": 40},
    "relative in groups": CLASSIC | {"num_kv_heads": 2, "relative_shared": False, "embedding_scale": True},
}


def model_of(values: dict) -> tuple[Decoder, dict[str, Tensor]]:
    """Return a model in which no weight is what it is drawn as, so that none can be forgotten, and its weights."""
    torch.manual_seed(0)
    model = Decoder(DecoderSettings(**values), VOCAB).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        weight.add_(torch.randn_like(weight) * (0.3 if "norm" in name or name.endswith("bias") else 0.05))
    return model, {name: weight.double() for name, weight in model.state_dict().items()}


def ids_of(length: int = CTX) -> Tensor:
    return torch.randint(0, VOCAB, (length,), generator=torch.Generator().manual_seed(3))


def layer_norm(x_TD: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
    centred = x_TD - x_TD.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[name + ".weight"] + w[name + ".bias"]


def linear(x_TD: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
    return x_TD @ w[name + ".weight"].T + w.get(name + ".bias", 0.0)


def heads_of(x_TE: Tensor, num_heads: int) -> Tensor:
    return x_TE.unflatten(-1, (num_heads, WIDTH // HEADS)).transpose(0, 1)


def attend(q_HTK: Tensor, k_HTK: Tensor, v_HTK: Tensor, extra_HTT: Tensor | float = 0.0) -> Tensor:
    logits = (q_HTK @ k_HTK.mT + extra_HTT) / math.sqrt(q_HTK.shape[-1])
    future = torch.ones(logits.shape[-2:]).triu(1).bool()
    return (logits.masked_fill(future, -torch.inf).softmax(-1) @ v_HTK).transpose(0, 1).flatten(1)


def queries_keys_values(x_TD: Tensor, w: dict[str, Tensor], block: str, kv_heads: int = HEADS) -> list[Tensor]:
    width = WIDTH // HEADS
    parts = linear(x_TD, w, block + "attention.qkv").split([WIDTH, kv_heads * width, kv_heads * width], dim=-1)
    return [heads_of(part, heads) for part, heads in zip(parts, (HEADS, kv_heads, kv_heads), strict=True)]


def turned(x_HTK: Tensor, *, interleaved: bool) -> Tensor:
    """Each pair of features is one complex number, turned by its angle."""
    half = x_HTK.shape[-1] // 2
    angle = torch.outer(torch.arange(x_HTK.shape[1]).double(), 500_000.0 ** (-torch.arange(half).double() / half))
    first, second = (x_HTK[..., ::2], x_HTK[..., 1::2]) if interleaved else (x_HTK[..., :half], x_HTK[..., half:])
    number = torch.complex(first, second) * torch.exp(1j * angle)
    return (
        torch.stack([number.real, number.imag], -1).flatten(-2)
        if interleaved
        else torch.cat([number.real, number.imag], -1)
    )


def swiglu(x_TD: Tensor, w: dict[str, Tensor], block: str) -> Tensor:
    gate, value = linear(x_TD, w, block + "feed_forward.up").chunk(2, -1)
    return linear(F.silu(gate) * value, w, block + "feed_forward.down")


def aria(ids_T: Tensor, w: dict[str, Tensor]) -> Tensor:
    x = w["embedding.weight"][ids_T]
    for block in ("blocks.0.", "blocks.1."):
        q, k, v = queries_keys_values(layer_norm(x, w, block + "attention_norm"), w, block)
        q, k = turned(q, interleaved=False), turned(k, interleaved=False)
        x = x + linear(attend(q, k, v), w, block + "attention.out")
        x = x + swiglu(layer_norm(x, w, block + "feed_forward_norm"), w, block)
    return layer_norm(x, w, "norm") @ w["head.weight"].T


def llama(ids_T: Tensor, w: dict[str, Tensor], *, interleaved: bool = False) -> Tensor:
    def rms(x_TD: Tensor, name: str) -> Tensor:
        return x_TD / (x_TD.square().mean(-1, keepdim=True) + 1e-6).sqrt() * w[name + ".weight"]

    x = w["embedding.weight"][ids_T]
    for block in ("blocks.0.", "blocks.1."):
        q, k, v = queries_keys_values(rms(x, block + "attention_norm"), w, block, kv_heads=2)
        q, k = turned(q, interleaved=interleaved), turned(k, interleaved=interleaved)
        # queries 0 and 1 share the first head of keys and values, 2 and 3 the second
        x = x + linear(attend(q, k[[0, 0, 1, 1]], v[[0, 0, 1, 1]]), w, block + "attention.out")
        x = x + swiglu(rms(x, block + "feed_forward_norm"), w, block)
    return rms(x, "norm") @ w["head.weight"].T


def gpt2(ids_T: Tensor, w: dict[str, Tensor]) -> Tensor:
    x = w["embedding.weight"][ids_T] + w["place_embedding.weight"][: len(ids_T)]
    for block in ("blocks.0.", "blocks.1."):
        q, k, v = queries_keys_values(layer_norm(x, w, block + "attention_norm"), w, block)
        x = x + linear(attend(q, k, v), w, block + "attention.out")
        inner = linear(layer_norm(x, w, block + "feed_forward_norm"), w, block + "feed_forward.up")
        inner = inner / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
        x = x + linear(inner, w, block + "feed_forward.down")
    return layer_norm(x, w, "norm") @ w["embedding.weight"].T


def classic(ids_T: Tensor, w: dict[str, Tensor]) -> Tensor:
    length = len(ids_T)
    angle = torch.outer(torch.arange(length).double(), 10_000.0 ** (-torch.arange(0, WIDTH, 2).double() / WIDTH))
    sinusoids = torch.zeros(length, WIDTH, dtype=torch.float64)
    sinusoids[:, 0::2], sinusoids[:, 1::2] = angle.sin(), angle.cos()
    x = w["embedding.weight"][ids_T] + sinusoids
    distance = (torch.arange(length)[:, None] - torch.arange(length)).clamp(min=0)
    for block in ("blocks.0.", "blocks.1."):
        q, k, v = queries_keys_values(x, w, block)
        table_TTK = w[block + "attention.relative.table_HRK"][0][distance]
        found = attend(q, k, v, torch.einsum("hik,ijk->hij", q, table_TTK))
        x = layer_norm(x + linear(found, w, block + "attention.out"), w, block + "attention_norm")
        inner = linear(x, w, block + "feed_forward.up").relu()
        x = layer_norm(x + linear(inner, w, block + "feed_forward.down"), w, block + "feed_forward_norm")
    return layer_norm(x, w, "norm") @ w["head.weight"].T + w["head_bias"]


@pytest.mark.parametrize(
    ("layout", "formula"),
    [
        ("aria", aria),
        ("classic", classic),
        ("gpt2", gpt2),
        ("llama", llama),
        ("llama interleaved", lambda ids_T, w: llama(ids_T, w, interleaved=True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_published_layout_gives_the_logits_of_its_formula(layout, formula):
    model, weights = model_of(LAYOUTS[layout])
    ids_T = ids_of(100)
    torch.testing.assert_close(model(ids_T[None])[0].double(), formula(ids_T, weights), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cached_logits_are_within_1e_4_of_uncached_ones_over_256_ids(layout):
    """covers: AP-18, star-50"""
    model, _ = model_of(LAYOUTS[layout])
    ids_BT = torch.stack([ids_of(), ids_of().flip(0)])
    cache = model.new_cache(2, CTX)
    logits = [model.prefill(ids_BT[:, :1], cache)] + [model.step(ids_BT[:, t], cache) for t in range(1, CTX)]
    assert (torch.stack(logits, dim=1) - model(ids_BT)).abs().max() < 1e-4


def test_heads_that_share_keys_have_a_cache_as_much_smaller():
    model, plain = model_of(LLAMA)[0], model_of(LLAMA | {"num_kv_heads": None})[0]
    assert 2 * model.new_cache(3, 100).nbytes == plain.new_cache(3, 100).nbytes
    assert model_of(LAYOUTS["sliding window"])[0].new_cache(1, 256).layers[0].num_slots == 40
