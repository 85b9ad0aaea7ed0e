"""The stations of ``etude demo``: corpus, configuration for a budget of minutes, baselines, takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etude.config import RunConfig
from etude.data.corpus import Corpus
from etude.data.prepare import SAMPLER, prepare
from etude.data.tokenize import tokenize
from etude.generate.sample import Sampling
from etude.generate.takes import Take
from etude.metrics import lm
from etude.metrics.ngram import NGram
from etude.model_folder import load
from etude.recipes import recipe
from etude.tokens import tokenizer_of
from etude.training.plan import seconds_per_step

_BASELINES = {"bigram": 2, "5-gram": 5}
_EVALUATIONS = 8  # over the whole training: a curve, and little time taken from learning
# of the built-in pieces' notes one in a thousand lasts longer than 3.3 s
_SAMPLING = Sampling(temperature=1.0, top_p=0.98, min_p=0.02, longest_note_sec=4.0)
_RESERVE = 0.12  # share of the minutes for evaluations and saving
_CAUTION = 0.92  # a machine gets slower now and then: a schedule cut off at its end is worse than a shorter one


@dataclass(frozen=True)
class DemoTake:
    """A take with the files it was written to; ``wav_path`` is None without the audio extra."""

    take: Take
    midi_path: Path
    wav_path: Path | None


def demo_corpus(folder: Path, progress: Callable[[int, int], None]) -> Corpus:
    """Open the demo's corpus, made of the built-in pieces when it is not there yet."""
    if not (folder / "corpus.json").is_file():
        prepare(SAMPLER, folder, progress=progress)
    return Corpus.open(folder)


def demo_config(corpus: Corpus, *, minutes: float, seed: int, device: str) -> RunConfig:
    """Return the demo's configuration: its schedule ends when the minutes are over.

    The number of steps is measured: a few steps are timed on a model that is thrown away.
    """
    config = recipe("llama-tiny")
    config = config.replace(
        # takes last 30 s, some 450 tokens: a model that still sees where a note began remembers to end it
        model=config.model.replace(ctx_len=512),
        data=config.data.replace(corpus=str(corpus.path), transpose_semitones=3),
        train=config.train.replace(device=device, seed=seed),
    )
    training_sec = 60 * minutes * (1 - _RESERVE)
    steps = max(20, int(_CAUTION * training_sec / seconds_per_step(config, corpus)))
    return config.replace(
        optim=config.optim.replace(schedule_steps=steps, warmup_steps=min(config.optim.warmup_steps, steps // 10)),
        train=config.train.replace(
            num_steps=steps, max_minutes=training_sec / 60, eval_every_steps=max(10, -(-steps // _EVALUATIONS))
        ),
    )


def baseline_scores(config: RunConfig, corpus: Corpus) -> list[dict[str, Any]]:
    """Score counting models, trained on the same tokens, on the same validation tokens."""
    tokenizer = tokenizer_of(config.data.tokenizer)
    shards = tokenize(corpus, tokenizer)
    train_rows, valid_rows = shards.split_rows("train"), shards.split_rows("valid")
    pieces = [shards.ids(row)[:-1] for row in train_rows]
    scores = []
    for name, order in _BASELINES.items():
        model = NGram.fit(pieces, order=order, vocab_size=tokenizer.vocab_size, end_id=tokenizer.end_id)
        nats = sum(float(model.nats(shards.ids(row)[:-1]).sum()) for row in valid_rows)
        numbers = lm.evaluate(
            nats=nats,
            tokens=int(shards.lengths[valid_rows].sum()),
            notes=int(shards.notes[valid_rows].sum()),
            seconds=float(np.sum(shards.seconds[valid_rows])),
        )
        scores.append({"name": name} | numbers)
    return scores


def make_demo_takes(
    run: Path, folder: Path, *, n: int, seconds: float, seed: int, on_tokens: Callable[[int], None]
) -> list[DemoTake]:
    """Generate takes with the best model of a run, write them, and render those that can be rendered."""
    from etude.errors import MissingExtraError
    from etude.music.render import render_wav

    made = []
    for number, take in enumerate(
        load(run).generate(n, seconds=seconds, seed=seed, sampling=_SAMPLING, on_tokens=on_tokens)
    ):
        midi_path, _ = take.save(folder, f"take-{number + 1}")
        wav_path: Path | None = midi_path.with_suffix(".wav")
        try:
            render_wav(take.score, wav_path, sample_rate_hz=22050)
        except MissingExtraError:
            wav_path = None
        made.append(DemoTake(take, midi_path, wav_path))
    return made
