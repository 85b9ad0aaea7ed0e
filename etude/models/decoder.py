"""A decoder-only transformer: ids in, logits of the next id out.

Dimension key:  B batch   T tokens   D model width   V vocabulary

Weights are float32; under autocast products run in its dtype while the residual stream stays float32.
``forward`` takes any length: past ``ctx_len`` attention slides (see ``attention.py``), unless positions are
learned or sinusoidal, which end there.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.errors import ModelError
from etude.models import decode
from etude.models.attention import one_segment_at_a_time
from etude.models.blocks import Block, build_norm
from etude.models.cache import LayerCache
from etude.models.conditions import build_conditions
from etude.models.decode import Cache, ExactCache
from etude.models.loss import cross_entropy, score_targets
from etude.models.positions import Sinusoids
from etude.models.recompute import run_block
from etude.models.segments import Segments
from etude.models.settings import DecoderSettings


class Decoder(nn.Module):
    """A decoder of the given size; its ``state_dict`` has each weight once, tied or not.

    Attributes:
        recompute_activations: in training keep only what goes into a block, and run it again for the backward
            pass: the same numbers in less memory and a third more time.

    Example:
        >>> model = Decoder(DecoderSettings(num_layers=1, model_dim=32, num_heads=2, ff_dim=64, ctx_len=16), 390)
        >>> model(torch.zeros(2, 10, dtype=torch.long)).shape
        torch.Size([2, 10, 390])
    """

    def __init__(self, settings: DecoderSettings, vocab_size: int):
        super().__init__()
        self.settings = settings
        self.vocab_size = vocab_size
        self.recompute_activations = False
        dim, learned = settings.model_dim, settings.positions == "learned"
        self.embedding = nn.Embedding(vocab_size, settings.conditions.token_width(dim))
        self.place_embedding = nn.Embedding(settings.ctx_len, dim) if learned else None
        self.sinusoids = Sinusoids(settings.ctx_len, dim) if settings.has_sinusoids else None
        self.blocks = nn.ModuleList(Block(settings, layer) for layer in range(settings.num_layers))
        self.norm = build_norm(settings) if settings.final_norm else nn.Identity()
        self.head = None if settings.tied else nn.Linear(dim, vocab_size, bias=False)
        self.head_bias = nn.Parameter(torch.empty(vocab_size)) if settings.head_bias else None
        self.conditions = build_conditions(settings.conditions, dim)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights anew from torch's generator.

        Normal with deviation 0.5 / sqrt(inputs): GPT-2's 0.02 at its width of 768, and the same logits at any
        other; what is added to the residual stream is scaled down by its 2 * num_layers terms. Embeddings that meet
        sinusoids are as large as those, if they are not scaled and no head uses them. Conditions are drawn last, as
        large as embeddings.
        """
        for name, weight in self.named_parameters():
            if name.startswith("conditions."):
                continue
            if "norm" in name or name.endswith("bias"):
                nn.init.constant_(weight, 0.0 if name.endswith("bias") else 1.0)
                continue
            std = 0.5 * weight.shape[-1] ** -0.5
            if weight is self.embedding.weight and self._embedding_starts_large():
                std = 0.5
            if name.endswith(("attention.out.weight", "feed_forward.down.weight")):
                std *= (2 * self.settings.num_layers) ** -0.5
            nn.init.normal_(weight, std=std)
        if self.conditions is not None:
            width = self.embedding.embedding_dim
            self.conditions.reset_parameters(0.5 if self._embedding_starts_large() else 0.5 * width**-0.5)

    def _embedding_starts_large(self) -> bool:
        settings = self.settings
        return settings.has_sinusoids and not settings.embedding_scale and not settings.tied

    @property
    def head_weight(self) -> Tensor:
        """Weights of the head (V, D)."""
        return self.embedding.weight if self.head is None else self.head.weight

    def embed(self, ids_BT: Tensor, segments: Segments | None = None, conditions_BTC: Tensor | None = None) -> Tensor:
        """Return the embeddings (B, T, D) of ids and conditions, and of places if those are learned or sinusoidal.

        Raises:
            ModelError: more than ``ctx_len`` tokens, where positions end there.
        """
        x_BTD = self.embedding(ids_BT)
        if self.conditions is not None:
            x_BTD = self.conditions(x_BTD, conditions_BTC)
        if self.settings.embedding_scale:
            x_BTD = x_BTD * self.settings.model_dim**0.5
        places_SD = self.places()
        if places_SD is None:
            return x_BTD
        self.check_length(ids_BT.shape[1])
        if segments is not None:
            return x_BTD + F.embedding(segments.place_BT, places_SD).to(x_BTD.dtype)
        return x_BTD + places_SD[: ids_BT.shape[1]].to(x_BTD.dtype)

    def places(self) -> Tensor | None:
        """Return the vectors (ctx_len, D) that are added to embeddings, if positions are learned or sinusoidal."""
        if self.sinusoids is not None:
            return self.sinusoids(self.embedding.weight.device)
        return None if self.place_embedding is None else self.place_embedding.weight

    def check_length(self, num_tokens: int) -> None:
        """Refuse a sequence that is longer than positions go.

        Raises:
            ModelError: positions are learned or sinusoidal, and end at ``ctx_len``.
        """
        limit = self.settings.max_tokens
        if limit is not None and num_tokens > limit:
            raise ModelError(
                f"{num_tokens} tokens in one sequence: the model's positions (sinusoidal or learned) end at "
                f"model.ctx_len = {limit}; give or ask for fewer tokens"
            )

    def hidden(
        self,
        ids_BT: Tensor,
        caches: Sequence[LayerCache] | None = None,
        segments_BT: Tensor | None = None,
        conditions_BTC: Tensor | None = None,
    ) -> Tensor:
        """Return the normalised states (B, T, D) that the head reads.

        Args:
            ids_BT: token ids.
            caches: empty, one a block; they are filled.
            segments_BT: rows that hold several pieces: a number a token, the same for all tokens of a piece and
                another for the next. No token sees one of another piece, as if each were a row of its own.
            conditions_BTC: rows of the table of conditions, of one token or of all; None says nothing of any.

        Raises:
            ModelError: more than ``ctx_len`` tokens, where positions end there.
        """
        segments = None if segments_BT is None else self._segments(segments_BT)
        x_BTD = self.embed(ids_BT, segments, conditions_BTC)
        dropout = self.settings.embedding_dropout
        if dropout := self.settings.dropout if dropout is None else dropout:
            x_BTD = F.dropout(x_BTD, dropout, self.training)
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x_BTD = run_block(block, x_BTD, cache, segments, again=self.recompute_activations)
        return self.norm(x_BTD)

    def _segments(self, segments_BT: Tensor) -> Segments:
        segments = Segments(segments_BT, self.settings.window)
        if self.settings.positions != "relative" and not one_segment_at_a_time(segments_BT):
            _ = segments.seen_B1TT  # made here, and not in a block that may be compiled
        return segments

    def forward(self, ids_BT: Tensor) -> Tensor:
        """Return ``logits_BTV``: those at t are of the id at t + 1, from the ids up to t."""
        return F.linear(self.hidden(ids_BT), self.head_weight, self.head_bias)

    def loss(
        self,
        ids_BT: Tensor,
        targets_BT: Tensor,
        weight_BT: Tensor | None = None,
        *,
        total_weight: float | Tensor | None = None,
        segments_BT: Tensor | None = None,
        conditions_BTC: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the mean of -ln p over targets, in nats, and how many targets were the likeliest id.

        The arguments are those of ``loss.cross_entropy``, and the last two of ``hidden``.
        """
        hidden_BTD = self.hidden(ids_BT, None, segments_BT, conditions_BTC)
        return cross_entropy(
            hidden_BTD, self.head_weight, targets_BT, weight_BT, total_weight=total_weight, bias_V=self.head_bias
        )

    @torch.no_grad()
    def score(
        self,
        ids_BT: Tensor,
        targets_BT: Tensor,
        segments_BT: Tensor | None = None,
        conditions_BTC: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return ``nats_BT`` and ``correct_BT`` of each target, for evaluation."""
        hidden_BTD = self.hidden(ids_BT, None, segments_BT, conditions_BTC)
        return score_targets(hidden_BTD, self.head_weight, targets_BT, self.head_bias)

    def new_cache(self, batch_size: int, length: int, *, exact: bool = False) -> Cache | ExactCache:
        """Make an empty cache for ``length`` tokens a row, prompt and all; see ``decode.new_cache``."""
        return decode.new_cache(self, batch_size, length, exact=exact)

    def prefill(self, ids_BT: Tensor, cache: Cache | ExactCache) -> Tensor:
        """Read a prompt into an empty cache; return ``logits_BV`` (float32) of the id that follows it."""
        return decode.prefill(self, ids_BT, cache)

    def step(self, ids_B: Tensor, cache: Cache | ExactCache) -> Tensor:
        """Append one id to each row; return ``logits_BV`` (float32) of the id that follows."""
        return decode.step(self, ids_B, cache)
