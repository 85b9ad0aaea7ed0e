"""The peers of ``train_step.py``, each of about the size of ours; none of their code is here."""

import contextlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

WIDTH, LAYERS, HEADS = 384, 6, 6


def llama(_: str, ctx_len: int, vocab_size: int, compiled: bool) -> tuple[Any, Any]:
    """Hugging Face Llama."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=WIDTH,
        intermediate_size=1024,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=ctx_len,
        use_cache=False,
        attn_implementation="sdpa",
    )
    return _hugging_face(LlamaForCausalLM(config), compiled)


def gpt2(_: str, ctx_len: int, vocab_size: int, compiled: bool) -> tuple[Any, Any]:
    """Hugging Face GPT-2 without dropout."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocab_size,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_positions=ctx_len,
        n_inner=4 * WIDTH,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
        attn_implementation="sdpa",
    )
    return _hugging_face(GPT2LMHeadModel(config), compiled)


def x_transformers(_: str, ctx_len: int, vocab_size: int, compiled: bool) -> tuple[Any, Any]:
    """x-transformers with flash attention, rotary positions and a gated feed-forward layer."""
    from x_transformers import Decoder, TransformerWrapper

    layers = Decoder(
        dim=WIDTH,
        depth=LAYERS,
        heads=HEADS,
        attn_flash=True,
        rotary_pos_emb=True,
        use_rmsnorm=True,
        ff_glu=True,
        ff_swish=True,
        ff_no_bias=True,
        ff_mult=1024 / WIDTH,
    )
    model = TransformerWrapper(num_tokens=vocab_size, max_seq_len=ctx_len, use_abs_pos_emb=False, attn_layers=layers)
    return _logits_in_mean_out(model, compiled)


def aria(_: str, ctx_len: int, vocab_size: int, compiled: bool) -> tuple[Any, Any]:
    """Aria's TransformerLM, feed-forward of three times the width, no checkpointing."""
    theirs = _module("BENCH_ARIA", "aria/model.py")
    config = theirs.ModelConfig(
        d_model=WIDTH,
        n_heads=HEADS,
        n_layers=LAYERS,
        ff_mult=3,
        drop_p=0.0,
        max_seq_len=ctx_len,
        grad_checkpoint=False,
        vocab_size=vocab_size,
    )
    return _logits_in_mean_out(theirs.TransformerLM(config), compiled)


def classic(_: str, ctx_len: int, vocab_size: int, compiled: bool) -> tuple[Any, Any]:
    """MusicTransformer-Pytorch with relative positions; its vocabulary is its own, of 390 ids."""
    import torch

    model, forward = classic_model(ctx_len, width=WIDTH, heads=HEADS, inner=4 * WIDTH, dropout=0.0)

    def loss(ids_BT):
        return torch.nn.functional.cross_entropy(forward(ids_BT[:, :-1]).flatten(0, 1), ids_BT[:, 1:].flatten())

    return model, loss


def classic_model(ctx_len: int, *, width: int, heads: int, inner: int, dropout: float) -> tuple[Any, Any]:
    """Return MusicTransformer-Pytorch and what gives its logits.

    Its parts are called one after the other, as its ``forward`` does: the wrapper of torch that it goes through has
    changed since. What they compute is untouched.
    """
    import torch

    sys.path.insert(0, os.environ["BENCH_MUSIC_TRANSFORMER"])
    # its constants import a MIDI reader, of which ranges alone are needed
    processor = ModuleType("third_party.midi_processor.processor")
    processor.RANGE_NOTE_ON = processor.RANGE_NOTE_OFF = 128
    processor.RANGE_VEL, processor.RANGE_TIME_SHIFT = 32, 100
    sys.modules["third_party.midi_processor.processor"] = processor
    # it says on standard output that there is no GPU
    with contextlib.redirect_stdout(sys.stderr):
        theirs = importlib.import_module("model.music_transformer")
    sizes = {"n_layers": LAYERS, "num_heads": heads, "d_model": width, "dim_feedforward": inner}
    model = theirs.MusicTransformer(**sizes, dropout=dropout, max_sequence=ctx_len, rpr=True)

    def forward(ids_BT):
        mask = torch.nn.Transformer.generate_square_subsequent_mask(ids_BT.shape[1])
        x = model.positional_encoding(model.embedding(ids_BT).permute(1, 0, 2))
        return model.Wout(model.transformer.encoder(x, mask=mask).permute(1, 0, 2))

    return model, forward


def _hugging_face(model, compiled: bool) -> tuple[Any, Any]:
    call = _maybe_compiled(model, compiled)
    return model, lambda ids_BT: call(input_ids=ids_BT[:, :-1], labels=ids_BT[:, :-1]).loss


def _logits_in_mean_out(model, compiled: bool) -> tuple[Any, Any]:
    import torch

    call = _maybe_compiled(model, compiled)

    def loss(ids_BT):
        logits = call(ids_BT[:, :-1])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids_BT[:, 1:].flatten())

    return model, loss


def _maybe_compiled(model, compiled: bool):
    import torch

    return torch.compile(model) if compiled else model


def _module(variable: str, path: str) -> ModuleType:
    """Import one file of a repository that lies somewhere."""
    spec = importlib.util.spec_from_file_location(variable.lower(), f"{os.environ[variable]}/{path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _not_given(variable: str, option: str) -> str:
    return "" if variable in os.environ else f"give {option} DIR"


PEERS = {"llama": llama, "gpt2": gpt2, "x": x_transformers, "aria": aria, "classic": classic}
MISSING = {
    "x": lambda: "" if importlib.util.find_spec("x_transformers") else "pip install x-transformers",
    "aria": lambda: _not_given("BENCH_ARIA", "--aria"),
    "classic": lambda: _not_given("BENCH_MUSIC_TRANSFORMER", "--music-transformer"),
}
