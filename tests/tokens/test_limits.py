"""Limits of a grammar: kept by every piece that it allows, and never a dead end."""

import numpy as np
import pytest

from etude.errors import SettingsError
from etude.tokens import TOKENIZERS, build_tokenizer
from etude.tokens.grammar import ANY, Grammar, Rule
from etude.tokens.grammar_paths import Paths
from etude.tokens.id_facts import IdFacts
from etude.tokens.limits import Limits, limited, limited_grammar, pitch_classes

KINDS = sorted(TOKENIZERS)
EVERY_LIMIT = [
    {"lowest_pitch": 60, "highest_pitch": 64},
    {"scale": "Bb minor pentatonic"},
    {"instruments": (0, 40)},
    {"instruments": (128,)},
    {"polyphony": 2},
    {"polyphony": 1, "lowest_pitch": 60, "highest_pitch": 62, "scale": "C major"},
    {"bars": 3},
    {"bars": 2, "polyphony": 2, "instruments": (0,), "scale": "D minor"},
]


@pytest.fixture(params=KINDS, scope="module")
def tokenizer(request):
    return build_tokenizer(request.param)


def walk(tokenizer, grammar, rng, *, most=150):
    """Return a random legal piece; ids that begin alike are one choice, so that no kind of them crowds out others."""
    names = [name.partition("_")[0].partition("-")[0] for name in tokenizer.vocab.names]
    kind = np.unique(names, return_inverse=True)[1]
    state, ids = grammar.start(), []
    while len(ids) < most:
        legal = np.flatnonzero(grammar.legal(state))
        assert len(legal), f"nothing may follow {tokenizer.vocab.words(ids[-5:])}"
        going_on = legal[legal != tokenizer.end_id]
        if not len(going_on):
            break
        chosen = rng.choice(np.unique(kind[going_on]))
        ids.append(int(rng.choice(going_on[kind[going_on] == chosen])))
        state = grammar.advance(state, ids[-1])
    return ids


@pytest.mark.parametrize("values", EVERY_LIMIT, ids=str)
def test_whatever_a_limited_grammar_allows_keeps_to_the_limits(tokenizer, values):
    limits = Limits(**values)
    facts = tokenizer.id_facts
    if not tells_enough(facts, limits):
        with pytest.raises(SettingsError, match=r"^limits\."):
            limited_grammar(tokenizer, limits)
        return
    grammar = limited_grammar(tokenizer, limits)
    most = 150 if tokenizer.vocab_size < 5000 else 50  # a look at a large vocabulary takes its time
    for seed in range(2):
        ids = walk(tokenizer, grammar, np.random.default_rng(seed), most=most)
        assert tokenizer.grammar.accepts(ids)
        whole = len(ids) // tokenizer.num_codebooks * tokenizer.num_codebooks
        steps = np.array(ids[:whole], np.int64).reshape(-1, tokenizer.num_codebooks)
        score = tokenizer.decode(steps[:, 0] if tokenizer.num_codebooks == 1 else steps)
        notes, tracks = score.notes, score.tracks
        is_drum = np.array([track.is_drum for track in tracks] or [False])[notes.track]
        assert np.isin(notes.pitch[~is_drum], limits.pitches()).all()
        if limits.instruments:
            used = {128 if tracks[k].is_drum else tracks[k].program for k in np.unique(notes.track)}
            assert used <= set(limits.instruments)
        if limits.polyphony and len(notes):
            assert most_at_once(notes, until_end=facts.ends_note.any()) <= limits.polyphony
        if limits.bars:
            assert facts.opens_bar[ids].sum() <= limits.bars


def tells_enough(facts, limits):
    return (
        (not limits.instruments or (facts.instrument >= 0).any())
        and (not limits.polyphony or (facts.ends_note | facts.moves_time).any())
        and (not limits.bars or facts.opens_bar.any())
    )


def most_at_once(notes, *, until_end):
    onset = notes.onset_tick
    if not until_end:
        return np.unique(onset, return_counts=True)[1].max()
    return max(((onset <= tick) & (onset + notes.duration_tick > tick)).sum() for tick in onset)


def test_limits_without_values_change_nothing(tokenizer):
    assert limited(tokenizer.grammar, tokenizer.id_facts, Limits()) is tokenizer.grammar


@pytest.mark.parametrize("bars", [1, 4])
@pytest.mark.parametrize("form", ["remigen2", "reduced"])
def test_a_piece_has_ended_after_its_bars(bars, form):
    """Bars begin with an id in one form and end with one in the other."""
    tokenizer = build_tokenizer("remi", form=form)
    grammar = limited_grammar(tokenizer, Limits(bars=bars, polyphony=1))
    for seed in range(4):
        ids = walk(tokenizer, grammar, np.random.default_rng(seed), most=10_000)
        assert tokenizer.id_facts.opens_bar[ids].sum() == bars
        assert tokenizer.grammar.accepts([*ids, tokenizer.end_id])
        assert np.flatnonzero(grammar.legal(grammar.after(ids))).tolist() == [tokenizer.end_id]


def test_a_prompt_outside_the_limits_can_still_be_ended():
    tokenizer = build_tokenizer("performance")
    grammar = limited_grammar(tokenizer, Limits(scale="C major"))
    legal = grammar.legal(grammar.after([376, 61, 305]))
    assert legal[128 + 61]
    assert not legal[61]
    assert not legal[63]


def test_a_velocity_is_not_announced_when_no_further_note_may_sound():
    tokenizer = build_tokenizer("performance")
    grammar = limited_grammar(tokenizer, Limits(polyphony=2))
    assert grammar.legal(grammar.after([376, 60]))[377]
    assert not grammar.legal(grammar.after([376, 60, 64]))[256 + 121]
    assert grammar.legal(grammar.after([376, 60, 64, 305, 188]))[377]


def test_merged_ids_are_limited_as_what_they_stand_for():
    tokenizer = build_tokenizer("bpe", merges=[[376, 60], [376, 61], [305, 188], [390, 64]])
    grammar = limited_grammar(tokenizer, Limits(scale="C major", polyphony=1))
    assert grammar.legal(grammar.start())[390:].tolist() == [True, False, False, False]
    assert grammar.legal(grammar.after([390]))[390:].tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale": "H major"}, "scale = 'H major': expected a tonic first"),
        ({"scale": "C majr"}, "scale = 'C majr': no scale 'majr'; did you mean 'major'"),
        ({"instruments": [129]}, r"instruments = 129: expected 0\.\.127, or 128 for drums"),
        ({"lowest_pitch": 61, "highest_pitch": 61, "scale": "C major"}, "no pitch of C major from 61 to there"),
        ({"lowest_pitch": 70, "highest_pitch": 60}, "no pitch of any scale from 70 to there"),
        ({"polyphony": -1}, "polyphony = -1"),
    ],
)
def test_limits_that_nothing_keeps_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        Limits.parse(values, where="limits")


@pytest.mark.parametrize(
    ("scale", "classes"),
    [
        ("C major", (0, 2, 4, 5, 7, 9, 11)),
        ("a minor", (0, 2, 4, 5, 7, 9, 11)),
        ("F# blues", (0, 1, 4, 6, 9, 11)),
        ("Cb chromatic", tuple(range(12))),
    ],
)
def test_scales_are_what_musicians_call_so(scale, classes):
    assert pitch_classes(scale) == classes


def test_limits_that_leave_no_note_are_refused():
    tokenizer = build_tokenizer("tsd")
    assert set(tokenizer.id_facts.instrument.tolist()) == {-1, 128}  # the piano's notes name no instrument
    with pytest.raises(SettingsError, match="limits: no note is left"):
        limited_grammar(tokenizer, Limits(instruments=(40,)))
    only_piano = limited_grammar(tokenizer, Limits(instruments=(0,)))
    only_drums = limited_grammar(tokenizer, Limits(instruments=(128,)))
    assert not (only_piano.legal(only_piano.start()) & only_drums.legal(only_drums.start()))[
        tokenizer.id_facts.starts_note
    ].any()


def test_what_ids_do_not_tell_cannot_be_limited():
    facts = IdFacts.blank(1)
    facts.starts_note[0] = True
    grammar = Grammar.of(vocab_size=1, initial=[0], rules=[Rule(ids=[0])])
    for values in ({"instruments": (1,)}, {"polyphony": 1}, {"bars": 1}):
        with pytest.raises(SettingsError, match=f"limits.{next(iter(values))}: the tokenizer's ids"):
            limited(grammar, facts, Limits(**values))


def test_paths_see_what_can_only_lead_to_a_note():
    """Ids: 0 opens, 1 needs an open one and is the note, 2 is a detour from open to open, 3 is free, 4 ends."""
    is_open, ended = 0, 1
    grammar = Grammar.of(
        vocab_size=5,
        initial=[0, 0],
        rules=[
            Rule(ids=[0], needs=[(is_open, 0, 0), (ended, 0, 0)], adds=[(is_open, 1)]),
            Rule(ids=[1], needs=[(is_open, 1, ANY), (ended, 0, 0)], clears=[is_open]),
            Rule(ids=[2], needs=[(is_open, 1, 1), (ended, 0, 0)], adds=[(is_open, 1)]),
            Rule(ids=[3], needs=[(is_open, 0, 0), (ended, 0, 0)]),
            Rule(ids=[4], needs=[(is_open, 0, 0), (ended, 0, 0)], adds=[(ended, 1)]),
        ],
    )
    paths = Paths(grammar)
    note = np.arange(5) == 1
    assert paths.leads_only_to(note).tolist() == [True, False, True, False, False]
    assert paths.ends().tolist() == [False, False, False, False, True]
    assert paths.reaches(note, without=np.zeros(5, bool))
    assert not paths.reaches(note, without=np.arange(5) == 0)
