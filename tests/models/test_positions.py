"""Positions that end, rotary positions for longer contexts, and dropout by place."""

import math

import numpy as np
import pytest
import torch

from etude.errors import ModelError, SettingsError
from etude.generate.sample import Length, Sampling, sample_ids
from etude.models import model_settings
from etude.models.decoder import Decoder
from etude.models.positions import RotaryAngles, Sinusoids
from etude.models.settings import DecoderSettings
from etude.tokens import build_tokenizer

SMALL = {"num_layers": 2, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 16}
CPU = torch.device("cpu")


def small(**changes) -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderSettings(**SMALL | changes), 30).eval()


@pytest.mark.parametrize(
    "positions", [{"positions": "learned"}, {"positions": "sinusoidal"}, {"positions": "relative", "sinusoids": True}]
)
def test_positions_that_end_refuse_what_is_longer_in_one_line(positions):
    model = small(**positions)
    assert model(torch.zeros(1, 16, dtype=torch.long)).isfinite().all()
    for longer in (lambda: model(torch.zeros(1, 17, dtype=torch.long)), lambda: model.new_cache(1, 17)):
        with pytest.raises(ModelError, match=r"^17 tokens in one sequence: .* model.ctx_len = 16; .* fewer tokens$"):
            longer()


def test_a_take_ends_where_positions_end_and_a_prompt_without_room_is_refused():
    tokenizer = build_tokenizer("performance")
    torch.manual_seed(0)
    model = Decoder(DecoderSettings(**SMALL | {"positions": "learned"}), tokenizer.vocab_size).eval()

    def takes(prompt: list[int]) -> list[np.ndarray]:
        ids = np.array(prompt, dtype=np.int32)
        return sample_ids(
            model, tokenizer, prompt_ids=ids, seeds=[0, 1], sampling=Sampling(), length=Length(seconds=30.0)
        )

    # END stands before the prompt
    assert [len(ids) for ids in takes([])] == [15, 15]
    assert [len(ids) for ids in takes([356, 60, 300, 188])] == [15, 15]
    with pytest.raises(ModelError, match="17 tokens in one sequence"):
        takes([300] * 15)


def test_sinusoids_are_sines_and_cosines_in_turn():
    table_TD = Sinusoids(20, 6)(CPU)
    for place, feature, expected in ((0, 1, 1.0), (7, 2, math.sin(7 / 10_000 ** (2 / 6))), (19, 0, math.sin(19))):
        assert table_TD[place, feature].item() == pytest.approx(expected, abs=1e-6)
    assert Sinusoids(20, 6).state_dict() == {}


def test_linear_scaling_puts_positions_closer_together():
    plain, scaled = RotaryAngles(8, 10_000.0), RotaryAngles(8, 10_000.0, scaling="linear", factor=4.0)
    for before, after in zip(plain(10, CPU), scaled(40, CPU), strict=True):
        torch.testing.assert_close(after[::4], before)


def test_yarn_leaves_what_turns_often_slows_what_turns_rarely_and_sharpens_attention():
    yarn = RotaryAngles(64, 10_000.0, scaling="yarn", factor=8.0, ctx_len=8192)
    plain, ours = RotaryAngles(64, 10_000.0)._frequencies(), yarn._frequencies()
    turns = 1024 * plain / (2 * math.pi)  # in the context of before
    assert torch.equal(ours[turns > 40], plain[turns > 40])
    torch.testing.assert_close(ours[turns < 0.9], plain[turns < 0.9] / 8)
    between = ours[(turns > 1.4) & (turns < 25)] / plain[(turns > 1.4) & (turns < 25)]
    assert len(between) > 5
    assert (between.diff() < 0).all()
    cos_TK, sin_TK = yarn(5, CPU)
    torch.testing.assert_close((cos_TK**2 + sin_TK**2).sqrt(), torch.full((5, 64), 1 + 0.1 * math.log(8)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_heads": 8, "num_kv_heads": 3}, "expected one of 1, 2, 4, 8"),
        ({"attention_window": 99, "ctx_len": 16}, "more than ctx_len = 16"),
        (
            {"positions": "relative", "attention_window": 9, "relative_span": 12, "ctx_len": 16},
            "more than attention_window = 9",
        ),
        ({"positions": "learned", "sinusoids": True}, "only for positions = relative"),
        ({"positions": "relative", "rope_pairing": "interleaved"}, "only for positions = rope"),
        ({"rope_scaling": "yarn"}, "give a scaling and a factor above 1"),
        ({"rope_factor": 2.0}, "does not go with rope_scaling = none"),
    ],
)
def test_positions_that_contradict_say_so_in_one_line(values, message):
    with pytest.raises(SettingsError) as caught:
        model_settings(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_dropout_rises_in_a_line_from_the_first_block_to_the_last():
    settings = DecoderSettings(**SMALL | {"num_layers": 5, "first_dropout": 0.0, "dropout": 0.2})
    assert [settings.block_dropout(layer) for layer in range(5)] == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])
    assert [block.dropout for block in Decoder(settings, 30).blocks] == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])


@pytest.mark.parametrize("place", ["dropout", "first_dropout", "embedding_dropout", "inner_dropout"])
def test_dropout_in_each_place_is_drawn_in_training_and_off_in_evaluation(place):
    model = small(**{place: 0.4})
    ids_BT = torch.randint(0, 30, (2, 16))
    expected = small()(ids_BT)
    assert torch.equal(model(ids_BT), expected)
    torch.manual_seed(5)
    assert not torch.equal(model.train()(ids_BT), expected)
