"""Train the model of a recipe, or go on with a run that stopped: the same command does both.

Example:
    etude train music-transformer-small data.corpus=corpus
    etude train llama-tiny model=small optim.peak_lr=5e-4 train.num_steps=3000
    etude train -f 3fa9 train.num_steps=6000
    etude train aria-medium --devices 8 train.device=cuda train.shard=shard
    torchrun --nnodes 2 --nproc-per-node 8 … -m etude.cli train aria-medium train.device=cuda
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from etude.cli.as_rank import explained_by_launcher, is_first, launch
from etude.cli.show import note, progress_bar, report
from etude.errors import SettingsError


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="a recipe from `etude recipes`, then section=preset and section.name=value",
            metavar="[RECIPE] [NAME=VALUE]...",
        ),
    ] = None,
    from_run: Annotated[
        str | None, typer.Option("-f", "--from", help="the settings of this run instead of a recipe")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="a flat YAML file of names and values")] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="throw an earlier run of the same settings away first")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before --clear")] = False,
    fork: Annotated[
        bool, typer.Option("--fork", help="with -f: start a new run where the settings no longer give the old one")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="say what it takes, and do nothing")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the same as train.device=")] = None,
    devices: Annotated[
        int, typer.Option(min=1, help="train on so many devices of this machine; torchrun does it on several machines")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Train the model of a recipe, or go on with a run that stopped."""
    from etude.cli.train_words import resolve_words

    wanted, origin = resolve_words(words or [], from_run=from_run, config=config, device=device, fork=fork)
    if plan:
        from etude.training.plan import plan_training

        numbers = plan_training(wanted)
        report(numbers, as_json=as_json, lines=_plan_lines(numbers))
        return
    if clear and not yes:
        if not sys.stdin.isatty():
            raise SettingsError("--clear deletes the run of these settings, and nobody is here to ask; add --yes")
        typer.confirm("--clear deletes the run of these settings, if there is one. Go on?", abort=True, err=True)
    if devices > 1:
        from etude.training.cadence import rows_of_rank

        rows_of_rank(wanted.train.batch_tokens // wanted.model.ctx_len, 0, devices)
        options = {"-f": from_run, "--config": config, "--device": device}
        flags = {"--clear": clear, "--yes": clear, "--fork": fork, "--json": as_json}
        launch(
            ["train", *(words or [])]
            + [text for name, value in options.items() if value is not None for text in (name, str(value))]
            + [name for name, is_set in flags.items() if is_set],
            devices,
        )
        return
    from etude.training.train import train

    bar = progress_bar("training", total=wanted.train.num_steps, unit="steps")
    with bar as advance_to, explained_by_launcher():

        def on_step(numbers: dict[str, Any]) -> None:
            detail = f"loss {numbers['loss']:.3f}  {numbers['tokens_per_sec']:,.0f} tokens/s"
            advance_to(numbers["step"], detail)

        trained = train(wanted, origin=origin, clear=clear, on_step=on_step, say=note)
    if not is_first():
        return
    document = {
        "run": trained.run,
        "path": str(trained.path),
        "step": trained.step,
        "seconds": round(trained.seconds, 3),
        "valid": trained.valid,
    }
    if trained.stopped_by is not None:
        note(f"{trained.stopped_by}: saved at step {trained.step}; the same command goes on from there")
        raise KeyboardInterrupt
    report(document, as_json=as_json, lines=_lines(document))


def _lines(document: dict[str, Any]) -> list[str]:
    valid = document["valid"]
    return [
        f"run {document['run']}: step {document['step']}, {document['seconds'] / 60:.1f} minutes of training",
        f"validation: {valid['nats_per_token']:.4f} nats/token, {valid['nats_per_note']:.4f} nats/note, "
        f"{valid['nats_per_sec']:.3f} nats/s, accuracy {valid['accuracy']:.1%}",
        f"listen: etude generate {document['path']} --seconds 30 -n 4 --audio",
    ]


def _plan_lines(numbers: dict[str, Any]) -> list[str]:
    return [
        f"run          {numbers['run']} in {numbers['path']}",
        f"parameters   {numbers['parameters']:,}",
        f"arithmetic   {numbers['flops_per_token'] / 1e6:,.0f} MFLOP a token",
        f"memory       {numbers['memory_bytes'] / 1e9:.2f} GB at the peak of a step, about: "
        + ", ".join(f"{part} {size / 1e9:.2f}" for part, size in numbers["memory"].items() if size),
        f"disk         {numbers['disk_bytes'] / 1e6:.0f} MB for checkpoints and best models",
        f"step         {numbers['step_seconds']:.2f} s, about; {numbers['tokens_per_sec']:,.0f} tokens/s "
        f"on {numbers['device']}, {numbers['precision']}; {numbers['micro_batch_tokens']:,} tokens at once",
        f"training     {numbers['num_steps']} steps, {numbers['hours']:.2f} hours",
    ]
