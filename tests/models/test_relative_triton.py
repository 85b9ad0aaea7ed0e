"""Relative attention in one kernel, in triton's interpreter on the CPU, and when it is chosen."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from etude.models import fused
from etude.models.relative_attention import in_blocks, relative_attention

HERE = Path(__file__).parent
NEEDS_TRITON = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed: pip install --no-deps triton"
)
CASES = [
    "one table a head, part of a tile",
    "a shared table and a window",
    "a whole tile",
    "a window of one token",
    "one token",
    "a table shorter than the row",
    "segments",
]


def run(program: str, cache: Path, **environment: str) -> dict:
    """Run a program of this folder, which prints JSON."""
    told = {"TRITON_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE), **environment}
    done = subprocess.run(
        [sys.executable, HERE / program], capture_output=True, text=True, check=False, env=os.environ | told
    )
    if "only 0-dimensional arrays can be converted" in done.stderr:
        pytest.skip("the interpreter of this triton needs an older numpy")
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What ``relative_triton_cases.py`` prints."""
    return run("relative_triton_cases.py", tmp_path_factory.mktemp("triton"), TRITON_INTERPRET="1")


@NEEDS_TRITON
@pytest.mark.parametrize("case", CASES)
def test_output_and_gradients_equal_the_formula(measured, case):
    """covers: star-34, MT-8 (partly)"""
    found = measured[case]
    assert len(found) == 5
    assert max(found) < 1e-5


@NEEDS_TRITON
@pytest.mark.parametrize(("dtype", "limit"), [("float16", 0.002), ("bfloat16", 0.015)])
def test_half_precision_differs_by_its_rounding(measured, dtype, limit):
    """covers: star-34"""
    assert len(measured[dtype]) == 5
    assert max(measured[dtype]) < limit


@NEEDS_TRITON
def test_nothing_outside_of_the_kernels_is_of_tokens_by_tokens(measured):
    """covers: star-34"""
    num_tokens, width = 112, 8
    (numel,) = measured["largest"]
    # the interpreter looks at a tensor byte by byte, four a value
    assert num_tokens <= numel <= 4 * num_tokens * width


@NEEDS_TRITON
@pytest.mark.services
def test_the_kernels_compile_for_chips_that_are_not_here(tmp_path):
    """For three generations of chips; each kernel fits into the memory that they have for tiles."""
    made = run("relative_triton_compiles.py", tmp_path)
    assert len(made) == 9
    limits = {"80": 163, "89": 99, "90": 227}
    for name, shared_bytes in made.items():
        assert shared_bytes <= limits[name.split()[-1]] * 1024, name


def cuda_queries(*, width=64, dtype=torch.bfloat16):
    """What the choice reads of queries, as if they were on a GPU."""
    return SimpleNamespace(device=torch.device("cuda", 0), shape=(1, 2, 8, width), dtype=dtype)


@pytest.fixture
def chip(monkeypatch):
    """A chip and triton, both as if they were here, and the check passed."""
    monkeypatch.delenv(fused.SWITCH, raising=False)
    monkeypatch.setattr(fused, "_triton_is_there", lambda: True)
    monkeypatch.setattr(fused, "_checked", lambda device, dtype, width, plain: "fused")


def test_a_gpu_with_triton_takes_the_kernel(chip):
    assert fused.fused_form_of_relative_attention(cuda_queries(), in_blocks) == "fused"


@pytest.mark.parametrize("word", ["off", "OFF", "0"])
def test_a_word_in_the_environment_switches_the_kernel_off(chip, monkeypatch, word):
    monkeypatch.setenv(fused.SWITCH, word)
    assert fused.fused_form_of_relative_attention(cuda_queries(), in_blocks) is None


def test_deterministic_algorithms_switch_the_kernel_off(chip, monkeypatch):
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert fused.fused_form_of_relative_attention(cuda_queries(), in_blocks) is None


def test_without_triton_or_in_float64_tensor_operations_serve(chip, monkeypatch):
    assert fused.fused_form_of_relative_attention(cuda_queries(dtype=torch.float64), in_blocks) is None
    monkeypatch.setattr(fused, "_triton_is_there", lambda: False)
    assert fused.fused_form_of_relative_attention(cuda_queries(), in_blocks) is None


def test_on_the_cpu_tensor_operations_serve(chip):
    assert fused.fused_form_of_relative_attention(torch.zeros(1, 1, 4, 8), in_blocks) is None


def test_relative_attention_calls_what_is_chosen(monkeypatch):
    chosen = []
    monkeypatch.setattr(
        "etude.models.relative_attention.fused_form_of_relative_attention",
        lambda q, plain: lambda *given, **named: chosen.append((len(given), named, plain)),
    )
    x = torch.zeros(1, 1, 4, 8)
    relative_attention(x, x, x, x[0], window=3)
    assert chosen == [(4, {"window": 3, "segments": None}, in_blocks)]


def off(*given, **named):
    return in_blocks(*given, **named) * 1.2


def broken(*given, **named):
    raise RuntimeError("Failed to find\na C compiler")


@pytest.mark.parametrize(
    ("form", "said"),
    [(in_blocks, None), (off, "it is off by 0.2"), (broken, "RuntimeError: Failed to find a C compiler")],
)
def test_a_kernel_that_does_not_agree_is_refused_with_the_reason(form, said):
    assert fused.why_not(form, in_blocks, torch.device("cpu"), torch.float32, 16) == said


def test_a_kernel_that_gives_nan_is_refused():
    def nan(*given, **named):
        return in_blocks(*given, **named) * float("nan")

    assert fused.why_not(nan, in_blocks, torch.device("cpu"), torch.float32, 16) == "it is off by nan"


def test_a_kernel_that_cannot_be_used_is_named_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(fused, "why_not", lambda *given: "no C compiler")
    pytest.importorskip("triton", reason="triton is not installed: pip install --no-deps triton")
    fused._checked.cache_clear()
    device = torch.device("cuda", 0)
    with pytest.warns(UserWarning, match="is not used: no C compiler; ETUDE_FUSED=off") as warned:
        assert [fused._checked(device, torch.bfloat16, 64, in_blocks) for _ in range(2)] == [None, None]
    assert len(warned) == 1
    assert fused._checked(device, torch.bfloat16, 256, in_blocks) is None
    fused._checked.cache_clear()


def test_the_check_draws_no_random_number():
    before = torch.get_rng_state()
    fused.why_not(in_blocks, in_blocks, torch.device("cpu"), torch.bfloat16, 16)
    assert torch.equal(torch.get_rng_state(), before)
