"""What is exported for transformers computes there what it computes here."""

import json

import pytest
import torch
from small_decoders import KINDS, small_model

from etude.errors import ModelError
from etude.interchange.transformers_layout import layout_of, write

LAYOUTS = {
    "llama": "llama",
    "llama-grouped": "llama",
    "llama-biases": "llama",
    "llama-interleaved": "llama",
    "llama-linear": "llama",
    "llama-yarn": "llama",
    "mistral": "mistral",
    "aria": "stablelm",
    "gpt2": "gpt2",
    "gpt2-untied": "gpt2",
}


@pytest.mark.parametrize("kind", sorted(LAYOUTS))
def test_logits_are_equal_there(tmp_path, kind):
    transformers = pytest.importorskip(
        "transformers", reason="transformers, of the extra `bench`, is what this is about"
    )
    transformers.logging.set_verbosity_error()
    model = small_model(kind, tmp_path / "model")
    assert layout_of(model.network.settings) == LAYOUTS[kind]
    write(model, tmp_path / "out")
    theirs, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(info[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.randint(0, 390, (2, 24), generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        torch.testing.assert_close(theirs(ids).logits, model.network(ids), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(LAYOUTS)))
def test_what_they_have_no_word_for_is_refused(tmp_path, kind):
    model = small_model(kind, tmp_path / "model")
    with pytest.raises(ModelError, match="no layout of transformers says this"):
        write(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_folder_says_where_pieces_end_and_how_ids_are_made(tmp_path):
    from etude.tokens.files import tokenizer_of_file

    model = small_model("llama", tmp_path / "model")
    write(model, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["eos_token_id"], config["pad_token_id"]) == (388, 389)
    assert tokenizer_of_file(tmp_path / "out" / "etude_tokenizer.json").hash == model.tokenizer.hash
    card = (tmp_path / "out" / "README.md").read_text()
    assert "abcd1234" in card
    assert "CC0-1.0" in card
    assert str(tmp_path) not in card
