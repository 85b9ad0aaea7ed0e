"""The Music Transformer family: a decoder with learned relative positions on performance tokens.

Source: Huang et al., "Music Transformer", 2018. Its training recipe (Adam with betas 0.9 and 0.98, the noam
schedule, dropout 0.1, transposition by up to 3 semitones) is that of ``paper``, ``baseline`` and ``classic``; the
smaller ones are made for budgets of seconds and minutes on a laptop, where a cosine to the end of the budget learns
more.
"""

from etude.config import RunConfig
from etude.data.settings import DataSettings
from etude.models.settings import DecoderSettings
from etude.optim_settings import OptimSettings, noam_peak_lr
from etude.training.settings import TrainSettings


def tiny() -> RunConfig:
    """1.0 million parameters and a context of 256 tokens: learns something in a minute on a laptop."""
    return RunConfig(
        model=_decoder(num_layers=4, model_dim=128, num_heads=4, ff_dim=512, ctx_len=256),
        optim=OptimSettings(peak_lr=2e-3, warmup_steps=50, schedule_steps=1000),
        train=TrainSettings(num_steps=1000, batch_tokens=4096, eval_every_steps=100),
    )


def small() -> RunConfig:
    """5.7 million parameters and a context of 512 tokens: twenty minutes on two cores give it a style."""
    return RunConfig(
        model=_decoder(num_layers=6, model_dim=256, num_heads=4, ff_dim=1024, ctx_len=512, dropout=0.1),
        data=DataSettings(transpose_semitones=3),
        optim=OptimSettings(peak_lr=1e-3, warmup_steps=100, schedule_steps=2000),
        train=TrainSettings(num_steps=2000, batch_tokens=8192, eval_every_steps=250, eval_pieces=24),
    )


def paper() -> RunConfig:
    """13.8 million parameters and a context of 2048 tokens, trained by the original rule; wants a GPU.

    Six layers of width 512 with eight heads and a feed-forward layer of 1024: the size that the public
    re-implementations train, one table of relative positions shared by the heads of a layer as they have it.
    We normalise before each half block instead of after it, and add no sinusoids to the embedding; ``classic`` is
    the same size to the letter.
    """
    return _by_the_paper(_decoder(**_REBUILT, relative_shared=True), peak_lr=noam_peak_lr(512, 4000))


def baseline() -> RunConfig:
    """12.8 million parameters and a context of 2048 tokens: the size of the paper's own baseline; wants a GPU.

    Six layers of width 256 with attention of 512 in eight heads and a feed-forward layer of 2048; each head has its
    own table, and relative positions reach half the context. We normalise before each half block.
    """
    model = _decoder(
        num_layers=6,
        model_dim=256,
        num_heads=8,
        head_dim=64,
        ff_dim=2048,
        ctx_len=2048,
        relative_span=1024,
        dropout=0.1,
    )
    return _by_the_paper(model, peak_lr=noam_peak_lr(256, 4000))


def classic() -> RunConfig:
    """13.8 million parameters and a context of 2048 tokens: the public re-implementations to the letter.

    Sinusoids besides relative positions, normalisation after each half block and again before the head, biases
    everywhere. For comparisons: it learns no better than ``paper`` and cannot go past its context.
    """
    model = _decoder(
        **_REBUILT,
        relative_shared=True,
        sinusoids=True,
        norm_placement="post",
        biases=True,
        head_bias=True,
        inner_dropout=0.1,
    )
    return _by_the_paper(model, peak_lr=noam_peak_lr(512, 4000))


_REBUILT = {"num_layers": 6, "model_dim": 512, "num_heads": 8, "ff_dim": 1024, "ctx_len": 2048, "dropout": 0.1}
"""The size that the public re-implementations train."""


def _by_the_paper(model: DecoderSettings, *, peak_lr: float) -> RunConfig:
    return RunConfig(
        model=model,
        data=DataSettings(transpose_semitones=3),
        optim=OptimSettings(
            kind="adam",
            peak_lr=peak_lr,
            betas=(0.9, 0.98),
            eps=1e-8,
            weight_decay=0.0,
            schedule="noam",
            warmup_steps=4000,
            schedule_steps=100_000,
            clip_norm=None,
        ),
        train=TrainSettings(num_steps=100_000, batch_tokens=16_384, eval_every_steps=1000),
    )


def _decoder(**sizes: object) -> DecoderSettings:
    return DecoderSettings(positions="relative", feed_forward="relu", norm="layer", **sizes)
