"""Tokens a second of generation on one CPU thread in float32, ours beside Hugging Face `generate`.

    python benchmarks/generate_tokens.py [--passes 3] [--batch-passes 1] [--new-tokens 1024]

Random weights of about 11 million parameters (width 384, 6 layers of 6 heads, feed-forward 1,024, vocabulary 390),
a prompt of 16 ids, 1,024 new ones, sampled at temperature 1 and never stopped early. Hugging Face Llama draws
from the plain distribution, with its dynamic cache and with its static one. Ours is what `etude generate` does:
top-p 0.98, the grammar's mask, and an id chosen by each take's own random numbers. `exact` is the batch-invariant
mode. A pass of 64 new ids warms up and does not count. Each contender is a process of its own; one pass each in
turn; the median counts.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

from taking_turns import machine, serve, speed_up, take_turns

VOCAB = 390
PROMPT = 16
WARM_UP = 64
CONTENDERS = {
    1: ["llama dynamic", "llama static", "rope", "relative"],
    16: ["llama dynamic", "llama static", "rope", "relative"],
}
NAMES = {
    "llama dynamic": "Hugging Face Llama, dynamic cache",
    "llama static": "Hugging Face Llama, static cache",
    "rope": "etude, rotary",
    "relative": "etude, relative",
}


def contender(name: str, batch: int, new_tokens: int) -> Callable[[], None]:
    """Build a model; return what generates, the first time only for warming up."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    lengths = iter([WARM_UP])
    generate = _llama(name.split()[1], batch) if name.startswith("llama") else _decoder(name, batch)
    return lambda: generate(next(lengths, new_tokens))


def _llama(cache: str, batch: int) -> Callable[[int], None]:
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        max_position_embeddings=2048,
    )
    model = LlamaForCausalLM(config).eval()
    ids_BT = torch.randint(3, VOCAB, (batch, PROMPT))

    def generate(new_tokens: int) -> None:
        settings = GenerationConfig(
            min_new_tokens=new_tokens,
            max_new_tokens=new_tokens,
            do_sample=True,
            top_k=0,
            eos_token_id=None,
            pad_token_id=0,
            cache_implementation="static" if cache == "static" else None,
            disable_compile=True,
        )
        made = model.generate(ids_BT, attention_mask=torch.ones_like(ids_BT), generation_config=settings)
        assert made.shape == (batch, PROMPT + new_tokens)

    return generate


def _decoder(positions: str, batch: int) -> Callable[[int], None]:
    from etude.generate.sample import Length, Sampling, sample_ids
    from etude.models.decoder import Decoder
    from etude.models.settings import DecoderSettings
    from etude.music.score import Score
    from etude.tokens import build_tokenizer

    tokenizer = build_tokenizer("performance")
    settings = DecoderSettings(num_layers=6, model_dim=384, num_heads=6, ff_dim=1024, ctx_len=2048, positions=positions)
    model = Decoder(settings, tokenizer.vocab_size).eval()
    notes = {"onset_tick": range(0, 500, 100), "duration_tick": [90] * 5, "pitch": range(60, 65), "velocity": [64] * 5}
    prompt_ids = tokenizer.encode(Score.of(**{name: list(column) for name, column in notes.items()}, ppq=480))
    prompt_ids = prompt_ids[: PROMPT - 1]  # END stands before them

    def generate(new_tokens: int) -> None:
        takes = sample_ids(
            model,
            tokenizer,
            prompt_ids=prompt_ids,
            seeds=list(range(batch)),
            sampling=Sampling(),
            length=Length(tokens=new_tokens),
        )
        assert [len(ids) for ids in takes] == [len(prompt_ids) + new_tokens] * batch

    return generate


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=3, help="passes at batch 1")
    parser.add_argument("--batch-passes", type=int, default=1, help="passes at batch 16, minutes each")
    parser.add_argument("--new-tokens", type=int, default=1024)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        serve(lambda: contender(options.contender, options.batch, options.new_tokens))
        return

    print(f"{machine('torch', 'transformers')}; 1 thread, float32, {options.new_tokens:,} new tokens")
    print()
    print("| batch | generator | tokens/s, all rows | ms a step | speed / best peer |")
    print("|--:|---|--:|--:|--:|")
    for batch, names in CONTENDERS.items():
        results = take_turns(
            Path(__file__),
            names,
            passes=options.passes if batch == 1 else options.batch_passes,
            threads=1,
            arguments=["--batch", str(batch), "--new-tokens", str(options.new_tokens)],
        )
        peers = [result for name, result in results.items() if name.startswith("llama")]
        best = min(peers, key=lambda result: statistics.median(result["wall_sec"]))
        for name, result in results.items():
            seconds = statistics.median(result["wall_sec"])
            print(
                f"| {batch} | {NAMES[name]} | {batch * options.new_tokens / seconds:,.0f} "
                f"| {1e3 * seconds / options.new_tokens:.2f} | {speed_up(result, best):.2f} |"
            )


if __name__ == "__main__":
    main()
