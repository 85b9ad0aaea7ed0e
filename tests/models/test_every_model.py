"""What holds of every model in the registry, each in the small variants listed here."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from etude.models import MODELS, build_model, model_settings

VOCAB = 40
SMALL = {"num_layers": 2, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 24}
POST_NORM = {"norm_placement": "post", "norm": "layer", "biases": True, "feed_forward": "relu", "head_bias": True}
GPT = {"positions": "learned", "norm": "layer", "biases": True, "feed_forward": "gelu_tanh", "tied": True}
VARIANTS = {
    "decoder": [
        SMALL | {"positions": "rope"},
        SMALL | {"positions": "relative"},
        SMALL | {"positions": "relative", "relative_span": 7, "norm": "layer", "feed_forward": "relu", "tied": True},
        SMALL | {"positions": "relative", "relative_shared": True, "feed_forward": "gelu", "head_dim": 12},
        SMALL | {"positions": "rope", "norm": "layer", "feed_forward": "gelu", "tied": True, "dropout": 0.2},
        SMALL | {"num_kv_heads": 2, "attention_window": 9, "biases": True, "norm_eps": 1e-6},
        SMALL | {"num_kv_heads": 1, "rope_pairing": "interleaved", "rope_scaling": "yarn", "rope_factor": 4.0},
        # positions that end at ctx_len slide within it
        SMALL | POST_NORM | {"ctx_len": 64, "attention_window": 24, "positions": "relative", "sinusoids": True},
        SMALL | POST_NORM | {"ctx_len": 64, "positions": "sinusoidal", "final_norm": False, "embedding_scale": True},
        SMALL | GPT | {"ctx_len": 64, "first_dropout": 0.0, "dropout": 0.1, "inner_dropout": 0.1},
    ],
    "linear": [
        SMALL,
        SMALL | {"feature_map": "softmax", "position_start_id": 3, "head_dim": 12, "tied": True, "dropout": 0.2},
        SMALL | {"feature_map": "relu", "positions": "none", "norm": "rms", "feed_forward": "swiglu", "biases": False},
    ],
}
CASES = [pytest.param(kind, values, id=f"{kind}-{i}") for kind in MODELS for i, values in enumerate(VARIANTS[kind])]


@pytest.fixture(params=[case.values for case in CASES], ids=[case.id for case in CASES])
def model(request):
    kind, values = request.param
    torch.manual_seed(0)
    return build_model(model_settings({"kind": kind, **values}), VOCAB).eval()


def some_ids(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_logits_have_one_value_per_position_and_id(model):
    logits_BTV = model(some_ids(3, 10))
    assert logits_BTV.shape == (3, 10, VOCAB)
    assert torch.isfinite(logits_BTV).all()


def test_a_later_id_changes_no_earlier_logit_and_every_later_one(model):
    ids_BT = some_ids(1, 20)
    other_BT = ids_BT.clone()
    other_BT[0, 12] = (ids_BT[0, 12] + 1) % VOCAB
    differs_T = (model(ids_BT) - model(other_BT)).abs().amax(dim=(0, 2))
    assert differs_T[:12].max() == 0
    assert differs_T[12:].min() > 0


def test_rows_of_a_batch_do_not_see_each_other(model):
    ids_BT = some_ids(3, 16)
    alone = torch.cat([model(row[None]) for row in ids_BT])
    torch.testing.assert_close(model(ids_BT), alone, atol=1e-5, rtol=1e-5)


def test_a_batch_is_learnt_by_heart(model):
    model.train()
    ids_BT = some_ids(4, 17)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(80):
        nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
        nats.backward()
        optimizer.step()
        optimizer.zero_grad()
    nats, num_correct = model.eval().loss(ids_BT[:, :-1], ids_BT[:, 1:])
    assert nats < 0.2
    assert num_correct >= 62


def test_every_weight_gets_a_gradient(model):
    ids_BT = some_ids(2, 25)
    model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0].backward()
    without = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert without == []


def test_weights_saved_and_loaded_give_the_same_logits(model, tmp_path):
    # safetensors refuses tensors that share memory, so this also says that tied weights are saved once
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    torch.manual_seed(1)
    other = build_model(model.settings, VOCAB).eval()
    assert not torch.equal(other(some_ids(1, 9)), model(some_ids(1, 9)))
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(other(some_ids(1, 9)), model(some_ids(1, 9)))


@pytest.mark.parametrize("prompt", [1, 9, 24, 30])
def test_cached_decoding_equals_the_full_pass_even_past_ctx_len(model, prompt):
    """covers: MT-8"""
    ids_BT = some_ids(3, 60)
    full_BTV = model(ids_BT)
    cache = model.new_cache(3, 60)
    logits = [model.prefill(ids_BT[:, :prompt], cache)]
    logits += [model.step(ids_BT[:, t], cache) for t in range(prompt, 60)]
    torch.testing.assert_close(torch.stack(logits, dim=1), full_BTV[:, prompt - 1 :], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("batch", [3, 8])
def test_in_exact_mode_a_row_has_the_same_bits_in_any_batch(model, batch):
    """covers: MT-26"""
    ids_BT = some_ids(8, 40)

    def decode(rows: torch.Tensor) -> torch.Tensor:
        cache = model.new_cache(len(rows), 40, exact=True)
        logits = [model.prefill(rows[:, :5], cache)]
        logits += [model.step(rows[:, t], cache) for t in range(5, 40)]
        return torch.stack(logits, dim=1)

    together = decode(ids_BT[:batch])
    for row in range(batch):
        assert torch.equal(decode(ids_BT[row : row + 1])[0], together[row])


def test_bfloat16_autocast_stays_near_float32_and_leaves_float32_gradients(model):
    ids_BT = some_ids(4, 25)
    plain, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    mixed.backward()
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, plain, atol=0.02, rtol=0)
    assert {weight.grad.dtype for weight in model.parameters()} == {torch.float32}
