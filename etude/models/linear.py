"""A decoder of linear attention: ids in, logits of the next id out, in time that grows with their number alone.

Dimension key:  B batch   T tokens   D model width   V vocabulary

Weights are float32; under autocast products run in its dtype while the residual stream stays float32. Attention
reaches back to the first token however far that is: ``ctx_len`` is the length of a training window and no more.

Source:
    Katharopoulos et al. 2020, Transformers are RNNs; Lu et al. 2023, MuseCoco, for the defaults.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude.models import linear_decode
from etude.models.blocks import FeedForward, build_norm
from etude.models.conditions import build_conditions
from etude.models.decode import ExactCache
from etude.models.linear_attention import attend_on, linear_attention
from etude.models.linear_decode import State
from etude.models.linear_positions import PlaceSinusoids, count_places
from etude.models.loss import cross_entropy, score_targets
from etude.models.recompute import run_block
from etude.models.segments import Segments
from etude.models.settings import LinearSettings


class LinearAttention(nn.Module):
    """One attention layer. Rows of ``qkv`` are all queries, all keys, all values, each head by head."""

    def __init__(self, settings: LinearSettings):
        super().__init__()
        width = settings.num_heads * settings.head_width
        self.num_heads = settings.num_heads
        self.feature_map = settings.feature_map
        self.qkv = nn.Linear(settings.model_dim, 3 * width, bias=settings.biases)
        self.out = nn.Linear(width, settings.model_dim, bias=settings.biases)

    def forward(self, x_BTD: Tensor, state_BHKW: Tensor | None = None, segments: Segments | None = None) -> Tensor:
        """Attend within ``x_BTD``, segments apart; or to a state as well, which the tokens are then added to."""
        qkv_BTE = self.qkv(x_BTD)
        if state_BHKW is not None:
            return self.out(attend_on(qkv_BTE, self.num_heads, self.feature_map, state_BHKW))
        return self.out(linear_attention(qkv_BTE, self.num_heads, self.feature_map, segments))


class LinearBlock(nn.Module):
    """Pre-norm: x + attention(norm(x)), then x + feed_forward(norm(x)); dropout on what is added."""

    def __init__(self, settings: LinearSettings):
        super().__init__()
        self.attention_norm = build_norm(settings)
        self.attention = LinearAttention(settings)
        self.feed_forward_norm = build_norm(settings)
        self.feed_forward = FeedForward(settings)
        self.dropout = settings.dropout

    def forward(self, x_BTD: Tensor, state_BHKW: Tensor | None = None, segments: Segments | None = None) -> Tensor:
        """Transform ``x_BTD``, segments apart; a state goes on from its tokens."""
        x_BTD = x_BTD + self._drop(self.attention(self.attention_norm(x_BTD), state_BHKW, segments))
        return x_BTD + self._drop(self.feed_forward(self.feed_forward_norm(x_BTD)))

    def _drop(self, x_BTD: Tensor) -> Tensor:
        return F.dropout(x_BTD, self.dropout, self.training) if self.dropout else x_BTD


class LinearDecoder(nn.Module):
    """A decoder of linear attention; its ``state_dict`` has each weight once, tied or not.

    Attributes:
        recompute_activations: in training keep only what goes into a block, and run it again for the backward
            pass: the same numbers in less memory and a third more time.

    Example:
        >>> model = LinearDecoder(LinearSettings(num_layers=1, model_dim=32, num_heads=2, ff_dim=64), 390)
        >>> model(torch.zeros(2, 10, dtype=torch.long)).shape
        torch.Size([2, 10, 390])
    """

    def __init__(self, settings: LinearSettings, vocab_size: int):
        super().__init__()
        self.settings = settings
        self.vocab_size = vocab_size
        self.recompute_activations = False
        self.embedding = nn.Embedding(vocab_size, settings.conditions.token_width(settings.model_dim))
        self.sinusoids = PlaceSinusoids(settings.model_dim) if settings.positions == "sinusoidal" else None
        self.blocks = nn.ModuleList(LinearBlock(settings) for _ in range(settings.num_layers))
        self.norm = build_norm(settings)
        self.head = None if settings.tied else nn.Linear(settings.model_dim, vocab_size, bias=False)
        self.conditions = build_conditions(settings.conditions, settings.model_dim)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights anew from torch's generator.

        Normal with deviation 0.5 / sqrt(inputs); what is added to the residual stream is scaled down by its
        2 * num_layers terms. Embeddings have deviation 1 / sqrt(D), so that they weigh as much as sinusoids once
        they are multiplied by sqrt(D); a head that is tied to them has logits twice as large.
        """
        for name, weight in self.named_parameters():
            if name.startswith("conditions."):
                continue
            if "norm" in name or name.endswith("bias"):
                nn.init.constant_(weight, 1.0 if "norm" in name and name.endswith("weight") else 0.0)
                continue
            std = 0.5 * weight.shape[-1] ** -0.5
            if name == "embedding.weight" and not self.settings.tied:
                std *= 2
            if name.endswith(("attention.out.weight", "feed_forward.down.weight")):
                std *= (2 * self.settings.num_layers) ** -0.5
            nn.init.normal_(weight, std=std)
        if self.conditions is not None:
            self.conditions.reset_parameters((0.5 if self.settings.tied else 1.0) * self.embedding.embedding_dim**-0.5)

    @property
    def head_weight(self) -> Tensor:
        """Weights of the head (V, D)."""
        return self.embedding.weight if self.head is None else self.head.weight

    def hidden(
        self,
        ids_BT: Tensor,
        caches: State | None = None,
        segments_BT: Tensor | None = None,
        conditions_BTC: Tensor | None = None,
    ) -> Tensor:
        """Return the normalised states (B, T, D) that the head reads.

        Args:
            ids_BT: token ids.
            caches: what earlier tokens left; the new ones are added to it. Without gradients, and without segments.
            segments_BT: rows that hold several pieces: a number a token, the same for all tokens of a piece and
                another for the next. No token sees one of another piece, as if each were a row of its own.
            conditions_BTC: rows of the table of conditions, of one token or of all; None says nothing of any.
        """
        segments = None if segments_BT is None else Segments(segments_BT, window=segments_BT.shape[1])
        layers = [None] * len(self.blocks) if caches is None else caches.layers_BHKW
        x_BTD = self.embed(ids_BT, caches, segments, conditions_BTC)
        if self.settings.dropout:
            x_BTD = F.dropout(x_BTD, self.settings.dropout, self.training)
        for block, state_BHKW in zip(self.blocks, layers, strict=True):
            x_BTD = run_block(block, x_BTD, state_BHKW, segments, again=self.recompute_activations)
        return self.norm(x_BTD)

    def embed(
        self,
        ids_BT: Tensor,
        state: State | None = None,
        segments: Segments | None = None,
        conditions_BTC: Tensor | None = None,
    ) -> Tensor:
        """Return the embeddings (B, T, D) of ids, conditions and places; a state counts on from its tokens."""
        x_BTD = self.embedding(ids_BT)
        if self.conditions is not None:
            x_BTD = self.conditions(x_BTD, conditions_BTC)
        if self.settings.embedding_scale:
            x_BTD = x_BTD * self.settings.model_dim**0.5
        before_B, last_place = (None, ids_BT.shape[1]) if state is None else state.count(ids_BT.shape[1])
        if self.sinusoids is None:
            return x_BTD
        places_BT = count_places(ids_BT, self.settings.position_start_id, before_B, segments)
        if state is not None:
            state.place_B = places_BT[:, -1]
        return x_BTD + self.sinusoids(places_BT, last_place, x_BTD.dtype)

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
        segments_BT: Tensor | None = None,
        conditions_BTC: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the mean of -ln p over targets, in nats, and how many targets were the likeliest id.

        The arguments are those of ``loss.cross_entropy``, and the last two of ``hidden``.
        """
        hidden_BTD = self.hidden(ids_BT, None, segments_BT, conditions_BTC)
        return cross_entropy(hidden_BTD, self.head_weight, targets_BT, weight_BT, total_weight=total_weight)

    @torch.no_grad()
    def score(
        self,
        ids_BT: Tensor,
        targets_BT: Tensor,
        segments_BT: Tensor | None = None,
        conditions_BTC: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return ``nats_BT`` and ``correct_BT`` of each target, for evaluation."""
        return score_targets(self.hidden(ids_BT, None, segments_BT, conditions_BTC), self.head_weight, targets_BT)

    def new_cache(self, batch_size: int, length: int | None = None, *, exact: bool = False) -> State | ExactCache:
        """Make the state of rows without tokens; see ``linear_decode.new_cache``."""
        return linear_decode.new_cache(self, batch_size, length, exact=exact)

    def prefill(self, ids_BT: Tensor, cache: State | ExactCache) -> Tensor:
        """Read a prompt, or more of it, into a state; return ``logits_BV`` (float32) of the id that follows."""
        return linear_decode.prefill(self, ids_BT, cache)

    def step(self, ids_B: Tensor, cache: State | ExactCache) -> Tensor:
        """Append one id to each row; return ``logits_BV`` (float32) of the id that follows."""
        return linear_decode.step(self, ids_B, cache)
