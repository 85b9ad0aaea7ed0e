"""The MuseCoco family: linear attention on remi tokens of any instruments.

Source: Lu et al., "MuseCoco", 2023, and its published training script: AdamW with betas 0.9 and 0.98, a warm-up of
16,000 steps to 2e-4, then the inverse square root of the step, dropout 0.1, rows of 5,120 tokens, eight of them a
step. Pieces are moved to C major or A minor, as there. The heads are 64 wide; the two larger sizes have heads of 85
there. Places are counted from the first token. The tiny one is ours, made for a minute on a laptop.
"""

from etude.config import RunConfig
from etude.data.settings import DataSettings
from etude.models.settings import LinearSettings
from etude.optim_settings import OptimSettings
from etude.tokens.remi import RemiSettings
from etude.training.settings import TrainSettings


def tiny() -> RunConfig:
    """0.9 million parameters and windows of 512 tokens: learns something in a minute or two on a laptop."""
    return RunConfig(
        model=LinearSettings(num_layers=4, model_dim=128, num_heads=4, ff_dim=512, ctx_len=512),
        optim=OptimSettings(peak_lr=2e-3, warmup_steps=50, schedule_steps=1000),
        train=TrainSettings(num_steps=1000, batch_tokens=4096, eval_every_steps=100),
    )


def std() -> RunConfig:
    """20.2 million parameters and windows of 5120 tokens of all instruments: hours on a GPU, a day on a few cores."""
    return _published(num_layers=6, model_dim=512, num_heads=8)


def large() -> RunConfig:
    """87.0 million parameters and windows of 5120 tokens of all instruments; wants a GPU."""
    return _published(num_layers=12, model_dim=768, num_heads=12)


def xl() -> RunConfig:
    """204.1 million parameters, the size that MuseCoco's own training script is for; wants a large GPU."""
    return _published(num_layers=16, model_dim=1024, num_heads=16)


def one_billion() -> RunConfig:
    """1213.7 million parameters, MuseCoco's largest; wants several large GPUs."""
    return _published(num_layers=24, model_dim=2048, num_heads=32)


def _published(*, num_layers: int, model_dim: int, num_heads: int) -> RunConfig:
    return RunConfig(
        model=LinearSettings(
            num_layers=num_layers,
            model_dim=model_dim,
            num_heads=num_heads,
            ff_dim=4 * model_dim,
            ctx_len=5120,
            dropout=0.1,
        ),
        data=DataSettings(tokenizer=RemiSettings(normalise_key=True)),
        optim=OptimSettings(
            peak_lr=2e-4,
            betas=(0.9, 0.98),
            eps=1e-9,
            weight_decay=0.01,
            schedule="inverse_sqrt",
            warmup_steps=16_000,
            schedule_steps=300_000,
            clip_norm=None,
        ),
        train=TrainSettings(num_steps=300_000, batch_tokens=8 * 5120, eval_every_steps=5000),
    )
