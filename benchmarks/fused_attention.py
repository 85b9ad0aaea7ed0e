"""Relative attention on a GPU: the fused kernel beside tensor operations and torch's plain attention, and whole steps.

    python benchmarks/fused_attention.py [--passes 5] [--rows 8] [--step]

The first table is attention alone, forward and backward, bfloat16, 12 heads of 64: milliseconds (median), memory above
the inputs, and how far output and gradients are from tensor operations in float32. Plain attention has no relative
embeddings; it is what rotary positions run with. With `--step`, training steps of a decoder of about 125 million
parameters, context 2,048: tokens a second by kind of positions, and what that is of rotary's.
"""

import argparse
import os
import statistics
import time

import torch
from torch.nn import functional as F

from etude.models import build_model, model_settings
from etude.models.fused import SWITCH
from etude.models.relative_attention import in_blocks, relative_attention

LENGTHS = (512, 1024, 2048, 4096, 8192)
HEADS, WIDTH = 12, 64
DECODER = {"num_layers": 12, "model_dim": 768, "num_heads": HEADS, "ff_dim": 2048, "ctx_len": 2048}


def plain(q, k, v, table, *, window):
    """Attend without relative embeddings."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)


FORMS = {"fused": relative_attention, "tensor operations": in_blocks, "plain": plain}


def inputs(rows, length, dtype):
    """Draw queries, keys, values and a table a head."""
    torch.manual_seed(length)
    shapes = [(rows, HEADS, length, WIDTH)] * 3 + [(HEADS, length, WIDTH)]
    drawn = [
        torch.randn(shape, device="cuda") * scale for shape, scale in zip(shapes, (WIDTH**-0.5, 1, 1, 1), strict=True)
    ]
    return [x.to(dtype).requires_grad_() for x in drawn]


def there_and_back(form, given):
    """Return output and gradients."""
    out = form(*given, window=given[0].shape[2])
    return [out, *torch.autograd.grad(out, given, given[2].detach(), allow_unused=True)]


def milliseconds(call, passes):
    """Return the median time of a call, after two that warm up."""
    times = []
    for _ in range(passes + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def largest_error(form, given):
    """Return the largest difference, as a share of the size, of output and gradients from float32."""
    exact = [x.detach().float().requires_grad_() for x in given]
    pairs = zip(there_and_back(form, given), there_and_back(in_blocks, exact), strict=True)
    return max(float(((ours.float() - theirs).norm() / theirs.norm()).detach()) for ours, theirs in pairs)


def attention_alone(rows, passes):
    """Print the first table."""
    print("| tokens | form | ms | MiB | error |\n|---|---|---|---|---|")
    for length in LENGTHS:
        given = inputs(rows, length, torch.bfloat16)
        for name, form in FORMS.items():
            there_and_back(form, given)
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            there_and_back(form, given)
            memory = (torch.cuda.max_memory_allocated() - before) / 2**20
            spent = milliseconds(lambda form=form, given=given: there_and_back(form, given), passes)
            error = "" if form is plain else f"{largest_error(form, [x[:1] if x.dim() == 4 else x for x in given]):.4f}"
            print(f"| {length:,} | {name} | {spent:.2f} | {memory:,.0f} | {error} |", flush=True)


def steps(rows, passes):
    """Print the second table."""
    print("\n| positions | tokens/s | of rotary's | GiB |\n|---|---|---|---|")
    rotary = None
    for name, positions, fused in (
        ("rotary", "rope", "on"),
        ("relative", "relative", "on"),
        ("blocks", "relative", "off"),
    ):
        os.environ[SWITCH] = fused
        torch.manual_seed(0)
        model = build_model(model_settings({"kind": "decoder", "positions": positions, **DECODER}), 500).cuda()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        ids_BT = torch.randint(500, (rows, DECODER["ctx_len"] + 1), device="cuda")

        def step(model=model, optimizer=optimizer, ids_BT=ids_BT):
            with torch.autocast("cuda", torch.bfloat16):
                nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
            nats.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        torch.cuda.reset_peak_memory_stats()
        speed = rows * DECODER["ctx_len"] / milliseconds(step, passes) * 1000
        rotary = rotary or speed
        memory = torch.cuda.max_memory_allocated() / 2**30
        print(f"| {name} | {speed:,.0f} | {speed / rotary:.0%} | {memory:.1f} |", flush=True)


def main() -> None:
    """Print the tables, or that there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=5, help="measured passes of each form")
    parser.add_argument("--rows", type=int, default=8, help="rows of a batch")
    parser.add_argument("--step", action="store_true", help="whole training steps as well")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(1, "fused_attention: torch finds no CUDA device here\n")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {given.rows} rows\n")
    attention_alone(given.rows, given.passes)
    if given.step:
        steps(given.rows, given.passes)


if __name__ == "__main__":
    main()
