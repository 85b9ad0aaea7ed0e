"""Relative attention against the formula, term by term."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from etude.models import relative_attention as module
from etude.models.relative_attention import relative_attention


def formula(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, embedding_HTK: Tensor, *, window: int) -> Tensor:
    """The plain O(L^2 D) form: one embedding for each pair of query and key."""
    num_heads, num_tokens = q_BHTK.shape[1:3]
    distance = torch.arange(num_tokens)[:, None] - torch.arange(num_tokens)
    pair_HTTK = embedding_HTK.expand(num_heads, -1, -1)[:, distance.clamp(min=0)]
    logits = q_BHTK @ k_BHTK.mT + torch.einsum("bhik,hijk->bhij", q_BHTK, pair_HTTK)
    logits = logits.masked_fill((distance < 0) | (distance >= window), float("-inf"))
    return logits.softmax(dim=-1) @ v_BHTK


def inputs(num_tokens: int, tables: int, *, batch: int = 2, heads: int = 3, width: int = 8) -> list[Tensor]:
    generator = torch.Generator().manual_seed(num_tokens)
    shapes = [(batch, heads, num_tokens, width)] * 3 + [(tables, num_tokens, width)]
    drawn = [torch.randn(shape, generator=generator) for shape in shapes]
    drawn[0] *= width**-0.5
    return [x.requires_grad_() for x in drawn]


@pytest.mark.parametrize("tables", [1, 3], ids=["shared", "per head"])
@pytest.mark.parametrize(("num_tokens", "window"), [(1, 9), (5, 9), (16, 16), (23, 8), (23, 1), (40, 64)])
@pytest.mark.parametrize("block", [7, 256])
def test_output_and_gradients_equal_the_formula_to_1e_5(monkeypatch, num_tokens, window, tables, block):
    """covers: MT-8, star-22"""
    monkeypatch.setattr(module, "_BLOCK", block)
    given = inputs(num_tokens, tables)
    ours, plain = relative_attention(*given, window=window), formula(*given, window=window)
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=0)
    grad = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    grads = [torch.autograd.grad(out, given, grad) for out in (ours, plain)]
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


def test_bfloat16_gradients_point_where_float32_ones_do():
    given = inputs(300, 3, batch=1, width=16)
    low = [x.detach().bfloat16().requires_grad_() for x in given[:3]] + [given[3].detach().requires_grad_()]
    grad = torch.randn(1, 3, 300, 16, generator=torch.Generator().manual_seed(1))
    plain = torch.autograd.grad(formula(*given, window=300), given, grad)
    ours = torch.autograd.grad(relative_attention(*low, window=300), low, grad.bfloat16())
    for mine, theirs in zip(ours, plain, strict=True):
        assert torch.cosine_similarity(mine.float().flatten(), theirs.flatten(), dim=0) > 0.999


def test_many_sequences_at_once_give_what_one_after_the_other_gives(monkeypatch):
    """The cut that accelerators take, made here on the CPU."""
    given = inputs(30, 3, batch=4)
    # queries as the input projection gives them, with heads inside tokens
    given[0] = given[0].detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    grad = torch.randn(4, 3, 30, 8)
    one_by_one = relative_attention(*given, window=20)
    expected = torch.autograd.grad(one_by_one, given, grad)
    monkeypatch.setattr(module, "_sequences_at_once", lambda q_BHTK: len(q_BHTK))
    together = relative_attention(*given, window=20)
    torch.testing.assert_close(together, one_by_one, atol=1e-6, rtol=1e-5)
    for mine, theirs in zip(torch.autograd.grad(together, given, grad), expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


class _Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.numel = max(self.numel, leaf.numel())
        return result


def test_no_tensor_of_tokens_by_tokens_is_ever_made():
    """covers: MT-8, star-22"""
    heads, num_tokens = 2, 1024
    given = inputs(num_tokens, heads, batch=1, heads=heads)
    with _Largest() as largest:
        relative_attention(*given, window=num_tokens).sum().backward()
    # a quarter of heads x tokens x tokens, and the column that the skew needs
    assert 0 < largest.numel <= heads * module._BLOCK * (num_tokens + 1)
