"""The pages that end a demo or a generation: what was learned, how it sounds, how far it is from the real thing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.music.score import Score
from etude.pages.player import player
from etude.pages.plots import line_chart, strip_chart
from etude.pages.report import Section, columns, commands, facts, page, pairs, sheet, table, words
from etude.pages.text import Html, markup, number

_LOSSES = {"nats_per_token": "nats / token", "nats_per_note": "nats / note", "nats_per_sec": "nats / second"}
_MEANINGS = {
    "nats per token": (
        "How surprised a model is by the next symbol of music that it has not seen; 0 would be no surprise at all. "
        "The unit is the nat: 0.69 nats are one bit, one yes-or-no question."
    ),
    "nats per note and per second": (
        "The same surprise, shared out over notes or over seconds of music. These two can be compared with "
        "models that cut music into other symbols."
    ),
    "accuracy": "How often the symbol that the model held to be likeliest was the right one.",
    "bigram": "A baseline that guesses the next symbol from the one before it, by counting pairs.",
    "5-gram": "A stronger baseline: it counts up to four symbols back, and falls back to fewer where it has not seen them.",
    "train and valid": (
        "The first is the loss on the music being learned, the second on pieces set aside. When the second rises while "
        "the first falls, the model has begun to learn pieces by heart."
    ),
}


@dataclass(frozen=True, kw_only=True)
class Take:
    """One generated piece: its Score, and what else there is of it."""

    score: Score
    title: str
    wav: bytes | Path | None = None
    midi: bytes | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class DemoContent:
    """What the page of ``etude demo`` tells, as plain values.

    ``loss`` holds (steps, values) by line; ``baselines`` nats per token by name; ``scores`` a row for each
    model, the first being ours, with ``name`` and the keys of ``etude.metrics.lm.evaluate``; ``comparison``
    what ``etude.metrics.distance.compare`` returns; ``commands`` pairs of a command and what it does.
    ``most_distance`` is how many standard deviations a mean may be off.
    """

    title: str
    corpus: Mapping[str, Any]
    model: Mapping[str, Any]
    loss: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    baselines: Mapping[str, float]
    scores: Sequence[Mapping[str, Any]]
    takes: Sequence[Take]
    comparison: Mapping[str, Mapping[str, Any]]
    commands: Sequence[tuple[str, str]]
    corpus_note: str | Html = ""
    model_note: str | Html = ""
    most_distance: float = 1.0
    footer: str = ""


def demo_page(content: DemoContent) -> str:
    """Return the page that ``etude demo`` ends in."""
    return page(
        content.title,
        [
            Section("Listen", [columns(_take(take) for take in content.takes)], _listen_lead(content.takes)),
            Section("How well it learned", _learned(content), _learned_lead(content)),
            Section("Beside real music", _beside(content), _beside_lead(content)),
            Section("What it learned from", [sheet(facts(content.corpus))], content.corpus_note),
            Section("The model", [sheet(facts(content.model))], content.model_note),
            Section("Go on", [sheet(commands(content.commands))], "Each of these runs as it stands."),
        ],
        lead=_lead(content),
        footer=content.footer,
    )


def takes_page(title: str, takes: Sequence[Take], *, lead: str = "", footer: str = "") -> str:
    """Return a page to listen to takes on."""
    return page(title, [Section("Takes", [columns(_take(take) for take in takes)])], lead=lead, footer=footer)


def _take(take: Take) -> Html:
    shown = player(take.score, title=take.title, wav=take.wav, midi=take.midi, name=take.name)
    return sheet(shown, pairs(take.recipe, summary="Recipe") if take.recipe else "")


def _share_below(ours: float, other: float) -> str:
    share = 1 - ours / other
    return f"{abs(share):.0%} {'below' if share >= 0 else 'above'}"


def _lead(content: DemoContent) -> Html:
    ours, *others = content.scores
    against = " and ".join(
        f"{_share_below(ours['nats_per_token'], row['nats_per_token'])} the {row['name']}" for row in others
    )
    text = (
        f"A model trained here, just now, on this machine. On music it has not seen, its loss is {against}."
    )
    return markup(text)


def _listen_lead(takes: Sequence[Take]) -> str:
    return (
        f"{len(takes)} takes, composed by the model from nothing. Click into a roll to move there; space plays and pauses. "
        "Every note is one bar of colour, louder notes are stronger."
    )


def _learned_lead(content: DemoContent) -> str:
    return (
        "Loss is how surprised the model is by what comes next in pieces that it was never trained on: lower is better. "
        "A model that has learned something beats baselines that only count."
    )


def _learned(content: DemoContent) -> list[Html]:
    ours = content.scores[0]
    head = ["", *_LOSSES.values(), "accuracy", "our loss is"]
    rows = []
    for row in content.scores:
        accuracy = row.get("accuracy")
        beaten = (
            ""
            if row is ours
            else _mark(
                ours["nats_per_token"] < row["nats_per_token"],
                _share_below(ours["nats_per_token"], row["nats_per_token"]),
            )
        )
        rows.append(
            [
                row["name"],
                *(row.get(key) for key in _LOSSES),
                None if accuracy is None else f"{accuracy:.1%}",
                beaten,
            ]
        )
    curve = line_chart(
        content.loss, x_label="step", y_label="Loss, nats per token", baselines=content.baselines
    )
    scores = table(
        head, rows, caption="On the validation pieces, which no model has seen.", highlight=ours["name"]
    )
    return [sheet(curve), scores, words(_MEANINGS, summary="What do these numbers mean?")]


def _beside_lead(content: DemoContent) -> str:
    return (
        f"Qualities that can be counted, in the takes (dots) and in held-out pieces (hills). A mean within {content.most_distance:g} "
        "standard deviations of the held-out mean is no further off than one real piece commonly is."
    )


def _beside(content: DemoContent) -> list[Html]:
    rows, charts, meanings = [], [], {}
    for name, row in content.comparison.items():
        title = row.get("title", name)
        meanings[title] = row.get("meaning", "")
        distance = row["distance"]
        verdict = None if distance is None else _mark(distance <= content.most_distance, f"{distance:.2f}")
        interval = f"{row['difference_low']:+.2f} to {row['difference_high']:+.2f}"
        rows.append(
            [
                title,
                _spread(row, "takes"),
                _spread(row, "held_out"),
                interval,
                f"{row['overlap']:.0%}",
                verdict,
            ]
        )
        label = f"{title}, {row['unit']}" if row.get("unit") else title
        charts.append(sheet(strip_chart(row["held_out_values"], row["takes_values"], x_label=label)))
    head = ["", "takes", "held out", "difference, 95 %", "overlap", "distance"]
    meanings |= {
        "difference, 95 %": "Mean of the takes less mean of the held-out pieces; 19 of 20 repetitions would fall into this interval.",
        "overlap": "The area that the two distributions share: 100 % if they are the same.",
        "distance": "Difference of the two means, in standard deviations of the held-out pieces.",
    }
    return [columns(charts), table(head, rows), words(meanings, summary="What do these numbers mean?")]


def _spread(row: Mapping[str, Any], side: str) -> str:
    return f"{number(row[f'{side}_mean'])} ± {number(row[f'{side}_std'])}"


def _mark(good: bool, text: str) -> Html:
    sign, kind = ("✓", "good") if good else ("✗", "poor")
    return Html(f'<span class="etude-{kind}">{sign} {markup(text)}</span>')
