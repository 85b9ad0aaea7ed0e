"""A pre-norm decoder-only transformer: ids in, logits of the next id out.

Dimension key:  B batch   T tokens   D model width   V vocabulary

Weights are float32; under autocast products run in its dtype while the residual stream stays float32.
``forward`` takes any length: past ``ctx_len`` attention slides (see ``attention.py``). No layer has biases
but layer normalisation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.models import decode
from etude.models.blocks import Block, build_norm
from etude.models.cache import LayerCache
from etude.models.decode import Cache, ExactCache
from etude.models.loss import cross_entropy, score_targets
from etude.models.settings import DecoderSettings


class Decoder(nn.Module):
    """A decoder of the given size; its ``state_dict`` has each weight once, tied or not.

    Example:
        >>> model = Decoder(DecoderSettings(num_layers=1, model_dim=32, num_heads=2, ff_dim=64, ctx_len=16), 390)
        >>> model(torch.zeros(2, 10, dtype=torch.long)).shape
        torch.Size([2, 10, 390])
    """

    def __init__(self, settings: DecoderSettings, vocab_size: int):
        super().__init__()
        self.settings = settings
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, settings.model_dim)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.num_layers))
        self.norm = build_norm(settings)
        self.head = None if settings.tied else nn.Linear(settings.model_dim, vocab_size, bias=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights anew from torch's generator.

        Normal with deviation 0.5 / sqrt(inputs): GPT-2's 0.02 at its width of 768, and the same logits at any
        other; what is added to the residual stream is scaled down by its 2 * num_layers terms.
        """
        for name, weight in self.named_parameters():
            if "norm" in name:
                nn.init.constant_(weight, 0.0 if name.endswith("bias") else 1.0)
                continue
            std = 0.5 * weight.shape[-1] ** -0.5
            if name.endswith(("attention.out.weight", "feed_forward.down.weight")):
                std *= (2 * self.settings.num_layers) ** -0.5
            nn.init.normal_(weight, std=std)

    @property
    def head_weight(self) -> Tensor:
        """Weights of the head (V, D)."""
        return self.embedding.weight if self.head is None else self.head.weight

    def hidden(self, ids_BT: Tensor, caches: Sequence[LayerCache] | None = None) -> Tensor:
        """Return the normalised states (B, T, D) that the head reads; empty ``caches``, one a block, are filled."""
        x_BTD = self.embedding(ids_BT)
        if self.settings.dropout:
            x_BTD = F.dropout(x_BTD, self.settings.dropout, self.training)
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x_BTD = block(x_BTD, cache)
        return self.norm(x_BTD)

    def forward(self, ids_BT: Tensor) -> Tensor:
        """Return ``logits_BTV``: those at t are of the id at t + 1, from the ids up to t."""
        return F.linear(self.hidden(ids_BT), self.head_weight)

    def loss(
        self,
        ids_BT: Tensor,
        targets_BT: Tensor,
        weight_BT: Tensor | None = None,
        *,
        total_weight: float | Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the mean of -ln p over targets, in nats, and how many targets were the likeliest id.

        The arguments are those of ``loss.cross_entropy``.
        """
        hidden_BTD = self.hidden(ids_BT)
        return cross_entropy(hidden_BTD, self.head_weight, targets_BT, weight_BT, total_weight=total_weight)

    @torch.no_grad()
    def score(self, ids_BT: Tensor, targets_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``nats_BT`` and ``correct_BT`` of each target, for evaluation."""
        return score_targets(self.hidden(ids_BT), self.head_weight, targets_BT)

    def new_cache(self, batch_size: int, length: int, *, exact: bool = False) -> Cache | ExactCache:
        """Make an empty cache for ``length`` tokens a row, prompt and all; see ``decode.new_cache``."""
        return decode.new_cache(self, batch_size, length, exact=exact)

    def prefill(self, ids_BT: Tensor, cache: Cache | ExactCache) -> Tensor:
        """Read a prompt into an empty cache; return ``logits_BV`` (float32) of the id that follows it."""
        return decode.prefill(self, ids_BT, cache)

    def step(self, ids_B: Tensor, cache: Cache | ExactCache) -> Tensor:
        """Append one id to each row; return ``logits_BV`` (float32) of the id that follows."""
        return decode.step(self, ids_B, cache)
