"""The decoder: its size, its start, its window, its cache."""

import math

import pytest
import torch

from etude.errors import SettingsError
from etude.models import build_model, model_settings
from etude.models.decoder import Decoder
from etude.models.settings import DecoderSettings

SMALL = {"num_layers": 2, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 16}


def small(**changes) -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderSettings(**SMALL | changes), 30).eval()


@pytest.mark.parametrize("model_dim", [32, 256, 768])
@pytest.mark.parametrize("tied", [False, True])
def test_the_loss_of_a_fresh_model_is_within_5_percent_of_ln_vocab(model_dim, tied):
    """covers: MT-10"""
    torch.manual_seed(0)
    model = Decoder(DecoderSettings(**SMALL | {"model_dim": model_dim, "tied": tied}), 390).requires_grad_(False)
    ids_BT = torch.randint(0, 390, (16, 17))
    nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    assert nats.item() == pytest.approx(math.log(390), rel=0.05)


def test_the_paper_s_decoder_can_be_said_in_settings():
    """Six layers, hidden 256, attention 512 in 8 heads, filter 2048, half the context as relative span."""
    settings = DecoderSettings(
        num_layers=6,
        model_dim=256,
        num_heads=8,
        head_dim=64,
        ctx_len=2048,
        ff_dim=2048,
        feed_forward="relu",
        norm="layer",
        positions="relative",
        relative_span=1024,
        dropout=0.1,
    )
    with torch.device("meta"):
        model = Decoder(settings, 390)
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    assert shapes["blocks.5.attention.qkv.weight"] == (1536, 256)
    assert shapes["blocks.0.attention.relative.table_HRK"] == (8, 1024, 64)


@pytest.mark.parametrize("positions", ["relative", "rope"])
def test_a_token_sees_ctx_len_tokens_and_no_more_in_one_layer(positions):
    model = small(num_layers=1, positions=positions)
    ids_BT = torch.arange(30)[None]
    other_BT = ids_BT.clone()
    other_BT[0, 3] = 0
    differs_T = (model(ids_BT) - model(other_BT)).abs().amax(dim=(0, 2))
    assert differs_T[3:19].min() > 0
    assert differs_T[19:].max() == 0


def test_rotary_logits_depend_on_distance_alone():
    model = small(num_layers=1)
    ids_BT = torch.randint(0, 30, (1, 40), generator=torch.Generator().manual_seed(1))
    # position 39 sees the 16 ids before it wherever they stand
    torch.testing.assert_close(model(ids_BT)[:, -1], model(ids_BT[:, -16:])[:, -1], atol=1e-5, rtol=1e-5)


def test_distances_beyond_the_relative_span_share_the_last_embedding():
    model = small(positions="relative", relative_span=5)
    wide = small(positions="relative")
    state = model.state_dict()
    for name in [name for name in state if name.endswith("table_HRK")]:
        state[name] = torch.cat([state[name], state[name][:, -1:].expand(-1, 11, -1)], dim=1)
    wide.load_state_dict(state)
    ids_BT = torch.randint(0, 30, (2, 16))
    torch.testing.assert_close(model(ids_BT), wide(ids_BT))


def test_dropout_follows_torch_s_seed_and_is_off_in_evaluation():
    model = small(dropout=0.3)
    ids_BT = torch.randint(0, 30, (2, 16))
    assert torch.equal(model(ids_BT), model(ids_BT))
    model.train()
    torch.manual_seed(5)
    first = model(ids_BT)
    assert not torch.equal(model(ids_BT), first)
    torch.manual_seed(5)
    assert torch.equal(model(ids_BT), first)


def test_scores_are_nats_and_hits_of_each_target():
    model = small()
    ids_BT = torch.randint(0, 30, (2, 17))
    nats_BT, correct_BT = model.score(ids_BT[:, :-1], ids_BT[:, 1:])
    nats, num_correct = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    torch.testing.assert_close(nats_BT.mean(), nats)
    assert torch.equal(correct_BT.sum(), num_correct)
    assert nats_BT.shape == correct_BT.shape == (2, 16)


def test_scoring_in_inference_mode_leaves_a_model_that_can_train():
    model = small()
    ids_BT = torch.randint(0, 30, (2, 17))
    with torch.inference_mode():
        model.score(ids_BT[:, :-1], ids_BT[:, 1:])
    model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0].backward()


def test_a_cache_is_as_long_as_the_request_and_never_longer_than_the_context():
    model = small()
    assert model.new_cache(2, 10).nbytes == 2 * 2 * 2 * 10 * 32 * 4
    assert model.new_cache(2, 500).nbytes == 2 * 2 * 2 * 16 * 32 * 4
    assert model.new_cache(2, 10, exact=True).nbytes == model.new_cache(2, 10).nbytes


def test_a_full_cache_and_a_used_one_are_refused():
    model = small()
    ids_BT = torch.zeros(1, 4, dtype=torch.long)
    cache = model.new_cache(1, 4)
    model.prefill(ids_BT[:, :3], cache)
    with pytest.raises(ValueError, match="empty cache"):
        model.prefill(ids_BT[:, :1], cache)
    with pytest.raises(ValueError, match="holds 4 and cannot take 1 more"):
        model.step(ids_BT[:, 0], cache)
    with pytest.raises(ValueError, match="cannot take 4 more"):
        model.prefill(ids_BT, model.new_cache(1, 3))


@pytest.mark.parametrize("positions", ["relative", "rope"])
def test_exact_rows_keep_their_bits_at_a_width_where_products_of_a_batch_round_otherwise(positions):
    """covers: MT-26"""
    model = small(model_dim=192, ff_dim=512, ctx_len=64, positions=positions)
    ids_BT = torch.randint(0, 30, (8, 48), generator=torch.Generator().manual_seed(2))

    def last_logits(rows: torch.Tensor, exact: bool) -> torch.Tensor:
        cache = model.new_cache(len(rows), 48, exact=exact)
        logits = model.prefill(rows[:, :16], cache)
        for t in range(16, 48):
            logits = model.step(rows[:, t], cache)
        return logits

    alone = torch.cat([last_logits(row[None], exact=True) for row in ids_BT])
    for batch in (1, 3, 8):
        assert torch.equal(last_logits(ids_BT[:batch], exact=True), alone[:batch])
    torch.testing.assert_close(last_logits(ids_BT, exact=False), alone, atol=1e-5, rtol=1e-5)


def test_decoding_in_bfloat16_weights_gives_float32_logits():
    model = small(positions="relative").to(torch.bfloat16)
    cache = model.new_cache(2, 8)
    logits = model.prefill(torch.zeros(2, 3, dtype=torch.long), cache)
    assert logits.dtype == torch.float32
    assert model.step(torch.zeros(2, dtype=torch.long), cache).dtype == torch.float32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_dim": 130, "num_heads": 4}, "the nearest width that fits is 128"),
        ({"model_dim": 6, "num_heads": 2}, "make it even"),
        ({"relative_span": 8}, "only for positions = relative"),
        ({"positions": "relative", "relative_span": 99, "ctx_len": 16}, "more than ctx_len = 16"),
        ({"num_layer": 2}, "did you mean 'num_layers'?"),
        ({"kind": "decodr"}, "did you mean 'decoder'?"),
        ({"kind": "no.such:Model"}, "no.such"),
    ],
)
def test_settings_that_contradict_say_so_in_one_line(values, message):
    with pytest.raises(SettingsError) as caught:
        model_settings(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_from_elsewhere_is_built_by_module_and_class():
    model = build_model(DecoderSettings(**SMALL).model_copy(update={"kind": "etude.models.decoder:Decoder"}), 7)
    assert isinstance(model, Decoder)
    assert model.vocab_size == 7
