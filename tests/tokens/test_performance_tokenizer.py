"""The performance tokenizer: its ids, its bounds, the pedal, its decoder and its grammar."""

import numpy as np
import pytest
from hypothesis import given, settings
from plain_performance import plain_encode
from token_scores import any_score, pedals

from etude.errors import TokenError
from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Score, Tempos, Track
from etude.tokens import build_tokenizer

TENTH_MS = 5000
"""Ticks in a quarter of half a second: a tick is 0.1 ms."""


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer("performance")


def seconds(*, onset, duration, pitch, velocity=None, pedal=(), **more):
    """Return a score written in seconds; pedal rows are (second, value) or (second, value, track)."""
    rows = [(round(1000 * sec), track[0] if track else 0, value) for sec, value, *track in pedal]
    return Score.of(
        [round(1000 * sec) for sec in onset],
        [round(1000 * sec) for sec in duration],
        pitch,
        velocity,
        ppq=500,
        controls=pedals(*rows),
        **more,
    )


def heard(tokenizer, score):
    """Return (onset, end, pitch) in seconds of what comes back."""
    decoded = tokenizer.decode(tokenizer.encode(score))
    rows = zip(decoded.onset_sec.tolist(), decoded.offset_sec.tolist(), decoded.notes.pitch.tolist(), strict=True)
    return [(round(onset, 3), round(end, 3), pitch) for onset, end, pitch in rows]


def test_there_are_390_ids_in_their_places(tokenizer):
    """covers: MT-1"""
    names = tokenizer.vocab.names
    assert len(names) == tokenizer.vocab_size == 390
    assert [names[i] for i in (0, 127, 128, 255)] == ["NOTE_ON_0", "NOTE_ON_127", "NOTE_OFF_0", "NOTE_OFF_127"]
    assert [names[i] for i in (256, 355)] == ["TIME_SHIFT_10", "TIME_SHIFT_1000"]
    assert [names[i] for i in (356, 387, 388, 389)] == ["VELOCITY_0", "VELOCITY_31", "END", "PAD"]
    assert (tokenizer.end_id, tokenizer.pad_id) == (388, 389)


def test_one_note_has_the_ids_of_the_published_encoding(tokenizer):
    """covers: MT-1"""
    score = seconds(onset=[0], duration=[0.5], pitch=[60], velocity=[80])
    assert tokenizer.encode(score).tolist() == [376, 60, 305, 188]


def test_a_gap_is_full_seconds_and_one_rest(tokenizer):
    """covers: MT-1"""
    score = seconds(onset=[0, 2.6], duration=[0.1, 1.0], pitch=[60, 62], velocity=[80, 80])
    assert tokenizer.encode(score).tolist() == [376, 60, 265, 188, 355, 355, 305, 62, 355, 190]
    late = seconds(onset=[2.5], duration=[2.0], pitch=[60], velocity=[3])
    assert tokenizer.encode(late).tolist() == [355, 355, 305, 356, 60, 355, 355, 188]


def test_800_notes_12_point_4_ms_apart_stay_within_5_ms(tokenizer):
    """covers: MT-2"""
    onset = 124 * np.arange(800)
    score = Score.of(onset, np.full(800, 120), 21 + np.arange(800) % 88, ppq=TENTH_MS)
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert len(decoded.notes) == 800
    assert np.abs(decoded.onset_sec - score.onset_sec).max() <= 0.005 + 1e-9
    assert decoded.notes.pitch.tolist() == score.notes.pitch.tolist()


@settings(max_examples=100, deadline=None)
@given(score=any_score(with_drums=False))
def test_times_and_velocities_stay_within_their_bounds(score):
    """covers: MT-2"""
    tokenizer = build_tokenizer("performance", pedal="ignore")
    decoded = tokenizer.decode(tokenizer.encode(score))
    for pitch in range(128):
        here, there = score.notes.pitch == pitch, decoded.notes.pitch == pitch
        onset, velocity = score.onset_sec[here], score.notes.velocity[here]
        if (np.diff(onset) <= 0.02).any():
            continue  # strikes of one step become one; the test below covers them
        assert np.abs(decoded.onset_sec[there] - onset).max(initial=0) <= 0.005 + 1e-9
        error = velocity - decoded.notes.velocity[there]
        assert ((error >= 0) & (error <= 3)).all()
        # a pitch struck again ends there
        end = np.minimum(score.offset_sec[here], np.append(onset[1:], np.inf))
        lengthened = np.maximum(end, decoded.onset_sec[there] + 0.01)
        assert np.abs(decoded.offset_sec[there] - lengthened).max(initial=0) <= 0.005 + 1e-9


@settings(max_examples=200, deadline=None)
@given(score=any_score())
def test_columns_and_plain_loops_agree(score):
    """covers: MT-2, MT-3, MT-4"""
    assert build_tokenizer("performance").encode(score).tolist() == plain_encode(score)


def test_pedalled_notes_last_until_the_pedal_comes_up_and_later_ones_are_unchanged(tokenizer):
    """covers: MT-3"""
    score = seconds(
        onset=[0.2, 0.5, 1.2, 2.0], duration=[0.2] * 4, pitch=[60, 62, 64, 65], pedal=[(0.1, 127), (1.0, 0)]
    )
    assert heard(tokenizer, score) == [(0.2, 1.0, 60), (0.5, 1.0, 62), (1.2, 1.4, 64), (2.0, 2.2, 65)]


def test_a_pedal_that_comes_up_again_and_again_changes_nothing(tokenizer):
    """covers: MT-3"""
    columns = {"onset": [0.2, 0.5, 1.2], "duration": [0.2] * 3, "pitch": [60, 62, 64]}
    once = seconds(**columns, pedal=[(0.1, 127), (1.0, 0)])
    often = seconds(**columns, pedal=[(0.1, 127), (0.3, 64), (1.0, 63), (1.3, 20), (1.8, 0), (4.0, 0)])
    assert tokenizer.encode(often).tolist() == tokenizer.encode(once).tolist()


def test_a_pedal_never_released_holds_to_the_end_of_the_piece(tokenizer):
    """covers: MT-3"""
    score = seconds(onset=[0.2, 0.5, 3.0], duration=[0.2, 0.2, 1.0], pitch=[60, 62, 64], pedal=[(0.1, 127)])
    assert heard(tokenizer, score) == [(0.2, 4.0, 60), (0.5, 4.0, 62), (3.0, 4.0, 64)]


def test_a_pedal_held_through_the_last_chord_holds_it(tokenizer):
    """covers: MT-3"""
    score = seconds(onset=[0.2, 0.2], duration=[0.3, 0.3], pitch=[60, 64], pedal=[(0.1, 80), (2.0, 0)])
    assert heard(tokenizer, score) == [(0.2, 2.0, 60), (0.2, 2.0, 64)]


def test_a_note_that_sounds_when_the_pedal_goes_down_is_held_by_it(tokenizer):
    """covers: MT-3"""
    score = seconds(onset=[0.0, 0.0], duration=[0.5, 2.0], pitch=[60, 64], pedal=[(0.3, 127), (1.0, 0)])
    assert heard(tokenizer, score) == [(0.0, 1.0, 60), (0.0, 2.0, 64)]


def test_a_note_that_ended_before_the_pedal_goes_down_is_not_held(tokenizer):
    """covers: MT-3"""
    score = seconds(onset=[0.0], duration=[0.29], pitch=[60], pedal=[(0.3, 127), (1.0, 0)])
    assert heard(tokenizer, score) == [(0.0, 0.29, 60)]


def test_a_note_that_ends_as_the_pedal_goes_down_is_held_and_one_that_ends_as_it_comes_up_is_not(tokenizer):
    """covers: MT-3"""
    score = seconds(onset=[0.0, 0.5], duration=[0.3, 0.5], pitch=[60, 62], pedal=[(0.3, 127), (1.0, 0), (3.0, 0)])
    assert heard(tokenizer, score) == [(0.0, 1.0, 60), (0.5, 1.0, 62)]


def test_a_pitch_struck_again_under_the_pedal_ends_there(tokenizer):
    """covers: MT-3"""
    score = seconds(onset=[0.2, 0.6], duration=[0.1, 0.1], pitch=[60, 60], pedal=[(0.1, 127), (1.0, 0)])
    assert heard(tokenizer, score) == [(0.2, 0.6, 60), (0.6, 1.0, 60)]


def test_a_pedal_changed_within_one_tick_lets_go_of_earlier_notes(tokenizer):
    """covers: MT-3"""
    score = seconds(
        onset=[0.2, 1.1], duration=[0.2, 0.2], pitch=[60, 62], pedal=[(0.1, 127), (1.0, 0), (1.0, 127), (2.0, 0)]
    )
    assert heard(tokenizer, score) == [(0.2, 1.0, 60), (1.1, 2.0, 62)]


def test_a_pedal_holds_the_notes_of_its_own_track_alone(tokenizer):
    """covers: MT-3"""
    score = seconds(
        onset=[0.2, 0.2],
        duration=[0.2, 0.2],
        pitch=[60, 72],
        track=[0, 1],
        pedal=[(0.1, 127, 0), (1.0, 0, 0), (0.1, 0, 1)],
    )
    assert heard(tokenizer, score) == [(0.2, 1.0, 60), (0.2, 0.4, 72)]


def test_the_pedal_can_be_ignored():
    tokenizer = build_tokenizer("performance", pedal="ignore")
    score = seconds(onset=[0.2], duration=[0.2], pitch=[60], pedal=[(0.1, 127), (1.0, 0)])
    assert heard(tokenizer, score) == [(0.2, 0.4, 60)]


def test_8_equal_notes_have_one_velocity(tokenizer):
    """covers: MT-4"""
    score = seconds(onset=np.arange(8) * 0.5, duration=[0.25] * 8, pitch=60 + np.arange(8), velocity=[80] * 8)
    ids = tokenizer.encode(score)
    assert np.count_nonzero((ids >= 356) & (ids < 388)) == 1
    assert len(ids) == 1 + 8 + 8 + 15


def test_a_velocity_is_written_where_its_level_changes_and_not_within_a_level(tokenizer):
    """covers: MT-4"""
    score = seconds(onset=[0, 1, 2, 3], duration=[0.5] * 4, pitch=[60] * 4, velocity=[80, 83, 84, 1])
    ids = tokenizer.encode(score)
    assert ids[ids >= 356].tolist() == [376, 377, 356]
    assert tokenizer.decode(ids).notes.velocity.tolist() == [80, 80, 84, 1]


def test_notes_of_one_pitch_in_one_step_become_the_loudest_and_longest(tokenizer):
    score = Score.of([0, 0, 20], [1000, 3000, 200], [60, 60, 60], [40, 80, 60], [0, 1, 0], ppq=TENTH_MS)
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert decoded.notes.velocity.tolist() == [80]
    assert decoded.offset_sec.tolist() == [0.3]


def test_a_note_of_no_length_lasts_one_step(tokenizer):
    assert tokenizer.encode(seconds(onset=[0], duration=[0], pitch=[60])).tolist() == [372, 60, 256, 188]


def test_drums_are_left_out_unless_kept(tokenizer):
    tracks = [Track(0), Track(0, is_drum=True)]
    score = seconds(onset=[0, 0.5], duration=[0.1, 0.1], pitch=[60, 36], track=[0, 1], tracks=tracks)
    assert [pitch for _, _, pitch in heard(tokenizer, score)] == [60]
    assert [pitch for _, _, pitch in heard(build_tokenizer("performance", drums="keep"), score)] == [60, 36]
    only_drums = seconds(onset=[0], duration=[0.1], pitch=[36], tracks=[Track(0, is_drum=True)])
    assert tokenizer.encode(only_drums).tolist() == []


@pytest.mark.parametrize(
    ("ids", "notes", "repair"),
    [
        ([376, 60, 305, 188, 305, 188], [(0, 0.5, 60)], "stray_offs"),
        ([188, 376, 60, 305, 188], [(0, 0.5, 60)], "stray_offs"),
        ([376, 60, 305, 60, 305, 188], [(0, 0.5, 60), (0.5, 1.0, 60)], "restruck"),
        ([376, 60, 305, 62, 305, 190], [(0, 1.0, 60), (0.5, 1.0, 62)], "hanging"),
        ([376, 60, 305, 188, 64], [(0, 0.5, 60), (0.5, 0.51, 64)], "hanging"),
        ([376, 60, 188, 305, 62, 256, 190], [(0.5, 0.51, 62)], "without_length"),
        ([60, 305, 188], [(0, 0.5, 60)], "without_velocity"),
        ([376, 60, 389, 305, 389, 188], [(0, 0.5, 60)], None),
        ([376, 60, 305, 188, 388, 62, 305, 190], [(0, 0.5, 60)], None),
        ([376, 60, 305, 388, 305, 188], [(0, 0.5, 60)], "hanging"),
        ([], [], None),
        ([355, 388], [], None),
    ],
)
def test_the_decoder_mends_what_is_not_a_piece_and_says_so(tokenizer, ids, notes, repair):
    """covers: MT-5"""
    score = tokenizer.decode(ids)
    rows = zip(score.onset_sec.round(3), score.offset_sec.round(3), score.notes.pitch, strict=True)
    assert list(rows) == notes
    assert {name: count for name, count in tokenizer.repairs(ids).items() if count} == ({repair: 1} if repair else {})
    assert read_midi(midi_bytes(score)).notes == score.notes


def test_every_velocity_level_decodes_to_a_velocity_that_sounds(tokenizer):
    """covers: MT-5"""
    ids = [token_id for level in range(32) for token_id in (356 + level, 60, 256, 188)]
    assert tokenizer.decode(ids).notes.velocity.tolist() == [1, *range(4, 128, 4)]


def test_a_sequence_of_days_stops_at_24_hours(tokenizer):
    """covers: MT-5"""
    ids = np.full(90_000, 355)
    ids[[10, -10]] = 60
    score = tokenizer.decode(ids)
    assert len(score.notes) == 1
    assert check_score(score) == []
    again = tokenizer.encode(score)
    assert tokenizer.encode(tokenizer.decode(again)).tolist() == again.tolist()


def test_a_piece_of_more_than_24_hours_is_refused(tokenizer):
    score = Score.of([0, 10_000_000], [1, 1], [60, 60], ppq=1, tempos=Tempos.of(tick=[0], us_per_quarter=[10**7]))
    with pytest.raises(TokenError, match="27777.8 hours long, expected at most 24"):
        tokenizer.encode(score)


def test_hours_of_music_are_encoded_as_plain_loops_do(tokenizer):
    """covers: MT-2"""
    onset = np.arange(20) * 3_777_777
    score = Score.of(onset, np.full(20, 4_000_000), 60 + np.arange(20) % 3, 1 + np.arange(20) * 6, ppq=500)
    assert score.duration_sec > 20 * 3600
    assert tokenizer.encode(score).tolist() == plain_encode(score)


@pytest.mark.parametrize("change", [{"pitch": [128]}, {"pitch": [-1]}, {"velocity": [128]}, {"onset_tick": [-1]}])
def test_notes_outside_midi_are_refused(tokenizer, change):
    columns = {"onset_tick": [0], "duration_tick": [10], "pitch": [60], "velocity": [64]} | change
    with pytest.raises(TokenError, match="outside MIDI"):
        tokenizer.encode(Score.of(**columns))


def test_transposing_stops_at_the_ends_of_the_keyboard(tokenizer):
    ids = np.array([376, 0, 305, 128, 127, 256, 255], np.uint16)
    assert tokenizer.transpose_ids(ids, 1) is None
    assert tokenizer.transpose_ids(ids, -1) is None
    assert tokenizer.transpose_ids(ids[3:4], -1) is None
    moved = tokenizer.transpose_ids(ids[:4], 127)
    assert moved.tolist() == [376, 127, 305, 255]
    assert moved.dtype == np.uint16


def legal_names(tokenizer, ids):
    legal = tokenizer.grammar.legal(tokenizer.grammar.after(ids))
    return {tokenizer.vocab.names[i].rstrip("0123456789").rstrip("_") for i in np.flatnonzero(legal)}


def test_the_grammar_allows_what_it_should(tokenizer):
    legal, on, off = (lambda ids: tokenizer.grammar.legal(tokenizer.grammar.after(ids))), 60, 188
    assert legal_names(tokenizer, []) == {"TIME_SHIFT", "VELOCITY", "END"}
    assert legal_names(tokenizer, [376]) == {"NOTE_ON"}
    assert legal_names(tokenizer, [376, on]) == {"NOTE_ON", "VELOCITY", "TIME_SHIFT"}
    assert legal_names(tokenizer, [376, on, 305]) == {"NOTE_ON", "VELOCITY", "NOTE_OFF"}
    assert legal_names(tokenizer, [376, on, 355]) == {"NOTE_ON", "VELOCITY", "NOTE_OFF", "TIME_SHIFT"}
    assert legal_names(tokenizer, [376, on, 305, off]) == {"NOTE_ON", "VELOCITY", "TIME_SHIFT", "END"}
    assert legal_names(tokenizer, [376, on, 305, off, 388]) == set()
    assert not legal([376, on])[on]
    assert not legal([376, on])[376]
    assert np.flatnonzero(legal([376, on, 305])[128:256]).tolist() == [60]


def test_no_legal_beginning_is_a_dead_end(tokenizer):
    """All 128 pitches sounding is where a velocity would have no note to come."""
    ids = [376, *range(128)]
    assert legal_names(tokenizer, ids) == {"TIME_SHIFT"}
    assert legal_names(tokenizer, [*ids, 256]) == {"NOTE_OFF"}


@pytest.mark.parametrize("seed", range(3))
def test_legal_walks_that_are_brought_to_an_end_need_no_repair_and_keep_every_note(tokenizer, seed):
    rng, grammar = np.random.default_rng(seed), tokenizer.grammar
    state, ids = grammar.start(), []

    def take(token_id):
        nonlocal state
        assert grammar.legal(state)[token_id]
        ids.append(int(token_id))
        state = grammar.advance(state, token_id)

    for _ in range(300):
        legal = np.flatnonzero(grammar.legal(state)[:388])
        groups = [group for group in np.split(legal, np.searchsorted(legal, [128, 256, 356])) if len(group)]
        if not groups:
            break
        take(rng.choice(groups[rng.integers(len(groups))]))
    while not grammar.legal(state)[388]:
        legal = grammar.legal(state)
        offs = np.flatnonzero(legal[128:256]) + 128
        take(offs[0] if len(offs) else 256 if legal[256] else np.flatnonzero(legal)[0])
    take(388)
    assert set(tokenizer.repairs(ids).values()) == {0}
    score = tokenizer.decode(ids)
    assert len(score.notes) == tokenizer.measure(ids)[0] > 0
    assert check_score(score) == []


def test_real_music_is_encoded_as_plain_loops_do_and_every_encoding_is_legal(tokenizer, shared_data):
    """covers: MT-2, MT-3, MT-4"""
    paths = sorted((shared_data / "mini").rglob("*.mid"))
    assert len(paths) == 38
    for path in paths:
        score = read_midi(path)
        ids = tokenizer.encode(score)
        assert tokenizer.encode(tokenizer.decode(ids)).tolist() == ids.tolist(), path
        assert set(tokenizer.repairs(ids).values()) == {0}, path
        assert tokenizer.grammar.accepts([*ids, tokenizer.end_id]), path
        if len(score.notes) < 1500:  # the loops are slow
            assert ids.tolist() == plain_encode(score), path
