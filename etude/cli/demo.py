"""The whole path on the built-in corpus: prepare, tokenise, train, generate, render, and a page to open.

Example:
    etude demo
    etude demo --minutes 2 --out first-try
"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from etude.cli.show import note, progress_bar, report


def run(
    minutes: Annotated[float, typer.Option(min=0.05, help="training time")] = 5.0,
    takes: Annotated[int, typer.Option(min=1, help="how many takes to generate")] = 8,
    seconds: Annotated[float, typer.Option(min=1, help="length of a take")] = 30.0,
    seed: Annotated[int, typer.Option(help="seed of the training and of the first take")] = 0,
    out: Annotated[Path, typer.Option(help="folder for the corpus, the run, the takes and the page")] = Path("demo"),
    device: Annotated[str, typer.Option(help="cpu, cuda or mps")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Prepare, tokenise, train, generate, render, and write a page to open."""
    from etude.cli.demo_page import write_demo_page
    from etude.cli.demo_parts import baseline_scores, demo_config, demo_corpus, make_demo_takes
    from etude.training.train import train

    began = time.monotonic()
    with progress_bar("preparing", total=None, unit="pieces") as advance_to:
        corpus = demo_corpus(out / "corpus", lambda done, total: advance_to(done, total=total))
    note(f"corpus: {len(corpus)} pieces, {corpus.info['notes']:,} notes, {corpus.info['hours']:.1f} hours")
    config = demo_config(corpus, minutes=minutes, seed=seed, device=device)
    note(f"training: {config.train.num_steps} steps, about {minutes:g} minutes")
    with progress_bar("training", total=config.train.num_steps, unit="steps") as advance_to:

        def on_step(numbers: dict[str, Any]) -> None:
            advance_to(numbers["step"], f"loss {numbers['loss']:.3f}  {numbers['tokens_per_sec']:,.0f} tokens/s")

        trained = train(config, runs_dir=out / "runs", clear=True, origin={"recipe": "demo"}, on_step=on_step, say=note)
    scores = [{"name": "this model"} | trained.valid, *baseline_scores(config, corpus)]
    for row in scores:
        note(f"{row['name']}: {row['nats_per_token']:.4f} nats a token on the validation pieces")
    with progress_bar("generating", total=None, unit="tokens") as advance_to:
        made = make_demo_takes(trained.path, out / "takes", n=takes, seconds=seconds, seed=seed, on_tokens=advance_to)
    page = write_demo_page(out / "index.html", corpus=corpus, config=config, trained=trained, scores=scores, takes=made)
    document = {
        "page": str(page),
        "run": trained.run,
        "path": str(trained.path),
        "valid": trained.valid,
        "baselines": {row["name"]: row["nats_per_token"] for row in scores[1:]},
        "takes": [str(take.midi_path) for take in made],
        "seconds": round(time.monotonic() - began, 1),
    }
    report(document, as_json=as_json, lines=[f"{len(made)} takes in {out / 'takes'}; open the page:", str(page)])
