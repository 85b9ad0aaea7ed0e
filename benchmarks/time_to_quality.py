"""Seconds until ours is as good as the classic Music Transformer set-up is after 20 minutes, on the same tokens.

    etude prepare MIDI_DIR CORPUS
    python benchmarks/time_to_quality.py CORPUS --music-transformer DIR [--minutes 20] [--threads 2]
                                         [--recipe music-transformer-small] [--eval-pieces 24] [--busy]

Classic is gwinndr/MusicTransformer-Pytorch, unpacked in DIR, as its train.py has it: 6 layers of width 512, 8 heads,
feed-forward 1,024, relative positions, dropout 0.1, float32, two rows of 2,048 ids a step, Adam with the noam rule
and 4,000 steps of warm-up. Ours is a recipe as `etude train` runs it. Both read the same corpus, split and performance
ids, and say nats a note of the same validation pieces, every target scored once. Seconds are of training steps alone;
with --busy processor time, for one thread on a machine that does other work too. The goal is a quarter.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from taking_turns import THREAD_VARIABLES, machine
from train_step_peers import classic_model

CTX_LEN, ROWS = 2048, 2
CLASSIC = {"width": 512, "heads": 8, "inner": 1024, "dropout": 0.1}
LOOKS = 20
"""Evaluations of the classic one; ours is looked at as often, in a quarter of the time."""


def classic(options: argparse.Namespace, clock: Callable[[], float]) -> dict:
    """Train the classic one for its time; return its curve."""
    import torch

    from etude.data.batches import EvalWindows, TrainBatches
    from etude.data.builtin import open_corpus
    from etude.data.tokenize import tokenize
    from etude.optim import learning_rate_at
    from etude.optim_settings import OptimSettings, noam_peak_lr
    from etude.recipes import resolve
    from etude.tokens import tokenizer_of

    shards = tokenize(open_corpus(options.corpus), tokenizer_of(resolve(options.recipe, []).data.tokenizer))
    batches = TrainBatches(shards, ctx_len=CTX_LEN, batch_size=ROWS, seed=0)
    windows = EvalWindows(shards, "valid", ctx_len=CTX_LEN, max_pieces=options.eval_pieces, batch_size=ROWS)
    torch.manual_seed(0)
    model, forward = classic_model(CTX_LEN, **CLASSIC)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0, betas=(0.9, 0.98), eps=1e-8)
    rule = OptimSettings(schedule="noam", peak_lr=noam_peak_lr(512, 4000), warmup_steps=4000)

    def step(number: int) -> None:
        ids_BT = torch.from_numpy(batches.at(number))
        optimizer.param_groups[0]["lr"] = learning_rate_at(rule, number + 1)
        logits = forward(ids_BT[:, :-1])
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids_BT[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()

    @torch.no_grad()
    def nats_per_note() -> float:
        model.eval()
        nats = 0.0
        for batch in windows:
            ids_BT, targets_BT, weight_BT = (torch.from_numpy(array) for array in batch)
            found = torch.nn.functional.cross_entropy(forward(ids_BT).mT, targets_BT, reduction="none")
            nats += float((found.double() * weight_BT).sum())
        model.train()
        return nats / windows.num_notes

    return curve(step, nats_per_note, clock, seconds=60 * options.minutes, every=60 * options.minutes / LOOKS)


def ours(options: argparse.Namespace, clock: Callable[[], float]) -> dict:
    """Train a recipe until it is as good as the target, for as long as the classic one had at most."""
    from etude.data.builtin import open_corpus
    from etude.recipes import resolve
    from etude.tokens import tokenizer_of
    from etude.training.memory import kept_memory
    from etude.training.state import TrainState
    from etude.training.step import build_parts, take_step

    config = resolve(options.recipe, [f"data.corpus={options.corpus}", f"train.eval_pieces={options.eval_pieces}"])
    parts = build_parts(config, open_corpus(options.corpus), tokenizer_of(config.data.tokenizer), say=lambda line: None)
    state = TrainState()

    def nats_per_note() -> float:
        parts.model.eval()
        found = parts.task.evaluate(parts.model)["nats_per_note"]
        parts.model.train()
        return found

    with kept_memory():
        return curve(
            lambda number: take_step(parts, config, state),
            nats_per_note,
            clock,
            seconds=60 * options.minutes,
            every=15 * options.minutes / LOOKS,
            target=options.target,
        )


def curve(
    step: Callable[[int], object],
    nats_per_note: Callable[[], float],
    clock: Callable[[], float],
    *,
    seconds: float,
    every: float,
    target: float = 0.0,
) -> dict:
    """Train and look from time to time; the time of looking does not count."""
    spent, steps, points = 0.0, 0, []
    while True:
        if spent >= every * len(points) or spent >= seconds:
            points.append((round(spent, 1), steps, round(nats_per_note(), 4)))
            print(f"{points[-1][0]:8.1f} s  {steps:6,} steps  {points[-1][2]:.4f} nats a note", file=sys.stderr)
            if spent >= seconds or points[-1][2] <= target:
                return {"points": points}
        began = clock()
        step(steps)
        spent += clock() - began
        steps += 1


def main() -> None:
    """Run both, one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--music-transformer", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--recipe", default="music-transformer-small")
    parser.add_argument("--eval-pieces", type=int, default=24)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--target", type=float, help="nats a note to reach; the classic one is not run then")
    parser.add_argument("--one", choices=["classic", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["BENCH_MUSIC_TRANSFORMER"] = str(options.music_transformer.resolve())
    if options.one:
        clock = time.process_time if options.busy else time.perf_counter
        print(json.dumps({"classic": classic, "ours": ours}[options.one](options, clock)))
        return
    target, rows = options.target, []
    if target is None:
        rows.append(("classic Music Transformer", _run("classic", options.threads)["points"][-1]))
        target = rows[0][1][2]
    rows.append((f"etude, {options.recipe}", _run("ours", options.threads, "--target", str(target))["points"][-1]))
    print(f"{machine('torch')}; {options.threads} threads; {options.corpus}\n")
    print("| | seconds of training | steps | validation, nats a note |\n|---|--:|--:|--:|")
    for name, (seconds, steps, nats) in rows:
        print(f"| {name} | {seconds:,.0f} | {steps:,} | {nats:.3f} |")
    reached = "reached" if rows[-1][1][2] <= target else "NOT reached"
    print(f"\n{target:.3f} nats a note {reached} in {rows[-1][1][0] / (60 * options.minutes):.3f} of the time.")


def _run(which: str, threads: int, *more: str) -> dict:
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    command = [sys.executable, str(Path(__file__)), *sys.argv[1:], "--one", which, *more]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


if __name__ == "__main__":
    main()
