"""What ``etude finetune`` ends in: pairs of takes, each held against what was learned, a page, and what to say."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from etude.cli.finetune_parts import Base, left_out
from etude.config import RunConfig
from etude.data.corpus import Corpus
from etude.errors import MissingExtraError
from etude.files import write_text
from etude.generate.novelty import KnownMusic, Limits
from etude.generate.takes import Take
from etude.model_folder import Model, load
from etude.music.edit import trim
from etude.music.render import render_wav
from etude.music.score import Score
from etude.pages.finetune import FinetuneContent, Heard, Pair, finetune_page
from etude.runs.records import read_records
from etude.training.train import Trained

_PROMPT_SEC = 6.0
_WORSE = 1.02  # a loss this much above the best says that pieces are being learned by heart

OnTokens = Callable[[int], None]


@dataclass(frozen=True)
class Result:
    """The document of ``--json``, and lines for a person."""

    document: dict[str, Any]
    lines: list[str]


class Curve(NamedTuple):
    """What a run measured: (steps, values) of both losses, the base's numbers, the best ones and their step."""

    loss: dict[str, tuple[list[float], list[float]]]
    before: dict[str, Any]
    best: dict[str, Any]
    best_step: int


class Request(NamedTuple):
    """What both models are asked for: in words, the music to continue, a seed."""

    words: str
    prompt: Score | None
    seed: int


def conclude(
    base: Base,
    corpus: Corpus,
    config: RunConfig,
    trained: Trained,
    *,
    count: int,
    seconds: float,
    seed: int,
    out: Path | None,
    on_tokens: OnTokens,
) -> Result:
    """Play both models, compare the takes with what was learned, and write the page.

    Args:
        base: the model as it was.
        corpus: what was learned from.
        config: how.
        trained: what training came to.
        count: pairs of takes.
        seconds: of new music in a take.
        seed: of the first take.
        out: the folder of takes and page; None for ``listen/`` in the run.
        on_tokens: called with the tokens done of a take.
    """
    curve = curve_of(trained.path)
    known = KnownMusic.of_corpus(corpus)
    limits = Limits.of(known, (piece.score for piece in corpus.pieces("valid")), seconds=seconds)
    folder = out or trained.path / "listen"
    players = (load(base.folder, device=config.train.device), load(trained.path, device=config.train.device))
    pairs = []
    for number, request in enumerate(requests(corpus, count, seed), 1):
        made = [_play(player, request, seconds, on_tokens) for player in players]
        begin_sec = 0.0 if request.prompt is None else _PROMPT_SEC
        heard = [
            _heard(take, folder, f"take-{number}-{when}", begin_sec, known, limits)
            for when, take in zip(("before", "after"), made, strict=True)
        ]
        pairs.append(Pair(asked=request.words, before=heard[0], after=heard[1]))
    said = how_it_went(curve, config, trained, pairs)
    page = folder / "index.html"
    content = _content(base, corpus, config, trained, curve=curve, limits=limits, pairs=pairs, said=said)
    write_text(page, finetune_page(content))
    document = {
        "run": trained.run,
        "path": str(trained.path),
        "step": trained.step,
        "seconds": round(trained.seconds, 3),
        "valid": curve.best,
        "best_step": curve.best_step,
        "before": curve.before,
        "corpus": str(corpus.path),
        "page": str(page.resolve()),
        "novelty": {
            "limit_notes": limits.run_notes,
            "limit_share": limits.share,
            "longest_run": max((pair.after.run_notes for pair in pairs), default=0),
            "largest_share": max((pair.after.nearest_share for pair in pairs), default=0.0),
            "copies": sum(not pair.after.is_new for pair in pairs),
        },
    }
    return Result(document, [*said, f"model: {trained.path / 'best' / 'loss'}", "open the page:", str(page.resolve())])


def requests(corpus: Corpus, count: int, seed: int) -> list[Request]:
    """Return what the models are asked for: one half begins from nothing, one continues held-out pieces."""
    pieces = [piece for piece in corpus.pieces("valid") if piece.duration_sec >= 2 * _PROMPT_SEC]
    prompts = [(piece.path, trim(piece.score, 0.0, _PROMPT_SEC)) for piece in pieces[: count // 2]]
    prompts = [(path, prompt) for path, prompt in prompts if len(prompt.notes)]
    found = [Request("From nothing", None, seed + number) for number in range(count - len(prompts))]
    return found + [
        Request(f"Continuing the first {_PROMPT_SEC:g} s of {path}, which was held out", prompt, seed + number)
        for number, (path, prompt) in enumerate(prompts, len(found))
    ]


def curve_of(run: Path) -> Curve:
    """Return what a run measured."""
    records = list(read_records(run / "metrics.jsonl"))
    train = [record for record in records if record["kind"] == "train"]
    valid = [record for record in records if record["kind"] == "valid"]
    best = min(valid, key=lambda record: record["nats_per_token"])
    loss = {
        "learned pieces": ([record["step"] for record in train], [record["loss"] for record in train]),
        "held-out pieces": ([record["step"] for record in valid], [record["nats_per_token"] for record in valid]),
    }
    plain = [{name: value for name, value in one.items() if name not in ("step", "kind")} for one in (valid[0], best)]
    return Curve(loss, plain[0], plain[1], best["step"])


def how_it_went(curve: Curve, config: RunConfig, trained: Trained, pairs: list[Pair]) -> list[str]:
    """Return sentences on what training brought, the most important first. Overfitting never goes unsaid."""
    before, best = curve.before["nats_per_token"], curve.best["nats_per_token"]
    steps, losses = curve.loss["held-out pieces"]
    if curve.best_step == 0:
        said = [
            f"On the held-out pieces nothing was gained: the base model's {before:.3f} nats a token stayed the lowest "
            "loss, so the model that was kept is the base model itself. More pieces, a lower optim.peak_lr or --lora "
            "may help."
        ]
    else:
        said = [
            f"On the held-out pieces the loss fell from {before:.3f} to {best:.3f} nats a token, "
            f"{1 - best / before:.0%} less; the best model is that of step {curve.best_step} of {trained.step}."
        ]
    after = [loss for step, loss in zip(steps, losses, strict=True) if step > curve.best_step]
    if after and max(after) > _WORSE * best:
        said.append(
            f"After step {curve.best_step} the loss on held-out pieces rose to {max(after):.3f}: the model had begun "
            "to learn the pieces by heart, and what came after is not kept."
        )
    elif curve.best_step == trained.step > 0 and trained.step >= config.train.num_steps:
        twice = 2 * config.train.num_steps
        said.append(
            f"It was still getting better at the end: train.num_steps={twice} optim.schedule_steps={twice} may bring "
            "more."
        )
    if pairs:
        copies = [pair.after.name for pair in pairs if not pair.after.is_new]
        if copies:
            said.append(f"{len(copies)} of {len(pairs)} takes copy your music: {', '.join(copies)}.")
        else:
            longest = max(pair.after.run_notes for pair in pairs)
            run = f"the longest run that one shares with it has {longest} notes" if longest else "none shares 8 notes"
            said.append(f"None of {len(pairs)} takes copies your music: {run}.")
    return said


def _play(player: Model, request: Request, seconds: float, on_tokens: OnTokens) -> Take:
    return player.generate(1, seconds=seconds, prompt=request.prompt, seed=request.seed, on_tokens=on_tokens)[0]


def _heard(take: Take, folder: Path, name: str, begin_sec: float, known: KnownMusic, limits: Limits) -> Heard:
    """Write a take, render it where that is possible, and compare what is new of it with known music."""
    midi_path, _ = take.save(folder, name)
    wav_path: Path | None = midi_path.with_suffix(".wav")
    try:
        render_wav(take.score, wav_path, sample_rate_hz=22050)
    except MissingExtraError:
        wav_path = None
    found = known.compare(trim(take.score, begin_sec, take.score.duration_sec + 1.0))
    return Heard(
        score=take.score,
        name=name,
        wav=wav_path,
        midi=midi_path.read_bytes(),
        run_notes=found.run_notes,
        run_sec=found.run_sec,
        at_sec=begin_sec + found.at_sec,
        run_piece=found.run_piece,
        semitones=found.semitones,
        nearest=found.nearest,
        nearest_share=found.nearest_share,
        is_new=limits.is_new(found),
    )


def _content(
    base: Base,
    corpus: Corpus,
    config: RunConfig,
    trained: Trained,
    *,
    curve: Curve,
    limits: Limits,
    pairs: list[Pair],
    said: list[str],
) -> FinetuneContent:
    info, model = corpus.info, trained.path / "best" / "loss"
    usual = ""
    if limits.usual_run is not None:
        run = f"{limits.usual_run:g} notes in a row" if limits.usual_run else "not even 8 notes in a row"
        usual = f"Excerpts of your held-out pieces commonly share {run} and {limits.usual_share:.0%} of their figures."
    return FinetuneContent(
        title="Etude: a model of your own music",
        said=said,
        pairs=pairs,
        loss=curve.loss,
        before=curve.before,
        valid=curve.best,
        limit_notes=limits.run_notes,
        limit_share=limits.share,
        usual=usual,
        corpus={
            "pieces": len(corpus),
            "notes": f"{info['notes']:,}",
            "hours": f"{info['hours']:.1f}",
            "held out": info["splits"]["valid"],
            "licences": ", ".join(info["licences"]),
        },
        left_out=left_out(corpus),
        model={
            "run": trained.run,
            "base": base.run or str(base.folder),
            "trained": config.start.trains,
            "steps": trained.step,
            "training": f"{trained.seconds / 60:.1f} min",
        },
        commands=[
            (f"etude generate {model} --seconds 30 -n 4 --audio", "more takes, with audio"),
            (f"etude generate {model} --prompt YOUR.mid --prompt-seconds 8 --seconds 20", "let it continue your music"),
            (f"etude runs show {trained.run}", "every setting, and where the run came from"),
        ],
    )
