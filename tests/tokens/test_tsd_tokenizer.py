"""The TSD and MIDI-like tokenizers: their ids, bars and steps, bounds, rests, pedals, overlaps, grammar."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from shift_scores import BANDS, random_piece, random_settings
from token_scores import any_score, pedals

from etude.errors import SettingsError, TokenError
from etude.music.check import check_score
from etude.music.edit import transpose
from etude.music.midi import midi_bytes, read_midi
from etude.music.score import KeySignatures, Score, Tempos, TimeSignatures, Track
from etude.tokens import build_tokenizer

KINDS = ("tsd", "midilike")
STEP = 60
"""Ticks of an eighth of a beat at 480 to the quarter."""


def words(kind, score, **settings):
    tokenizer = build_tokenizer(kind, **settings)
    return tokenizer.vocab.words(tokenizer.encode(score))


def metres(*rows):
    tick, upper, lower = zip(*rows, strict=True)
    return TimeSignatures.of(tick=tick, numerator=upper, denominator=lower)


def first_illegal(tokenizer, *names):
    return tokenizer.grammar.first_illegal([tokenizer.vocab.id_of(name) for name in names])


def test_the_default_vocabularies_have_their_sizes_and_special_ids_first():
    for kind, size in zip(KINDS, (324, 411), strict=True):
        tokenizer = build_tokenizer(kind)
        assert tokenizer.vocab_size == size
        assert tokenizer.vocab.names[:4] == ("PAD", "BOS_None", "END", "MASK_None")
        assert (tokenizer.pad_id, tokenizer.end_id) == (0, 2)


def test_a_vocabulary_without_an_end_gets_one_after_all_other_ids():
    tokenizer = build_tokenizer("tsd", special_tokens=("BOS", "PAD", "Genre_hard_rock"))
    assert tokenizer.vocab.names[:3] == ("BOS_None", "PAD", "Genre-hard_rock")
    assert tokenizer.end_id == tokenizer.vocab_size - 1


def test_a_chord_and_a_gap_have_the_ids_that_the_schemes_are_known_for():
    score = Score.of([0, 0, 2400], [480, 240, 480], [60, 64, 67], [80, 80, 80], ppq=480)
    assert words("tsd", score) == [
        *("TimeSig_4/4", "Pitch_60", "Velocity_79", "Duration_1.0.8", "Pitch_64", "Velocity_79", "Duration_0.4.8"),
        *("TimeShift_5.0.4", "Pitch_67", "Velocity_79", "Duration_1.0.8"),
    ]
    assert words("midilike", score) == [
        *("TimeSig_4/4", "NoteOn_60", "Velocity_79", "NoteOn_64", "Velocity_79", "TimeShift_0.4.8", "NoteOff_64"),
        *("TimeShift_0.4.8", "NoteOff_60", "TimeShift_4.0.4", "NoteOn_67", "Velocity_79", "TimeShift_1.0.8"),
        "NoteOff_67",
    ]


def test_a_long_time_is_as_many_longest_shifts_as_fit_and_then_the_longest_that_still_fit():
    score = Score.of([0, (3 * 96 + 75) * STEP], [STEP, STEP], [60, 60], ppq=480)
    assert words("tsd", score)[4:8] == ["TimeShift_12.0.4"] * 3 + ["TimeShift_9.1.4"]
    assert words("tsd", score)[8] == "TimeShift_0.1.8"


def test_a_time_signature_waits_for_the_next_bar_line_and_the_last_of_several_stays():
    score = Score.of([0, 4000], [480, 480], [60, 60], time_signatures=metres((0, 4, 4), (100, 3, 4), (1900, 6, 4)))
    assert words("tsd", score)[:6] == [
        *("TimeSig_4/4", "Pitch_60", "Velocity_63", "Duration_1.0.8", "TimeShift_4.0.4", "TimeSig_6/4")
    ]


def test_in_bars_of_eighths_a_beat_is_an_eighth():
    score = Score.of([0, 480], [480, 30], [60, 60], time_signatures=metres((0, 6, 8)))
    assert words("tsd", score)[:5] == ["TimeSig_6/8", "Pitch_60", "Velocity_63", "Duration_2.0.8", "TimeShift_2.0.8"]
    assert words("tsd", score)[-1] == "Duration_0.1.8"


def test_a_signature_that_is_not_in_the_vocabulary_is_passed_over():
    assert words("tsd", Score.of([0], [480], [60], time_signatures=metres((0, 7, 16))))[0] == "TimeSig_4/4"


def test_tempo_and_key_are_told_at_their_step_after_the_signature():
    score = Score.of(
        [0, 480],
        [480, 480],
        [60, 62],
        tempos=Tempos.of(tick=[0, 480], us_per_quarter=[500_000, 1_000_000]),
        key_signatures=KeySignatures.of(tick=[480], sharps=[-3], is_minor=[1]),
    )
    told = words("tsd", score, use_tempos=True, use_key_signatures=True)
    assert told[:4] == ["TimeSig_4/4", "Tempo_121.29", "KeySig_0:0", "Pitch_60"]
    assert told[6:10] == ["TimeShift_1.0.8", "Tempo_60.32", "KeySig_-3:1", "Pitch_62"]
    tokenizer = build_tokenizer("tsd", use_tempos=True, use_key_signatures=True)
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert (6e7 / decoded.tempos.us_per_quarter).round(2).tolist() == [121.29, 60.32]
    assert decoded.key_signatures.sharps.tolist() == [0, -3]


def test_instruments_stand_before_their_notes_or_where_they_change():
    score = Score.of([0, 0, 480], [480] * 3, [60, 40, 62], track=[0, 1, 0], tracks=[Track(24), Track(0, is_drum=True)])
    each = words("tsd", score, use_programs=True)
    assert [word for word in each if "P" in word and "_" in word] == [
        *("Program_24", "Pitch_60", "Program_-1", "PitchDrum_40", "Program_24", "Pitch_62")
    ]
    two = Score.of([0, 0, 480], [480] * 3, [60, 64, 62])
    changes = words("tsd", two, use_programs=True, program_changes=True)
    assert changes.count("Program_0") == 1


def test_without_instruments_tracks_are_one_and_drums_keep_their_ids():
    score = Score.of([0, 0], [480, 480], [60, 40], track=[0, 1], tracks=[Track(24), Track(0, is_drum=True)])
    tokenizer = build_tokenizer("midilike")
    told = tokenizer.vocab.words(tokenizer.encode(score))
    assert [word for word in told if "On" in word] == ["NoteOn_60", "DrumOn_40"]
    assert [track.is_drum for track in tokenizer.decode(tokenizer.encode(score)).tracks] == [False, True]
    alike = words("midilike", score, use_pitchdrum_tokens=False)
    assert [word for word in alike if "On" in word] == ["NoteOn_40", "NoteOn_60"]


def test_notes_and_programs_outside_the_settings_are_left_out():
    score = Score.of([0, 0, 0], [480] * 3, [20, 60, 110], track=[0, 0, 1], tracks=[Track(0), Track(9)])
    assert [word for word in words("tsd", score) if word.startswith("Pitch")] == ["Pitch_60"]
    all_pitches = {"pitch_range": (0, 127), "use_programs": True, "programs": (9,)}
    assert [word for word in words("tsd", score, **all_pitches) if word.startswith("Pitch")] == ["Pitch_110"]
    assert words("tsd", score, pitch_range=(0, 10)) == []


def test_of_equal_pitches_at_one_step_the_shortest_stays_if_asked():
    score = Score.of([0, 5, 5], [480, 240, 960], [60, 60, 62], [10, 90, 50])
    kept = [word for word in words("tsd", score, remove_duplicated_notes=True) if word.startswith("Duration")]
    assert kept == ["Duration_0.4.8", "Duration_2.0.8"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rest_begins_when_the_last_note_has_ended_and_comes_back_so(kind):
    score = Score.of([0, 0, 1200], [480, 240, 240], [60, 64, 67], ppq=480)
    tokenizer = build_tokenizer(kind, use_rests=True)
    ids = tokenizer.encode(score)
    assert [word for word in tokenizer.vocab.words(ids) if word.startswith("Rest")] == ["Rest_1.2.4"]
    assert tokenizer.decode(ids).notes.onset_tick.tolist() == [0, 0, 1200]


def test_pedals_that_touch_are_one_and_one_that_never_comes_up_is_passed_over():
    moves = pedals((0, 0, 127), (480, 0, 0), (482, 0, 90), (960, 0, 10), (1900, 0, 127))
    score = Score.of([0, 1920], [480, 480], [60, 62], controls=moves)
    tokenizer = build_tokenizer("tsd", use_sustain_pedals=True)
    ids = tokenizer.encode(score)
    assert [word for word in tokenizer.vocab.words(ids) if word.startswith("Pedal")] == ["Pedal_0", "PedalOff_0"]
    controls = tokenizer.decode(ids).controls
    assert (controls.tick.tolist(), controls.value.tolist()) == ([0, 960], [127, 0])


@given(score=any_score(with_drums=False))
def test_times_and_velocities_stay_within_their_bounds(score):
    tokenizer = build_tokenizer("tsd", pitch_range=(0, 127))
    decoded = tokenizer.decode(tokenizer.encode(score))
    step = 1 / 8

    def columns(piece):
        notes = piece.notes
        return (column / piece.ppq for column in (notes.onset_tick, notes.duration_tick)), notes

    (onset, length), notes = columns(score)
    (told_onset, told_length), told = columns(decoded)
    assert len(notes) == len(told)
    for pitch in np.unique(notes.pitch):
        here, there = notes.pitch == pitch, told.pitch == pitch
        assert np.abs(np.sort(onset[here]) - np.sort(told_onset[there])).max() <= step / 2 + 1e-9
        lengths, told_lengths = np.sort(np.clip(length[here], step, 12)), np.sort(told_length[there])
        bound = np.where(lengths <= 4, step / 2, 3 * step / 2)
        assert (np.abs(lengths - told_lengths) <= bound + 1e-9).all()
        assert np.abs(np.sort(notes.velocity[here]) - np.sort(told.velocity[there])).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_settings_ids_come_back_are_legal_and_need_no_repair(kind, seed):
    rng = np.random.default_rng(seed)
    settings = random_settings(rng)
    band = BANDS[rng.integers(len(BANDS))]
    tokenizer = build_tokenizer(kind, **settings, use_programs=seed % 2 == 1, program_changes=seed % 4 == 1)
    ids = tokenizer.encode(random_piece(rng, band))
    decoded = tokenizer.decode(ids)
    assert tokenizer.encode(decoded).tolist() == ids.tolist()
    assert tokenizer.grammar.accepts([*ids, tokenizer.end_id])
    assert set(tokenizer.repairs(ids).values()) == {0}
    assert tokenizer.measure(ids) == (len(decoded.notes), pytest.approx(decoded.duration_sec))
    assert check_score(decoded) == []
    assert read_midi(midi_bytes(decoded)).notes == decoded.notes
    noise = rng.integers(0, tokenizer.vocab_size, 400)
    heard = tokenizer.decode(noise[noise != tokenizer.end_id])
    assert check_score(heard) == []
    assert read_midi(midi_bytes(heard)).notes == heard.notes


def test_played_order_is_the_order_before_rounding():
    score = Score.of([0, 5], [480, 480], [67, 60])
    pitched = [word for word in words("tsd", score) if word.startswith("Pitch")]
    played = [word for word in words("tsd", score, note_order="played") if word.startswith("Pitch")]
    assert (pitched, played) == (["Pitch_60", "Pitch_67"], ["Pitch_67", "Pitch_60"])


def test_a_note_within_another_of_its_pitch_keeps_its_length_in_tsd():
    score = Score.of([0, 480], [1920, 240], [60, 60], track=[0, 1], tracks=[Track(0), Track(0)])
    tokenizer = build_tokenizer("tsd")
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert decoded.notes.duration_tick.tolist() == [1920, 240]
    assert len(decoded.tracks) == 2


def test_overlapping_notes_of_a_pitch_end_in_their_order_in_midilike():
    score = Score.of([0, 480], [1920, 240], [60, 60], track=[0, 1], tracks=[Track(0), Track(0)])
    tokenizer = build_tokenizer("midilike")
    decoded = tokenizer.decode(tokenizer.encode(score))
    assert (decoded.notes.onset_tick + decoded.notes.duration_tick).tolist() == [720, 1920]


def test_decoding_mends_what_no_encoding_has_and_counts_it():
    tokenizer = build_tokenizer("midilike")
    ids = [tokenizer.vocab.id_of(name) for name in ("NoteOff_60", "NoteOn_60", "NoteOn_62", "Velocity_79")]
    assert tokenizer.repairs(ids) == {"incomplete": 1, "stray_offs": 1, "hanging": 1, "without_length": 0}
    assert tokenizer.decode(ids).notes.pitch.tolist() == [62]
    tsd = build_tokenizer("tsd")
    assert tsd.repairs([tsd.vocab.id_of("Pitch_60")]) == {"incomplete": 1}


def test_ids_after_the_end_and_after_years_mean_nothing():
    tokenizer = build_tokenizer("tsd")
    note = tokenizer.encode(Score.of([0], [480], [60]))
    assert len(tokenizer.decode([*note, tokenizer.end_id, *note]).notes) == 1
    late = [tokenizer.vocab.id_of("TimeShift_12.0.4")] * 30_000
    assert len(tokenizer.decode([*note, *late, *note]).notes) == 1


def test_a_piece_that_is_too_long_is_refused_in_one_line():
    score = Score.of([0, 2**30], [10, 10], [60, 60], ppq=1)
    with pytest.raises(TokenError, match=r"quarters long[^\n]*trim"):
        build_tokenizer("tsd").encode(score)


def test_the_grammar_of_tsd_wants_notes_whole_and_times_split_in_one_way():
    tokenizer = build_tokenizer("tsd")
    note = ("Pitch_60", "Velocity_3", "Duration_0.1.8")
    assert first_illegal(tokenizer, "TimeSig_4/4", *note, "TimeShift_1.0.8", *note, "END") is None
    assert first_illegal(tokenizer, "Pitch_60", "Duration_0.1.8") == 1
    assert first_illegal(tokenizer, *note[:2], "TimeShift_1.0.8") == 2
    assert first_illegal(tokenizer, "Velocity_3") == 0
    assert first_illegal(tokenizer, "TimeShift_1.0.8", "TimeShift_0.1.8") == 1
    assert first_illegal(tokenizer, "TimeShift_9.1.4", "TimeShift_0.1.8") is None
    assert first_illegal(tokenizer, "TimeShift_9.1.4", "TimeShift_0.2.8") == 1
    assert first_illegal(tokenizer, *note, "TimeSig_3/4") == 3
    assert first_illegal(tokenizer, "TimeShift_1.0.8", "END") == 1
    assert first_illegal(tokenizer, "PAD") == first_illegal(tokenizer, "BOS_None") == 0


def test_the_grammar_of_midilike_ends_only_what_began_before():
    tokenizer = build_tokenizer("midilike")
    on = ("NoteOn_60", "Velocity_3")
    assert first_illegal(tokenizer, *on, "TimeShift_1.0.8", "NoteOff_60", "END") is None
    assert first_illegal(tokenizer, "NoteOff_60") == 0
    assert first_illegal(tokenizer, *on, "NoteOff_60") == 2
    assert first_illegal(tokenizer, *on, "TimeShift_1.0.8", "NoteOff_62") == 3
    assert first_illegal(tokenizer, *on, "TimeShift_1.0.8", "DrumOff_60") == 3
    assert first_illegal(tokenizer, *on, "END") == 2


def test_the_grammar_wants_instruments_before_notes_and_drums_by_their_own_ids():
    tokenizer = build_tokenizer("tsd", use_programs=True, use_rests=True, use_sustain_pedals=True)
    assert first_illegal(tokenizer, "Pitch_60") == 0
    assert first_illegal(tokenizer, "Program_-1", "Pitch_60") == 1
    assert first_illegal(tokenizer, "Program_0", "PitchDrum_40") == 1
    assert first_illegal(tokenizer, "Program_0", "Program_1") == 1
    assert first_illegal(tokenizer, "Rest_1.0.4", "Rest_0.1.8", "TimeShift_0.1.8") == 2
    assert first_illegal(tokenizer, "PedalOff_0") == 0
    assert first_illegal(tokenizer, "Pedal_0", "PedalOff_0") == 1
    assert first_illegal(tokenizer, "Pedal_0", "TimeShift_1.0.8", "PedalOff_0", "END") is None
    assert first_illegal(tokenizer, "Pedal_0", "END") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_with_all_pitches_transposed_ids_are_those_of_the_transposed_piece(kind):
    tokenizer = build_tokenizer(kind, pitch_range=(0, 127), use_programs=True)
    assert tokenizer.transposes_exactly
    piece = random_piece(np.random.default_rng(5), BANDS[3])
    score = replace(piece, notes=piece.notes.replace(pitch=30 + piece.notes.pitch % 60))
    for semitones in (-30, -3, 0, 4, 38):
        moved = tokenizer.transpose_ids(tokenizer.encode(score), semitones)
        assert moved.tolist() == tokenizer.encode(transpose(score, semitones)).tolist()
    assert tokenizer.transpose_ids(tokenizer.encode(score), 100) is None


def test_keys_move_with_the_notes_and_a_narrow_range_gives_none():
    tokenizer = build_tokenizer("tsd", use_key_signatures=True)
    keys = KeySignatures.of(tick=[0], sharps=[2], is_minor=[1])
    score = Score.of([0], [480], [60], key_signatures=keys)
    moved = tokenizer.transpose_ids(tokenizer.encode(score), 3)
    assert moved.tolist() == tokenizer.encode(transpose(score, 3)).tolist()
    assert tokenizer.transpose_ids(tokenizer.encode(score), 50) is None
    assert build_tokenizer("tsd", use_pitchdrum_tokens=False).transpose_ids(moved, 1) is None


def test_what_is_told_is_not_lost():
    assert {"tempo", "key", "pedal", "programs"} <= set(build_tokenizer("tsd").loses)
    everything = build_tokenizer(
        "tsd", use_tempos=True, use_key_signatures=True, use_sustain_pedals=True, use_programs=True
    )
    assert everything.loses == ("tracks", "controls", "texts")


def test_ids_say_what_they_are():
    plain, told = build_tokenizer("midilike"), build_tokenizer("tsd", use_programs=True)
    facts = plain.id_facts
    assert facts.pitch[plain.vocab.id_of("NoteOff_60")] == 60
    assert facts.instrument[plain.vocab.id_of("DrumOn_40")] == 128
    assert facts.starts_note[plain.vocab.id_of("NoteOn_60")]
    assert facts.ends_note[plain.vocab.id_of("NoteOff_60")]
    assert told.id_facts.starts_note[told.vocab.id_of("Program_3")]
    assert not told.id_facts.starts_note[told.vocab.id_of("Pitch_60")]
    timing = plain.note_timing
    assert timing.starts[plain.vocab.id_of("NoteOn_60")] == timing.ends[plain.vocab.id_of("NoteOff_60")] == 60
    assert timing.advance_sec[plain.vocab.id_of("TimeShift_2.0.8")] == 1.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beat_res", ((0, 4, 8), (5, 12, 4))),
        ("beat_res", ((0, 4, 8), (4, 12, 3))),
        ("beat_res", ()),
        ("pitch_range", (60, 20)),
        ("tempo_range", (250, 40)),
        ("time_signature_range", ((3, 5),)),
        ("time_signature_range", ((4, 4), (4, 4))),
        ("programs", (0, 128)),
        ("special_tokens", ("PAD", "")),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=rf"tokenizer\.{name} = [^\n]*expected"):
        build_tokenizer("tsd", **{name: value})


def test_real_music_comes_back_as_the_same_ids_and_is_legal(shared_data):
    paths = sorted((shared_data / "mini").rglob("*.mid"))
    assert len(paths) == 38
    tokenizers = [build_tokenizer("tsd"), build_tokenizer("midilike", use_programs=True, use_rests=True)]
    for path in paths:
        score = read_midi(path)
        for tokenizer in tokenizers:
            ids = tokenizer.encode(score)
            assert tokenizer.encode(tokenizer.decode(ids)).tolist() == ids.tolist(), path
            assert set(tokenizer.repairs(ids).values()) == {0}, path
            if len(ids) < 4000:  # the walk is a loop
                assert tokenizer.grammar.accepts([*ids, tokenizer.end_id]), path
