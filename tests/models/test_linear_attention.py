"""Linear attention against the formula, pair by pair; in half precision; from a state of constant size."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from etude.models import linear_attention as module
from etude.models.linear_attention import attend_on, linear_attention
from etude.models.linear_features import FEATURE_MAPS, elu1
from etude.models.segments import Segments

FORMULAS = {
    "elu1": lambda x: torch.where(x > 0, x + 1, x.clamp(max=0).exp()),
    "relu": lambda x: x.clamp(min=0),
    "softmax": lambda x: x.exp() / x.exp().sum(-1, keepdim=True),
}


def formula(qkv_BTE: Tensor, heads: int, feature_map: str, number_BT: Tensor | None = None) -> Tensor:
    """The plain O(L^2) form: a weight for each pair of query and key."""
    q, k, v = qkv_BTE.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    features = FORMULAS[feature_map]
    weights = (features(q) @ features(k).mT).tril()
    if number_BT is not None:
        weights = weights * (number_BT[:, None, :, None] == number_BT[:, None, None, :])
    return (weights @ v / (weights.sum(-1, keepdim=True) + 1e-6)).transpose(1, 2).flatten(2)


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def cut(batch: int, num_tokens: int, seed: int = 0) -> Segments:
    """Rows of pieces of a few dozen tokens, some of one."""
    starts = torch.rand(batch, num_tokens, generator=torch.Generator().manual_seed(seed)) < 0.06
    return Segments(starts.cumsum(1), window=num_tokens)


@pytest.mark.parametrize("feature_map", sorted(FEATURE_MAPS))
@pytest.mark.parametrize("num_tokens", [1, 5, 64, 65, 200])
@pytest.mark.parametrize("apart", [False, True], ids=["whole", "segments"])
def test_output_and_gradient_equal_the_formula(feature_map, num_tokens, apart):
    """covers: MT-24 (partly), star-24 (partly)"""
    qkv = drawn(3, num_tokens, 3 * 2 * 8).requires_grad_()
    segments = cut(3, num_tokens) if apart else None
    ours = linear_attention(qkv, 2, feature_map, segments)
    plain = formula(qkv, 2, feature_map, segments.number_BT if apart else None)
    grad = drawn(*ours.shape, seed=1)
    mine, theirs = (torch.autograd.grad(out, qkv, grad)[0] for out in (ours, plain))
    torch.testing.assert_close(ours, plain, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("apart", [False, True], ids=["whole", "segments"])
@pytest.mark.parametrize("values", [1, 64 * 2 * 16, 150 * 2 * 8 * 2], ids=["chunks", "spans", "rows"])
def test_work_cut_into_parts_gives_the_same(monkeypatch, apart, values):
    qkv, segments = drawn(4, 150, 3 * 2 * 8).requires_grad_(), cut(4, 150) if apart else None
    together = linear_attention(qkv, 2, "elu1", segments)
    expected = torch.autograd.grad(together.square().sum(), qkv)
    monkeypatch.setattr(module, "_VALUES_AT_ONCE", values)
    one_by_one = linear_attention(qkv, 2, "elu1", segments)
    torch.testing.assert_close(one_by_one, together)
    torch.testing.assert_close(torch.autograd.grad(one_by_one.square().sum(), qkv), expected)


@pytest.mark.parametrize("apart", [False, True], ids=["whole", "segments"])
def test_all_at_once_gives_what_parts_give_in_turn(monkeypatch, apart):
    """The way that accelerators take, made here on the CPU."""
    qkv, segments = drawn(2, 400, 3 * 2 * 8).requires_grad_(), cut(2, 400) if apart else None
    in_turn = linear_attention(qkv, 2, "elu1", segments)
    expected = torch.autograd.grad(in_turn.square().sum(), qkv)
    monkeypatch.setattr(module, "_in_turn", lambda x: False)
    at_once = linear_attention(qkv, 2, "elu1", segments)
    torch.testing.assert_close(at_once, in_turn)
    torch.testing.assert_close(torch.autograd.grad(at_once.square().sum(), qkv), expected)


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_half_precision_is_finite_and_within_1_percent_of_float64_at_length_5120(sigma):
    """covers: MT-24, star-24"""
    wide = sigma * drawn(1, 5120, 3 * 64)
    for dtype in (torch.float16, torch.bfloat16):
        qkv = wide.to(dtype).requires_grad_()
        out = linear_attention(qkv, 1, "elu1")
        out.sum().backward()
        expected = formula(qkv.detach().double(), 1, "elu1")
        assert out.dtype == dtype
        assert out.isfinite().all()
        assert qkv.grad.isfinite().all()
        errors_T = (out.detach().double() - expected).norm(dim=-1) / expected.norm(dim=-1)
        assert errors_T.max() < 0.01


@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_gradients_in_bfloat16_point_where_float64_ones_do(sigma):
    qkv = (sigma * drawn(1, 700, 3 * 64)).bfloat16().requires_grad_()
    wide = qkv.detach().double().requires_grad_()
    grad = drawn(1, 700, 64, seed=1)
    (mine,) = torch.autograd.grad(linear_attention(qkv, 1, "elu1"), qkv, grad.bfloat16())
    (exact,) = torch.autograd.grad(formula(wide, 1, "elu1"), wide, grad.bfloat16().double())
    for ours, theirs in zip(mine.double().chunk(3, -1), exact.chunk(3, -1), strict=True):
        assert torch.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) > 0.999


def test_features_are_never_drowned_in_the_1_of_elu_plus_1():
    for dtype, lowest in ((torch.float16, -13.0), (torch.bfloat16, -80.0)):
        x = torch.tensor([lowest, -9.0, -0.5, 0.0, 3.0], dtype=dtype)
        assert torch.nn.functional.elu(x).add(1)[0] == 0
        torch.testing.assert_close(elu1(x).double(), FORMULAS["elu1"](x.double()), rtol=5e-2, atol=0)


@pytest.mark.parametrize("parts", [[1] * 30, [7, 1, 22], [30], [200, 1, 99]])
def test_reading_in_parts_equals_all_at_once(parts):
    """covers: MT-24 (partly)"""
    qkv = drawn(2, sum(parts), 3 * 3 * 8)
    state = torch.zeros(2, 3, 8, 9, dtype=torch.float64)
    found = torch.cat([attend_on(part, 3, "elu1", state) for part in qkv.split(parts, dim=1)], dim=1)
    torch.testing.assert_close(found, linear_attention(qkv, 3, "elu1"), atol=1e-10, rtol=1e-10)


def test_a_query_without_features_finds_nothing_and_harms_nothing():
    qkv = drawn(1, 20, 3 * 8)
    qkv[0, 5, :8] = -1.0
    qkv.requires_grad_()
    out = linear_attention(qkv, 1, "relu")
    out.sum().backward()
    assert not out[0, 5].any()
    assert qkv.grad.isfinite().all()


class _Work(TorchDispatchMode):
    """Notes how many numbers operations make, and the largest tensor among them."""

    def __init__(self):
        super().__init__()
        self.total = self.largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.total += leaf.numel()
                self.largest = max(self.largest, leaf.numel())
        return result


def test_work_and_the_largest_tensor_grow_with_the_length_alone():
    """covers: MT-24 (partly)"""
    work = {}
    for num_tokens in (1024, 4096):
        qkv = drawn(1, num_tokens, 3 * 2 * 16, dtype=torch.float32).requires_grad_()
        with _Work() as seen:
            linear_attention(qkv, 2, "elu1").sum().backward()
        work[num_tokens] = seen
    assert work[4096].total <= 4.05 * work[1024].total
    assert work[4096].largest <= 4 * work[1024].largest < 1024**2
