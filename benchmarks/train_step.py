"""Training step of a decoder of about 11 million parameters on the CPU, ours beside Hugging Face Llama.

    python benchmarks/train_step.py [--passes 7] [--threads 2]

A step is 8,192 random ids: forward, loss, backward, clipping to norm 1, AdamW (torch's fused kernel for both).
Width 384, 6 layers of 6 heads, feed-forward 1,024, vocabulary 500, embedding and head apart; attention by torch's
`scaled_dot_product_attention` in Llama and in our rotary variant. bf16 means autocast over float32 weights. The
first step warms up and does not count. Each contender is a process of its own; one step each in turn; medians.
"""

import argparse
import os
import resource
import statistics
from collections.abc import Callable
from pathlib import Path

from taking_turns import machine, serve, speed_up, take_turns

TOKENS = 8192
VOCAB = 500
CONTENDERS = {
    512: ["llama fp32", "llama bf16", "rope bf16", "relative bf16", "rope fp32"],
    2048: ["llama bf16", "rope bf16", "relative bf16"],
}
NAMES = {"llama": "Hugging Face Llama", "rope": "etude, rotary", "relative": "etude, relative"}


def contender(name: str, ctx_len: int) -> Callable[[], None]:
    """Build a model and return its training step."""
    import torch

    kind, precision = name.split()
    torch.manual_seed(0)
    model, loss = _llama(ctx_len) if kind == "llama" else _decoder(kind, ctx_len)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    ids_BT = torch.randint(VOCAB, (TOKENS // ctx_len, ctx_len + 1))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            nats = loss(ids_BT)
        nats.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step.parameters = sum(weight.numel() for weight in model.parameters())
    return step


def _llama(ctx_len: int):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        max_position_embeddings=ctx_len,
        use_cache=False,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    return model, lambda ids_BT: model(input_ids=ids_BT[:, :-1], labels=ids_BT[:, :-1]).loss


def _decoder(positions: str, ctx_len: int):
    from etude.models.decoder import Decoder
    from etude.models.settings import DecoderSettings

    settings = DecoderSettings(
        num_layers=6, model_dim=384, num_heads=6, ff_dim=1024, ctx_len=ctx_len, positions=positions
    )
    model = Decoder(settings, VOCAB)
    return model, lambda ids_BT: model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0]


def be_contender(name: str, ctx_len: int) -> None:
    """Serve steps; memory counts from when the libraries are imported."""
    import torch
    import transformers  # noqa: F401  imported by all, so that it counts for none

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    started_at = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    step = contender(name, ctx_len)
    serve(lambda: step, lambda: {"parameters": step.parameters, "started_at_bytes": started_at})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--ctx-len", type=int, default=512, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        be_contender(options.contender, options.ctx_len)
        return

    print(f"{machine('torch', 'transformers')}; {options.threads} threads; median of {options.passes} steps")
    print()
    print("| context | model | products | parameters | step, s | tokens/s | memory, MB | speed / Llama bf16 | / fp32 |")
    print("|--:|---|---|--:|--:|--:|--:|--:|--:|")
    for ctx_len, names in CONTENDERS.items():
        results = take_turns(
            Path(__file__),
            names,
            passes=options.passes,
            threads=options.threads,
            arguments=["--ctx-len", str(ctx_len)],
        )
        for name, result in results.items():
            kind, precision = name.split()
            seconds = statistics.median(result["wall_sec"])
            memory = (result["peak_bytes"] - result["started_at_bytes"]) / 1e6
            ratios = [
                f"{speed_up(result, results[other]):.2f}" if other in results else "–"
                for other in ("llama bf16", "llama fp32")
            ]
            print(
                f"| {ctx_len} | {NAMES[kind]} | {precision} | {result['parameters'] / 1e6:.1f} M | {seconds:.2f} "
                f"| {TOKENS / seconds:,.0f} | {memory:,.0f} | {ratios[0]} | {ratios[1]} |"
            )
        if ctx_len == 2048:
            rope, relative = results["rope bf16"], results["relative bf16"]
            memory = [result["peak_bytes"] - result["started_at_bytes"] for result in (relative, rope)]
            print()
            print(
                f"Relative over rotary at context {ctx_len}: {1 / speed_up(relative, rope):.2f} times the time, "
                f"{memory[0] / memory[1]:.2f} times the memory above the libraries'."
            )


if __name__ == "__main__":
    main()
