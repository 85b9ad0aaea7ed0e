"""The decode step of a decoder as an ONNX file: ids and a cache in, logits and the longer cache out.

    inputs    ids (batch, tokens), int64             any number of tokens: a prompt at once, then one by one
              position (1), int64                    how many tokens came before
              past_key.<i>, past_value.<i>           (batch, kv_heads, past, head_width), past = 0 at the beginning
    outputs   logits (batch, vocab)                  of the id that follows the last one, float32
              present_key.<i>, present_value.<i>     (batch, kv_heads, past + tokens, head_width)

The outputs of one call are the inputs of the next. A cache may be cut to its last ``window - 1`` tokens, the file says
how many that are; what is farther back is masked anyway. Rotary positions reach ``max_positions``, four contexts;
learned and sinusoidal ones the context. Attention is that of ``etude.models``: logits are equal within rounding.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.errors import ModelError
from etude.files import draft_folder, write_json, write_text
from etude.interchange import onnx_graph
from etude.interchange.card import card_of_export
from etude.interchange.onnx_graph import Graph, onnx_library
from etude.interchange.rope_pairs import in_halves
from etude.models.settings import DecoderSettings

FILE = "decode_step.onnx"
_ROPE_CONTEXTS = 4


def write(model: Any, out: Path | str) -> Path:
    """Write a folder with ``decode_step.onnx``, the tokenizer and a card.

    Args:
        model: what ``etude.load`` returned.
        out: the folder; what stood there is replaced.

    Raises:
        ModelError: the model is no decoder.
        MissingExtraError: onnx is not installed.
    """
    network, settings = model.network, model.network.settings
    onnx_library()
    if not isinstance(settings, DecoderSettings):
        raise ModelError(f"model.kind = {settings.kind!r}: only the decode step of a decoder can be written as ONNX")
    if settings.conditions.attributes:
        raise ModelError("model.conditions: the decode step as ONNX reads ids alone; export a model without conditions")
    positions = settings.max_tokens or _ROPE_CONTEXTS * settings.ctx_len
    facts = {
        "etude.settings": json.dumps(settings.plain()),
        "etude.weights": model.digest,
        "tokenizer_hash": model.tokenizer.hash,
        "end_id": str(model.tokenizer.end_id),
        "pad_id": str(model.tokenizer.pad_id),
        "window": str(settings.window),
        "max_positions": str(positions),
    }
    with draft_folder(out) as draft:
        size = sum(weight.numel() * 4 for weight in network.parameters())
        graph = Graph(draft / FILE, weights_beside=size > onnx_graph.MOST_BYTES_IN_ONE_FILE)
        with torch.inference_mode():
            _Step(graph, network, positions).build()
        graph.save(name="decode_step", facts=facts)
        write_json(draft / "etude_tokenizer.json", model.tokenizer.to_json())
        write_text(draft / "README.md", card_of_export(model, layout="an ONNX decode step", use=_use(settings)))
    return Path(out)


class _Step:
    """Writes the graph, block after block. Names of methods are those of the model's parts."""

    def __init__(self, graph: Graph, network: Any, positions: int):
        self.graph, self.network, self.settings, self.positions = graph, network, network.settings, positions
        self.state = {name: weight.detach().float().cpu() for name, weight in network.state_dict().items()}

    def build(self) -> None:
        """Write the whole graph."""
        graph, settings = self.graph, self.settings
        ids = graph.take_in("ids", np.int64, ["batch", "tokens"])
        self.position = graph.take_in("position", np.int64, [1])
        sizes = ["batch", settings.kv_heads, "past", settings.head_width]
        past = [
            [graph.take_in(f"past_{kind}.{layer}", np.float32, sizes) for kind in ("key", "value")]
            for layer in range(settings.num_layers)
        ]
        self._count(ids, past[0][0])
        x = self.embed(ids)
        present = []
        for layer, (key, value) in enumerate(past):
            x, key, value = self.block(x, f"blocks.{layer}.", key, value)
            present += [(f"present_key.{layer}", key), (f"present_value.{layer}", value)]
        logits = self.head(graph.op("Gather", x, graph.constant(np.int64(-1)), axis=1))
        graph.give_out("logits", logits, np.float32, ["batch", self.network.vocab_size])
        for name, value in present:
            graph.give_out(name, value, np.float32, ["batch", settings.kv_heads, "total", settings.head_width])

    def _count(self, ids: str, key: str) -> None:
        """Lay out what depends on lengths alone: places of the tokens, distances to the keys, and what is seen."""
        graph = self.graph
        zero, one = graph.constant(np.int64(0)), graph.constant(np.int64(1))
        self.ids_shape = graph.op("Shape", ids)
        tokens = graph.op("Gather", self.ids_shape, one)
        past = graph.op("Gather", graph.op("Shape", key), graph.constant(np.int64(2)))
        steps = graph.op("Range", zero, tokens, one)
        self.places = graph.op("Add", steps, self.position)
        query = graph.op("Unsqueeze", graph.op("Add", steps, past), graph.constant(np.array([1])))
        keys = graph.op("Range", zero, graph.op("Add", tokens, past), one)
        self.distance = graph.op("Sub", query, keys)
        seen = graph.op(
            "And",
            graph.op("GreaterOrEqual", self.distance, zero),
            graph.op("Less", self.distance, graph.constant(np.int64(self.settings.window))),
        )
        nothing, hidden = graph.constant(np.float32(0)), graph.constant(np.float32(-np.inf))
        self.mask = graph.op("Where", seen, nothing, hidden)
        rotary = self.network.blocks[0].attention.rotary
        if rotary is not None:
            self.cos, self.sin = (graph.op("Gather", graph.constant(x), self.places) for x in self._angles(rotary))

    def _angles(self, rotary: Any) -> tuple[np.ndarray, np.ndarray]:
        cos_TK, sin_TK = rotary(self.positions, torch.device("cpu"))
        half = self.settings.head_width // 2
        if rotary.interleaved:
            return cos_TK[:, 0::2].numpy(), sin_TK[:, 1::2].numpy()
        return cos_TK[:, half:].numpy(), sin_TK[:, half:].numpy()

    def embed(self, ids: str) -> str:
        """Return the embeddings (batch, tokens, D), places included."""
        graph = self.graph
        self.table = graph.constant(self.state["embedding.weight"].numpy(), "embedding.weight")
        x = graph.op("Gather", self.table, ids)
        if self.settings.embedding_scale:
            x = graph.op("Mul", x, graph.constant(np.float32(self.settings.model_dim**0.5)))
        places = self.network.places()
        if places is None:
            return x
        return graph.op("Add", x, graph.op("Gather", graph.constant(places.float().cpu().numpy()), self.places))

    def block(self, x: str, name: str, key: str, value: str) -> tuple[str, str, str]:
        """Return what a block makes of ``x``, and its longer cache."""
        pre, graph = self.settings.norm_placement == "pre", self.graph
        inner = self.norm(x, name + "attention_norm") if pre else x
        found, key, value = self.attention(inner, name + "attention.", key, value)
        x = graph.op("Add", x, found)
        x = x if pre else self.norm(x, name + "attention_norm")
        inner = self.norm(x, name + "feed_forward_norm") if pre else x
        x = graph.op("Add", x, self.feed_forward(inner, name + "feed_forward."))
        return x if pre else self.norm(x, name + "feed_forward_norm"), key, value

    def attention(self, x: str, name: str, key: str, value: str) -> tuple[str, str, str]:
        """Return what the queries of ``x`` find, and keys and values of all tokens so far."""
        graph, settings = self.graph, self.settings
        heads, kv_heads, width = settings.num_heads, settings.kv_heads, settings.head_width
        parts = graph.constant(np.array([heads * width, kv_heads * width, kv_heads * width]))
        q, k, v = graph.ops("Split", self.linear(x, name + "qkv", self._pairs_apart), parts, outputs=3, axis=-1)
        q, k, v = self._heads(q, heads), self._heads(k, kv_heads), self._heads(v, kv_heads)
        if settings.positions == "rope":
            q, k = self._turn(q), self._turn(k)
        q = graph.op("Mul", q, graph.constant(np.float32(width**-0.5)))
        key, value = graph.op("Concat", key, k, axis=2), graph.op("Concat", value, v, axis=2)
        k, v = key, value
        if heads != kv_heads:
            # (batch, kv_heads, heads that share, tokens, K) meets keys with an axis of 1 there
            q = graph.op("Reshape", q, self._shape(0, kv_heads, heads // kv_heads, -1, width))
            k, v = (graph.op("Unsqueeze", part, graph.constant(np.array([2]))) for part in (key, value))
        axes = [0, 1, 2, 4, 3] if heads != kv_heads else [0, 1, 3, 2]
        logits = graph.op("MatMul", q, graph.op("Transpose", k, perm=axes))
        if settings.positions == "relative":
            logits = graph.op("Add", logits, self._by_distance(q, logits, name))
        share = graph.op("Softmax", graph.op("Add", logits, self.mask), axis=-1)
        found = graph.op("MatMul", share, v)
        if heads != kv_heads:
            found = graph.op("Reshape", found, self._shape(0, heads, -1, width))
        joined = graph.op("Reshape", graph.op("Transpose", found, perm=[0, 2, 1, 3]), self._shape(0, 0, heads * width))
        return self.linear(joined, name + "out"), key, value

    def _by_distance(self, q: str, logits: str, name: str) -> str:
        """Return the products of queries with the embedding of the distance to each key."""
        graph, table_HRK = self.graph, self.state[name + "relative.table_HRK"]
        if self.settings.kv_heads != self.settings.num_heads:
            # q has an axis more; the table follows it
            table_HRK = table_HRK.unflatten(0, (self.settings.kv_heads if len(table_HRK) > 1 else 1, -1))
        products = graph.op("MatMul", q, graph.constant(np.ascontiguousarray(table_HRK.mT.numpy())))
        last = graph.constant(np.int64(table_HRK.shape[-2] - 1))
        row = graph.op("Clip", self.distance, graph.constant(np.int64(0)), last)
        return graph.op("GatherElements", products, graph.op("Expand", row, graph.op("Shape", logits)), axis=-1)

    def feed_forward(self, x: str, name: str) -> str:
        """Return what the feed-forward layer adds."""
        graph, kind = self.graph, self.settings.feed_forward
        inner = self.linear(x, name + "up")
        if kind == "swiglu":
            size = self.settings.ff_dim
            gate, value = graph.ops("Split", inner, graph.constant(np.array([size, size])), outputs=2, axis=-1)
            inner = graph.op("Mul", graph.op("Mul", gate, graph.op("Sigmoid", gate)), value)
        elif kind == "relu":
            inner = graph.op("Relu", inner)
        else:
            inner = self._gelu(inner, tanh=kind == "gelu_tanh")
        return self.linear(inner, name + "down")

    def _gelu(self, x: str, *, tanh: bool) -> str:
        graph = self.graph
        half, one = graph.constant(np.float32(0.5)), graph.constant(np.float32(1))
        if tanh:
            cube = graph.op("Mul", graph.op("Mul", x, x), graph.op("Mul", x, graph.constant(np.float32(0.044715))))
            root = graph.constant(np.float32((2 / np.pi) ** 0.5))
            share = graph.op("Tanh", graph.op("Mul", graph.op("Add", x, cube), root))
        else:
            share = graph.op("Erf", graph.op("Mul", x, graph.constant(np.float32(0.5**0.5))))
        return graph.op("Mul", graph.op("Mul", x, half), graph.op("Add", share, one))

    def norm(self, x: str, name: str) -> str:
        """Return ``x`` normalised over its last axis."""
        graph, eps = self.graph, self.settings.norm_eps
        weight = graph.constant(self.state[name + ".weight"].numpy())
        if self.settings.norm == "layer":
            bias = graph.constant(self.state[name + ".bias"].numpy())
            return graph.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=eps)
        mean = graph.op("ReduceMean", graph.op("Mul", x, x), axes=[-1], keepdims=1)
        size = graph.op("Sqrt", graph.op("Add", mean, graph.constant(np.float32(eps))))
        return graph.op("Mul", graph.op("Div", x, size), weight)

    def head(self, x: str) -> str:
        """Return the logits of the states (batch, D) of the last tokens."""
        graph = self.graph
        x = self.norm(x, "norm") if self.settings.final_norm else x
        if not self.settings.tied:
            logits = self.linear(x, "head")
        else:
            logits = graph.op("MatMul", x, graph.op("Transpose", self.table, perm=[1, 0]))
        if self.settings.head_bias:
            logits = graph.op("Add", logits, graph.constant(self.state["head_bias"].numpy()))
        return logits

    def linear(self, x: str, name: str, rows: Any = lambda weight: weight) -> str:
        """Return ``x`` times a matrix plus its bias, if it has one; ``rows`` may change the order of rows."""
        graph = self.graph
        y = graph.op("MatMul", x, graph.constant(rows(self.state[name + ".weight"]).T.contiguous().numpy()))
        if name + ".bias" in self.state:
            y = graph.op("Add", y, graph.constant(rows(self.state[name + ".bias"]).numpy()))
        return y

    def _pairs_apart(self, rows: Tensor) -> Tensor:
        """Bring the queries and keys of the input projection into the order that ``_turn`` expects."""
        settings = self.settings
        if settings.positions != "rope" or settings.rope_pairing == "half":
            return rows
        turned = (settings.num_heads + settings.kv_heads) * settings.head_width
        return torch.cat([in_halves(rows[:turned], settings.head_width), rows[turned:]])

    def _turn(self, x: str) -> str:
        graph, half = self.graph, self.settings.head_width // 2
        first, second = graph.ops("Split", x, graph.constant(np.array([half, half])), outputs=2, axis=-1)
        a = graph.op("Sub", graph.op("Mul", first, self.cos), graph.op("Mul", second, self.sin))
        b = graph.op("Add", graph.op("Mul", second, self.cos), graph.op("Mul", first, self.sin))
        return graph.op("Concat", a, b, axis=-1)

    def _heads(self, x: str, heads: int) -> str:
        shaped = self.graph.op("Reshape", x, self._shape(0, 0, heads, self.settings.head_width))
        return self.graph.op("Transpose", shaped, perm=[0, 2, 1, 3])

    def _shape(self, *sizes: int) -> str:
        return self.graph.constant(np.array(sizes))


def _use(settings: DecoderSettings) -> str:
    return f"""    import numpy as np, onnxruntime

    session = onnxruntime.InferenceSession("{FILE}")
    none = np.zeros((1, {settings.kv_heads}, 0, {settings.head_width}), np.float32)
    cache = {{f"past_{{kind}}.{{i}}": none for kind in ("key", "value") for i in range({settings.num_layers})}}
    logits, *present = session.run(None, {{"ids": ids, "position": np.array([0]), **cache}})
"""
