"""The Llama family: a decoder with rotary positions, RMS norm and SwiGLU on performance tokens.

Source: Touvron et al., "LLaMA", 2023, for the blocks; sizes and schedules are ours.
"""

from etude.config import RunConfig
from etude.data.settings import DataSettings
from etude.models.settings import DecoderSettings
from etude.optim_settings import OptimSettings
from etude.training.settings import TrainSettings


def tiny() -> RunConfig:
    """0.9 million parameters and a context of 256 tokens: learns something in a minute on a laptop."""
    return RunConfig(
        model=_decoder(num_layers=4, model_dim=128, num_heads=4, ff_dim=352, ctx_len=256),
        optim=OptimSettings(peak_lr=2e-3, warmup_steps=50, schedule_steps=1000),
        train=TrainSettings(num_steps=1000, batch_tokens=4096, eval_every_steps=100),
    )


def small() -> RunConfig:
    """10.8 million parameters and a context of 512 tokens: an hour on a few cores, minutes on a GPU."""
    return RunConfig(
        model=_decoder(num_layers=6, model_dim=384, num_heads=6, ff_dim=1024, ctx_len=512, dropout=0.1),
        data=DataSettings(transpose_semitones=3),
        optim=OptimSettings(peak_lr=1e-3, warmup_steps=100, schedule_steps=4000),
        train=TrainSettings(num_steps=4000, batch_tokens=8192, eval_every_steps=250, eval_pieces=24),
    )


def _decoder(**sizes: object) -> DecoderSettings:
    return DecoderSettings(positions="rope", feed_forward="swiglu", norm="rms", tied=True, **sizes)
