"""Published weights become model folders that compute what was published: compared with plain formulas."""

import json

import published_models as published
import pytest
import torch
from safetensors.torch import save_file

import etude
from etude.errors import ModelError
from etude.interchange import IMPORTERS
from etude.interchange.import_model import import_model


def ids_of(vocab_size, length=33):
    return torch.randint(0, vocab_size, (2, length), generator=torch.Generator().manual_seed(7))


def imported_logits(system, path, tmp_path, ids, **told):
    """The model, and its logits in float64, where another formula cannot hide behind rounding."""
    import_model(system, path, tmp_path / "model", **told)
    model = etude.load(tmp_path / "model")
    with torch.inference_mode():
        return model, model.network.double()(ids)


def assert_equal(logits, expected):
    # tables of angles are float32
    torch.testing.assert_close(logits, expected, atol=5e-6, rtol=5e-6)


def test_aria_computes_what_its_description_says(tmp_path):
    """covers: star-29"""
    state = published.aria()
    save_file(state, tmp_path / "model.safetensors")
    ids = ids_of(published.ARIA_VOCAB)
    model, logits = imported_logits("aria", tmp_path / "model.safetensors", tmp_path, ids)
    assert_equal(logits, published.aria_logits(state, ids))
    assert (model.network.settings.num_heads, model.network.settings.ctx_len) == (2, 8192)
    assert model.tokenizer.settings.published


@pytest.mark.parametrize("relative", [True, False])
def test_the_music_transformer_computes_what_its_description_says(tmp_path, relative):
    state = published.music_transformer(relative=relative)
    torch.save(state, tmp_path / "best_loss_weights.pickle")
    ids = ids_of(published.PERFORMANCE_VOCAB)
    model, logits = imported_logits("musictransformer", tmp_path / "best_loss_weights.pickle", tmp_path, ids)
    assert_equal(logits, published.music_transformer_logits(state, ids))
    assert (model.network.settings.num_heads, model.tokenizer.kind) == (8, "performance")


def test_heads_that_the_file_does_not_tell_can_be_told(tmp_path):
    state = published.music_transformer(relative=False)
    torch.save(state, tmp_path / "weights.pt")
    ids = ids_of(published.PERFORMANCE_VOCAB)
    expected = published.music_transformer_logits(state, ids, heads=4)
    _, logits = imported_logits("musictransformer", tmp_path / "weights.pt", tmp_path, ids, num_heads=4)
    assert_equal(logits, expected)


@pytest.mark.parametrize("divide_by_layer", [True, False])
def test_anticipation_computes_what_its_description_says(tmp_path, divide_by_layer):
    state = published.anticipation()
    folder = tmp_path / "hub"
    folder.mkdir()
    torch.save(state, folder / "pytorch_model.bin")
    config = {"n_head": 2, "activation_function": "gelu_new", "scale_attn_by_inverse_layer_idx": divide_by_layer}
    (folder / "config.json").write_text(json.dumps(config))
    ids = ids_of(published.ANTICIPATION_VOCAB)
    expected = published.anticipation_logits(state, ids, heads=2, divide_by_layer=divide_by_layer)
    model, logits = imported_logits("anticipation", folder, tmp_path, ids)
    assert_equal(logits[..., :-1], expected)
    assert model.tokenizer.vocab_size == published.ANTICIPATION_VOCAB + 1
    # PAD, which was not published, never takes more than a share
    assert logits.softmax(-1)[..., -1].max() < 1 / published.ANTICIPATION_VOCAB


def test_a_model_that_was_imported_writes_music(tmp_path):
    save_file(published.aria(width=64, inner=64), tmp_path / "model.safetensors")
    import_model("aria", tmp_path / "model.safetensors", tmp_path / "model")
    (take,) = etude.load(tmp_path / "model").generate(tokens=30, seed=1)
    assert len(take.score.notes) > 0


def test_parallel_training_and_training_scripts_leave_wrappings_that_are_taken_off(tmp_path):
    from argparse import Namespace

    state = published.music_transformer(relative=True)
    wrapped = {"module._orig_mod." + name: tensor for name, tensor in state.items()}
    torch.save({"model": wrapped, "args": Namespace(lr=0.1), "epoch": 3, "optimizer": None}, tmp_path / "last.pt")
    ids = ids_of(published.PERFORMANCE_VOCAB)
    _, logits = imported_logits("musictransformer", tmp_path / "last.pt", tmp_path, ids)
    assert_equal(logits, published.music_transformer_logits(state, ids))


def test_split_files_are_put_together(tmp_path):
    state = published.aria(width=64, inner=64)
    parts = {f"part-{number}.safetensors": list(state)[number::2] for number in range(2)}
    for name, names in parts.items():
        save_file({key: state[key] for key in names}, tmp_path / name)
    weight_map = {key: name for name, names in parts.items() for key in names}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    ids = ids_of(published.ARIA_VOCAB)
    _, logits = imported_logits("aria", tmp_path, tmp_path, ids)
    assert_equal(logits, published.aria_logits(state, ids, heads=1))


SMALL = {
    "aria": lambda: published.aria(width=64, inner=64),
    "musictransformer": lambda: published.music_transformer(relative=True),
    "anticipation": lambda: published.anticipation(),
}


@pytest.mark.parametrize("system", sorted(SMALL))
def test_what_is_missing_misshapen_or_too_much_is_listed_by_name(tmp_path, system):
    state = SMALL[system]()
    norms = sorted(name for name in state if "norm" in name or "ln_" in name)
    missing, misshapen = norms[0], norms[1]
    del state[missing]
    state[misshapen] = torch.ones(3)
    state["extra.adapter.weight"] = torch.ones(2)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(ModelError) as caught:
        import_model(system, tmp_path / "weights.pt", tmp_path / "model")
    message = str(caught.value)
    assert f"1 missing: {missing}" in message
    assert f"1 of another shape: {misshapen} is (3,)" in message
    assert "1 not read: extra.adapter.weight" in message
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("system", sorted(SMALL))
def test_tensors_without_a_place_are_refused_until_they_are_named(tmp_path, system):
    torch.save(SMALL[system]() | {"embedding_adapter.weight": torch.ones(2)}, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="no place for: embedding_adapter.weight; name each with --without"):
        import_model(system, tmp_path / "weights.pt", tmp_path / "model")
    with pytest.raises(ModelError, match="other.weight: cannot be left out"):
        import_model(system, tmp_path / "weights.pt", tmp_path / "model", without=["other.weight"])
    made = import_model(system, tmp_path / "weights.pt", tmp_path / "model", without=["embedding_adapter.weight"])
    assert made["left_out"] == ["embedding_adapter.weight"]
    assert etude.load(tmp_path / "model").config["imported"]["left_out"] == ["embedding_adapter.weight"]


@pytest.mark.parametrize("system", sorted(IMPORTERS))
def test_weights_of_another_system_are_refused_in_a_line(tmp_path, system):
    torch.save({"something.weight": torch.ones(2, 2)}, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match=r"weights\.pt"):
        import_model(system, tmp_path / "weights.pt", tmp_path / "model")


def test_a_vocabulary_that_is_not_known_is_refused(tmp_path):
    torch.save(published.aria(width=64, inner=64, vocab=100), tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="100 ids"):
        import_model("aria", tmp_path / "weights.pt", tmp_path / "model")
    torch.save(published.anticipation(vocab=34_025), tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="interarrival"):
        import_model("anticipation", tmp_path / "weights.pt", tmp_path / "model")


def test_other_numbers_than_sinusoids_are_refused(tmp_path):
    state = published.music_transformer(relative=True)
    state["positional_encoding.pe"][3] += 1
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="other numbers than sinusoids"):
        import_model("musictransformer", tmp_path / "weights.pt", tmp_path / "model")


def test_a_setting_that_the_file_tells_is_not_asked_for(tmp_path):
    torch.save(published.anticipation(), tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="ctx_len"):
        import_model("anticipation", tmp_path / "weights.pt", tmp_path / "model", ctx_len=12)


def test_a_system_that_is_not_known_is_refused(tmp_path):
    with pytest.raises(ModelError, match="did you mean 'aria'"):
        import_model("arai", tmp_path, tmp_path / "model")


def test_the_card_says_where_the_weights_come_from_and_names_no_folder_of_this_machine(tmp_path):
    save_file(published.aria(width=64, inner=64), tmp_path / "model.safetensors")
    import_model("aria", tmp_path / "model.safetensors", tmp_path / "model")
    card, config = ((tmp_path / "model" / name).read_text() for name in ("README.md", "config.json"))
    assert "EleutherAI" in card
    assert "Apache-2.0" in card
    assert str(tmp_path) not in card + config
