"""The absolute tokenizer: its decoder, its grammar and what training adds to its ids."""

import numpy as np
import pytest
from absolute_scores import DRUMS, FORMS, NO_LABELS, PIANO, in_ms, words
from token_scores import fixed_piece

from etude.errors import TokenError
from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Score, Tempos, Track
from etude.tokens import build_tokenizer
from etude.tokens.absolute_marks import mark_near_end, shuffle_prefix


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer("absolute")


@pytest.fixture(scope="module")
def published():
    return build_tokenizer("absolute", published=True)


@pytest.mark.parametrize(
    ("given", "notes", "repairs"),
    [
        ("PIANO_60_80 ONSET_0 DURATION_500", [(0, 500, 60)], {}),
        ("SEGMENT PIANO_60_80 ONSET_10 DURATION_500", [(5010, 5510, 60)], {}),
        ("PIANO_60_80 ONSET_0", [], {"stray": 2}),
        ("PIANO_60_80 DURATION_500 ONSET_0", [], {"stray": 3}),
        ("PIANO_60_80 PIANO_62_80 ONSET_0 DURATION_50", [(0, 50, 62)], {"stray": 1}),
        ("DRUM_36 ONSET_20 DURATION_50", [(20, 30, 36)], {"stray": 1}),
        ("PIANO_60_80 PAD ONSET_0 NEAR_END DURATION_50", [(0, 50, 60)], {}),
        ("PIANO_60_80 UNKNOWN ONSET_0 DURATION_50", [], {"stray": 3}),
        ("PIANO_60_80 ONSET_90 DURATION_50 PIANO_62_80 ONSET_0 DURATION_50", [(0, 50, 62), (90, 140, 60)], "backwards"),
        ("PIANO_60_0 ONSET_0 DURATION_0", [(0, 10, 60)], {"without_velocity": 1, "without_length": 1}),
        ("END PIANO_60_80 ONSET_0 DURATION_500", [], {}),
        ("PIANO_60_80 ONSET_0 DURATION_90 PIANO_60_30 ONSET_50 DURATION_20", [(0, 50, 60), (50, 70, 60)], {}),
        ("SEGMENT SEGMENT", [], {}),
        ("PIANO_60_80", [], {"stray": 1}),
    ],
)
def test_the_decoder_mends_what_is_not_a_piece_and_says_so(tokenizer, given, notes, repairs):
    ids = [tokenizer.vocab.id_of(word) for word in given.split()]
    score = tokenizer.decode(ids)
    told = score.notes
    rows = zip(told.onset_tick, told.onset_tick + told.duration_tick, told.pitch, strict=True)
    assert list(rows) == notes
    counted = {name: count for name, count in tokenizer.repairs(ids).items() if count}
    assert counted == ({repairs: 1} if repairs == "backwards" else repairs)
    assert read_midi(midi_bytes(score)).notes == score.notes
    assert tokenizer.measure(ids)[0] == len(notes)


@pytest.mark.parametrize("form", [FORMS[0], FORMS[4], {"published": True}])
def test_a_million_random_ids_decode_to_valid_scores(form):
    rng = np.random.default_rng(1)
    tokenizer = build_tokenizer("absolute", **form)
    # of three ids two are a note, an onset or a duration, so that many groups come about
    kinds = tokenizer.layout.kinds
    weight = np.array([1, 10, 2, 2, 10, 10, 1, 1])[kinds] / np.bincount(kinds, minlength=8)[kinds]
    weight[tokenizer.end_id] = 0
    for _ in range(4):
        ids = rng.choice(tokenizer.vocab_size, 100_000, p=weight / weight.sum())
        score = tokenizer.decode(ids)
        assert len(score.notes) > 100
        assert check_score(score) == []
        again = tokenizer.encode(score)
        assert tokenizer.encode(tokenizer.decode(again)).tolist() == again.tolist()


def test_ids_of_days_stop_at_24_hours(tokenizer):
    note = [825, 17227, 16816]
    ids = np.array(note + [5] * 17_279 + note + [5] * 10 + note)
    score = tokenizer.decode(ids)
    assert len(score.notes) == 2
    again = tokenizer.encode(score)
    assert tokenizer.encode(tokenizer.decode(again)).tolist() == again.tolist()
    late = Score.of([0, 10_000_000], [1, 1], [60, 60], ppq=1, tempos=Tempos.of(tick=[0], us_per_quarter=[10**7]))
    with pytest.raises(TokenError, match="27777.8 hours long, expected at most 24"):
        tokenizer.encode(late)


def test_a_note_of_years_lasts_5_seconds(tokenizer, published):
    score = Score.of([0], [2_000_000_000], [60], ppq=1, tempos=Tempos.of(tick=[0], us_per_quarter=[10**7]))
    assert words(tokenizer, score)[-1] == words(published, score)[-1] == "DURATION_5000"


@pytest.mark.parametrize("change", [{"pitch": [128]}, {"pitch": [-1]}, {"velocity": [128]}, {"onset_tick": [-1]}])
def test_notes_outside_midi_are_refused(tokenizer, change):
    columns = {"onset_tick": [0], "duration_tick": [10], "pitch": [60], "velocity": [64]} | change
    with pytest.raises(TokenError, match="outside MIDI"):
        tokenizer.encode(Score.of(**columns))


def test_transposing_moves_notes_leaves_drums_and_stops_at_the_ends_of_the_keyboard(tokenizer):
    score = in_ms((0, 100, 36, 70, 0), (0, 100, 0, 70, 1), (0, 100, 127, 70, 2), tracks=[DRUMS, Track(0), Track(40)])
    ids = tokenizer.encode(score).astype(np.uint16)
    assert tokenizer.transpose_ids(ids, 1) is None
    assert tokenizer.transpose_ids(ids, -1) is None
    inner = tokenizer.encode(in_ms((0, 100, 36, 70, 0), (0, 100, 60, 70, 1), tracks=[DRUMS, Track(0)]))
    assert {"DRUM_36", "PIANO_55_70"} <= set(tokenizer.vocab.words(tokenizer.transpose_ids(inner, -5)))
    assert tokenizer.transpose_ids(ids, 0).dtype == np.uint16


def test_a_span_from_the_middle_counts_from_its_first_note(tokenizer):
    ids = tokenizer.encode(in_ms((0, 100, 60), (6000, 6500, 62)))
    assert tokenizer.measure(ids) == (2, 6.5)
    assert tokenizer.measure(ids[5:]) == (1, 0.5)
    assert tokenizer.measure(ids.reshape(3, -1)) == (2, 6.5)


def test_the_facts_of_ids_name_pitches_and_instruments(tokenizer):
    facts, id_of = tokenizer.id_facts, tokenizer.vocab.id_of
    assert facts.pitch[[id_of("PIANO_60_80"), id_of("DRUM_36"), id_of("ONSET_0")]].tolist() == [60, 36, -1]
    words = ("PIANO_0_10", "STRINGS_127_120", "WITH_PIPE", "DRUM_81", "WITH_DRUMS", "COMPOSER_BACH")
    assert facts.instrument[[id_of(word) for word in words]].tolist() == [0, 40, 73, 128, 128, -1]
    ids = tokenizer.encode(fixed_piece())
    assert np.count_nonzero(facts.starts_note[ids]) == tokenizer.measure(ids)[0]
    assert not facts.moves_time.any()


def legal_names(tokenizer, *names):
    ids = [tokenizer.vocab.id_of(name) for name in names]
    assert tokenizer.grammar.accepts(ids), names
    legal = np.flatnonzero(tokenizer.grammar.legal(tokenizer.grammar.after(ids)))
    return {tokenizer.vocab.names[i].split("_")[0] for i in legal}


def test_the_grammar_allows_what_it_should(tokenizer):
    begun = ("WITH_PIANO", "START")
    events = {"PIANO", "SEGMENT", "NEAR"}
    assert legal_names(tokenizer) == {"WITH", "COMPOSER", "FORM", "GENRE", "END"}
    assert legal_names(tokenizer, "COMPOSER_BACH") == {"WITH", "FORM", "GENRE"}
    assert legal_names(tokenizer, "COMPOSER_BACH", "WITH_PIANO") == {"WITH", "FORM", "GENRE", "START"}
    assert legal_names(tokenizer, *begun) == events | {"END"}
    assert legal_names(tokenizer, *begun, "SEGMENT") == events
    assert legal_names(tokenizer, *begun, "NEAR_END") == {"PIANO", "SEGMENT", "END"}
    assert legal_names(tokenizer, *begun, "PIANO_60_80") == {"ONSET"}
    assert legal_names(tokenizer, *begun, "PIANO_60_80", "ONSET_4990") == {"DURATION"}
    assert legal_names(tokenizer, *begun, "PIANO_60_80", "ONSET_4990", "DURATION_10") == events | {"END"}
    assert legal_names(tokenizer, "WITH_DRUMS", "START", "DRUM_36", "ONSET_0") == {"DRUM", "SEGMENT", "NEAR", "END"}
    assert legal_names(tokenizer, *begun, "END") == set()


def test_within_a_segment_onsets_never_go_back(tokenizer):
    grammar, id_of = tokenizer.grammar, tokenizer.vocab.id_of
    note = [id_of("PIANO_60_80"), id_of("ONSET_700"), id_of("DURATION_10"), id_of("PIANO_62_80")]
    legal = grammar.legal(grammar.after([id_of("WITH_PIANO"), id_of("START"), *note]))
    assert np.flatnonzero(legal).tolist() == list(range(id_of("ONSET_700"), id_of("ONSET_4990") + 1))
    again = grammar.legal(grammar.after([id_of("WITH_PIANO"), id_of("START"), *note[:3], id_of("SEGMENT"), note[3]]))
    assert np.count_nonzero(again) == 500


def test_what_is_never_written_is_never_legal(tokenizer):
    never = ["PAD", "UNKNOWN", "DURATION_0", *(f"PIANO_{pitch}_0" for pitch in range(128))]
    ids = [tokenizer.vocab.id_of(name) for name in never]
    assert (tokenizer.grammar.need_low[ids] > tokenizer.grammar.need_high[ids]).any(axis=1).all()


def test_the_pedal_goes_down_and_up_in_turns():
    tokenizer = build_tokenizer("absolute", pedal="tokens", delimiter=True, **PIANO, **NO_LABELS)
    grammar, id_of = tokenizer.grammar, tokenizer.vocab.id_of
    down, up, onset = id_of("PEDAL_DOWN"), id_of("PEDAL_UP"), id_of("ONSET_0")
    start = [id_of("WITH_PIANO"), id_of("START")]
    assert grammar.accepts([*start, down, onset, id_of("DELIMITER"), up, onset, down, onset, tokenizer.end_id])
    assert grammar.first_illegal([*start, up]) == 2
    assert grammar.first_illegal([*start, down, onset, down]) == 4


@pytest.mark.parametrize("form", [FORMS[0], FORMS[4]])
def test_legal_walks_that_are_brought_to_an_end_need_no_repair(form):
    tokenizer = build_tokenizer("absolute", **form)
    rng, grammar = np.random.default_rng(3), tokenizer.grammar
    names = [name.split("_")[0] for name in tokenizer.vocab.names]
    kinds = np.unique(names, return_inverse=True)[1]
    for _ in range(3):
        state, ids = grammar.start(), []
        while len(ids) < 200 or not grammar.legal(state)[tokenizer.end_id]:
            legal = grammar.legal(state)
            legal[tokenizer.end_id] = False
            legal = np.flatnonzero(legal)
            kind = rng.choice(np.unique(kinds[legal]))
            ids.append(int(rng.choice(legal[kinds[legal] == kind])))
            state = grammar.advance(state, ids[-1])
        ids.append(tokenizer.end_id)
        assert grammar.accepts(ids)
        assert set(tokenizer.repairs(ids).values()) == {0}
        assert check_score(tokenizer.decode(ids)) == []


def test_the_mark_before_the_end_is_a_function_of_seed_and_index(tokenizer):
    ids = tokenizer.encode(in_ms(*((50 * k, 50 * k + 40, 60 + k % 9) for k in range(90))))
    places = set()
    for index in range(40):
        marked = mark_near_end(tokenizer, ids, seed=5, index=("order", index))
        (place,) = np.flatnonzero(marked == tokenizer.vocab.id_of("NEAR_END"))
        assert np.delete(marked, place).tolist() == ids.tolist()
        assert tokenizer.grammar.accepts([*marked, tokenizer.end_id])
        assert 90 <= len(ids) - place <= 112
        assert tokenizer.decode(marked) == tokenizer.decode(ids)
        places.add(int(place))
        assert mark_near_end(tokenizer, ids, seed=5, index=("order", index)).tolist() == marked.tolist()
    assert len(places) > 4
    assert len(mark_near_end(tokenizer, ids[:152], seed=5)) == 152
    assert len(mark_near_end(tokenizer, ids[:153], seed=5)) == 154


def test_a_shuffled_prefix_holds_the_same_ids(tokenizer):
    ids = tokenizer.encode(fixed_piece(), {"composer": "Bach", "form": "fugue"})
    orders = {tuple(shuffle_prefix(ids, seed=2, index=(index,))[:4].tolist()) for index in range(40)}
    assert len(orders) > 5
    assert {tuple(sorted(order)) for order in orders} == {(6, 16, 17, 36)}
    assert shuffle_prefix(ids, seed=2)[4:].tolist() == ids[4:].tolist()
    assert tokenizer.grammar.accepts([*shuffle_prefix(ids, seed=2), 1])
