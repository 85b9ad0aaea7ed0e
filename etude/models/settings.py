"""Settings of the models, and of nothing else: this file does not need torch."""

from typing import Literal

from pydantic import model_validator

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
    head_dim: int | None = setting(None, text="width of one head; none means model_dim / num_heads", ge=1)
    ctx_len: int = setting(1024, text="how far attention reaches back, the token itself included", unit="tokens", ge=1)
    ff_dim: int = setting(1024, text="inner width of the feed-forward layer", ge=1)
    feed_forward: Literal["relu", "gelu", "swiglu"] = setting("swiglu", text="the feed-forward layer")
    norm: Literal["layer", "rms"] = setting("rms", text="the normalisation before each half block and the head")
    positions: Literal["relative", "rope"] = setting("rope", text="how attention knows where a token is")
    relative_span: int | None = setting(
        None,
        text="distances with an embedding of their own, larger ones share the last; none means ctx_len",
        unit="tokens",
        ge=1,
    )
    relative_shared: bool = setting(False, text="one table of relative embeddings for all heads of a block")
    rope_base: float = setting(10_000.0, text="base of the rotary wavelengths", gt=1.0)
    tied: bool = setting(False, text="the head uses the embedding's weights")
    dropout: float = setting(0.0, text="share of embeddings and block outputs zeroed in training", ge=0.0, lt=1.0)

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.head_dim or self.model_dim // self.num_heads

    @property
    def num_distances(self) -> int:
        """Rows of a table of relative embeddings: distances 0 to ``num_distances - 1``."""
        return self.relative_span or self.ctx_len

    @model_validator(mode="after")
    def _check(self) -> "DecoderSettings":
        if self.head_dim is None and self.model_dim % self.num_heads:
            fits = self.num_heads * max(1, round(self.model_dim / self.num_heads))
            raise ValueError(
                f"model_dim = {self.model_dim}: not a multiple of num_heads = {self.num_heads}; "
                f"the nearest width that fits is {fits}, or give head_dim"
            )
        if self.positions == "rope":
            if self.head_width % 2:
                raise ValueError(f"head width {self.head_width}: positions = rope turns pairs; make it even")
            if self.relative_span is not None or self.relative_shared:
                raise ValueError("relative_span and relative_shared: only for positions = relative; leave them out")
        if self.num_distances > self.ctx_len:
            raise ValueError(
                f"relative_span = {self.relative_span}: more than ctx_len = {self.ctx_len}; "
                "no farther distance is ever seen"
            )
        return self
