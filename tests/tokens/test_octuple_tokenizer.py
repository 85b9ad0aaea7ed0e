"""The octuple tokenizer: its ids, its bounds, bars of any metres, sections, its decoder and its grammar."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_octuple import plain_octuples
from token_scores import any_score, pedals

from etude.errors import TokenError
from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import Score, Tempos, TimeSignatures, Track
from etude.tokens import build_tokenizer
from etude.tokens.octuple_layout import BAR_LENGTHS, CODEBOOKS, DURATIONS, END, METRES, SECTION, metre_of

POSITION_TICKS = 30


TOKENIZER = build_tokenizer("octuple")


@pytest.fixture
def tokenizer():
    return TOKENIZER


def in_positions(onset, *, metres=(), duration=None, **more):
    """Return a score with notes at positions; metres are (position, upper, lower)."""
    tick, upper, lower = zip(*metres, strict=True) if metres else ((), (), ())
    more.setdefault("pitch", 30 + np.arange(len(onset)) % 60)
    return Score.of(
        np.asarray(onset) * POSITION_TICKS,
        [POSITION_TICKS] * len(onset) if duration is None else np.asarray(duration) * POSITION_TICKS,
        ppq=480,
        time_signatures=TimeSignatures.of(
            tick=np.asarray(tick, int) * POSITION_TICKS, numerator=upper, denominator=lower
        ),
        **more,
    )


def told(tokenizer, score):
    """Return bars, positions and metres that the rows of a piece tell."""
    words = [tokenizer.vocab.words(row) for row in tokenizer.encode(score)]
    return [(int(row[0][4:]), int(row[1][9:]), row[6][6:]) for row in words]


def test_there_are_1237_ids_in_the_places_of_the_published_dictionary(tokenizer):
    assert tokenizer.vocab_size == 1237
    assert [(book.name, book.first, book.size) for book in CODEBOOKS] == [
        ("BAR", 4, 256),
        ("POSITION", 260, 128),
        ("PROGRAM", 388, 129),
        ("PITCH", 517, 256),
        ("DURATION", 773, 128),
        ("VELOCITY", 901, 32),
        ("METRE", 933, 254),
        ("TEMPO", 1187, 49),
    ]
    assert tokenizer.vocab.names[:4] == ("SECTION", "PAD", "END", "UNKNOWN")
    assert tokenizer.vocab.names[1236] == "MASK"
    assert [METRES[number] for number in (0, 9, 253)] == [(1, 1), (4, 4), (128, 64)]


def test_one_note_is_one_row(tokenizer):
    score = Score.of([3000], [480], [60], [80], ppq=480, tracks=[Track(5)])
    words = "BAR_1 POSITION_36 PROGRAM_5 PITCH_60 DURATION_16 VELOCITY_20 METRE_4/4 TEMPO_120.8"
    assert tokenizer.vocab.words(tokenizer.encode(score)[0]) == words.split()


def test_drums_have_a_program_and_pitches_of_their_own(tokenizer):
    score = Score.of([0, 0], [480, 480], [36, 36], track=[0, 1], tracks=[Track(9, is_drum=True), Track(9)])
    rows = [tokenizer.vocab.words(row)[2:4] for row in tokenizer.encode(score)]
    assert rows == [["PROGRAM_9", "PITCH_36"], ["PROGRAM_128", "PITCH_164"]]
    assert [track.is_drum for track in tokenizer.decode(tokenizer.encode(score)).tracks] == [False, True]


@settings(max_examples=150, deadline=None)
@given(score=any_score())
def test_columns_and_plain_loops_agree(score):
    assert TOKENIZER.encode(score).tolist() == plain_octuples(score)


@settings(max_examples=150, deadline=None)
@given(score=any_score())
def test_times_velocities_and_tempos_stay_within_their_bounds(score):
    tokenizer = TOKENIZER
    decoded = tokenizer.decode(tokenizer.encode(score))
    instruments = [128 if track.is_drum else track.program for track in score.tracks]
    for track, one in enumerate(decoded.tracks):
        instrument = 128 if one.is_drum else one.program
        of_instrument = np.array(instruments)[score.notes.track] == instrument
        for pitch in range(128):
            here = of_instrument & (score.notes.pitch == pitch)
            there = (decoded.notes.pitch == pitch) & (decoded.notes.track == track)
            onset = score.notes.onset_tick[here] / score.ppq
            if not here.any() or (np.diff(onset) <= 1 / 16).any():
                continue
            quarter = decoded.notes.onset_tick[there] / 480
            assert np.abs(quarter - onset).max() <= 1 / 32 + 1e-9
            assert np.abs(decoded.notes.velocity[there] - score.notes.velocity[here]).max() <= 2
            held = np.minimum(score.notes.duration_tick[here] / score.ppq, np.append(np.diff(onset), np.inf))
            error = held - decoded.notes.duration_tick[there] / 480
            assert (error <= held / 17 + 1 / 16 + 1e-9).all()
            assert (error >= -1 / 16 - 1e-9).all()
    if len(score.notes):
        true = TempoAt(score)(decoded.notes.onset_tick / 480)
        ratio = TempoAt(decoded)(decoded.notes.onset_tick / 480) / np.clip(true, 60e6 / 256, 60e6 / 16)
        assert np.abs(np.log2(ratio)).max() <= 1 / 24 + 1e-5


class TempoAt:
    """Microseconds of a quarter at quarters whose positions are exact."""

    def __init__(self, score):
        self.at = np.rint(score.tempos.tick * 16 / score.ppq) / 16
        self.us = np.append(500_000, score.tempos.us_per_quarter)

    def __call__(self, quarter):
        return self.us[self.at.searchsorted(quarter + 1e-9, side="right")]


def test_durations_are_exact_to_16_positions_and_rounded_down_above(tokenizer):
    lengths = np.array([*range(1, 500), 2031, 3952, 4079, 9000])
    score = in_positions(
        np.arange(len(lengths)) * 128, duration=lengths, pitch=[30 + k % 90 for k in range(len(lengths))]
    )
    onset, pitch = score.notes.onset_tick, score.notes.pitch
    decoded = tokenizer.decode(tokenizer.encode(score)).notes.duration_tick // POSITION_TICKS
    for length, got, at, key in zip(lengths, decoded, onset, pitch, strict=True):
        struck_again = onset[(pitch == key) & (onset > at)]
        length = min([length, *((struck_again - at) // POSITION_TICKS)])
        assert got <= length
        assert got == length if length <= 16 else got >= length * 16 / 17 or got == 3952
    assert DURATIONS[-1] == 3952


def test_the_pedal_extends_notes_if_asked(tokenizer):
    score = Score.of([0], [240], [60], ppq=480, controls=pedals((100, 0, 127), (960, 0, 0)))
    held = build_tokenizer("octuple", pedal="extend")
    assert tokenizer.decode(tokenizer.encode(score)).notes.duration_tick.tolist() == [240]
    assert held.decode(held.encode(score)).notes.duration_tick.tolist() == [960]
    assert "pedal" in tokenizer.loses
    assert "pedal" not in held.loses


def test_a_tempo_holds_from_the_note_where_it_is_first_told(tokenizer):
    tempos = Tempos.of(tick=[0, 480, 900], us_per_quarter=[500_000, 250_000, 1_000_000])
    score = Score.of([0, 960, 1440], [480] * 3, [60, 62, 64], ppq=480, tempos=tempos)
    decoded = tokenizer.decode(tokenizer.encode(score)).tempos
    assert decoded.tick.tolist() == [0, 960]
    assert (60e6 / decoded.us_per_quarter).round(1).tolist() == [120.8, 60.4]


def test_metres_that_change_at_bar_lines_give_their_bars(tokenizer):
    score = in_positions([0, 64, 112, 160, 167], metres=[(0, 4, 4), (64, 3, 4), (160, 7, 8)])
    bars = [(0, 0, "4/4"), (1, 0, "3/4"), (2, 0, "3/4"), (3, 0, "7/8"), (3, 7, "7/8")]
    assert told(tokenizer, score) == bars


def test_a_bar_cut_short_has_the_metre_of_what_is_left_of_it(tokenizer):
    pickup = in_positions([8, 16, 80], metres=[(0, 4, 4), (16, 4, 4)])
    assert told(tokenizer, pickup) == [(0, 8, "1/4"), (1, 0, "4/4"), (2, 0, "4/4")]


def test_a_bar_after_bars_without_notes_begins_earlier_by_what_they_lack(tokenizer):
    score = in_positions([0, 32 + 72, 32 + 64 + 48], metres=[(0, 4, 4), (96, 3, 4)])
    assert told(tokenizer, score) == [(0, 0, "4/4"), (1, 40, "5/4"), (2, 0, "3/4")]
    empty_pickup = in_positions([16, 80], metres=[(0, 1, 4), (16, 4, 4)])
    assert told(tokenizer, empty_pickup) == [(0, 16, "5/4"), (1, 0, "4/4")]


def test_a_change_of_metre_that_cannot_be_told_is_passed_over(tokenizer):
    score = in_positions([0, 100, 213, 325], metres=[(0, 4, 4), (96, 7, 4), (320, 2, 4)])
    assert told(tokenizer, score) == [(0, 0, "4/4"), (1, 36, "4/4"), (3, 21, "4/4"), (5, 5, "2/4")]


def test_bars_longer_than_two_whole_notes_are_divided():
    assert [METRES[metre_of(*one)] for one in ((9, 4), (17, 8), (255, 1), (6, 128), (3, 128))] == [
        (3, 4),
        (1, 8),
        (1, 1),
        (3, 64),
        (1, 32),
    ]


metres = st.tuples(st.integers(0, 900), st.integers(1, 19), st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]))


@settings(max_examples=400, deadline=None)
@given(onset=st.lists(st.integers(0, 1500), min_size=1, max_size=12), metres=st.lists(metres, max_size=6))
def test_whatever_the_metres_every_onset_comes_back_to_the_position(onset, metres):
    tokenizer = TOKENIZER
    score = in_positions(sorted(set(onset)), metres=metres)
    ids = tokenizer.encode(score)
    decoded = tokenizer.decode(ids)
    assert decoded.notes.onset_tick.tolist() == score.notes.onset_tick.tolist()
    assert tokenizer.encode(decoded).tolist() == ids.tolist()
    assert set(tokenizer.repairs(ids).values()) == {0}
    assert tokenizer.grammar.accepts([*ids.ravel().tolist(), *[END] * 8])


def test_metres_at_bar_lines_are_kept(tokenizer):
    score = in_positions(np.arange(0, 2000, 8), metres=[(0, 3, 4), (48 * 5, 6, 8), (48 * 9, 5, 4)])
    assert tokenizer.decode(tokenizer.encode(score)).time_signatures == score.time_signatures


def test_bars_go_on_in_sections_of_256(tokenizer):
    score = in_positions(np.array([0, 255, 256, 300, 1000]) * 64)
    rows = tokenizer.encode(score)
    assert (rows == SECTION).all(axis=1).tolist() == [False, False, True, False, False, True, True, False]
    assert [row[0] - 4 for row in rows.tolist() if row[0] != SECTION] == [0, 255, 0, 44, 1000 - 768]
    assert tokenizer.decode(rows).notes.onset_tick.tolist() == score.notes.onset_tick.tolist()


def test_pieces_too_long_are_refused(tokenizer):
    with pytest.raises(TokenError, match="quarter notes long, expected at most 1048576"):
        tokenizer.encode(in_positions([0, 1 << 24]))
    with pytest.raises(TokenError, match="bars long, expected at most 131072"):
        tokenizer.encode(in_positions([0, 1 << 20], metres=[(0, 1, 64)]))
    with pytest.raises(TokenError, match="outside MIDI"):
        tokenizer.encode(Score.of([0], [480], [128]))


codebook_values = st.tuples(*(st.integers(0, book.size - 1) for book in CODEBOOKS))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_rows_in_any_order_decode_to_valid_scores(data):
    """covers: MT-5 (partly)"""
    tokenizer = TOKENIZER
    rows = np.array(data.draw(st.lists(codebook_values, max_size=40)), np.int64).reshape(-1, 8)
    rows += [book.first for book in CODEBOOKS]
    for at in data.draw(st.lists(st.integers(0, len(rows)), max_size=3)):
        rows = np.insert(rows, at, SECTION, axis=0)
    score = tokenizer.decode(rows)
    assert check_score(score) == []
    assert read_midi(midi_bytes(score)).notes == score.notes
    ids = tokenizer.encode(score)
    assert tokenizer.encode(tokenizer.decode(ids)).tolist() == ids.tolist()


def test_end_ends_and_rows_of_other_codebooks_mean_nothing(tokenizer):
    rows = tokenizer.encode(in_positions([0, 16, 32, 48]))
    rows[1, 3] = rows[1, 4]
    rows[3, 5] = END
    assert tokenizer.decode(rows).notes.onset_tick.tolist() == [0, 32 * POSITION_TICKS]
    assert tokenizer.repairs(rows)["outside"] == 1


def test_repairs_tell_what_contradicts(tokenizer):
    rows = tokenizer.encode(in_positions([0, 16, 32, 48]))
    wrong = rows[[0, 2, 1, 3, 3]]
    wrong[1, 6] = 933 + METRES.index((3, 4))  # another metre in the bar
    wrong[4, 7] += 1
    wrong[3, 2] = 388 + 128
    wrong[3, 1] = wrong[4, 1] = 260 + 70
    counts = tokenizer.repairs(wrong)
    assert counts == {
        "outside": 0,
        "out_of_order": 2,
        "beyond_bar": 2,
        "other_metre": 1,
        "other_tempo": 1,
        "other_kit": 1,
        "too_late": 0,
    }


def legal_names(tokenizer, ids):
    legal = np.flatnonzero(tokenizer.grammar.legal(tokenizer.grammar.after(ids)))
    return {name.partition("_")[0] for name in tokenizer.vocab.words(legal)}, legal


def test_each_codebook_comes_in_its_turn(tokenizer):
    row = tokenizer.encode(in_positions([5]))[0].tolist()
    expected = ["BAR", "POSITION", "PROGRAM", "PITCH", "DURATION", "VELOCITY", "METRE", "TEMPO"]
    for place, name in enumerate(expected):
        names, _ = legal_names(tokenizer, row[:place])
        assert names == ({"BAR", "SECTION", "END"} if place == 0 else {name})
    assert legal_names(tokenizer, [SECTION])[0] == {"SECTION"}
    assert legal_names(tokenizer, [END])[0] == {"END"}
    assert legal_names(tokenizer, [SECTION] * 8)[0] == {"BAR", "SECTION", "END"}
    assert legal_names(tokenizer, [END] * 8)[0] == set()


def test_a_row_goes_on_from_the_row_before(tokenizer):
    row = tokenizer.encode(in_positions([64 * 3 + 20], metres=[(0, 3, 4)], pitch=[60], tracks=[Track(40)]))[0].tolist()
    bar, position, program = row[:3]
    assert legal_names(tokenizer, row)[1].tolist() == [SECTION, END, *range(bar, 4 + 256)]
    # in the same bar, which has 48 positions
    assert legal_names(tokenizer, [*row, bar])[1].tolist() == list(range(position, 260 + 48))
    assert legal_names(tokenizer, [*row, bar, position])[1].tolist() == list(range(program, 517))
    assert legal_names(tokenizer, [*row, bar, position, program])[1].tolist() == list(range(517 + 61, 517 + 128))
    assert len(legal_names(tokenizer, [*row, bar, position + 1])[1]) == 129
    assert len(legal_names(tokenizer, [*row, bar + 1])[1]) == 128
    same = [*row, bar, position, program, 517 + 61, *row[4:6]]
    assert legal_names(tokenizer, same)[1].tolist() == [row[6]]
    assert legal_names(tokenizer, [*same, row[6]])[1].tolist() == [row[7]]
    later = [*row, bar, position + 1, program, 517, *row[4:6]]
    assert legal_names(tokenizer, later)[1].tolist() == [row[6]]
    assert len(legal_names(tokenizer, [*later, row[6]])[1]) == 49
    new_bar = [*row, bar + 1, 260 + 50, program, 517, *row[4:6]]
    lengths = BAR_LENGTHS[legal_names(tokenizer, new_bar)[1] - 933]
    assert lengths.min() == 51
    assert len(lengths) == np.count_nonzero(BAR_LENGTHS > 50)


def test_where_nothing_more_fits_into_a_bar_the_next_one_comes(tokenizer):
    full = Score.of([47 * 30], [30], [127], track=[0], tracks=[Track(0, is_drum=True)], ppq=480)
    row = tokenizer.encode(full)[0].tolist()
    metre = [933 + METRES.index((3, 4))]
    row = row[:6] + metre + row[7:]
    assert legal_names(tokenizer, row)[1].tolist() == [SECTION, END, *range(5, 260)]
    last = [4 + 255, *row[1:]]
    assert legal_names(tokenizer, last)[1].tolist() == [SECTION, END]


@pytest.mark.parametrize("seed", range(4))
def test_legal_walks_need_no_repair_and_keep_every_note(tokenizer, seed):
    rng, grammar = np.random.default_rng(seed), tokenizer.grammar
    state, ids = grammar.start(), []
    for place in range(8 * 60):
        legal = np.flatnonzero(grammar.legal(state))
        legal = legal[legal != END]
        # some walks stay near where they are
        near = legal[: 1 + seed] if seed < 2 and place % 8 < 4 else legal
        ids.append(int(rng.choice(near)))
        state = grammar.advance(state, ids[-1])
    rows = np.array(ids).reshape(-1, 8)
    assert set(tokenizer.repairs(rows).values()) == {0}
    score = tokenizer.decode(rows)
    assert check_score(score) == []
    assert len(score.notes) == np.count_nonzero(rows[:, 0] != SECTION) == tokenizer.measure(rows)[0]


def test_real_music_comes_back_and_every_encoding_is_legal(tokenizer, shared_data):
    paths = sorted((shared_data / "mini").rglob("*.mid"))
    assert len(paths) == 38
    for path in paths:
        ids = tokenizer.encode(read_midi(path))
        decoded = tokenizer.decode(ids)
        assert tokenizer.encode(decoded).tolist() == ids.tolist(), path
        assert check_score(decoded) == [], path
        assert set(tokenizer.repairs(ids).values()) == {0}, path
        if len(ids) < 1000:
            assert tokenizer.grammar.accepts([*ids.ravel().tolist(), *[END] * 8]), path
