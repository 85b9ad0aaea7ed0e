"""What the loader costs a training: batches alone, and steps with them, ahead of time and not, beside made-up ids.

    python benchmarks/loader.py [CORPUS] [--steps 12] [--threads 1]

The first table is batches alone, of 16 windows of 2,048 ids, from the tokens as they lie, transposed, and encoded anew
from the Scores; one thread, as in training. The second is a training of the recipe llama-tiny with each of them: tokens
a second, and the share of a step spent waiting for its batch. With made-up ids, which cost nothing, a step is as fast
as it can be; the loader is no bottleneck where the real ones are as fast.
"""

import argparse
import statistics
import time

from etude.config import RunConfig
from etude.data.builtin import open_corpus
from etude.recipes import resolve

KINDS = {
    "as they lie": [],
    "transposed ids": ["data.transpose_semitones=3"],
    "encoded anew": ["data.augment.tempo_percent=5.0", "data.transpose_semitones=3"],
}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", default="sampler")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    import torch

    torch.set_num_threads(args.threads)
    print("| batches alone | ms a batch | ids a second |\n|---|---|---|")
    for name, typed in KINDS.items():
        seconds = seconds_per_batch(configured(args.corpus, typed, large=True), args.steps)
        print(f"| {name} | {1e3 * seconds:.2f} | {16 * 2048 / seconds:,.0f} |")
    print("\n| steps of llama-tiny | tokens a second | waiting for batches |\n|---|---|---|")
    for name, typed in (KINDS | {"made-up ids": ["train.made_data=true"]}).items():
        for ahead in (0, 2):
            config = configured(args.corpus, [*typed, f"train.prefetch_batches={ahead}"])
            speed, waited = speed_of_steps(config, args.steps)
            print(f"| {name}, {ahead} ahead | {speed:,.0f} | {waited:.2%} |")


def configured(corpus: str, typed: list[str], *, large: bool = False) -> RunConfig:
    """Return the recipe llama-tiny on a corpus, with the large batch of the first table if asked for."""
    sizes = ["model.ctx_len=2048", "train.batch_tokens=32768"] if large else []
    return resolve("llama-tiny", [f"data.corpus={corpus}", *sizes, *typed])


def seconds_per_batch(config: RunConfig, steps: int) -> float:
    """Return the median time to make a batch; the first epoch's layout is made before."""
    from etude.tasks import build_task
    from etude.tokens import tokenizer_of

    tokenizer = tokenizer_of(config.data.tokenizer)
    task = build_task(config, open_corpus(config.data.corpus), tokenizer, say=lambda line: None)
    times = []
    for step in range(1 + steps):
        started = time.perf_counter()
        task.train_batch(step)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def speed_of_steps(config: RunConfig, steps: int) -> tuple[float, float]:
    """Return tokens a second, and the share of the time spent waiting for batches, the first two steps left out."""
    from etude.tokens import tokenizer_of
    from etude.training.state import TrainState
    from etude.training.step import build_parts, take_step

    tokenizer = tokenizer_of(config.data.tokenizer)
    parts = build_parts(config, open_corpus(config.data.corpus), tokenizer, say=lambda line: None)
    state = TrainState()
    for step in range(2 + steps):
        if step == 2:
            state.recent = {}
        take_step(parts, config, state)
    line = state.take_recent()
    return line["tokens_per_sec"], line["data_wait"]


if __name__ == "__main__":
    main()
