"""Fine-tune a model on your own folder of MIDI: it ends in a page to listen to it, before and after.

The folder is prepared by itself: a fifth of it is held out, so that learning by heart does not pass for learning.

Example:
    etude finetune runs/RUN my-midi
    etude finetune runs/RUN my-midi --lora --minutes 5
    etude finetune MODEL corpus --train head optim.peak_lr=2e-3
    etude finetune MODEL my-midi --control composer
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from etude.cli.as_rank import is_first
from etude.cli.show import note, progress_bar, report
from etude.errors import SettingsError

Texts = list[str] | None


def run(
    model: Annotated[str, typer.Argument(help="a model folder, a run folder, or the beginning of a run's id")],
    source: Annotated[str, typer.Argument(metavar="MIDI_DIR|CORPUS", help="a folder of MIDI, or a prepared corpus")],
    words: Annotated[
        Texts, typer.Argument(metavar="[NAME=VALUE]...", help="settings on top of those that fit the corpus")
    ] = None,
    trains: Annotated[
        Literal["all", "last_block", "head", "lora"],
        typer.Option("--train", help="what changes: all weights, the last block and the head, the head, or adapters"),
    ] = "all",
    lora: Annotated[bool, typer.Option("--lora", help="learn small adapters, the same as --train lora")] = False,
    control: Annotated[
        Texts, typer.Option(help="a label, or something measured, to ask the model for; give it again")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="most training time")] = None,
    takes: Annotated[int, typer.Option(min=0, help="pairs of takes on the page; half continue a held-out piece")] = 4,
    seconds: Annotated[float, typer.Option(min=1, help="length of a take")] = 20.0,
    seed: Annotated[int, typer.Option(help="seed of the training and of the first take")] = 0,
    out: Annotated[Path | None, typer.Option(help="folder for takes and page; by default listen/ in the run")] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="throw an earlier run of the same settings away first")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before --clear")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="say what would be trained, and do nothing")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Fine-tune a model on your own MIDI."""
    from etude.cli.finetune_parts import Asked, base_of, corpus_lines, plan_lines, prepared, wanted_config
    from etude.cli.finetune_result import conclude

    base = base_of(model)
    note(base.line)
    with progress_bar("reading", total=None, unit="files") as advance_to:
        corpus = prepared(source, lambda done, total: advance_to(done, total=total))
    for line in corpus_lines(source, corpus):
        note(line)
    asked = Asked(
        trains="lora" if lora else trains,
        control=tuple(control or ()),
        words=(*(words or ()), f"train.seed={seed}", *([f"train.max_minutes={minutes}"] if minutes else [])),
        device=device,
    )
    config = wanted_config(base, corpus, asked, say=note)
    for line in plan_lines(config):
        note(line)
    if plan:
        report({"config": config.plain()}, as_json=as_json, lines=["nothing was trained; leave --plan out to begin"])
        return
    if clear and not yes:
        if not sys.stdin.isatty():
            raise SettingsError("--clear deletes the run of these settings, and nobody is here to ask; add --yes")
        typer.confirm("--clear deletes the run of these settings, if there is one. Go on?", abort=True, err=True)
    trained = _train(config, {"recipe": "finetune", "overrides": asked.words, "parent": base.run}, clear=clear)
    if not is_first():
        return
    if trained.stopped_by is not None:
        note(f"{trained.stopped_by}: saved at step {trained.step}; the same command goes on from there")
        raise KeyboardInterrupt
    with progress_bar("generating", total=None, unit="tokens") as advance_to:
        result = conclude(
            base, corpus, config, trained, count=takes, seconds=seconds, seed=seed, out=out, on_tokens=advance_to
        )
    report(result.document, as_json=as_json, lines=result.lines)


def _train(config: Any, origin: dict[str, Any], *, clear: bool) -> Any:
    from etude.cli.finetune_parts import Pace
    from etude.training.train import train

    pace = Pace(config.train.num_steps)
    with progress_bar("training", total=config.train.num_steps, unit="steps") as advance_to:

        def on_step(numbers: dict[str, Any]) -> None:
            advance_to(numbers["step"], f"loss {numbers['loss']:.3f}  {numbers['tokens_per_sec']:,.0f} tokens/s")
            if (line := pace.line(numbers)) is not None:
                note(line)

        return train(config, origin=origin | {"command": sys.argv}, clear=clear, on_step=on_step, say=note)
