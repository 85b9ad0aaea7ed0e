"""Normalisation, gated activation and the cut into heads against their formulas."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from etude.models.blocks import RMSNorm, _RMSNorm, _Swiglu
from etude.models.positions import RotaryAngles, split_heads


def doubles(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()


def test_rms_norm_is_torch_s_and_its_gradient_is_right():
    x, weight = doubles(3, 4, 6), doubles(6)
    torch.testing.assert_close(_RMSNorm.apply(x, weight, 1e-3), F.rms_norm(x, (6,), weight, 1e-3))
    assert gradcheck(lambda x, weight: _RMSNorm.apply(x, weight, 1e-3), (x, weight))


def test_rms_norm_of_nothing_but_zeros_is_0():
    assert not RMSNorm(6)(torch.zeros(2, 6)).any()


def test_swiglu_is_silu_of_the_gate_times_the_value_and_its_gradient_is_right():
    gate, value = doubles(3, 5), doubles(5, 3).T
    torch.testing.assert_close(_Swiglu.apply(gate, value), F.silu(gate) * value)
    assert gradcheck(_Swiglu.apply, (gate, value))


def turned(x_BTHK: torch.Tensor, base: float) -> torch.Tensor:
    """Rotary positions in complex numbers: feature i and i + K/2 are one number, turned by its angle."""
    half = x_BTHK.shape[-1] // 2
    position = torch.arange(x_BTHK.shape[1], dtype=torch.float64)
    angle_TI = torch.outer(position, base ** (-torch.arange(half, dtype=torch.float64) / half))
    number = torch.complex(x_BTHK[..., :half], x_BTHK[..., half:]) * torch.exp(1j * angle_TI)[:, None]
    return torch.cat([number.real, number.imag], dim=-1)


@pytest.mark.parametrize("rotary", [False, True])
def test_heads_are_cut_scaled_and_turned_and_the_gradient_is_right(rotary):
    qkv_BTE = doubles(2, 5, 3 * 2 * 4)
    angles = RotaryAngles(4, 100.0)(5, qkv_BTE.device) if rotary else None
    given = qkv_BTE.detach().unflatten(-1, (3, 2, 4))
    q, k, v = (given[:, :, i] for i in range(3))
    if rotary:
        q, k = turned(q, 100.0), turned(k, 100.0)
    expected = [x.transpose(1, 2) for x in (q / 2, k, v)]
    for mine, plain in zip(split_heads(qkv_BTE, 2, angles), expected, strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-6, rtol=1e-6)
    # the tables are float32, so the angles of the two passes agree to 1e-7 and no better
    assert gradcheck(lambda x: split_heads(x, 2, angles), (qkv_BTE,), atol=1e-4)


def test_angles_grow_with_the_request_and_do_not_change():
    rotary = RotaryAngles(8, 10_000.0)
    short = [table.clone() for table in rotary(5, torch.device("cpu"))]
    long = rotary(50, torch.device("cpu"))
    assert all(torch.equal(a, b[:5]) for a, b in zip(short, long, strict=True))
    assert rotary.state_dict() == {}
