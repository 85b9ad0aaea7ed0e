"""A corpus of made-up tunes and a configuration so small that a run takes a second."""

from pathlib import Path

import numpy as np

from etude.config import RunConfig
from etude.data.prepare import prepare
from etude.music.midi import write_midi
from etude.music.score import Score


def tune(seed: int, *, num_notes: int = 24) -> Score:
    """Return a random walk on a scale, in eighths, with varied lengths and loudness."""
    rng = np.random.default_rng(seed)
    scale = np.array([60, 62, 64, 65, 67, 69, 71, 72])
    steps = np.clip(np.cumsum(rng.integers(-1, 2, num_notes)) + 3, 0, 7)
    return Score.of(
        np.arange(num_notes) * 240,
        rng.choice([120, 240], num_notes),
        scale[steps],
        rng.integers(40, 100, num_notes),
    )


def make_corpus(folder: Path, *, num_pieces: int = 20) -> Path:
    """Prepare a corpus of tunes in ``folder / "corpus"``."""
    for number in range(num_pieces):
        (folder / "midi").mkdir(exist_ok=True, parents=True)
        write_midi(tune(number), folder / "midi" / f"tune-{number:02d}.mid")
    prepare(folder / "midi", folder / "corpus", workers=1)
    return folder / "corpus"


def small_config(corpus: Path, **train: object) -> RunConfig:
    """Return a configuration with everything that random numbers touch: dropout, transposition, two micro-batches."""
    return RunConfig.parse(
        {
            "model": {
                "kind": "decoder",
                "num_layers": 1,
                "model_dim": 16,
                "num_heads": 2,
                "ff_dim": 32,
                "ctx_len": 32,
                "dropout": 0.1,
                "positions": "relative",
            },
            "data": {"corpus": str(corpus), "transpose_semitones": 2},
            "optim": {"warmup_steps": 3, "schedule_steps": 20},
            "train": {
                "num_steps": 12,
                "batch_tokens": 128,
                "micro_batch_tokens": 64,
                "eval_every_steps": 4,
                "checkpoint_every_steps": 3,
                "checkpoint_every_minutes": 0.0,
                "log_every_steps": 2,
            }
            | train,
        }
    )
