"""MuseCoco's weights against its forward pass, written down plainly here, token by token and in float64."""

import math
from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file

import etude
from etude.errors import ModelError
from etude.interchange.import_model import import_model
from etude.interchange.musecoco import read

VOCAB, SEP = 1253, 984
WIDTH, LAYERS, HEADS, INNER = 32, 2, 5, 40  # heads of 32 // 5 = 6, attention 30 wide, as 1024 / 12 is 12 heads of 85


def published(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under the published names."""
    generator = torch.Generator().manual_seed(seed)
    attention = WIDTH // HEADS * HEADS
    linear = {
        "self_attn.q_proj": (attention, WIDTH),
        "self_attn.k_proj": (attention, WIDTH),
        "self_attn.v_proj": (attention, WIDTH),
        "self_attn.out_proj": (WIDTH, attention),
        "fc1": (INNER, WIDTH),
        "fc2": (WIDTH, INNER),
    }
    norms = [f"layers.{i}.{name}_layer_norm" for i in range(LAYERS) for name in ("self_attn", "final")] + ["layer_norm"]
    shapes = {"embed_tokens.weight": (VOCAB, WIDTH), "output_projection.weight": (VOCAB, WIDTH)}
    for layer in range(LAYERS):
        for name, shape in linear.items():
            shapes[f"layers.{layer}.{name}.weight"], shapes[f"layers.{layer}.{name}.bias"] = shape, shape[:1]
    shapes |= {f"{norm}.{part}": (WIDTH,) for norm in norms for part in ("weight", "bias")}
    state = {f"decoder.{name}": 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return state | {"decoder.version": torch.tensor([3.0]), "decoder.embed_positions._float_tensor": torch.zeros(1)}


def norm(x, state, name):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / (variance + 1e-5).sqrt() * state[name + ".weight"] + state[name + ".bias"]


def linear(x, state, name):
    return x @ state[name + ".weight"].T + state[name + ".bias"]


def place(number):
    """The sinusoid of fairseq's position number: half sines, half cosines."""
    half = WIDTH // 2
    angles = [number * math.exp(-math.log(10_000) * i / (half - 1)) for i in range(half)]
    return torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles], dtype=torch.float64)


def attend(q_TK, k_TK, v_TK):
    """One head: elu + 1 features, running sums, a division."""
    features = torch.nn.functional.elu
    sums, weights, found = torch.zeros(q_TK.shape[1], v_TK.shape[1]).double(), torch.zeros(q_TK.shape[1]).double(), []
    for q, k, v in zip(features(q_TK) + 1, features(k_TK) + 1, v_TK, strict=True):
        sums, weights = sums + k[:, None] * v, weights + k
        found.append(q @ sums / (q @ weights + 1e-6))
    return torch.stack(found)


def published_logits(weights, ids_T, *, heads=HEADS, activation=torch.nn.functional.gelu, scale=WIDTH**0.5):
    """The published forward pass of one row: places begin with 2 at the separator, and nothing has one before it."""
    state = {name.removeprefix("decoder."): tensor.double() for name, tensor in weights.items()}
    ids = ids_T.tolist()
    first = ids.index(SEP) if SEP in ids else len(ids)
    places = [place(2 + t - first) if t >= first else torch.zeros(WIDTH).double() for t in range(len(ids))]
    x = scale * state["embed_tokens.weight"][ids_T] + torch.stack(places)
    for layer in range(LAYERS):
        own = {name.removeprefix(f"layers.{layer}."): tensor for name, tensor in state.items()}
        y = norm(x, own, "self_attn_layer_norm")
        q, k, v = (linear(y, own, f"self_attn.{name}_proj").chunk(heads, -1) for name in "qkv")
        x = x + linear(torch.cat([attend(*one) for one in zip(q, k, v, strict=True)], -1), own, "self_attn.out_proj")
        x = x + linear(activation(linear(norm(x, own, "final_layer_norm"), own, "fc1")), own, "fc2")
    return norm(x, state, "layer_norm") @ state["output_projection.weight"].T


def some_ids(sep_at: int | None) -> torch.Tensor:
    ids_T = torch.randint(4, SEP, (30,), generator=torch.Generator().manual_seed(5))
    if sep_at is not None:
        ids_T[sep_at] = SEP
    return ids_T


def compare(network, expected_TV, ids_T):
    with torch.inference_mode():
        torch.testing.assert_close(network(ids_T[None])[0].double(), expected_TV, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("sep_at", [0, 9, None])
def test_it_computes_what_its_description_says(tmp_path, sep_at):
    """covers: star-29 (partly)"""
    save_file(published(), tmp_path / "w.safetensors")
    import_model("musecoco", tmp_path / "w.safetensors", tmp_path / "model", num_heads=HEADS)
    model = etude.load(tmp_path / "model")
    compare(model.network, published_logits(published(), some_ids(sep_at)), some_ids(sep_at))
    assert (model.tokenizer.kind, model.tokenizer.vocab_size) == ("remi", VOCAB)
    assert model.network.settings.head_width == 6


def test_decoding_computes_the_same_and_the_model_plays(tmp_path):
    save_file(published(), tmp_path / "w.safetensors")
    import_model("musecoco", tmp_path / "w.safetensors", tmp_path / "model", num_heads=HEADS)
    model, ids_T = etude.load(tmp_path / "model"), some_ids(6)
    cache = model.network.new_cache(1)
    logits = [model.network.prefill(ids_T[None, :4], cache)]
    logits += [model.network.step(ids_T[None, t], cache) for t in range(4, 30)]
    expected = published_logits(published(), ids_T)[3:]
    torch.testing.assert_close(torch.cat(logits).double(), expected, atol=2e-4, rtol=1e-4)
    (take,) = model.generate(tokens=20, seed=1)
    assert len(take.score.notes) > 0


def test_a_checkpoint_of_fairseq_tells_its_heads_and_other_settings(tmp_path):
    told = {"decoder_attention_heads": 3, "activation_fn": "relu", "no_scale_embedding": True, "dropout": 0.2}
    told |= {"truncated_length": 2560}
    optimiser = {"state": {0: {"step": 7, "exp_avg": torch.zeros(2)}}}
    checkpoint = {"args": Namespace(**told), "model": published(), "last_optimizer_state": optimiser, "extra_state": {}}
    torch.save(checkpoint, tmp_path / "checkpoint_2_280000.pt")
    import_model("musecoco", tmp_path / "checkpoint_2_280000.pt", tmp_path / "model")
    settings = etude.load(tmp_path / "model").network.settings
    assert (settings.num_heads, settings.dropout, settings.ctx_len) == (3, 0.2, 2560)
    network, ids_T = etude.load(tmp_path / "model").network, some_ids(9)
    compare(network, published_logits(published(), ids_T, heads=3, activation=torch.relu, scale=1.0), ids_T)
    with pytest.raises(ModelError, match="5 heads were asked for, the file says 3"):
        read(tmp_path / "checkpoint_2_280000.pt", num_heads=5)


def test_the_published_sizes_are_known_by_their_shapes(tmp_path):
    with torch.device("meta"):
        shapes = {"q": torch.empty(1020, 1024), "k": torch.empty(1020, 1024), "v": torch.empty(1020, 1024)}
    state = {"decoder.embed_tokens.weight": torch.zeros(1).expand(VOCAB, 1024)}
    for layer in range(16):
        for name, weight in shapes.items():
            state[f"decoder.layers.{layer}.self_attn.{name}_proj.weight"] = torch.zeros(1).expand(weight.shape)
    state["decoder.layers.0.fc1.weight"] = torch.zeros(1).expand(4096, 1024)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ModelError) as caught:
        read(tmp_path / "w.pt")
    # it got as far as asking for the tensors of a model with 12 heads of 85
    assert "missing" in str(caught.value)
    assert "other shape" not in str(caught.value)


def test_what_is_missing_misshapen_or_too_much_is_listed_by_name(tmp_path):
    state = published()
    del state["decoder.layers.1.self_attn.v_proj.bias"]
    state["decoder.layers.0.fc2.weight"] = torch.ones(3, 3)
    state["decoder.layers.0.self_attn.new.weight"] = torch.ones(3)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ModelError) as caught:
        import_model("musecoco", tmp_path / "w.pt", tmp_path / "model", num_heads=HEADS)
    message = str(caught.value)
    assert "1 missing: decoder.layers.1.self_attn.v_proj.bias" in message
    assert "1 of another shape: decoder.layers.0.fc2.weight is (3, 3), expected (32, 40)" in message
    assert "1 not read: decoder.layers.0.self_attn.new.weight" in message
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("heads", "message"),
    [(None, "shapes do not tell the number of heads"), (7, "no 7 heads of one width")],
)
def test_a_number_of_heads_that_is_not_known_or_does_not_fit_is_refused(tmp_path, heads, message):
    torch.save(published(), tmp_path / "w.pt")
    with pytest.raises(ModelError, match=message):
        read(tmp_path / "w.pt", num_heads=heads)


def test_another_dictionary_beside_the_file_is_the_tokenizer_s(tmp_path):
    torch.save(published(), tmp_path / "w.pt")
    etude.tokenizer("remi", replaced={"o-96": "HIST"}).write_dict(tmp_path / "dict.txt")
    assert read(tmp_path / "w.pt", num_heads=HEADS).tokenizer.vocab.id_of("HIST") == 102


def test_another_vocabulary_and_an_unknown_activation_are_refused(tmp_path):
    state = published()
    state["decoder.embed_tokens.weight"] = torch.zeros(3245, WIDTH)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="3245 ids: expected 1253"):
        read(tmp_path / "w.pt", num_heads=HEADS)
    torch.save({"model": published(), "args": Namespace(activation_fn="swish")}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="'swish': expected one of gelu"):
        read(tmp_path / "w.pt", num_heads=HEADS)
