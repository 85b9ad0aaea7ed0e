"""The pages that end a demo or a generation: what was learned, how it sounds, how close it comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.music.score import Score
from etude.pages.player import player_html
from etude.pages.plots import line_chart, strip_chart
from etude.pages.report import Section, columns, commands, facts, page, pairs, sheet, table, words
from etude.pages.text import Html, markup, number

_LOSSES = {"nats_per_token": "nats / token", "nats_per_note": "nats / note", "nats_per_sec": "nats / second"}
_LOSS_MEANINGS = {
    "nats per token": (
        "How surprised a model is by the next symbol of music that it has not seen; 0 would be no surprise. "
        "The unit is the nat: 0.69 nats are one bit, one yes-or-no question."
    ),
    "nats per note and per second": (
        "The same surprise, shared out over notes or over seconds of music. These two can be compared with "
        "models that cut music into other symbols."
    ),
    "accuracy": "How often the symbol that the model held to be likeliest was the right one.",
    "bigram": "A baseline that counts pairs: it guesses the next symbol from the one before it.",
    "5-gram": (
        "A stronger baseline: it counts what follows the last four symbols, and falls back to fewer where it "
        "has not seen them."
    ),
    "train and valid": (
        "The first is the loss on the music being learned, the second on pieces set aside. When the second "
        "rises while the first falls, the model has begun to learn pieces by heart."
    ),
}
_LEARNED_LEAD = (
    "Loss is how surprised a model is by what comes next in pieces that it was never trained on: lower is "
    "better. A model that has learned something beats baselines that only count."
)
_DISTANCE_MEANINGS = {
    "difference, 95 %": (
        "The mean of the takes less the mean of the held-out pieces: were all of them drawn anew, it would be "
        "in this interval 19 times out of 20."
    ),
    "overlap": "The area that the two distributions share: 100 % if they are the same.",
    "distance": "The difference of the two means, in standard deviations of the held-out pieces.",
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
    ``most_distance`` is how many standard deviations a mean may be off; ``lead`` opens the page, by default
    with what the scores say.
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
    lead: str | Html = ""
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
            Section("How well it learned", _learned(content), _LEARNED_LEAD),
            Section("Beside real music", _beside(content), _beside_lead(content)),
            Section("What it learned from", [sheet(facts(content.corpus))], content.corpus_note),
            Section("The model", [sheet(facts(content.model))], content.model_note),
            Section(
                "Go on",
                [sheet(commands(content.commands))],
                "Commands to try next; words in capitals stand for your own files.",
            ),
        ],
        lead=content.lead or _lead(content),
        footer=content.footer,
    )


def takes_page(title: str, takes: Sequence[Take], *, lead: str = "", footer: str = "") -> str:
    """Return a page to listen to takes on."""
    return page(title, [Section("Takes", [columns(_take(take) for take in takes)])], lead=lead, footer=footer)


def _take(take: Take) -> Html:
    shown = player_html(take.score, title=take.title, wav=take.wav, midi=take.midi, name=take.name)
    return sheet(shown, pairs(take.recipe, summary="Recipe") if take.recipe else "")


def _share_below(ours: float, other: float) -> str:
    share = 1 - ours / other
    return f"{abs(share):.0%} {'below' if share >= 0 else 'above'}"


def _lead(content: DemoContent) -> str:
    ours, *others = (dict(row) for row in content.scores)
    shares = [f"{_share_below(ours['nats_per_token'], row['nats_per_token'])} the {row['name']}" for row in others]
    return (
        "A model trained on this machine, from nothing but the pieces below. "
        f"On music that it has not seen, its loss is {' and '.join(shares)}."
    )


def _listen_lead(takes: Sequence[Take]) -> str:
    return (
        f"{len(takes)} takes, composed by the model. Click into a roll to move there; space plays and pauses. "
        "Each bar of colour is a note; louder notes are stronger."
    )


def _learned(content: DemoContent) -> list[Html]:
    ours = content.scores[0]
    rows = []
    for row in content.scores:
        accuracy = None if row.get("accuracy") is None else f"{row['accuracy']:.1%}"
        losses = [row.get(key) for key in _LOSSES]
        beaten = "" if row is ours else _verdict_on(ours["nats_per_token"], row["nats_per_token"])
        rows.append([row["name"], *losses, accuracy, beaten])
    head = ["", *_LOSSES.values(), "accuracy", "our loss is"]
    return [
        sheet(line_chart(content.loss, x_label="step", y_label="Loss, nats per token", baselines=content.baselines)),
        table(head, rows, caption="On the validation pieces, which none of them has seen.", highlight=ours["name"]),
        words(_LOSS_MEANINGS, summary="What do these numbers mean?"),
    ]


def _verdict_on(ours: float, other: float) -> Html:
    return _mark(ours < other, _share_below(ours, other))


def _beside_lead(content: DemoContent) -> str:
    most = content.most_distance
    return (
        "What can be counted, in the takes (dots) and in held-out pieces (hills). The takes should be within "
        f"{most:g} standard deviation{'s' * (most != 1)} of the held-out mean: no further off than one real "
        "piece commonly is."
    )


def _beside(content: DemoContent) -> list[Html]:
    rows, charts, meanings = [], [], {}
    for name, row in content.comparison.items():
        title = row.get("title", name)
        meanings[title] = row.get("meaning", "")
        distance = row["distance"]
        verdict = None if distance is None else _mark(distance <= content.most_distance, f"{distance:.2f}")
        interval = f"{row['difference_low']:+.2f} to {row['difference_high']:+.2f}".replace("-", "−")
        rows.append(
            [title, _spread(row, "takes"), _spread(row, "held_out"), interval, f"{row['overlap']:.0%}", verdict]
        )
        label = f"{title}, {row['unit']}" if row.get("unit") else title
        charts.append(sheet(strip_chart(row["held_out_values"], row["takes_values"], title=label)))
    head = ["", "takes", "held out", "difference, 95 %", "overlap", "distance"]
    explained = words(meanings | _DISTANCE_MEANINGS, summary="What do these numbers mean?")
    return [columns(charts), table(head, rows), explained]


def _spread(row: Mapping[str, Any], side: str) -> str:
    return f"{number(row[f'{side}_mean'])} ± {number(row[f'{side}_std'])}"


def _mark(good: bool, text: str) -> Html:
    sign, kind = ("✓", "good") if good else ("✗", "poor")
    return Html(f'<span class="etude-{kind}">{sign} {markup(text)}</span>')
