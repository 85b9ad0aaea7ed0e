"""The ONNX decode step computes what the model does: a prompt at once, one by one, in pieces, past the window."""

import sys

import numpy as np
import pytest
import torch
from small_decoders import KINDS, small_model

from etude.errors import MissingExtraError, ModelError
from etude.interchange.onnx_step import FILE, write

PROMPT, TOKENS = 9, 20


@pytest.fixture
def runtime():
    pytest.importorskip("onnx", reason="onnx, of the extra `export`, is what this is about")
    return pytest.importorskip("onnxruntime", reason="onnxruntime, of the extra `export`, runs what was written")


class Step:
    """A session and its cache."""

    def __init__(self, runtime, folder, batch=2):
        self.session = runtime.InferenceSession(folder / FILE)
        self.done = 0
        self.cache = {
            put.name: np.zeros((batch, put.shape[1], 0, put.shape[3]), np.float32)
            for put in self.session.get_inputs()[2:]
        }

    def __call__(self, ids):
        feed = {"ids": ids.numpy(), "position": np.array([self.done])} | self.cache
        logits, *present = self.session.run(None, feed)
        self.cache = dict(zip(self.cache, present, strict=True))
        self.done += ids.shape[1]
        return torch.from_numpy(logits)


def ids_of(tokens):
    return torch.randint(0, 390, (2, tokens), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_prompt_at_once_and_then_one_by_one(tmp_path, runtime, kind):
    model = small_model(kind, tmp_path / "model")
    write(model, tmp_path / "out")
    ids, step = ids_of(TOKENS), Step(runtime, tmp_path / "out")
    with torch.inference_mode():
        expected = model.network(ids)
    torch.testing.assert_close(step(ids[:, :PROMPT]), expected[:, PROMPT - 1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(step(ids[:, PROMPT:13]), expected[:, 12], atol=1e-4, rtol=1e-4)
    for place in range(13, TOKENS):
        torch.testing.assert_close(step(ids[:, place : place + 1]), expected[:, place], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["llama", "mistral", "relative-grouped"])
def test_attention_slides_past_the_context_and_a_cache_may_be_cut_to_the_window(tmp_path, runtime, kind):
    model = small_model(kind, tmp_path / "model")
    write(model, tmp_path / "out")
    ids, step = ids_of(40), Step(runtime, tmp_path / "out")
    kept = int(step.session.get_modelmeta().custom_metadata_map["window"]) - 1
    with torch.inference_mode():
        expected = model.network(ids)
    for place in range(40):
        logits = step(ids[:, place : place + 1])
        torch.testing.assert_close(logits, expected[:, place], atol=1e-4, rtol=1e-4)
        step.cache = {name: part[:, :, -kept:] for name, part in step.cache.items()}


def test_the_same_model_gives_the_same_file(tmp_path, runtime):
    model = small_model("llama", tmp_path / "model")
    written = [(write(model, tmp_path / name) / FILE).read_bytes() for name in ("one", "two")]
    assert written[0] == written[1]


def test_large_weights_go_into_a_file_beside(tmp_path, runtime, monkeypatch):
    monkeypatch.setattr("etude.interchange.onnx_graph.MOST_BYTES_IN_ONE_FILE", 1 << 10)
    model = small_model("llama", tmp_path / "model")
    write(model, tmp_path / "out")
    assert (tmp_path / "out" / (FILE + ".data")).is_file()
    ids = ids_of(5)
    with torch.inference_mode():
        expected = model.network(ids)[:, -1]
    torch.testing.assert_close(Step(runtime, tmp_path / "out")(ids), expected, atol=1e-4, rtol=1e-4)


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    model = small_model("llama", tmp_path / "model")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match="export"):
        write(model, tmp_path / "out")


def test_a_model_that_is_no_decoder_is_refused(tmp_path, runtime):
    class Other:
        class network:
            class settings:
                kind = "their.module:Model"

    with pytest.raises(ModelError, match="only the decode step of a decoder"):
        write(Other, tmp_path / "out")
