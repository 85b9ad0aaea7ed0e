"""List runs, show one, or print what it measured.

A run is named by its folder, its id, or the beginning of its id. ETUDE_RUNS names the folder of runs, by
default `runs`.

Example:
    etude runs
    etude runs show 3fa9c1
    etude runs log 3fa9c1 --csv > curve.csv
"""

import csv
import io
from dataclasses import asdict
from typing import Annotated, Any

import typer

from etude.cli.show import report

app = typer.Typer(
    add_completion=False, invoke_without_command=True, help="List runs, show one, or print what it measured."
)
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="a run's folder, its id, or the beginning of its id")]


@app.callback()
def root(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List runs, show one, or print what it measured."""
    if ctx.invoked_subcommand is None:
        list_all(as_json)


@app.command("list", epilog="Example:\n\netude runs list --json")
def list_all(as_json: AsJson = False) -> None:
    """List runs, the one that changed last first."""
    from etude.runs.find import list_runs, runs_root
    from etude.runs.identity import short_ids

    runs = list_runs()
    rows = [asdict(run) | {"path": str(run.path)} for run in runs]
    short = short_ids([run.run for run in runs])
    table = [["run", "recipe", "label", "state", "step", "best", "changed"]]
    for run in runs:
        best = "" if run.best is None else f"{run.best:.4f}"
        table.append([short[run.run], run.recipe, run.label, run.state, str(run.step), best, run.time])
    lines = _aligned(table) if runs else [f"no runs in {runs_root()}; begin one with `etude train`"]
    report({"runs": rows}, as_json=as_json, lines=lines)


@app.command(epilog="Example:\n\netude runs show 3fa9c1")
def show(name: RunName, as_json: AsJson = False) -> None:
    """Show what a run is, where it stands, and where it ran."""
    from etude.runs.definition import read_config
    from etude.runs.environment import read_environment
    from etude.runs.find import children_of, find_run

    run = find_run(name)
    definition, environment = read_config(run.path), read_environment(run.path)
    children = children_of(run)
    started = definition.settings.get("start", {}).get("model")
    document = asdict(run) | asdict(definition) | {"path": str(run.path), "environment": environment}
    document |= {"children": children}
    document.pop("id")
    facts = {
        "run": run.run,
        "path": run.path,
        "recipe": " ".join([definition.recipe, *definition.overrides]),
        "tuned from" if started else "forked from": definition.parent,
        "starts with": started and f"weights {definition.settings['start']['digest']} of {started}",
        "children": ", ".join(children),
        "state": f"{run.state}{': ' + run.reason if run.reason else ''}",
        "step": run.step,
        "best": run.best,
        "corpus": definition.corpus,
        "tokenizer": definition.tokenizer,
        "starts": len(environment.get("starts", [])),
        "commit": environment.get("commit"),
        "device": environment.get("device"),
    }
    lines = [f"{fact:<12} {value}" for fact, value in facts.items() if value not in (None, "")]
    lines += ["", *(f"{place} = {value}" for place, value in flat(definition.settings).items())]
    report(document, as_json=as_json, lines=lines)


@app.command(epilog="Example:\n\netude runs log 3fa9c1 --csv > curve.csv")
def log(
    name: RunName,
    kind: Annotated[str | None, typer.Option(help="only records of this kind, such as train or valid")] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="print a row for each evaluation, or with --kind for each record of that kind")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the records of a run, oldest first."""
    from etude.runs.find import find_run
    from etude.runs.records import columns_of, curve, read_records

    run = find_run(name)
    records = [flat(record) for record in read_records(run.path / "metrics.jsonl", kind=kind)]
    columns = columns_of(records)
    if as_csv:
        table = records if kind else curve(records)
        text = io.StringIO()
        writer = csv.DictWriter(text, columns_of(table), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        lines = text.getvalue().splitlines()
    else:
        rows = [[_shown(record.get(column, "")) for column in columns] for record in records]
        lines = _aligned([columns, *rows]) if records else [f"run {run.run}: no records yet"]
    report({"run": run.run, "records": records}, as_json=as_json, lines=lines)


def flat(values: dict[str, Any], where: str = "") -> dict[str, Any]:
    """Return nested values as one level of dotted names.

    Example:
        >>> flat({"train": {"seed": 0}, "label": ""})
        {'train.seed': 0, 'label': ''}
    """
    found = {}
    for name, value in values.items():
        place = f"{where}.{name}" if where else name
        found |= flat(value, place) if isinstance(value, dict) else {place: value}
    return found


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _aligned(table: list[list[str]]) -> list[str]:
    """Return rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
