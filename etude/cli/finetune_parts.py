"""The stations of ``etude finetune`` before training: the base, the music, the settings, and what is said of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.config import RunConfig
from etude.data.corpus import Corpus
from etude.data.midi_folder import corpus_of
from etude.model_folder import model_path, read_config
from etude.models import build_model, model_settings
from etude.recipes import PRESETS
from etude.recipes.finetuning import finetuning, with_conditions
from etude.recipes.resolve import override
from etude.runs.find import runs_root
from etude.settings import Settings
from etude.tokens import tokenizer_of
from etude.training.start import begin, share_trained

_TIMED_STEPS = 4
_LISTED = 5
_TRAINED = {
    "all": "all weights",
    "last_block": "the last block and the head",
    "head": "the head",
    "lora": "adapters",
}


@dataclass(frozen=True)
class Base:
    """The model that is fine-tuned: its folder, what it says of itself, its tokenizer, its settings."""

    folder: Path
    config: dict[str, Any]
    tokenizer: Any
    model: Settings

    @property
    def run(self) -> str | None:
        """The run that trained it, None if it does not say."""
        return self.config.get("run")

    @property
    def line(self) -> str:
        """What it is, in one line."""
        trained = f"of run {self.run}, step {self.config.get('step', 0)}" if self.run else "of no run that it names"
        return f"base: {self.folder}, a {self.model.kind} {trained}, tokens {self.tokenizer.kind}"


@dataclass(frozen=True)
class Asked:
    """What was typed: what is to be trained, conditions to add, settings, the device."""

    trains: str
    control: tuple[str, ...]
    words: tuple[str, ...]
    device: str


class Pace:
    """Says once, after a few steps, how long training takes at most."""

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps
        self._before: tuple[int, float] | None = None
        self._said = False

    def line(self, numbers: dict[str, Any]) -> str | None:
        """Return the line when it is due, given ``step`` and ``seconds`` of a step that was done."""
        now = (numbers["step"], numbers["seconds"])
        # the first step is no measure: memory is fetched, kernels are chosen
        self._before = self._before or now
        done = now[0] - self._before[0]
        if self._said or done < _TIMED_STEPS:
            return None
        self._said = True
        minutes = (now[1] - self._before[1]) / done * (self.num_steps - now[0]) / 60
        return f"about {max(minutes, 0.1):.1f} minutes more, evaluations not counted, if it does not end before"


def base_of(model: str) -> Base:
    """Find a model and read what it says of itself.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    folder = model_path(model)
    config, tokenizer = read_config(folder)
    return Base(folder, config, tokenizer, model_settings(config["model"]))


def prepared(source: str, progress: Callable[[int, int], None]) -> Corpus:
    """Open a corpus, or prepare a folder of MIDI beside the runs."""
    return corpus_of(source, runs_root() / "corpora", progress=progress)


def corpus_lines(source: str, corpus: Corpus) -> list[str]:
    """Return what a corpus is and what was left out of it, a line each."""
    info = corpus.info
    splits, files = info["splits"], info["files"]
    lines = [
        f"music: {len(corpus)} pieces, {info['notes']:,} notes, {info['hours']:.1f} hours; {splits['train']} to learn "
        f"from, {splits['valid']} held out"
    ]
    lines += [f"left out: {name}: {reason}" for name, reason in left_out(corpus)[:_LISTED]]
    more = sum(count for verdict, count in files.items() if verdict != "accepted") - _LISTED
    if more > 0:
        lines.append(f"left out: {more} files more; each has a row in {corpus.path / 'ledger.parquet'}")
    licences = ", ".join(f"{name} ({count})" for name, count in sorted(info["licences"].items()))
    return [*lines, f"licences: {licences}"]


def left_out(corpus: Corpus) -> list[tuple[str, str]]:
    """Return the files that are no pieces of a corpus, each with the reason."""
    rows = []
    for row in corpus.ledger.select(["path", "verdict", "rule", "value", "reason", "duplicate_of"]).to_pylist():
        if row["verdict"] == "duplicate":
            rows.append((row["path"], f"the same notes as {row['duplicate_of']}"))
        elif row["verdict"] == "filtered":
            rows.append((row["path"], f"{row['rule']} = {row['value']:g}" if row["value"] is not None else row["rule"]))
        elif row["verdict"] == "rejected":
            rows.append((row["path"], row["reason"]))
    return rows


def wanted_config(base: Base, corpus: Corpus, asked: Asked, *, say: Callable[[str], None]) -> RunConfig:
    """Return the configuration that fits base and corpus, with what was typed on top.

    Raises:
        SettingsError: a name or value that does not fit.
    """
    tokenizer = with_conditions(base.tokenizer.settings, corpus, asked.control)
    config = finetuning(base.model, tokenizer, corpus, start=str(base.folder), trains=asked.trains, device=asked.device)
    if getattr(base.model, "tied", False) and not getattr(config.model, "tied", False):
        say("the head gets weights of its own, a copy of the embedding, which it shared until now")
    return override(config, asked.words, presets=PRESETS)


def plan_lines(config: RunConfig) -> list[str]:
    """Return what will be trained, and how, a line each."""
    tokenizer = tokenizer_of(config.data.tokenizer)
    model = build_model(config.model, tokenizer.vocab_size)
    said: list[str] = []
    begin(model, config, tokenizer, say=said.append)
    trained, every = share_trained(model)
    train, data = config.train, config.data
    lines = [
        *said,
        f"training: {_TRAINED[config.start.trains]}, {trained:,} of {every:,} weights ({trained / every:.1%})",
        f"at most {train.num_steps} steps of {train.batch_tokens:,} tokens on {train.device}; the learning rate rises "
        f"to {config.optim.peak_lr:g}",
        f"pieces are varied: up to {data.transpose_semitones} semitones, {data.augment.tempo_percent:g} % in tempo, "
        f"{data.augment.velocity_steps} steps in loudness",
    ]
    if train.patience is not None:
        lines.append(
            f"every {train.eval_every_steps} steps the held-out pieces are scored; it ends when {train.patience} times "
            "nothing is better, and the best model is kept"
        )
    return lines
