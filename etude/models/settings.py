"""Settings of the models, and of nothing else: this file does not need torch."""

from typing import Literal

from pydantic import model_validator

from etude.conditions import ConditionSettings
from etude.settings import Settings, setting


class DecoderSettings(Settings):
    """Size and kind of a decoder-only transformer.

    Example:
        >>> DecoderSettings(model_dim=512, num_heads=8).head_width
        64
    """

    kind: Literal["decoder"] = "decoder"
    num_layers: int = setting(4, text="number of blocks", ge=1)
    model_dim: int = setting(256, text="width of the residual stream", ge=1)
    num_heads: int = setting(4, text="attention heads per block", ge=1)
    num_kv_heads: int | None = setting(
        None, text="heads of keys and values, each shared by as many queries; none means num_heads", ge=1
    )
    head_dim: int | None = setting(None, text="width of one head; none means model_dim / num_heads", ge=1)
    ctx_len: int = setting(1024, text="how far attention reaches back, the token itself included", unit="tokens", ge=1)
    attention_window: int | None = setting(
        None, text="how far one block reaches back, if less far than ctx_len; none means ctx_len", unit="tokens", ge=1
    )
    ff_dim: int = setting(1024, text="inner width of the feed-forward layer", ge=1)
    feed_forward: Literal["relu", "gelu", "gelu_tanh", "swiglu"] = setting(
        "swiglu", text="the feed-forward layer; gelu_tanh is the approximation that GPT-2 has"
    )
    biases: bool = setting(False, text="the linear layers of a block have biases")
    norm: Literal["layer", "rms"] = setting("rms", text="the normalisation of each half block and before the head")
    norm_placement: Literal["pre", "post"] = setting(
        "pre", text="pre normalises what goes into a half block, post the sum of what goes in and what comes out"
    )
    norm_eps: float = setting(1e-5, text="added to the variance or the mean square before its root", gt=0.0)
    final_norm: bool = setting(True, text="normalise before the head")
    positions: Literal["relative", "rope", "learned", "sinusoidal"] = setting(
        "rope", text="how attention knows where a token is; learned and sinusoidal end at ctx_len"
    )
    relative_span: int | None = setting(
        None,
        text="distances with an embedding of their own, larger ones share the last; none means all that a block sees",
        unit="tokens",
        ge=1,
    )
    relative_shared: bool = setting(False, text="one table of relative embeddings for all heads of a block")
    sinusoids: bool = setting(False, text="sinusoids are added to the embedding besides relative positions")
    rope_base: float = setting(10_000.0, text="base of the rotary wavelengths", gt=1.0)
    rope_pairing: Literal["half", "interleaved"] = setting(
        "half", text="which features turn together: i and i + K/2 of a head, or 2i and 2i + 1"
    )
    rope_scaling: Literal["none", "linear", "yarn"] = setting(
        "none", text="how rotary positions are fitted to a longer context than a model was trained with"
    )
    rope_factor: float = setting(1.0, text="how many times the context of before", ge=1.0)
    embedding_scale: bool = setting(False, text="embeddings are multiplied by the root of model_dim")
    tied: bool = setting(False, text="the head uses the embedding's weights")
    head_bias: bool = setting(False, text="the head has a bias")
    dropout: float = setting(0.0, text="share of embeddings and block outputs zeroed in training", ge=0.0, lt=1.0)
    first_dropout: float | None = setting(
        None, text="share in the first block, from which it goes in a line to dropout in the last", ge=0.0, lt=1.0
    )
    embedding_dropout: float | None = setting(None, text="share of embeddings, if another than dropout", ge=0.0, lt=1.0)
    inner_dropout: float = setting(0.0, text="share inside the feed-forward layer", ge=0.0, lt=1.0)
    conditions: ConditionSettings = setting(
        ConditionSettings(), text="what the model may be told of a piece besides its ids; task controlled tells it"
    )

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.head_dim or self.model_dim // self.num_heads

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_kv_heads or self.num_heads

    @property
    def window(self) -> int:
        """Tokens that one block sees, the token itself included."""
        return self.attention_window or self.ctx_len

    @property
    def num_distances(self) -> int:
        """Rows of a table of relative embeddings: distances 0 to ``num_distances - 1``."""
        return self.relative_span or self.window

    @property
    def has_sinusoids(self) -> bool:
        """Whether sinusoids are added to the embedding."""
        return self.sinusoids or self.positions == "sinusoidal"

    @property
    def max_tokens(self) -> int | None:
        """Tokens that a sequence may have at most; None if positions are distances alone and never end."""
        return self.ctx_len if self.has_sinusoids or self.positions == "learned" else None

    def block_dropout(self, layer: int) -> float:
        """Share that is zeroed of what block ``layer``, 0 to ``num_layers - 1``, adds."""
        if self.first_dropout is None:
            return self.dropout
        return self.first_dropout + (self.dropout - self.first_dropout) * layer / max(1, self.num_layers - 1)

    @model_validator(mode="after")
    def _check(self) -> "DecoderSettings":
        _check_heads(self)
        _check_positions(self)
        _check_conditions(self)
        return self


def _check_width(settings: "DecoderSettings | LinearSettings") -> None:
    dim, heads = settings.model_dim, settings.num_heads
    if settings.head_dim is None and dim % heads:
        fits = heads * max(1, round(dim / heads))
        raise ValueError(
            f"model_dim = {dim}: not a multiple of num_heads = {heads}; "
            f"the nearest width that fits is {fits}, or give head_dim"
        )


def _check_conditions(settings: "DecoderSettings | LinearSettings") -> None:
    width = settings.conditions.token_width(settings.model_dim)
    if width < 1:
        raise ValueError(
            f"conditions.width = {settings.conditions.width}: leaves the tokens none of model_dim = "
            f"{settings.model_dim} features; take fewer, or conditions.join=add"
        )
    if settings.tied and width < settings.model_dim:
        raise ValueError("tied: embeddings that conditions are concatenated to are narrower than the head; untie it")


def _check_heads(settings: DecoderSettings) -> None:
    _check_width(settings)
    heads = settings.num_heads
    if heads % settings.kv_heads:
        fits = [number for number in range(1, heads + 1) if heads % number == 0]
        raise ValueError(
            f"num_kv_heads = {settings.kv_heads}: num_heads = {heads} is not a multiple; "
            f"expected one of {', '.join(map(str, fits))}"
        )


def _check_positions(settings: DecoderSettings) -> None:
    if settings.positions == "rope" and settings.head_width % 2:
        raise ValueError(f"head width {settings.head_width}: positions = rope turns pairs; make it even")
    if settings.positions != "relative" and (
        settings.relative_span is not None or settings.relative_shared or settings.sinusoids
    ):
        raise ValueError("relative_span, relative_shared and sinusoids: only for positions = relative; leave them out")
    if settings.positions != "rope" and (settings.rope_pairing != "half" or settings.rope_scaling != "none"):
        raise ValueError("rope_pairing and rope_scaling: only for positions = rope; leave them out")
    if (settings.rope_scaling == "none") != (settings.rope_factor == 1.0):
        raise ValueError(
            f"rope_factor = {settings.rope_factor}: does not go with rope_scaling = {settings.rope_scaling}; "
            "give a scaling and a factor above 1, or neither"
        )
    if settings.window > settings.ctx_len:
        raise ValueError(
            f"attention_window = {settings.window}: more than ctx_len = {settings.ctx_len}; leave it out for all of it"
        )
    if settings.num_distances > settings.window:
        reach = "ctx_len" if settings.attention_window is None else "attention_window"
        raise ValueError(
            f"relative_span = {settings.relative_span}: more than {reach} = {settings.window}; "
            "no farther distance is ever seen"
        )


class LinearSettings(Settings):
    """Size and kind of a decoder of linear attention.

    Example:
        >>> LinearSettings(model_dim=512, num_heads=8).head_width
        64
    """

    kind: Literal["linear"] = "linear"
    num_layers: int = setting(4, text="number of blocks", ge=1)
    model_dim: int = setting(256, text="width of the residual stream", ge=1)
    num_heads: int = setting(4, text="attention heads per block", ge=1)
    head_dim: int | None = setting(None, text="width of one head; none means model_dim / num_heads", ge=1)
    ctx_len: int = setting(
        1024, text="length of a training window; attention reaches back to the first token", unit="tokens", ge=1
    )
    feature_map: Literal["elu1", "relu", "softmax"] = setting(
        "elu1", text="features of queries and keys: elu + 1, relu, or a softmax over the width of a head"
    )
    ff_dim: int = setting(1024, text="inner width of the feed-forward layer", ge=1)
    feed_forward: Literal["relu", "gelu", "gelu_tanh", "swiglu"] = setting("gelu", text="the feed-forward layer")
    biases: bool = setting(True, text="the linear layers of a block have biases")
    norm: Literal["layer", "rms"] = setting("layer", text="the normalisation before each half block and the head")
    norm_eps: float = setting(1e-5, text="added to the variance or the mean square before its root", gt=0.0)
    positions: Literal["sinusoidal", "none"] = setting("sinusoidal", text="what is added to an embedding")
    position_start_id: int | None = setting(
        None,
        text="places are counted from the first such id of a piece, and ids before it have none; none counts all",
        ge=0,
    )
    embedding_scale: bool = setting(True, text="embeddings are multiplied by the root of model_dim")
    tied: bool = setting(False, text="the head uses the embedding's weights")
    dropout: float = setting(0.0, text="share of embeddings and block outputs zeroed in training", ge=0.0, lt=1.0)
    inner_dropout: float = setting(0.0, text="share inside the feed-forward layer", ge=0.0, lt=1.0)
    conditions: ConditionSettings = setting(
        ConditionSettings(), text="what the model may be told of a piece besides its ids; task controlled tells it"
    )

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.head_dim or self.model_dim // self.num_heads

    @property
    def max_tokens(self) -> None:
        """Tokens that a sequence may have at most: there is no limit."""
        return None

    @model_validator(mode="after")
    def _check(self) -> "LinearSettings":
        _check_width(self)
        _check_conditions(self)
        if self.position_start_id is not None and self.positions == "none":
            raise ValueError("position_start_id: only for positions = sinusoidal; leave it out")
        return self
