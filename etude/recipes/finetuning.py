"""The configuration of ``etude finetune``: a model that is there, and ten to a hundred pieces of one's own, or more.

A few pieces are soon known by heart, so all of this is against that: every epoch has them in other keys, a little
faster or slower, louder or softer; blocks drop some of what they add; rates are a fraction of those that models are
trained with; and the run ends when evaluations on held-out pieces bring nothing better. The model that is kept is the
best on these.

The numbers were chosen by ``benchmarks/finetune_lora.py``.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from etude.attributes import attribute, numbers
from etude.config import RunConfig
from etude.data.corpus import Corpus
from etude.data.settings import DataSettings
from etude.data.tokenize import tokenize
from etude.errors import SettingsError, nearest
from etude.music.augment import VariationSettings
from etude.optim_settings import OptimSettings
from etude.settings import Settings
from etude.tokens import tokenizer_of
from etude.tokens.control_settings import ControlAttribute, ControlSettings
from etude.training.settings import StartSettings, TrainSettings

PEAK_LR = {"all": 3e-4, "last_block": 1e-3, "head": 1e-3, "lora": 5e-3}
EPOCHS = 8
STEPS = (60, 2000)
"""Fewest and most steps, whatever the number of pieces."""
EVALUATIONS, PATIENCE = 16, 4
TRANSPOSE_SEMITONES, TEMPO_PERCENT, VELOCITY_STEPS = 5, 10.0, 1
DROPOUT = 0.1
_BATCH_TOKENS = 2048
_MAX_VALUES = 64


def finetuning(
    model: Settings,
    tokenizer: Settings,
    corpus: Corpus,
    *,
    start: str,
    trains: str = "all",
    device: str = "cpu",
) -> RunConfig:
    """Return the configuration that fits a model and a corpus.

    Args:
        model: settings of the model that is there.
        tokenizer: its tokenizer's, or those of one on top of it.
        corpus: what it is to learn from.
        start: the model's folder.
        trains: what of it changes, see ``start.trains``.
        device: where it is trained.
    """
    changes: dict[str, Any] = {}
    if "dropout" in type(model).model_fields and trains in ("all", "lora"):
        changes["dropout"] = max(model.dropout, DROPOUT)
    if trains in ("head", "last_block") and getattr(model, "tied", False):
        # the head alone can only change where it is not the embedding as well
        changes["tied"] = False
    ctx_len = model.ctx_len
    batch_tokens = ctx_len * max(1, _BATCH_TOKENS // ctx_len)
    shards = tokenize(corpus, tokenizer_of(tokenizer))
    epoch_tokens = int(shards.lengths[shards.split_rows("train")].sum())
    steps = int(np.clip(EPOCHS * epoch_tokens // batch_tokens, *STEPS))
    warmup = max(1, steps // 20)
    is_told = bool(getattr(model, "conditions", None) and model.conditions.attributes)
    return RunConfig(
        model=model.replace(**changes),
        task="controlled" if is_told else "next_token",
        data=DataSettings(
            corpus=str(corpus.path),
            tokenizer=tokenizer,
            transpose_semitones=TRANSPOSE_SEMITONES,
            augment=VariationSettings(tempo_percent=TEMPO_PERCENT, velocity_steps=VELOCITY_STEPS),
        ),
        optim=OptimSettings(
            peak_lr=PEAK_LR[trains],
            weight_decay=0.01,
            schedule="cosine",
            warmup_steps=warmup,
            schedule_steps=steps,
        ),
        train=TrainSettings(
            num_steps=steps,
            patience=PATIENCE,
            batch_tokens=batch_tokens,
            eval_every_steps=max(1, steps // EVALUATIONS),
            sample_takes=0,
            device=device,
        ),
        start=StartSettings(model=start, trains=trains),
    )


def with_conditions(tokenizer: Settings, corpus: Corpus, names: Sequence[str]) -> Settings:
    """Return the settings of a tokenizer with a prefix that says what a piece is to be.

    Args:
        tokenizer: what the model has.
        corpus: its labels, and what can be measured of its pieces.
        names: labels of the corpus, or attributes of ``etude.attributes``, which get three bins of as many pieces each.

    Raises:
        SettingsError: no such label or attribute, too many values, or a tokenizer that has conditions already.
    """
    if not names:
        return tokenizer
    if tokenizer.kind == "control":
        raise SettingsError("--control: this model has conditions already; leave the option out")
    pieces = list(corpus.pieces("train"))
    return ControlSettings(base=tokenizer, attributes=tuple(_condition(name, pieces) for name in names))


def _condition(name: str, pieces: list[Any]) -> ControlAttribute:
    values = Counter(piece.labels[name] for piece in pieces if name in piece.labels)
    if len(values) > _MAX_VALUES:
        raise SettingsError(f"--control {name}: {len(values)} values, at most {_MAX_VALUES}; each needs several pieces")
    if values:
        return ControlAttribute(name=name, values=tuple(sorted(values, key=lambda value: (-values[value], value))))
    if name not in numbers():
        known = sorted({label for piece in pieces for label in piece.labels} | set(numbers()))
        raise SettingsError(f"--control {name}: neither a label of the pieces nor measured; {nearest(name, known)}")
    measured = [attribute(name).measure(piece.score) for piece in pieces]
    thirds = np.quantile([value for value in measured if value is not None], [1 / 3, 2 / 3])
    return ControlAttribute(name=name, thresholds=tuple(sorted({float(f"{value:.3g}") for value in thirds})))
