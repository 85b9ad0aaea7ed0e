"""Drawing ids: the filters, the seeds, the lengths, the grammar."""

import numpy as np
import pytest
import torch

from etude.errors import SettingsError
from etude.generate.sample import Length, Sampling, pick, sample_ids
from etude.models import build_model
from etude.models.settings import DecoderSettings
from etude.music.check import check_score
from etude.tokens import build_tokenizer

TOK = build_tokenizer("performance")


@pytest.fixture(scope="module", params=["relative", "rope"])
def network(request):
    torch.manual_seed(0)
    sizes = {"num_layers": 2, "model_dim": 32, "num_heads": 2, "ff_dim": 64, "ctx_len": 64}
    return build_model(DecoderSettings(positions=request.param, **sizes), TOK.vocab_size).eval()


def draw(network, *, seeds=(0,), prompt=(), sampling=None, length=None, exact=False):
    return sample_ids(
        network,
        TOK,
        prompt_ids=np.array(prompt, np.int32),
        seeds=list(seeds),
        sampling=sampling or Sampling(),
        length=length or Length(tokens=100),
        exact=exact,
    )


LOGITS = torch.log(torch.tensor([[0.1, 0.4, 0.2, 0.3]]))


def picked(sampling: Sampling, num: int = 4000) -> np.ndarray:
    uniform = torch.from_numpy(np.random.default_rng(0).random(num))
    ids = pick(LOGITS.expand(num, -1), uniform, sampling)
    return np.bincount(ids.numpy(), minlength=4) / num


def test_ids_are_drawn_in_proportion_to_their_probabilities():
    assert picked(Sampling(top_p=1.0)) == pytest.approx([0.1, 0.4, 0.2, 0.3], abs=0.03)


def test_temperature_sharpens_and_flattens():
    assert picked(Sampling(top_p=1.0, temperature=0.5))[1] == pytest.approx(0.16 / 0.30, abs=0.03)
    assert picked(Sampling(top_p=1.0, temperature=100.0)) == pytest.approx([0.25] * 4, abs=0.03)


@pytest.mark.parametrize(
    ("sampling", "kept"),
    [
        (Sampling(top_p=1.0, top_k=2), {1, 3}),
        (Sampling(top_p=0.69), {1, 3}),
        (Sampling(top_p=0.71), {1, 2, 3}),
        (Sampling(top_p=1.0, min_p=0.4), {1, 2, 3}),
        (Sampling(temperature=0.0), {1}),
    ],
)
def test_each_filter_keeps_what_it_says(sampling, kept):
    assert set(np.flatnonzero(picked(sampling))) == kept


def test_top_k_of_one_is_greedy(network):
    """covers: MT-16 (partly)"""
    greedy = draw(network, sampling=Sampling(temperature=0.0))
    assert np.array_equal(draw(network, seeds=[5], sampling=Sampling(top_k=1))[0], greedy[0])


def test_what_was_masked_is_never_drawn_even_at_the_edge_of_the_uniform():
    logits = torch.tensor([[0.0, -torch.inf, 0.0]])
    for uniform in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        assert pick(logits, torch.tensor([uniform]), Sampling(top_p=1.0)).item() in (0, 2)


def test_a_take_depends_on_its_own_seed_alone_in_the_exact_mode(network):
    batch = draw(network, seeds=[7, 8, 9], exact=True)
    for seed, ids in zip((7, 8, 9), batch, strict=True):
        assert np.array_equal(draw(network, seeds=[seed], exact=True)[0], ids)
    assert not np.array_equal(batch[0], batch[1])


def test_the_same_seed_gives_the_same_ids(network):
    assert np.array_equal(draw(network, seeds=[3])[0], draw(network, seeds=[3])[0])


def test_every_take_is_a_valid_piece_under_the_grammar(network):
    """covers: star-52"""
    for ids in draw(network, seeds=range(6), length=Length(tokens=300)):
        assert TOK.grammar.accepts(ids)
        assert check_score(TOK.decode(ids)) == []


def test_prompt_ids_are_a_prefix_of_the_take(network):
    """covers: MT-15"""
    prompt = [376, 60, 305, 188]
    for ids in draw(network, seeds=[0, 1], prompt=prompt):
        assert ids[:4].tolist() == prompt
        assert len(ids) == 104


def test_seconds_are_reached_and_not_much_passed(network):
    """covers: MT-15"""
    for ids in draw(network, seeds=[0, 1], length=Length(seconds=30.0)):
        assert TOK.measure(ids)[1] >= 30.0


def test_a_model_that_says_end_ends_when_it_may(network):
    class Ending(torch.nn.Module):
        """Says END whenever it is asked; legal once nothing sounds."""

        def __init__(self):
            super().__init__()
            self.inner = network
            self.settings = network.settings

        def new_cache(self, *args, **kwargs):
            return self.inner.new_cache(*args, **kwargs)

        def prefill(self, ids, cache):
            return self._biased(self.inner.prefill(ids, cache))

        def step(self, ids, cache):
            return self._biased(self.inner.step(ids, cache))

        def _biased(self, logits):
            logits = logits.clone()
            logits[:, TOK.end_id] += 1e4
            return logits

    ended = draw(Ending(), prompt=[376, 60, 305, 188], length=Length(tokens=50, until_end=True))
    assert ended[0].tolist() == [376, 60, 305, 188]
    held = draw(Ending(), prompt=[376, 60, 305, 188], length=Length(tokens=50))
    assert len(held[0]) == 54


@pytest.mark.parametrize("longest", [2.0, None])
def test_no_note_of_a_take_lasts_much_longer_than_the_limit(network, longest):
    drawn = draw(network, seeds=range(4), sampling=Sampling(longest_note_sec=longest), length=Length(seconds=30.0))
    notes = [TOK.decode(ids).notes.duration_tick for ids in drawn]
    # one shift of up to a second may pass the limit before the note can end, and the last notes are cut off
    assert (max(ticks.max() for ticks in notes) <= 3000 + 20) == (longest is not None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sampling(temperature=-1.0), "temperature = -1.0"),
        (lambda: Sampling(top_p=0.0), "top_p = 0.0"),
        (lambda: Sampling(min_p=2.0), "min_p = 2.0"),
        (lambda: Sampling(top_k=-1), "top_k = -1"),
        (lambda: Sampling(longest_note_sec=0.0), "longest_note_sec = 0.0"),
        (lambda: Length(seconds=0.0), "seconds = 0.0"),
        (lambda: Length(tokens=0), "tokens = 0"),
    ],
)
def test_values_out_of_range_are_refused_with_the_value(make, message):
    with pytest.raises(SettingsError, match=message):
        make()


def test_a_take_whose_notes_all_begin_at_one_moment_ends(monkeypatch):
    """Where one id of many thousands lets time pass, a model that has learned nothing does not find it."""
    monkeypatch.setattr("etude.generate.sample._STILL_TOKENS", 64)
    tokenizer = build_tokenizer("absolute")
    torch.manual_seed(0)
    sizes = {"num_layers": 1, "model_dim": 16, "num_heads": 2, "ff_dim": 16, "ctx_len": 64}
    network = build_model(DecoderSettings(**sizes), tokenizer.vocab_size).eval()
    asked = {"prompt_ids": np.zeros(0, np.int32), "sampling": Sampling(), "length": Length(seconds=60), "exact": True}
    together = sample_ids(network, tokenizer, seeds=[0, 1, 2], **asked)
    assert max(map(len, together)) < 1000
    assert min(map(len, together)) >= 128
    for seed in (0, 1, 2):
        alone = sample_ids(network, tokenizer, seeds=[seed], **asked)
        assert alone[0].tolist() == together[seed].tolist()
