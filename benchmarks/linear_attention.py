"""Linear attention on the CPU: is the speed of training and of decoding the same at every length?

    python benchmarks/linear_attention.py [--passes 5] [--only train|layer|decode]

*train*: a training step of 8,192 random ids, a decoder of 11 million parameters (width 384, 6 layers of 6 heads,
feed-forward 1,536, vocabulary 500), forward, loss, backward, AdamW, bf16 autocast: linear attention beside our own
softmax attention with rotary positions. The goal: tokens/s of linear attention within 10 % from 512 to 8,192.

*layer*: forward and backward of attention alone, 4,096 tokens of 6 heads of 64, beside the two plain ways to write
it in torch: the L x L product of all pairs, and the running sum of all outer products.

*decode*: one token for each of four rows, float32, after prompts of different lengths, and the bytes remembered.

Each contender is a process of its own with one thread; one pass each in turn; medians of processor time. The first pass
warms up and does not count.
"""

import argparse
import os
import resource
import statistics
from collections.abc import Callable
from pathlib import Path

from taking_turns import machine, serve, take_turns

TOKENS, VOCAB, HEADS, WIDTH = 8192, 500, 6, 64
LENGTHS = (512, 1024, 2048, 4096, 8192)
SIZE = {"num_layers": 6, "model_dim": 384, "num_heads": HEADS, "ff_dim": 1536}
TRAIN = [f"train linear {length}" for length in LENGTHS] + [f"train rope {length}" for length in (512, 2048)]
LAYER = [f"layer {way} 4096" for way in ("ours-bf16", "ours-fp32", "pairs-fp32", "outer-fp32")]
DECODE = [f"decode {kind} {length}" for kind in ("linear", "rope") for length in (512, 2048, 8192)]


def model_of(kind: str, ctx_len: int):
    """Build a model of linear or of softmax attention, of nearly the same size."""
    from etude.models import build_model, model_settings

    rope = {"kind": "decoder", "positions": "rope", "feed_forward": "gelu", "norm": "layer", "biases": True}
    kind_settings = {"kind": "linear"} if kind == "linear" else rope
    return build_model(model_settings(kind_settings | SIZE | {"ctx_len": ctx_len}), VOCAB)


def train(kind: str, length: int) -> tuple[Callable[[], None], dict]:
    """Return a training step."""
    import torch

    model = model_of(kind, length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    ids_BT = torch.randint(VOCAB, (TOKENS // length, length + 1))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
        nats.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step, {}


def layer(way: str, length: int) -> tuple[Callable[[], None], dict]:
    """Return forward and backward of one attention layer."""
    import torch

    from etude.models.linear_attention import linear_attention

    form, dtype = way.split("-")
    dtype = torch.bfloat16 if dtype == "bf16" else torch.float32
    qkv = torch.randn(1, length, 3 * HEADS * WIDTH, dtype=dtype, requires_grad=True)
    grad = torch.randn(1, length, HEADS * WIDTH, dtype=dtype)

    def plain() -> torch.Tensor:
        q, k, v = qkv.unflatten(-1, (3, HEADS, WIDTH)).permute(2, 0, 3, 1, 4)
        q, k = (torch.nn.functional.elu(x) + 1 for x in (q, k))
        if form == "pairs":
            found = (q @ k.mT).tril() @ v
        else:
            found = (q[..., None, :] @ (k[..., :, None] * v[..., None, :]).cumsum(2))[..., 0, :]
        below = (q * k.cumsum(2)).sum(-1, keepdim=True) + 1e-6
        return (found / below).transpose(1, 2).flatten(2)

    def step() -> None:
        out = linear_attention(qkv, HEADS, "elu1") if form == "ours" else plain()
        torch.autograd.grad(out, qkv, grad)

    return step, {}


def decode(kind: str, length: int) -> tuple[Callable[[], None], dict]:
    """Return a few steps of decoding after a prompt."""
    import torch

    model = model_of(kind, 8192 + 2048).eval()
    cache = model.new_cache(4, length + 2048)
    model.prefill(torch.randint(VOCAB, (4, length)), cache)
    ids_B = torch.zeros(4, dtype=torch.long)

    def step() -> None:
        for _ in range(16):
            model.step(ids_B, cache)

    return step, {"nbytes": cache.nbytes}


def be_contender(name: str) -> None:
    """Serve passes of one contender; memory counts from when the libraries are imported."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    kind, way, length = name.split()
    step, facts = {"train": train, "layer": layer, "decode": decode}[kind](way, int(length))
    serve(lambda: step, lambda: facts | {"began_bytes": began})


def print_table(kind: str, results: dict[str, dict]) -> None:
    """Print the table of one of the three."""
    seconds = {name: statistics.median(result["cpu_sec"]) for name, result in results.items()}
    memory = {name: (result["peak_bytes"] - result["began_bytes"]) / 1e6 for name, result in results.items()}
    if kind == "train":
        print("| attention | context | step, s | tokens/s | of 512's | memory, MB |\n|---|--:|--:|--:|--:|--:|")
        for name in results:
            _, way, length = name.split()
            share = seconds[f"train {way} 512"] / seconds[name]
            speed = f"{seconds[name]:.2f} | {TOKENS / seconds[name]:,.0f} | {share:.2f}"
            print(f"| {way} | {length} | {speed} | {memory[name]:,.0f} |")
    elif kind == "layer":
        print("| way | ms | times ours in fp32 | memory, MB |\n|---|--:|--:|--:|")
        for name in results:
            share = seconds[name] / seconds["layer ours-fp32 4096"]
            print(f"| {name.split()[1]} | {1e3 * seconds[name]:.0f} | {share:.2f} | {memory[name]:,.0f} |")
    else:
        print("| attention | after | ms a token | remembered, MB |\n|---|--:|--:|--:|")
        for name, result in results.items():
            _, way, length = name.split()
            print(f"| {way} | {length} | {1e3 * seconds[name] / 16:.2f} | {result['nbytes'] / 1e6:.1f} |")
    print()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--only", choices=["train", "layer", "decode"])
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        be_contender(options.contender)
        return
    print(f"{machine('torch')}; one thread; processor time, median of {options.passes} passes\n")
    for kind, names in (("train", TRAIN), ("layer", LAYER), ("decode", DECODE)):
        if options.only in (None, kind):
            results = take_turns(Path(__file__), names, passes=options.passes, threads=1)
            print_table(kind, results)


if __name__ == "__main__":
    main()
