"""The page that ``etude demo`` ends in: what it shows, gathered from the run and the takes."""

from pathlib import Path
from typing import Any

from etude.cli.demo_parts import DemoTake
from etude.config import RunConfig
from etude.data.corpus import Corpus
from etude.files import write_text
from etude.metrics.distance import compare
from etude.music.edit import trim
from etude.music.score import Score
from etude.pages.demo import DemoContent, Take, demo_page
from etude.runs.records import read_records

COMPARED = ("in_key", "polyphony", "note_density", "pitch_range")


def write_demo_page(
    path: Path, *, corpus: Corpus, config: RunConfig, trained: Any, scores: list[dict], takes: list[DemoTake]
) -> Path:
    """Write the page and return its absolute path.

    Args:
        path: the HTML file.
        corpus: what was learned from.
        config: how.
        trained: what ``train`` returned.
        scores: a row for the model and for each baseline, see ``etude.pages.demo``.
        takes: what it made.
    """
    seconds = max(take.take.score.duration_sec for take in takes)
    content = DemoContent(
        title="Etude: a first model",
        corpus={
            "pieces": len(corpus),
            "notes": f"{corpus.info['notes']:,}",
            "hours": f"{corpus.info['hours']:.1f}",
            "held out": corpus.info["splits"]["valid"],
            "licence": ", ".join(corpus.info["licences"]),
        },
        model={
            "kind": f"{config.model.kind}, {config.model.positions} positions",
            "layers × width": f"{config.model.num_layers} × {config.model.model_dim}",
            "context": f"{config.model.ctx_len} tokens",
            "steps": trained.step,
            "training": f"{trained.seconds / 60:.1f} min",
            "run": trained.run,
        },
        loss=_loss_lines(trained.path),
        baselines={row["name"]: row["nats_per_token"] for row in scores[1:]},
        scores=scores,
        takes=[_page_take(take, number) for number, take in enumerate(takes, 1)],
        comparison=_comparison([take.take.score for take in takes], _held_out(corpus, seconds)),
        commands=_commands(trained.path, path.parent / "corpus"),
        corpus_note=(
            "Public-domain compositions by several composers, from 14th-century songs to fiddle tunes, "
            "built into Etude. "
            "Pieces of one group, such as two settings of one melody, are never on both sides of the split."
        ),
    )
    write_text(path, demo_page(content))
    return path.resolve()


def _loss_lines(run: Path) -> dict[str, tuple[list[float], list[float]]]:
    lines: dict[str, tuple[list[float], list[float]]] = {"train": ([], []), "valid": ([], [])}
    names = {"train": "loss", "valid": "nats_per_token"}
    for record in read_records(run / "metrics.jsonl"):
        if record["kind"] in lines:
            steps, values = lines[record["kind"]]
            steps.append(record["step"])
            values.append(record[names[record["kind"]]])
    return lines


def _held_out(corpus: Corpus, seconds: float) -> list[Score]:
    """Return the beginnings of the validation pieces, as long as the longest take."""
    return [trim(piece.score, 0.0, seconds) for piece in corpus.pieces("valid")]


def _comparison(takes: list[Score], held_out: list[Score]) -> dict[str, dict]:
    return compare([score for score in takes if len(score.notes)], held_out, attributes=COMPARED)


def _page_take(take: DemoTake, number: int) -> Take:
    recipe = take.take.recipe
    shown = {
        "seed": recipe["seed"],
        "temperature": recipe["sampling"]["temperature"],
        "top-p": recipe["sampling"]["top_p"],
        "model": recipe["model"]["digest"],
        "again": f"etude replay {take.midi_path.with_suffix('.json')}",
    }
    return Take(
        score=take.take.score,
        title=f"Take {number}",
        wav=take.wav_path,
        midi=take.midi_path.read_bytes(),
        recipe=shown,
        name=take.midi_path.stem,
    )


def _commands(run: Path, corpus: Path) -> list[tuple[str, str]]:
    return [
        (f"etude generate {run} --seconds 30 -n 4 --audio", "four more takes, with audio"),
        (f"etude generate {run} --prompt YOUR.mid --prompt-seconds 8 --seconds 20", "let it continue music of yours"),
        ("etude prepare YOUR_MIDI_FOLDER my-corpus", "make a corpus of your own MIDI files"),
        ("etude train music-transformer-small data.corpus=my-corpus", "train a larger model on it"),
        (f"etude train llama-tiny data.corpus={corpus}", "train another kind of model on the built-in pieces"),
    ]
