"""Notes do not sound for ever: what must end, ends, also where ids stand for several."""

import numpy as np
import pytest
import torch

from etude.generate.constrain import Constraint
from etude.generate.longest_note import LongestNote
from etude.music.score import Score
from etude.tokens import build_tokenizer
from etude.tokens.bpe_learn import learn_merges
from etude.tokens.bpe_words import WordCounts


def ages_after(words, *, longest_sec=1.0):
    tok = build_tokenizer("performance")
    limit = LongestNote(tok.note_timing, longest_sec)
    ids = np.array([tok.vocab.id_of(word) for word in words.split()])
    return tok, limit, limit.after(ids), torch.from_numpy(tok.grammar.legal(tok.grammar.after(ids)))[None]


def test_a_note_that_has_sounded_too_long_is_all_that_may_come():
    tok, limit, age_BK, mask_BV = ages_after(
        "VELOCITY_20 NOTE_ON_60 NOTE_ON_64 TIME_SHIFT_500 NOTE_OFF_64 NOTE_ON_64 TIME_SHIFT_510"
    )
    narrowed = limit.narrow(mask_BV, age_BK)
    assert [tok.vocab.names[i] for i in narrowed[0].nonzero().flatten()] == ["NOTE_OFF_60"]


def test_a_mask_without_overdue_notes_is_left_as_it_is():
    _, limit, age_BK, mask_BV = ages_after("VELOCITY_20 NOTE_ON_60 TIME_SHIFT_500 NOTE_OFF_60 TIME_SHIFT_1000")
    assert torch.equal(limit.narrow(mask_BV, age_BK), mask_BV)


def test_where_the_grammar_lets_no_overdue_note_end_the_mask_stays():
    _, limit, age_BK, mask_BV = ages_after("VELOCITY_20 NOTE_ON_60 TIME_SHIFT_1000 TIME_SHIFT_10 VELOCITY_3")
    assert torch.equal(limit.narrow(mask_BV, age_BK), mask_BV)
    assert mask_BV.any()


def played(seed):
    """Return a piece in which notes of many lengths overlap."""
    rng = np.random.default_rng(seed)
    onset = np.cumsum(rng.choice([0, 0, 60, 120, 240], 400))
    pitch = rng.choice([48, 52, 55, 60, 62, 64, 67], 400)
    return Score.of(onset, rng.choice([60, 120, 240, 480, 960], 400), pitch, rng.choice([40, 80], 400), ppq=480)


def learned(base, within):
    plain, words = build_tokenizer("bpe", base=base, within=within), WordCounts()
    for seed in range(3):
        ids = plain.base.encode(played(seed))
        words.add(ids, plain.word_starts(ids))
    return plain.with_merges(learn_merges(words.words(), vocab_size=plain.vocab_size, num_merges=60, longest=12))


class Spoken:
    """What the grammar and the limit of the base know, id after id."""

    def __init__(self, base, longest_sec):
        self.grammar, self.limit = Constraint(base.grammar), LongestNote(base.note_timing, longest_sec)
        self.state_BC, self.age_BK = self.grammar.start(1), self.limit.start(1)

    def mask(self):
        return self.limit.narrow(self.grammar.legal(self.state_BC), self.age_BK)[0]

    def speak(self, token_id):
        ids_B = torch.tensor([token_id])
        self.state_BC = self.grammar.advance(self.state_BC, ids_B)
        self.age_BK = self.limit.advance(self.age_BK, ids_B)

    def may_speak(self, ids):
        """Return whether each of some ids is left when its turn comes."""
        kept, may = (self.state_BC, self.age_BK), True
        for token_id in ids:
            may = may and bool(self.mask()[token_id])
            if not may:
                break
            self.speak(token_id)
        self.state_BC, self.age_BK = kept
        return may


@pytest.mark.parametrize(
    ("base", "within", "longest_sec", "obeying"),
    [
        ("performance", "note", 0.45, 1.0),
        ("performance", "piece", 0.1, 1.0),
        ("performance", "piece", 0.45, 0.5),
        ("midilike", "piece", 0.4, 0.5),
    ],
)
def test_a_merged_id_is_left_where_what_it_stands_for_is(base, within, longest_sec, obeying):
    """After a beginning that obeys the limit, and after one, as of a real piece, that does not."""
    tokenizer, rng = learned(base, within), np.random.default_rng(0)
    grammar, limit = Constraint(tokenizer.grammar), LongestNote(tokenizer.note_timing, longest_sec)
    state_BC, age_BK, spoken = grammar.start(1), limit.start(1), Spoken(tokenizer.base, longest_sec)
    narrowed = 0
    for _ in range(20):
        legal_BV = grammar.legal(state_BC)
        mask_V = limit.narrow(legal_BV, age_BK)[0]
        for token_id in legal_BV[0].nonzero().flatten().tolist():
            assert bool(mask_V[token_id]) == spoken.may_speak(tokenizer.expand([token_id])), tokenizer.vocab.words(
                [token_id]
            )
        assert not (mask_V & ~legal_BV[0]).any()
        narrowed += bool((mask_V != legal_BV[0]).any())
        mask_V = mask_V if rng.random() < obeying else legal_BV[0]
        mask_V[tokenizer.end_id] = False
        merged = mask_V.clone()
        merged[: tokenizer.base.vocab_size] = False
        choice = merged if merged.any() and rng.random() < 0.7 else mask_V
        token_id = int(rng.choice(choice.nonzero().flatten().numpy()))
        state_BC, age_BK = (
            one.advance(state, torch.tensor([token_id])) for one, state in ((grammar, state_BC), (limit, age_BK))
        )
        for one in tokenizer.expand([token_id]).tolist():
            spoken.speak(one)
        assert torch.equal(age_BK.clamp_min(-1), spoken.age_BK.clamp_min(-1))
    assert narrowed > 5


def test_a_note_that_is_too_long_inside_of_an_id_breaks_it():
    # NOTE_ON_60 TIME_SHIFT_1000, and after it NOTE_OFF_60 or VELOCITY_3
    tokenizer = build_tokenizer("bpe", within="piece", merges=[[60, 355], [390, 188], [390, 359]])
    prompt = [tokenizer.vocab.id_of("VELOCITY_20")]
    legal_BV = Constraint(tokenizer.grammar).legal(Constraint(tokenizer.grammar).after(prompt))
    for longest_sec, left in ((0.5, [390, 391]), (1.0, [390, 391, 392])):
        limit = LongestNote(tokenizer.note_timing, longest_sec)
        mask_BV = limit.narrow(legal_BV, limit.after(prompt))
        assert mask_BV[0, 390:].nonzero().flatten().add(390).tolist() == left


def test_of_two_notes_that_are_too_long_inside_of_an_id_both_must_end():
    # TIME_SHIFT_1000 NOTE_OFF_60, and after it VELOCITY_3 or NOTE_OFF_64
    tokenizer = build_tokenizer("bpe", within="piece", merges=[[355, 188], [390, 359], [390, 192]])
    prompt = [tokenizer.vocab.id_of(word) for word in ("VELOCITY_20", "NOTE_ON_60", "NOTE_ON_64")]
    legal_BV = Constraint(tokenizer.grammar).legal(Constraint(tokenizer.grammar).after(prompt))
    limit = LongestNote(tokenizer.note_timing, 0.5)
    assert legal_BV[0, 390:].tolist() == [True, True, True]
    assert limit.narrow(legal_BV, limit.after(prompt))[0, 390:].tolist() == [True, False, True]


def test_rows_of_a_batch_are_narrowed_each_by_its_own_notes():
    tokenizer = learned("performance", "note")
    grammar, limit = Constraint(tokenizer.grammar), LongestNote(tokenizer.note_timing, 0.4)
    prompts = [tokenizer.encode(played(9))[:length] for length in (40, 41, 90, 91)]
    state_BC = torch.cat([grammar.after(prompt) for prompt in prompts])
    age_BK = torch.cat([limit.after(prompt) for prompt in prompts])
    together = limit.narrow(grammar.legal(state_BC), age_BK)
    for row in range(4):
        alone = limit.narrow(grammar.legal(state_BC[row : row + 1]), age_BK[row : row + 1])
        assert torch.equal(alone[0], together[row])


def test_ids_after_those_of_the_base_do_nothing():
    base = {"kind": "bpe", "base": {"kind": "performance"}, "merges": [[376, 60]]}
    control = build_tokenizer("control", base=base, attributes=[{"name": "genre", "values": ["jazz"]}])
    limit = LongestNote(control.note_timing, 1.0)
    assert len(control.note_timing.first) == control.vocab_size + 1
    age_BK = limit.after(np.array([390, *range(391, control.vocab_size)]))
    assert (age_BK[0] >= 0).nonzero().flatten().tolist() == [60]


def test_merges_of_merges_take_as_long_as_what_they_stand_for():
    inner = {"kind": "bpe", "base": {"kind": "performance"}, "merges": [[376, 60], [390, 305]]}
    timing = build_tokenizer("bpe", base=inner, merges=[[391, 391], [391, 188]]).note_timing
    steps = [
        timing.starts[begin:end].tolist() for begin, end in zip(timing.first[390:], timing.first[391:], strict=False)
    ]
    assert steps == [[-1, 60], [-1, 60, -1], [-1, 60, -1, -1, 60, -1], [-1, 60, -1, -1]]
    assert timing.ends[timing.first[393] :].tolist() == [-1, -1, -1, 60]


def test_a_tokenizer_without_ends_of_notes_says_nothing():
    assert build_tokenizer("bpe", base="remi").note_timing is None
