"""Several pieces in one row are to attention what they are as rows of their own."""

import pytest
import torch

from etude.models import attention, decoder, relative_attention
from etude.models.decoder import Decoder
from etude.models.segments import Segments
from etude.models.settings import DecoderSettings

SMALL = {"num_layers": 2, "model_dim": 32, "num_heads": 4, "ff_dim": 48, "ctx_len": 64}
KINDS = {
    "rope": {},
    "relative": {"positions": "relative", "relative_span": 20},
    "learned": {"positions": "learned", "norm": "layer"},
    "sinusoidal": {"positions": "sinusoidal", "norm_placement": "post"},
    "grouped, in a window": {"num_kv_heads": 2, "attention_window": 7},
    "relative in a window": {"positions": "relative", "attention_window": 7},
}
LENGTHS = [[1, 30, 33], [64], [20, 2, 1, 41]]


@pytest.fixture(params=[False, True], ids=["segment by segment", "with masks"])
def _way(request, monkeypatch):
    """The way of the CPU, and that of accelerators made here on the CPU; blocks small enough to matter."""
    monkeypatch.setattr(relative_attention, "_BLOCK", 16)
    monkeypatch.setattr(attention, "_BLOCK", 8)
    if request.param:
        monkeypatch.setattr(decoder, "one_segment_at_a_time", lambda x: False)
        monkeypatch.setattr(attention, "one_segment_at_a_time", lambda x: False)
        monkeypatch.setattr(relative_attention, "_sequences_at_once", lambda q_BHTK: len(q_BHTK))


@pytest.fixture(params=KINDS)
def model(request) -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderSettings(**SMALL | KINDS[request.param]), 30)


def packed() -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids (3, 65) and segments (3, 64) of the lengths above."""
    ids_BT = torch.randint(0, 30, (3, 65), generator=torch.Generator().manual_seed(1))
    numbers = [torch.repeat_interleave(torch.arange(5, 5 + len(row)), torch.tensor(row)) for row in LENGTHS]
    return ids_BT, torch.stack(numbers)


def apart(ids_BT: torch.Tensor) -> list[torch.Tensor]:
    return [piece for row, lengths in zip(ids_BT, LENGTHS, strict=True) for piece in row[:64].split(lengths)]


@pytest.mark.usefixtures("_way")
def test_hidden_states_and_gradients_are_those_of_separate_rows(model):
    ids_BT, segments_BT = packed()
    together = model.hidden(ids_BT[:, :64], segments_BT=segments_BT).flatten(0, 1)
    alone = torch.cat([model.hidden(piece[None])[0] for piece in apart(ids_BT)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    grad = torch.randn(together.shape, generator=torch.Generator().manual_seed(2))
    weights = [weight for name, weight in model.named_parameters() if "head" not in name]
    ours, theirs = (torch.autograd.grad(states, weights, grad) for states in (together, alone))
    for mine, plain in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, plain, atol=2e-4, rtol=1e-4)


@pytest.mark.usefixtures("_way")
def test_another_piece_in_the_same_row_changes_not_one_bit(model):
    ids_BT, segments_BT = packed()
    other_BT = ids_BT.clone()
    other_BT[0, :31] = (ids_BT[0, :31] + 1) % 30
    states, others = (model.hidden(ids[:, :64], segments_BT=segments_BT) for ids in (ids_BT, other_BT))
    assert torch.equal(states[0, 31:], others[0, 31:])
    assert not torch.equal(model.hidden(ids_BT[:, :64])[0, 31:], states[0, 31:])


def test_loss_and_score_take_segments(model):
    ids_BT, segments_BT = packed()
    nats, _ = model.loss(ids_BT[:, :-1], ids_BT[:, 1:], segments_BT=segments_BT)
    nats_BT, _ = model.score(ids_BT[:, :-1], ids_BT[:, 1:], segments_BT=segments_BT)
    torch.testing.assert_close(nats_BT.mean(), nats)
    assert nats != model.loss(ids_BT[:, :-1], ids_BT[:, 1:])[0]


def test_a_row_that_is_one_segment_is_a_row_without_segments(model):
    ids_BT, _ = packed()
    nats = [
        model.loss(ids_BT[:, :-1], ids_BT[:, 1:], segments_BT=numbers)[0]
        for numbers in (None, torch.zeros(3, 64, dtype=torch.long))
    ]
    torch.testing.assert_close(*nats, atol=1e-6, rtol=0)


def test_a_segment_is_a_run_of_equal_numbers():
    segments = Segments(torch.tensor([[7, 7, 2, 2, 2, 7], [0, 0, 0, 0, 0, 0]]), window=2)
    assert segments.number_BT.tolist() == [[0, 0, 1, 1, 1, 2], [0] * 6]
    assert segments.place_BT.tolist() == [[0, 1, 0, 1, 2, 0], [0, 1, 2, 3, 4, 5]]
    assert segments.spans == [[(0, 2), (2, 5), (5, 6)], [(0, 6)]]
    assert segments.seen_B1TT[0, 0].long().tolist()[3:] == [[0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]]
