"""Fine-tuning on a small folder: what each way of it brings in the same steps, how long it takes, what it copies.

    python benchmarks/finetune_lora.py BASE MIDI_DIR [--minutes 5] [--ways lora,all] [--runs DIR] [NAME=VALUE ...]

BASE is a model folder or a run, of about 10 million weights for the goal: adapters learned on 20 pieces in less than 5
minutes on a CPU, the loss on held-out pieces below the base's, no take a copy. Prints one table.
"""

import argparse
import time
from pathlib import Path

import torch

import etude
from etude.data.midi_folder import corpus_of
from etude.generate.novelty import KnownMusic, Limits
from etude.model_folder import model_path
from etude.runs.records import read_records

TAKES, TAKE_SEC = 4, 20.0


def measure(base: str, folder: str, way: str, runs: Path, overrides: dict) -> list[str]:
    """Fine-tune in one way and return a row of the table."""
    began = time.monotonic()
    trained = etude.finetune(base, folder, trains=way, runs_dir=runs, label=f"{way} {time.time():.0f}", **overrides)
    seconds = time.monotonic() - began
    valid = list(read_records(trained.path / "metrics.jsonl", kind="valid"))
    best = min(valid, key=lambda record: record["nats_per_token"])
    files = [trained.path / "best/loss/adapter/adapter.safetensors", model_path(base) / "model.safetensors"]
    share = f"{files[0].stat().st_size / files[1].stat().st_size:.2%}" if files[0].is_file() else "–"
    corpus = corpus_of(folder, runs / "corpora")
    known = KnownMusic.of_corpus(corpus)
    limits = Limits.of(known, (piece.score for piece in corpus.pieces("valid")), seconds=TAKE_SEC)
    takes = etude.load(trained.path).generate(TAKES, seconds=TAKE_SEC)
    found = [known.compare(take.score) for take in takes]
    return [
        way,
        str(trained.step),
        str(best["step"]),
        f"{trained.seconds:.0f}",
        f"{seconds:.0f}",
        f"{valid[0]['nats_per_token']:.3f}",
        f"{best['nats_per_token']:.3f}",
        f"{1 - best['nats_per_token'] / valid[0]['nats_per_token']:.1%}",
        share,
        f"{max(one.run_notes for one in found)} of {limits.run_notes}",
        f"{max(one.nearest_share for one in found):.0%} of {limits.share:.0%}",
        str(sum(not limits.is_new(one) for one in found)),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("folder")
    parser.add_argument("words", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--minutes", type=float, default=5.0, help="most training time of each way")
    parser.add_argument("--ways", default="lora,all,last_block,head")
    parser.add_argument("--runs", type=Path, default=Path("build/finetune"))
    args = parser.parse_intermixed_args()
    overrides = dict(word.split("=", 1) for word in args.words) | {"train.max_minutes": args.minutes}
    head = "|trained|steps|best at|s of steps|s in all|base, nats/token|best|less|adapter|longest run|share|copies|"
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}\n\n{head}\n|---|{'--:|' * (head.count('|') - 2)}"
    )
    for way in args.ways.split(","):
        print("| " + " | ".join(measure(args.base, args.folder, way, args.runs, overrides)) + " |", flush=True)


if __name__ == "__main__":
    main()
