"""What `etude train --plan` says beside what is then measured, recipe by recipe.

    python benchmarks/plan.py [RECIPE …] [--threads 1] [--device cpu] [--busy]

Each recipe has a process of its own: a few training steps on the built-in pieces, then the plan. Memory is the highest
of the process above what it had before the model was made (on a GPU what torch allocated). Seconds are the median of
the steps; with --busy, processor time in both, for one thread on a machine that does other work too. The goal is 30 %.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from taking_turns import THREAD_VARIABLES, machine

RECIPES = ["llama-tiny", "llama-small", "music-transformer-small", "music-transformer-paper", "linear-tiny"]
STEPS = 4


def measure(name: str, device: str, busy: bool) -> dict[str, float]:
    """Train for a few steps, then plan; both in this process."""
    import torch

    from etude.data.builtin import open_corpus
    from etude.recipes import resolve
    from etude.tokens import tokenizer_of
    from etude.training import probe
    from etude.training.memory import kept_memory
    from etude.training.plan import plan_training
    from etude.training.state import TrainState
    from etude.training.step import build_parts, take_step

    clock = time.process_time if busy else time.perf_counter
    config = resolve(name, ["data.corpus=sampler", f"train.device={device}"])
    on_gpu = device.startswith("cuda")
    corpus, tokenizer = open_corpus("sampler"), tokenizer_of(config.data.tokenizer)
    with kept_memory(not on_gpu):
        small = config.replace(model=config.model.replace(num_layers=1, model_dim=32, head_dim=None, num_heads=2))
        take_step(build_parts(small, corpus, tokenizer, lambda line: None), small, TrainState())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        parts, state, seconds = build_parts(config, corpus, tokenizer, lambda line: None), TrainState(), []
        for _ in range(1 + STEPS):
            began = clock()
            take_step(parts, config, state)
            seconds.append(clock() - began)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    used = torch.cuda.max_memory_allocated() if on_gpu else after - before
    del parts
    if busy:
        probe.time = SimpleNamespace(perf_counter=time.process_time)
    plan = plan_training(config)
    return {
        "parameters": plan["parameters"],
        "planned_bytes": plan["memory_bytes"],
        "used_bytes": used,
        "planned_sec": plan["step_seconds"],
        "used_sec": statistics.median(seconds[1:]),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.device, options.busy)))
        return
    print(f"{machine('torch')}; {options.threads} threads, {options.device}\n")
    print("| recipe | parameters | memory planned, MB | used | ratio | step planned, s | taken | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(options.threads))
    for name in options.recipes:
        command = [sys.executable, str(Path(__file__)), "--one", name, "--device", options.device]
        command += ["--busy"] * options.busy
        found = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
        print(
            f"| {name} | {found['parameters'] / 1e6:.1f} M | {found['planned_bytes'] / 1e6:,.0f} "
            f"| {found['used_bytes'] / 1e6:,.0f} | {found['planned_bytes'] / found['used_bytes']:.2f} "
            f"| {found['planned_sec']:.2f} | {found['used_sec']:.2f} "
            f"| {found['planned_sec'] / found['used_sec']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
