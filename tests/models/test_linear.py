"""The decoder of linear attention: places, segments, its state, its costs, the published sizes."""

import math

import pytest
import torch

from etude.errors import SettingsError
from etude.models import build_model, linear_decode, model_settings
from etude.models.linear import LinearDecoder
from etude.models.linear_positions import PlaceSinusoids, count_places
from etude.models.segments import Segments
from etude.models.settings import LinearSettings
from etude.models.sizes import activation_bytes, cache_bytes, flops_per_token, num_parameters, step_memory
from etude.recipes import recipe
from etude.tokens import tokenizer_of

SMALL = {"num_layers": 2, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 64}
VOCAB = 30


def small(**changes) -> LinearDecoder:
    torch.manual_seed(0)
    return LinearDecoder(LinearSettings(**SMALL | changes), VOCAB).eval()


def some_ids(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("model_dim", [32, 256])
@pytest.mark.parametrize("tied", [False, True])
def test_the_loss_of_a_fresh_model_is_within_5_percent_of_ln_vocab(model_dim, tied):
    """covers: MT-10 (partly)"""
    torch.manual_seed(0)
    model = LinearDecoder(LinearSettings(**SMALL | {"model_dim": model_dim, "tied": tied}), 1253).requires_grad_(False)
    ids_BT = torch.randint(0, 1253, (16, 17))
    nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    assert nats.item() == pytest.approx(math.log(1253), rel=0.05)


# ---- places


def test_places_are_counted_from_the_beginning_or_from_the_first_start():
    ids_BT = torch.tensor([[7, 9, 7, 9, 7], [7, 7, 7, 7, 7]])
    assert count_places(ids_BT, None).tolist() == [[1, 2, 3, 4, 5]] * 2
    assert count_places(ids_BT, 9).tolist() == [[0, 1, 2, 3, 4], [0] * 5]
    assert count_places(ids_BT, 9, torch.tensor([3, 0])).tolist() == [[4, 5, 6, 7, 8], [0] * 5]


@pytest.mark.parametrize("start_id", [None, 9])
def test_each_segment_counts_by_itself(start_id):
    ids_T = torch.tensor([7, 9, 7, 9, 7, 7, 9, 9, 7])
    segments = Segments(torch.tensor([[4, 4, 4, 0, 0, 2, 2, 2, 2]]), window=9)
    alone = [count_places(part[None], start_id) for part in ids_T.split([3, 2, 4])]
    assert count_places(ids_T[None], start_id, segments=segments).tolist() == torch.cat(alone, dim=1).tolist()


def test_sinusoids_are_fairseq_s_from_2_on_and_place_0_has_none():
    found = PlaceSinusoids(6)(torch.tensor([0, 1, 700]), 700, torch.float32)
    frequencies = [1.0, 10_000**-0.5, 10_000**-1.0]
    for row, number in ((1, 2), (2, 701)):
        expected = [math.sin(number * f) for f in frequencies] + [math.cos(number * f) for f in frequencies]
        torch.testing.assert_close(found[row], torch.tensor(expected), atol=1e-6, rtol=0)
    assert not found[0].any()


def test_sinusoids_do_not_change_when_the_table_grows_and_are_not_saved():
    sinusoids, places = PlaceSinusoids(8), torch.arange(5)
    short = sinusoids(places, 5, torch.float32)
    sinusoids(torch.tensor([9000]), 9000, torch.float32)
    assert torch.equal(sinusoids(places, 5, torch.float32), short)
    assert small().state_dict().keys() == small(positions="none").state_dict().keys()


def test_scoring_in_inference_mode_leaves_a_model_that_can_train():
    model = small()
    ids_BT = some_ids(2, 17)
    with torch.inference_mode():
        model.score(ids_BT[:, :-1], ids_BT[:, 1:])
    model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0].backward()


# ---- segments and recomputation


@pytest.mark.parametrize("changes", [{}, {"position_start_id": 4, "feature_map": "softmax"}, {"positions": "none"}])
def test_pieces_in_one_row_compute_what_they_do_in_rows_of_their_own(changes):
    model = small(**changes)
    lengths = [40, 1, 90, 69]
    ids_BT = some_ids(2, sum(lengths))
    segments_BT = torch.repeat_interleave(torch.tensor([3, 0, 7, 1]), torch.tensor(lengths)).expand(2, -1)
    together = model.hidden(ids_BT, segments_BT=segments_BT)
    alone = torch.cat([model.hidden(part) for part in ids_BT.split(lengths, dim=1)], dim=1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    other_BT = ids_BT.clone()
    other_BT[:, 20] = (ids_BT[:, 20] + 1) % VOCAB
    differs_T = (model.hidden(other_BT, segments_BT=segments_BT) - together).abs().amax(dim=(0, 2))
    assert differs_T[20:40].min() > 0
    assert differs_T[40:].max() == 0


def test_loss_and_score_take_segments():
    model = small()
    ids_BT, segments_BT = some_ids(2, 31), torch.arange(30).div(10, rounding_mode="floor").expand(2, -1)
    nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:], segments_BT=segments_BT)
    nats_BT, _ = model.score(ids_BT[:, :-1], ids_BT[:, 1:], segments_BT=segments_BT)
    torch.testing.assert_close(nats_BT.mean(), nats)
    assert nats != model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0]


def test_blocks_that_run_again_give_the_same_bits():
    model = small(dropout=0.2).train()
    ids_BT = some_ids(2, 40)
    grads = []
    for again in (False, True):
        model.recompute_activations = again
        torch.manual_seed(3)
        nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
        grads.append(torch.autograd.grad(nats, list(model.parameters())))
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_autocast_trains_far_past_where_float16_sums_end(dtype):
    """covers: MT-24 (partly)"""
    model, ids_BT = small(num_heads=1, dropout=0.1).train(), some_ids(1, 2001)
    with torch.autocast("cpu", dtype):
        nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    (64 * nats).backward()
    assert nats.item() == pytest.approx(math.log(VOCAB), rel=0.05)
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in model.parameters())


# ---- decoding


@pytest.mark.parametrize("changes", [{}, {"position_start_id": 4}, {"feature_map": "softmax", "norm": "rms"}])
def test_cached_logits_are_within_1e_4_of_uncached_over_256_ids(changes):
    """covers: AP-18 (partly), star-50 (partly)"""
    model = small(**changes)
    ids_BT = some_ids(2, 256)
    cache = model.new_cache(2, 256)
    logits = [model.prefill(ids_BT[:, :3], cache)] + [model.step(ids_BT[:, t], cache) for t in range(3, 256)]
    torch.testing.assert_close(torch.stack(logits, dim=1), model(ids_BT)[:, 2:], atol=1e-4, rtol=0)


def test_a_long_prompt_is_read_in_parts_and_more_of_it_later(monkeypatch):
    model, ids_BT = small(position_start_id=4), some_ids(3, 150)
    expected = model.prefill(ids_BT, model.new_cache(3))
    monkeypatch.setattr(linear_decode, "_TOKENS_AT_ONCE", 32)
    cache = model.new_cache(3)
    model.prefill(ids_BT[:, :70], cache)
    torch.testing.assert_close(model.prefill(ids_BT[:, 70:], cache), expected, atol=1e-5, rtol=1e-5)
    assert cache.num_tokens == 150


def test_a_state_has_one_size_and_there_is_no_last_token():
    """covers: MT-24 (partly)"""
    model = small()
    cache = model.new_cache(2, 5)
    before = cache.nbytes
    model.prefill(some_ids(2, 300), cache)
    model.step(torch.zeros(2, dtype=torch.long), cache)
    assert cache.nbytes == before == cache_bytes(model.settings, batch_size=2)
    assert model.new_cache(2, 5, exact=True).nbytes == before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_decoding_in_half_precision_weights_keeps_a_float32_state_and_float32_logits(dtype):
    model, ids_BT = small(), some_ids(2, 40)
    expected = model(ids_BT)[:, -1]
    model = model.to(dtype)
    cache = model.new_cache(2)
    model.prefill(ids_BT[:, :20], cache)
    for t in range(20, 40):
        logits = model.step(ids_BT[:, t], cache)
    assert {layer.dtype for layer in cache.layers_HBKW} == {torch.float32}
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, atol=0.05, rtol=0.05)


# ---- costs and sizes


@pytest.mark.parametrize("value_bytes", [2, 4])
@pytest.mark.parametrize("changes", [{}, {"feed_forward": "swiglu", "norm": "rms", "head_dim": 40}, {"dropout": 0.1}])
def test_what_the_forward_pass_keeps_is_foretold_within_20_percent(changes, value_bytes):
    settings = LinearSettings(**{"num_layers": 4, "model_dim": 128, "num_heads": 4, "ff_dim": 256} | changes)
    model = LinearDecoder(settings, 100)
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids_BT = torch.randint(0, 100, (4, 513))
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=value_bytes == 2):
        model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert measured == pytest.approx(activation_bytes(settings, num_tokens=2048, value_bytes=value_bytes), rel=0.2)


def test_costs_are_told_for_a_plan():
    settings = LinearSettings(**SMALL)
    weights = num_parameters(settings, VOCAB)
    assert flops_per_token(settings, VOCAB) == 6 * weights + 12 * 2 * 4 * 8**2
    again = activation_bytes(settings, num_tokens=192, recompute=True)
    memory = step_memory(settings, VOCAB, 3, "bfloat16", recompute=True)
    assert memory.pop("work") > 0
    assert sum(memory.values()) == 18 * weights + again
    assert again < activation_bytes(settings, num_tokens=192)


@pytest.mark.parametrize(
    "changes",
    [{}, {"tied": True, "head_dim": 11}, {"biases": False, "norm": "rms", "feed_forward": "swiglu"}],
)
def test_parameters_are_counted_without_making_them(changes):
    model = small(**changes)
    assert num_parameters(model.settings, VOCAB) == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize(
    ("name", "published"),
    [("musecoco-std", 20.2), ("musecoco-large", 87.0), ("musecoco-xl", 203.8), ("musecoco-1b", 1212.0)],
)
def test_the_published_sizes_are_recipes_within_1_percent(name, published):
    """covers: MT-25"""
    config = recipe(name)
    with torch.device("meta"):
        model = build_model(config.model, tokenizer_of(config.data.tokenizer).vocab_size)
    assert model.vocab_size == 1253
    assert sum(weight.numel() for weight in model.parameters()) / 1e6 == pytest.approx(published, rel=0.01)
    assert config.model.head_width == 64


def test_the_published_recipes_train_by_the_published_rule():
    config = recipe("musecoco-xl")
    assert (config.optim.kind, config.optim.betas, config.optim.eps) == ("adamw", (0.9, 0.98), 1e-9)
    assert (config.optim.schedule, config.optim.peak_lr, config.optim.warmup_steps) == ("inverse_sqrt", 2e-4, 16_000)
    assert (config.optim.weight_decay, config.model.dropout, config.model.ctx_len) == (0.01, 0.1, 5120)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_dim": 130, "num_heads": 4}, "the nearest width that fits is 128"),
        ({"positions": "none", "position_start_id": 4}, "only for positions = sinusoidal"),
        ({"feature_map": "elu"}, "expected 'elu1', 'relu' or 'softmax'"),
        ({"rope_base": 500.0}, "no such setting"),
    ],
)
def test_settings_that_contradict_say_so_in_one_line(values, message):
    with pytest.raises(SettingsError) as caught:
        model_settings({"kind": "linear"} | values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
