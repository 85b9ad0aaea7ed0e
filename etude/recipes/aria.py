"""The Aria family: a large decoder with rotary positions, layer norm and SwiGLU on absolute-onset tokens.

Source: Bradshaw et al., "Scaling Self-Supervised Representation Learning for Symbolic Piano Performance", 2025, for
sizes, vocabulary, optimiser and variations. Batch and budget are ours: the published ones depend on the cluster.
"""

from etude.config import RunConfig
from etude.data.settings import DataSettings
from etude.models.settings import DecoderSettings
from etude.music.augment import VariationSettings
from etude.optim_settings import OptimSettings
from etude.training.settings import TrainSettings


def medium() -> RunConfig:
    """658.5 million parameters and a context of 8192 tokens: the published piano model; wants GPUs of 80 GB."""
    return _aria(model_dim=1536, num_heads=24, ff_dim=6144)


def large() -> RunConfig:
    """1146.5 million parameters and a context of 8192 tokens: the larger published one; wants GPUs of 80 GB."""
    return _aria(model_dim=2048, num_heads=32, ff_dim=8192)


def _aria(**sizes: int) -> RunConfig:
    return RunConfig(
        model=DecoderSettings(
            num_layers=16, ctx_len=8192, positions="rope", rope_base=500_000.0, norm="layer", **sizes
        ),
        data=DataSettings(
            tokenizer="absolute",
            transpose_semitones=5,
            augment=VariationSettings(tempo_percent=20.0, velocity_steps=1, mix_chords=True, vary="ids"),
        ),
        optim=OptimSettings(
            peak_lr=3e-4,
            eps=1e-5,
            schedule="warmup_linear",
            warmup_steps=200,
            schedule_steps=100_000,
            clip_norm=None,
        ),
        train=TrainSettings(
            num_steps=100_000,
            batch_tokens=64 * 8192,
            micro_batch_tokens=2 * 8192,
            recompute_activations=True,
            eval_every_steps=2000,
            eval_pieces=200,
        ),
    )
