"""Training step of a decoder of about 11 million parameters on the CPU, ours beside its peers.

    python benchmarks/train_step.py [--aria DIR] [--music-transformer DIR] [--threads 1 2] [--ctx-len 512 2048]
                                    [--passes 7] [--compiled] [--only NAME …]

A step is 8,192 random ids: forward, loss, backward, clipping to norm 1, AdamW (torch's fused kernel for all). Width
384, 6 layers of 6 heads, vocabulary 500, no dropout; feed-forward 1,024 gated (1,152 in Aria's class, 1,536 not gated
in GPT-2). bf16 means autocast over float32 weights. Attention is torch's `scaled_dot_product_attention` in all peers
but the classic Music Transformer, which is run with one row a step, as much as it needs memory for. Every contender's
process keeps the memory that it frees, as `etude train` does; without that the peers are up to 7 % slower.

With one thread, speed is processor time, which a busy machine changes little; with more, the clock on the wall. The
first step warms up and does not count. Each contender is a process of its own; one step each in turn; medians.
DIR are unpacked repositories: EleutherAI/aria and gwinndr/MusicTransformer-Pytorch. A peer that is not installed, or
whose DIR is not given, is left out and said so.
"""

import argparse
import os
import resource
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from taking_turns import machine, serve, speed_up, take_turns
from train_step_peers import MISSING, PEERS

TOKENS, VOCAB = 8192, 500
OURS = ["rope bf16", "rope fp32", "relative bf16", "rope bf16 compiled"]
THEIRS = ["llama fp32", "llama bf16", "gpt2 fp32", "gpt2 bf16", "x fp32", "x bf16", "aria fp32", "aria bf16"]
THEIRS += ["llama bf16 compiled", "gpt2 bf16 compiled", "x bf16 compiled", "aria bf16 compiled", "classic fp32"]
NAMES = {
    "rope": "etude, rotary",
    "relative": "etude, relative",
    "llama": "Hugging Face Llama",
    "gpt2": "Hugging Face GPT-2",
    "x": "x-transformers, flash",
    "aria": "Aria's class",
    "classic": "classic Music Transformer",
}


def contender(name: str, ctx_len: int) -> Callable[[], None]:
    """Build a model and return its training step."""
    import torch

    kind, precision, *compiled = name.split()
    torch.manual_seed(0)
    build = PEERS.get(kind, _decoder)
    model, loss = build(kind, ctx_len, VOCAB, bool(compiled))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    ids_BT = torch.randint(388 if kind == "classic" else VOCAB, (rows_of(name, ctx_len), ctx_len + 1))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            nats = loss(ids_BT)
        nats.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step.parameters = sum(weight.numel() for weight in model.parameters())
    return step


def rows_of(name: str, ctx_len: int) -> int:
    """Return how many rows a step has."""
    return 1 if name.startswith("classic") else TOKENS // ctx_len


def _decoder(positions: str, ctx_len: int, vocab_size: int, compiled: bool):
    import torch

    from etude.models.decoder import Decoder
    from etude.models.settings import DecoderSettings
    from etude.training.compiling import compile_model

    settings = DecoderSettings(
        num_layers=6, model_dim=384, num_heads=6, ff_dim=1024, ctx_len=ctx_len, positions=positions
    )
    model = Decoder(settings, vocab_size)
    if compiled:
        compile_model(model, torch.device("cpu"))
    return model, lambda ids_BT: model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0]


def be_contender(name: str, ctx_len: int) -> None:
    """Serve steps; memory counts from when the libraries are imported."""
    import torch
    import transformers  # noqa: F401  imported by all, so that it counts for none

    from etude.training.memory import kept_memory

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    started_at = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with kept_memory():
        step = contender(name, ctx_len)
        serve(lambda: step, lambda: {"parameters": step.parameters, "started_at_bytes": started_at})


def main() -> None:
    """Print a table for each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aria", type=Path, help="EleutherAI/aria, unpacked")
    parser.add_argument("--music-transformer", type=Path, help="gwinndr/MusicTransformer-Pytorch, unpacked")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--ctx-len", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--compiled", action="store_true", help="compiled ones too; each takes a minute to compile")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="such as 'llama bf16'")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name, folder in (("ARIA", options.aria), ("MUSIC_TRANSFORMER", options.music_transformer)):
        if folder is not None:
            os.environ[f"BENCH_{name}"] = str(folder.resolve())
    if options.contender:
        be_contender(options.contender, options.ctx_len[0])
        return
    wanted = options.only or [n for n in OURS + THEIRS if options.compiled or not n.endswith("compiled")]
    for kind in sorted({name.split()[0] for name in wanted} & set(MISSING)):
        if reason := MISSING[kind]():
            print(f"left out: {NAMES[kind]}: {reason}", file=sys.stderr)
            wanted = [name for name in wanted if name.split()[0] != kind]
    for threads in options.threads:
        _table(wanted, options.ctx_len, threads, options.passes)


def _table(wanted: list[str], ctx_lens: list[int], threads: int, passes: int) -> None:
    clock = "cpu_sec" if threads == 1 else "wall_sec"
    print(f"{machine('torch', 'transformers')}; {threads} threads; median of {passes} steps\n")
    print("| context | model | products | parameters | step, s | tokens/s | memory, MB | times best bf16 | best fp32 |")
    print("|--:|---|---|--:|--:|--:|--:|--:|--:|")
    for ctx_len in ctx_lens:
        names = [n for n in wanted if ctx_len >= 2048 or n != "classic fp32"]
        results = take_turns(
            Path(__file__), names, passes=passes, threads=threads, arguments=["--ctx-len", str(ctx_len)]
        )
        seconds = {name: statistics.median(result[clock]) for name, result in results.items()}
        # the classic one has fewer tokens a step, and is no match
        peers = [name for name in names if name in THEIRS and not name.startswith("classic")]
        best = {kind: min((n for n in peers if kind in n), key=seconds.get, default=None) for kind in ("bf16", "fp32")}
        for name, result in results.items():
            ratios = [
                f"{speed_up(result, results[other], clock=clock):.2f}"
                if other and not name.startswith("classic")
                else "–"
                for other in best.values()
            ]
            tokens = rows_of(name, ctx_len) * ctx_len
            kind, precision = name.split(maxsplit=1)
            print(
                f"| {ctx_len} | {NAMES[kind]} | {precision.replace(' ', ', ')} | {result['parameters'] / 1e6:.1f} M "
                f"| {seconds[name]:.2f} | {tokens / seconds[name]:,.0f} | {_above(result) / 1e6:,.0f} "
                f"| {' | '.join(ratios)} |"
            )
        print()
        _relative(results, ctx_len, clock)


def _relative(results: dict, ctx_len: int, clock: str) -> None:
    if {"rope bf16", "relative bf16"} <= set(results):
        rope, relative = results["rope bf16"], results["relative bf16"]
        print(
            f"Relative over rotary at context {ctx_len}: {1 / speed_up(relative, rope, clock=clock):.2f} times the "
            f"time, {_above(relative) / _above(rope):.2f} times the memory above the libraries'.\n"
        )
    if {"classic fp32", "relative bf16"} <= set(results):
        classic, ours = (statistics.median(results[name][clock]) for name in ("classic fp32", "relative bf16"))
        print(
            f"Relative attention at context {ctx_len}: {TOKENS / ours:,.0f} tokens/s, the classic Music Transformer "
            f"{ctx_len / classic:,.0f}: {TOKENS / ours / (ctx_len / classic):.1f} times.\n"
        )


def _above(result: dict) -> float:
    return result["peak_bytes"] - result["started_at_bytes"]


if __name__ == "__main__":
    main()
