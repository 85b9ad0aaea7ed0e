"""The anticipation tokenizer: triplets, rests, windows, controls told ahead, published rows, decoder and grammar."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_octuple import plain_triplets
from token_scores import any_score, fixed_piece, pedals

from etude.errors import TokenError
from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Score, Track
from etude.tokens import build_tokenizer
from etude.tokens.anticipation_controls import controls_in_spans, controls_of_instruments, draw_controls
from etude.tokens.anticipation_layout import (
    ANTICIPATE,
    AUTOREGRESS,
    CONTROL,
    DURATION,
    END,
    NOTE,
    PAD,
    REST,
    STEPS_IN_WINDOW,
)
from etude.tokens.anticipation_rows import published_rows

TOKENIZER = build_tokenizer("anticipation")


@pytest.fixture
def tokenizer():
    return TOKENIZER


def seconds(onset, duration=0.5, pitch=60, **more):
    """Return a score written in seconds."""
    onset = np.rint(1000 * np.asarray(onset, float)).astype(int)
    duration = np.broadcast_to(np.rint(1000 * np.asarray(duration, float)).astype(int), onset.shape)
    return Score.of(onset, duration, np.broadcast_to(pitch, onset.shape), ppq=500, **more)


def items(ids):
    """Return (kind, second, seconds, instrument, pitch) of each triplet, flags left out."""
    result, window = [], -1
    ids = list(ids)
    while ids:
        if ids[0] in (AUTOREGRESS, ANTICIPATE):
            window += 1
            ids.pop(0)
            continue
        time, duration, note, ids = *ids[:3], ids[3:]
        shift = CONTROL if time >= CONTROL else 0
        kind = "rest" if note == REST else "control" if shift else "event"
        at = (time - shift + window * STEPS_IN_WINDOW) / 100
        key = () if kind == "rest" else divmod(int(note - shift - NOTE), 128)
        result.append((kind, at, (duration - shift - DURATION) / 100, *key))
    return result


def test_ids_are_the_published_ones_and_padding(tokenizer):
    assert tokenizer.vocab_size == 55_029
    names = tokenizer.vocab.names
    places = {
        0: "TIME_0",
        10_000: "DURATION_0",
        11_000: "NOTE_0_0",
        27_512: "REST",
        27_513: "ATIME_0",
        37_513: "ADURATION_0",
        38_513: "ANOTE_0_0",
        55_024: "ANOTE_128_127",
        55_025: "END",
        55_026: "AUTOREGRESS",
        55_027: "ANTICIPATE",
        55_028: "PAD",
    }
    assert {place: names[place] for place in places} == places


def test_a_note_is_its_time_duration_and_instrument_with_pitch(tokenizer):
    score = seconds([0.25], 1.5, 60, tracks=[Track(40)])
    assert tokenizer.encode(score).tolist() == [AUTOREGRESS, 25, 10_150, 11_000 + 40 * 128 + 60]


@settings(max_examples=150, deadline=None)
@given(score=any_score(), data=st.data())
def test_columns_and_plain_loops_agree(score, data):
    tokenizer = TOKENIZER
    if score.duration_sec >= 90:
        return
    assert tokenizer.encode(score).tolist() == plain_triplets(score, [False] * len(score.notes))
    controls = data.draw(st.lists(st.booleans(), min_size=len(score.notes), max_size=len(score.notes)))
    assert tokenizer.encode(score, controls=np.array(controls, bool)).tolist() == plain_triplets(score, controls)


@settings(max_examples=150, deadline=None)
@given(score=any_score())
def test_times_stay_within_their_bounds(score):
    tokenizer = TOKENIZER
    decoded = tokenizer.decode(tokenizer.encode(score))
    instruments = np.array([128 if track.is_drum else track.program for track in score.tracks])[score.notes.track]
    for track, one in enumerate(decoded.tracks):
        for pitch in range(128):
            here = (instruments == (128 if one.is_drum else one.program)) & (score.notes.pitch == pitch)
            there = (decoded.notes.track == track) & (decoded.notes.pitch == pitch)
            onset = score.onset_sec[here]
            if not here.any() or (np.diff(onset) <= 0.02).any():
                continue
            assert np.abs(decoded.onset_sec[there] - onset).max() <= 0.005 + 1e-9
            struck_again = np.append(onset[1:], np.inf)
            end = np.minimum(np.minimum(score.offset_sec[here], struck_again), onset + 9.99)
            assert np.abs(decoded.offset_sec[there] - end).max() <= 0.01 + 1e-9


def test_notes_end_after_10_seconds_and_where_their_key_is_struck_again(tokenizer):
    score = seconds([0, 12, 12.5], [11, 3, 1], 60)
    assert tokenizer.decode(tokenizer.encode(score)).offset_sec.tolist() == [9.99, 12.5, 13.5]


def test_a_rest_stands_wherever_a_second_passes_without_an_event(tokenizer):
    ids = tokenizer.encode(seconds([1.5, 2.5, 4.6]))
    assert [(kind, at) for kind, at, *_ in items(ids)] == [
        ("rest", 1.0),
        ("event", 1.5),
        ("event", 2.5),
        ("rest", 3.5),
        ("rest", 4.5),
        ("event", 4.6),
    ]


def test_each_window_of_100_seconds_has_a_flag_and_its_own_times(tokenizer):
    score = seconds([0, 99.99, 100, 350.5])
    ids = tokenizer.encode(score)
    assert np.count_nonzero(ids == AUTOREGRESS) == 4
    assert ids[np.flatnonzero(ids == AUTOREGRESS) + 1].tolist() == [0, 0, 0, 0]
    assert [at for kind, at, *_ in items(ids) if kind == "event"] == [0, 99.99, 100, 350.5]
    assert tokenizer.decode(ids).onset_sec.round(6).tolist() == [0, 99.99, 100, 350.5]


def test_controls_stand_once_events_are_within_5_seconds(tokenizer):
    score = seconds([0, 1, 2, 3, 4, 5, 6.5, 8], pitch=np.arange(60, 68))
    ids = tokenizer.encode(score, controls=np.isin(np.arange(8), [1, 6, 7]))
    assert ids[0] == ANTICIPATE
    assert [(kind, at) for kind, at, *_ in items(ids)] == [
        ("control", 1),
        ("event", 0),
        ("rest", 1),
        ("event", 2),
        ("control", 6.5),
        ("event", 3),
        ("control", 8),
        ("event", 4),
        ("event", 5),
        ("rest", 6),
        ("rest", 7),
    ]
    assert tokenizer.decode(ids).onset_sec.tolist() == score.onset_sec.tolist()


def test_controls_wait_for_their_window(tokenizer):
    onset = np.arange(0, 104, 0.5)
    ids = tokenizer.encode(seconds(onset, 0.2), controls=onset >= 99)
    first_of_second = np.flatnonzero(ids == ANTICIPATE)[1]
    told = items(ids)
    assert [at for kind, at, *_ in told[: (first_of_second - 1) // 3] if kind == "control"] == [99, 99.5]
    assert [(kind, at) for kind, at, *_ in told[(first_of_second - 1) // 3 :]][:3] == [
        ("control", 100),
        ("control", 100.5),
        ("control", 101),
    ]


@settings(max_examples=100, deadline=None)
@given(score=any_score(), data=st.data())
def test_controls_come_back_and_are_legal(score, data):
    tokenizer = TOKENIZER
    controls = data.draw(st.lists(st.booleans(), min_size=len(score.notes), max_size=len(score.notes)))
    ids = tokenizer.encode(score, controls=np.array(controls, bool))
    decoded, told = tokenizer.decode(ids), tokenizer.controls_of(ids)
    assert tokenizer.encode(decoded, controls=told).tolist() == ids.tolist()
    assert set(tokenizer.repairs(ids).values()) == {0}
    assert tokenizer.grammar.accepts([*ids.tolist(), END])


def test_controls_need_a_bool_for_each_note(tokenizer):
    with pytest.raises(TokenError, match="2 of 3 notes; expected one bool for each note"):
        tokenizer.encode(seconds([0, 1, 2]), controls=np.array([True, False]))


def test_drawn_controls_are_functions_of_seed_and_index():
    score = fixed_piece()
    drawn = [draw_controls(score, 1, "piece", epoch) for epoch in range(200)]
    again = [draw_controls(score, 1, "piece", epoch) for epoch in range(200)]
    assert all(a is b is None or (a == b).all() for a, b in zip(drawn, again, strict=True))
    none = [one for one in drawn if one is None]
    assert 5 < len(none) < 45
    shares = [one.mean() for one in drawn if one is not None]
    assert min(shares) < 0.2 < 0.8 < max(shares)


def test_spans_and_instruments_are_whole():
    score = seconds(np.arange(0, 200, 0.25), 0.1, tracks=[Track(0), Track(7), Track(0, is_drum=True)])
    told = controls_in_spans(score, 3)
    starts, ends = (np.flatnonzero(np.diff(np.pad(told.astype(int), 1)) == sign) for sign in (1, -1))
    # spans may touch
    assert (np.diff([starts, ends], axis=0) % 20 == 0)[0, :-1].all()
    assert 0.05 < told.mean() < 0.5
    assert controls_of_instruments(score, 3) is None
    many = fixed_piece()
    chosen = controls_of_instruments(many, 3)
    assert {chosen[many.notes.track == track].mean() for track in range(3)} == {0.0, 1.0}


def test_the_pedal_extends_notes_if_asked(tokenizer):
    score = Score.of([0], [240], [60], ppq=480, controls=pedals((100, 0, 127), (960, 0, 0)))
    held = build_tokenizer("anticipation", pedal="extend")
    assert tokenizer.decode(tokenizer.encode(score)).offset_sec.tolist() == [0.25]
    assert held.decode(held.encode(score)).offset_sec.tolist() == [1.0]


def test_pieces_outside_midi_or_over_24_hours_are_refused(tokenizer):
    with pytest.raises(TokenError, match="24.0 hours long"):
        tokenizer.encode(seconds([24 * 3600]))
    with pytest.raises(TokenError, match="outside MIDI"):
        tokenizer.encode(Score.of([0], [480], [128]))


triplets = st.one_of(
    st.tuples(st.integers(0, 9999), st.integers(0, 999), st.integers(0, 16_512), st.booleans()),
    st.sampled_from([AUTOREGRESS, ANTICIPATE]),
    st.integers(0, PAD),
)


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(triplets, max_size=60))
def test_triplets_in_any_order_decode_to_valid_scores(parts):
    """covers: MT-5 (partly)"""
    tokenizer = TOKENIZER
    ids = []
    for part in parts:
        if isinstance(part, int):
            ids.append(part)
            continue
        time, duration, note, is_control = part
        shift = CONTROL if is_control and note < 16_512 else 0
        ids += [time + shift, DURATION + duration + shift, NOTE + note + shift]
    score = tokenizer.decode(ids)
    assert check_score(score) == []
    assert read_midi(midi_bytes(score)).notes == score.notes
    assert len(tokenizer.controls_of(ids)) == len(score.notes)
    again = tokenizer.encode(score)
    assert tokenizer.encode(tokenizer.decode(again)).tolist() == again.tolist()


def test_published_rows_decode_and_stray_ids_mean_nothing(tokenizer):
    ids = tokenizer.encode(seconds([0, 0.5, 1]))
    published = [AUTOREGRESS, END, END, END, *ids[1:].tolist(), END, END, END, 5, 10_010, 11_000]
    assert tokenizer.decode(published).onset_sec.tolist() == [0, 0.5, 1]
    stray = [*ids[:4].tolist(), 7, 10_000, PAD, *ids[4:].tolist()]
    assert tokenizer.decode(stray).onset_sec.tolist() == [0, 0.5, 1]
    assert tokenizer.repairs(stray) == {"stray": 3, "backward": 0, "too_late": 0}
    assert tokenizer.repairs([AUTOREGRESS, *ids[4:].tolist(), *ids[1:4].tolist()])["backward"] == 1


def test_rows_are_a_flag_and_341_triplets_with_times_from_their_least(tokenizer):
    score = seconds(np.arange(0, 150, 0.25), 0.2)
    plain, ahead = tokenizer.encode(score), tokenizer.encode(score, controls=np.arange(600) % 3 == 0)
    rows = published_rows([plain, ahead])
    assert rows.shape == (3, 1024)
    assert rows[:, 0].tolist() == [AUTOREGRESS, AUTOREGRESS, ANTICIPATE]
    assert rows[0, :7].tolist() == [AUTOREGRESS, END, END, END, 0, DURATION + 20, NOTE + 60]
    # the second row goes on with note 340, and the second piece begins in it
    assert rows[1, 1] == 0
    second = int(np.flatnonzero(rows[1] == END)[0])
    assert second == 1 + 3 * (601 - 341)
    assert (rows[1, second : second + 3] == END).all()
    assert rows[1, second + 3] == CONTROL
    times = rows[2, 1::3] % CONTROL
    assert times.min() == 0
    assert times.max() < STEPS_IN_WINDOW
    sparse = tokenizer.encode(seconds(np.arange(0, 400, 1)))
    assert len(published_rows([sparse])) == 0


def legal_after(tokenizer, ids):
    return np.flatnonzero(tokenizer.grammar.legal(tokenizer.grammar.after(ids)))


def test_what_may_come_next(tokenizer):
    assert legal_after(tokenizer, []).tolist() == [END, AUTOREGRESS, ANTICIPATE]
    assert legal_after(tokenizer, [AUTOREGRESS]).tolist() == [*range(101), END]
    ahead = legal_after(tokenizer, [ANTICIPATE])
    assert ahead.tolist() == [*range(101), *range(CONTROL, CONTROL + 501), END]
    note = [AUTOREGRESS, 50, DURATION + 10, NOTE + 60]
    assert legal_after(tokenizer, note[:2]).tolist() == list(range(DURATION, NOTE))
    assert legal_after(tokenizer, note[:3]).tolist() == list(range(NOTE, REST))
    assert legal_after(tokenizer, note).tolist() == [*range(50, 151), END]
    assert legal_after(tokenizer, [*note, 50, DURATION]).tolist() == list(range(NOTE + 61, REST))
    assert legal_after(tokenizer, [*note, 150, DURATION]).tolist() == list(range(NOTE, REST + 1))
    assert REST not in legal_after(tokenizer, [*note, 150, DURATION + 1])
    rest = [*note, 150, DURATION, REST]
    assert legal_after(tokenizer, rest).tolist() == [*range(151, 251), END]
    last_key = [AUTOREGRESS, 50, DURATION, REST - 1]
    assert legal_after(tokenizer, last_key).tolist() == [*range(51, 151), END]
    assert legal_after(tokenizer, [*note, END]).tolist() == []


def test_controls_go_forward_and_not_more_than_5_seconds_ahead(tokenizer):
    control = [ANTICIPATE, CONTROL + 300, CONTROL + DURATION, CONTROL + NOTE + 60]
    after = legal_after(tokenizer, control)
    assert after.tolist() == [*range(101), *range(CONTROL + 300, CONTROL + 501), END]
    same = legal_after(tokenizer, [*control, CONTROL + 300, CONTROL + DURATION])
    assert same.tolist() == list(range(CONTROL + NOTE + 61, CONTROL + REST))


def test_a_window_opens_when_events_have_come_near_it(tokenizer):
    steps = list(range(100, 10_000, 100))
    ids = [AUTOREGRESS, *(id_ for step in steps for id_ in (step, DURATION, REST))]
    assert legal_after(tokenizer, ids).tolist() == [*range(9901, 10_000), END, AUTOREGRESS]
    assert legal_after(tokenizer, ids[:-3]).tolist() == [*range(9801, 9901), END]
    assert legal_after(tokenizer, [*ids, AUTOREGRESS]).tolist() == [0, END]


@pytest.mark.parametrize("seed", range(3))
def test_legal_walks_need_no_repair_and_keep_every_note(tokenizer, seed):
    rng, grammar = np.random.default_rng(seed), tokenizer.grammar
    state, ids = grammar.start(), []
    for _ in range(3 * 150):
        legal = np.flatnonzero(grammar.legal(state))
        legal = legal[legal != END]
        # some walks hurry, some take their time
        ids.append(int(rng.choice(legal if seed == 0 else legal[-3:] if seed == 1 else legal[:3])))
        state = grammar.advance(state, ids[-1])
    while not grammar.legal(state)[END]:
        ids.append(int(np.flatnonzero(grammar.legal(state))[0]))
        state = grammar.advance(state, ids[-1])
    ids = np.array(ids)
    assert set(tokenizer.repairs(ids).values()) == {0}
    score = tokenizer.decode(ids)
    assert check_score(score) == []
    is_note = ((ids >= NOTE) & (ids < REST)) | (ids >= CONTROL + NOTE) & (ids < END)
    told_twice = np.count_nonzero(is_note) - len(score.notes)
    assert 0 <= told_twice <= (seed > 0) * len(score.notes)


def test_real_music_comes_back_and_every_encoding_is_legal(tokenizer, shared_data):
    paths = sorted((shared_data / "mini").rglob("*.mid"))
    assert len(paths) == 38
    for number, path in enumerate(paths):
        score = read_midi(path)
        ids = tokenizer.encode(score, controls=draw_controls(score, 0, number))
        decoded = tokenizer.decode(ids)
        told = tokenizer.controls_of(ids) if ids[0] == ANTICIPATE else None
        assert tokenizer.encode(decoded, controls=told).tolist() == ids.tolist(), path
        assert check_score(decoded) == [], path
        assert set(tokenizer.repairs(ids).values()) == {0}, path
        if len(ids) < 6000:
            assert tokenizer.grammar.accepts([*ids.tolist(), END]), path
