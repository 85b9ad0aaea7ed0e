"""The page that ``etude finetune`` ends in: before and after, how it learned, and whether it copies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.music.score import Score
from etude.pages.player import player_html
from etude.pages.plots import line_chart
from etude.pages.report import Section, columns, commands, facts, page, sheet, table, words
from etude.pages.text import Html, clock, markup

_LOSSES = {"nats_per_token": "nats / token", "nats_per_note": "nats / note", "nats_per_sec": "nats / second"}
_LEARNING_MEANINGS = {
    "held out": (
        "Pieces of yours that the model was never shown. Only what it says of these tells whether it learned your "
        "music or your files."
    ),
    "nats": (
        "How surprised the model is by what comes next: lower is better, 0 is no surprise at all, 0.69 are one bit. "
        "Per note and per second it can be compared with models that cut music into other symbols."
    ),
    "learned pieces": (
        "Their loss is measured while they are transposed and varied and while the model drops a part of itself at "
        "random, so it may lie above that of the held-out pieces."
    ),
    "learning by heart": (
        "When the loss on the pieces that are learned goes on falling and that on held-out pieces rises, the model has "
        "begun to remember the pieces themselves. The model that is kept is the one from before."
    ),
}
_COPY_MEANINGS = {
    "longest run": (
        "Successive notes of one line, in any key and rhythm, that a take has in common with a piece that was learned. "
        "Unrelated pieces of one style share up to 13; copies share 25 and more."
    ),
    "nearest piece": "The piece that shares most figures of six to eight notes with the take, and how many of them.",
    "limits": (
        "Twice what your held-out pieces share with the pieces that were learned, but at least 24 notes and 20 % and "
        "at most 48 notes and 40 %. The music that the base model was trained on is not at hand and not compared."
    ),
}


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One take: the Score, its file, and what it shares with the music that was learned."""

    score: Score
    name: str
    wav: bytes | Path | None = None
    midi: bytes | None = None
    run_notes: int = 0
    run_sec: float = 0.0
    at_sec: float = 0.0
    run_piece: str | None = None
    semitones: int = 0
    nearest: str | None = None
    nearest_share: float = 0.0
    is_new: bool = True


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The same request to the model as it was and as it is now; ``asked`` says what for."""

    asked: str
    before: Heard
    after: Heard


@dataclass(frozen=True, kw_only=True)
class FinetuneContent:
    """What the page tells, as plain values.

    ``said`` are sentences on how it went, the most important first; ``loss`` holds (steps, values) by line; ``before``
    and ``valid`` are the validation numbers of the base and of the best model; ``limit_notes`` and ``limit_share`` what
    a take may share; ``usual`` what held-out pieces share, in words; ``left_out`` (file, reason) pairs; ``commands``
    pairs of a command and what it does.
    """

    title: str
    said: Sequence[str]
    pairs: Sequence[Pair]
    loss: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    before: Mapping[str, float]
    valid: Mapping[str, float]
    limit_notes: int
    limit_share: float
    usual: str
    corpus: Mapping[str, Any]
    left_out: Sequence[tuple[str, str]]
    model: Mapping[str, Any]
    commands: Sequence[tuple[str, str]]


def finetune_page(content: FinetuneContent) -> str:
    """Return the page that ``etude finetune`` ends in."""
    return page(
        content.title,
        [
            Section("Before and after", [_pair(pair) for pair in content.pairs], _LISTEN_LEAD),
            Section("Does it copy?", _copies(content), _copies_lead(content)),
            Section("How it learned", _learned(content), content.said[0]),
            Section("Your music", _music(content)),
            Section("The model", [sheet(facts(content.model))]),
            Section("Go on", [sheet(commands(content.commands))], "Words in capitals stand for your own files."),
        ],
        lead=" ".join(content.said),
    )


_LISTEN_LEAD = (
    "Each pair has the same seed and the same request: first the model as it was, then as it is now. Click into a roll "
    "to move there; space plays and pauses."
)


def _pair(pair: Pair) -> Html:
    title = Html(f'<h3 style="margin-top:1.6em">{markup(pair.asked)}</h3>')
    return Html(title + columns([_heard(pair.before, "Before"), _heard(pair.after, "After")]))


def _heard(heard: Heard, title: str) -> Html:
    return sheet(player_html(heard.score, title=title, wav=heard.wav, midi=heard.midi, name=heard.name))


def _copies_lead(content: FinetuneContent) -> str:
    return (
        f"Every take was held against every piece that was learned. Beyond {content.limit_notes} notes in a row, or "
        f"{content.limit_share:.0%} of all figures, it counts as a copy. {content.usual}"
    )


def _copies(content: FinetuneContent) -> list[Html]:
    rows = []
    for take, pair in enumerate(content.pairs, 1):
        for when, heard in (("before", pair.before), ("after", pair.after)):
            where = heard.run_piece and f"{heard.run_piece}{_moved(heard.semitones)}"
            run = (
                f"{heard.run_notes} notes, {heard.run_sec:.1f} s, at {clock(heard.at_sec)}"
                if where
                else "none of 8 notes"
            )
            near = heard.nearest and f"{heard.nearest}, {heard.nearest_share:.0%}"
            mark = "good" if heard.is_new else "poor"
            verdict = Html(f'<span class="etude-{mark}">{"✓ new" if heard.is_new else "✗ copied"}</span>')
            rows.append([f"{take}, {when}", run, where, near, verdict])
    head = ["take", "longest run", "in", "nearest piece", ""]
    return [table(head, rows), words(_COPY_MEANINGS, summary="How is this measured?")]


def _moved(semitones: int) -> str:
    return f" ({semitones:+d} semitones)".replace("-", "−") if semitones else ""


def _learned(content: FinetuneContent) -> list[Html]:
    rows = []
    for name, numbers in (("before", content.before), ("after", content.valid)):
        accuracy = numbers.get("accuracy")
        losses = [numbers.get(key) for key in _LOSSES]
        rows.append([name, *losses, None if accuracy is None else f"{accuracy:.1%}"])
    chart = line_chart(
        content.loss,
        x_label="step",
        y_label="Loss, nats per token",
        baselines={"base model": content.before["nats_per_token"]},
    )
    return [
        sheet(chart),
        table(["", *_LOSSES.values(), "accuracy"], rows, caption="On the held-out pieces.", highlight="after"),
        words(_LEARNING_MEANINGS, summary="What do these numbers mean?"),
    ]


def _music(content: FinetuneContent) -> list[Html]:
    parts = [sheet(facts(content.corpus))]
    if content.left_out:
        parts.append(table(["file", "why it was left out"], content.left_out))
    return parts
