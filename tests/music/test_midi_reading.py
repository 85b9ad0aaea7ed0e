"""Reading MIDI: what is in the file is in the Score, and what is no MIDI file says so."""

import numpy as np
import pytest
import symusic
from hypothesis import given
from hypothesis import strategies as st
from midi_making import (
    END,
    bytes_of_events,
    control,
    event_tracks,
    meta,
    midi_file,
    note,
    number,
    program,
    tempo,
)
from plain_midi import read_plainly

from etude.errors import MidiError
from etude.music.check import check_score
from etude.music.midi import read_midi
from etude.music.score import Texts, Track


def rows(table):
    return list(zip(*(column.tolist() for column in table.columns().values()), strict=True))


def test_a_file_of_one_track_becomes_columns():
    score = read_midi(midi_file(note(0, 60, 480) + note(480, 64, 240, velocity=100), format=0, division=480))
    assert score.ppq == 480
    assert rows(score.notes) == [(0, 480, 60, 64, 0), (960, 240, 64, 100, 0)]
    assert score.tracks == (Track(0),)
    assert score.onset_sec.tolist() == [0.0, 1.0]
    assert score.offset_sec.tolist() == [0.5, 1.25]


@given(st.data())
def test_notes_and_tempos_are_those_that_a_plain_reader_finds(data):
    tracks = []
    for events in data.draw(st.lists(event_tracks(), min_size=1, max_size=3)):
        keep = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
        tracks.append(bytes_of_events(events, keep))
    file = midi_file(*tracks)
    notes, tempos = read_plainly(file)
    score = read_midi(file)
    own = [(t.program, t.is_drum) for t in score.tracks]
    found = sorted((*own[track], *rest) for *rest, track in rows(score.notes))
    assert found == sorted((prog, channel == 9, *rest) for _, channel, prog, *rest in notes)
    assert [row[0] for row in tempos] == score.tempos.tick.tolist()
    assert sorted(tempos) == sorted(rows(score.tempos))
    assert check_score(score) == []


def test_a_plain_reader_finds_the_same_notes_in_real_music(shared_data):
    for path in sorted((shared_data / "mini").rglob("*.mid"))[::3]:
        data = path.read_bytes()
        notes, tempos = read_plainly(data)
        score = read_midi(data)
        own = [(track.program, track.is_drum) for track in score.tracks]
        found = sorted((*own[track], *rest) for *rest, track in rows(score.notes))
        assert found == sorted((prog, channel == 9, *rest) for _, channel, prog, *rest in notes), path.name
        assert sorted(tempos) == sorted(rows(score.tempos)), path.name


def test_another_reader_finds_the_same_notes_and_controls_in_real_music(shared_data):
    """covers: AP-2 (partly)"""
    paths = sorted((shared_data / "mini").rglob("*.mid"))
    num_equal = 0
    for path in paths:
        score, other = read_midi(path), symusic.Score(path)
        if other.note_num() != len(score.notes):
            continue  # symusic drops notes of no length and what overlaps in its own way
        for name, own, names in (
            ("notes", score.notes, ("time", "duration", "pitch", "velocity")),
            ("controls", score.controls, ("time", "number", "value")),
        ):
            tables = [getattr(track, name).numpy() for track in other.tracks]
            found = sorted(row for table in tables for row in zip(*(table[n].tolist() for n in names), strict=True))
            columns = [column for key, column in own.columns().items() if key != "track"]
            if name == "notes" or len(found) == len(own):
                assert found == sorted(zip(*(column.tolist() for column in columns), strict=True)), path.name
        num_equal += 1
    assert num_equal > len(paths) // 2


def read_or_reason(data):
    try:
        return read_midi(data)
    except MidiError as error:
        return str(error)


@given(st.binary(max_size=80), st.integers(0, 200), st.integers(0, 255))
def test_damaged_files_give_a_score_or_one_clear_error(junk, place, value):
    whole = midi_file(
        meta(0, 3, b"name")
        + tempo(0, 400_000)
        + program(0, 5)
        + note(0, 60, 100)
        + control(0, 64, 127)
        + note(5, 62, 20000)
    )
    changed = bytearray(whole)
    changed[place % len(whole)] = value
    for data in (junk, whole[: place % len(whole)], bytes(changed), whole[: place % len(whole)] + junk + whole[place:]):
        outcome = read_or_reason(data)
        assert "\n" not in outcome if isinstance(outcome, str) else check_score(outcome) == []


def test_each_channel_and_program_of_a_track_becomes_a_track():
    first = (
        program(0, 5) + note(0, 60, 10) + note(0, 48, 10, channel=9) + program(0, 7) + note(0, 62, 10) + note(0, 64, 10)
    )
    score = read_midi(midi_file(meta(0, 3, b"band") + first, note(0, 72, 10, channel=0)))
    assert score.tracks == (Track(5, False, "band"), Track(7, False, "band"), Track(0, True, "band"), Track(0))
    assert rows(score.notes) == [
        (0, 10, 60, 64, 0),
        (0, 10, 72, 64, 3),
        (10, 10, 48, 64, 2),
        (20, 10, 62, 64, 1),
        (30, 10, 64, 64, 1),
    ]


def test_controls_go_with_the_notes_they_are_heard_on():
    before_program = control(0, 7, 90) + program(0, 5) + note(0, 60, 10) + program(0, 6) + control(0, 7, 80)
    score = read_midi(midi_file(before_program + note(0, 62, 10) + program(0, 9) + control(0, 64, 0)))
    assert [track.program for track in score.tracks] == [5, 6]
    assert rows(score.controls) == [(0, 0, 7, 90), (10, 1, 7, 80), (20, 1, 64, 0)]


def test_the_pedal_in_a_track_of_its_own_goes_to_the_notes_of_its_channel():
    score = read_midi(midi_file(control(0, 64, 127) + control(480, 64, 0), note(0, 60, 480)))
    assert len(score.tracks) == 1
    assert rows(score.controls) == [(0, 0, 64, 127), (480, 0, 64, 0)]


def test_settings_of_silent_channels_are_left_out():
    settings = b"".join(control(0, 7, 100, channel) + program(0, 3, channel) for channel in range(16))
    score = read_midi(midi_file(settings + note(0, 60, 480, channel=2)))
    assert score.tracks == (Track(3),)
    assert rows(score.controls) == [(0, 0, 7, 100)]


def test_a_track_without_notes_stays_if_it_is_all_on_one_channel():
    score = read_midi(midi_file(note(0, 60, 480), program(0, 40, 3) + control(10, 64, 99, 3)))
    assert score.tracks == (Track(0), Track(40))
    assert rows(score.controls) == [(10, 1, 64, 99)]


def test_half_pedal_sostenuto_soft_pedal_and_bends_keep_their_values():
    """covers: AP-2 (partly)"""
    bend = number(0) + bytes([0xE0, 0x00, 0x60]) + number(0) + bytes([0xE0, 0x00, 0x00])
    score = read_midi(midi_file(note(0, 60, 9) + control(1, 64, 37) + control(1, 66, 127) + control(1, 67, 1) + bend))
    assert rows(score.controls) == [(10, 0, 64, 37), (11, 0, 66, 127), (12, 0, 67, 1)]
    assert score.pitch_bends.value.tolist() == [4096, -8192]


def test_notes_that_overlap_on_one_pitch_end_in_the_order_they_began():
    on, off = b"\x90\x3c\x40", b"\x80\x3c\x00"
    score = read_midi(midi_file(b"\0" + on + b"\x0a" + on + b"\x0a" + off + b"\x0a" + off))
    assert rows(score.notes) == [(0, 20, 60, 64, 0), (10, 20, 60, 64, 0)]


def test_ends_without_a_note_and_notes_without_an_end_are_passed_over():
    stray = b"\0\x80\x32\x00" + note(0, 60, 10) + b"\0\x80\x3c\x00" + b"\0\x90\x48\x40"
    assert rows(read_midi(midi_file(stray)).notes) == [(0, 10, 60, 64, 0)]


def test_a_note_of_no_length_is_a_note():
    assert rows(read_midi(midi_file(note(0, 60, 0) + note(0, 62, 5))).notes) == [(0, 0, 60, 64, 0), (0, 5, 62, 64, 0)]


def test_running_status_and_velocity_zero_as_note_end():
    running = b"\0\x90\x3c\x40" + number(480) + b"\x3c\x00" + number(0) + b"\x3e\x40" + number(480) + b"\x3e\x00"
    assert rows(read_midi(midi_file(running)).notes) == [(0, 480, 60, 64, 0), (480, 480, 62, 64, 0)]


def test_three_tempos_put_notes_where_a_hand_calculation_does():
    """covers: AP-3 (partly)"""
    conductor = tempo(0, 500_000) + tempo(960, 250_000) + tempo(480, 1_000_000)
    score = read_midi(midi_file(conductor, note(0, 60, 960) + note(0, 62, 480) + note(240, 64, 240)))
    # two quarters of 0.5 s, one of 0.25 s, then half a quarter of 1 s and another
    np.testing.assert_allclose(score.onset_sec, [0.0, 1.0, 1.75], atol=1e-12)
    np.testing.assert_allclose(score.offset_sec, [1.0, 1.25, 2.25], atol=1e-12)


@pytest.mark.parametrize(
    ("frames", "ticks", "sec"),
    [
        (25, 40, 1 / 1000),
        (24, 100, 1 / 2400),
        (30, 80, 1 / 2400),
        (29, 80, 1001 / 2_400_000),
        (25, 1, 1 / 25),
        (24, 255, 1 / 6120),
    ],
)
def test_smpte_divisions_become_an_equivalent_constant_tempo(frames, ticks, sec):
    division = -frames * 256 + ticks
    score = read_midi(
        midi_file(tempo(0, 100_000) + note(0, 60, 1000) + tempo(0, 900_000) + note(0, 62, 1000), division=division)
    )
    np.testing.assert_allclose(score.offset_sec, [1000 * sec, 2000 * sec], rtol=1e-12)
    assert len(score.tempos) == 1


def test_the_patterns_of_format_2_follow_one_another_with_their_own_tempo_and_metre():
    first = tempo(0, 250_000) + meta(0, 0x58, b"\x03\x02\x18\x08") + note(0, 60, 480)
    score = read_midi(midi_file(first, note(0, 62, 480), format=2))
    assert rows(score.notes) == [(0, 480, 60, 64, 0), (480, 480, 62, 64, 1)]
    assert score.offset_sec.tolist() == [0.25, 0.75]
    assert rows(score.time_signatures) == [(0, 3, 4), (480, 4, 4)]


def test_signatures_and_texts_are_kept_with_their_tracks():
    conductor = (
        meta(0, 3, b"Title") + meta(0, 0x59, b"\xfd\x01") + meta(240, 0x58, b"\x06\x03\x18\x08") + meta(0, 6, b"A")
    )
    singer = meta(0, 3, b"Voice") + note(0, 60, 10) + meta(0, 5, "là".encode()) + meta(0, 3, b"again") + meta(0, 2, b"")
    score = read_midi(midi_file(conductor, singer))
    assert rows(score.key_signatures) == [(0, -3, 1)]
    assert rows(score.time_signatures) == [(240, 6, 8)]
    assert score.tracks == (Track(0, False, "Voice"),)
    assert score.texts == Texts.of(
        tick=[0, 240, 10, 10, 10],
        kind=["track_name", "marker", "lyric", "track_name", "copyright"],
        text=["Title", "A", "là", "again", ""],
        track=[-1, -1, 0, 0, 0],
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Für Elise", "utf-8"),
        ("Für Elise – Übung", "utf-8"),
        ("Für Elise", "latin-1"),
        ("さくら さくら", "shift-jis"),
        ("夢", "utf-8"),
        ("Песня", "utf-16"),
        ("a\0b", "ascii"),
    ],
)
def test_texts_are_read_in_the_encoding_they_look_like(text, encoding):
    score = read_midi(midi_file(meta(0, 3, text.encode(encoding)) + note(0, 60, 10)))
    assert score.tracks[0].name == text


@given(st.binary(max_size=30))
def test_no_bytes_in_a_text_can_break_reading(payload):
    score = read_midi(midi_file(meta(0, 5, payload) + note(0, 60, 10)))
    assert len(score.texts) == 1


def test_malformed_tempos_and_signatures_are_passed_over():
    bad = (
        meta(0, 0x51, b"\0\0\0")
        + meta(0, 0x51, b"\x07\xa1")
        + meta(0, 0x58, b"\0\x02\x18\x08")
        + meta(0, 0x58, b"\x04\xff\x18\x08")
    )
    score = read_midi(midi_file(bad + meta(0, 0x59, b"\xf7\x05") + meta(0, 0x58, b"\x04") + note(0, 60, 480)))
    assert (len(score.tempos), len(score.time_signatures), len(score.key_signatures)) == (0, 0, 0)
    assert score.duration_sec == 0.5


def test_delta_times_of_system_exclusive_events_count():
    exclusive = b"\x10\xf0\x02\x7e\xf7" + b"\x10\xf7\x02\x12\xf7"
    assert rows(read_midi(midi_file(exclusive + note(0, 60, 480))).notes) == [(32, 480, 60, 64, 0)]


def test_unknown_chunks_junk_in_front_and_wrong_lengths_do_no_harm():
    whole = midi_file(note(0, 60, 480))
    expected = read_midi(whole)
    longer_header = whole[:7] + b"\x0a" + whole[8:14] + b"\0\0\0\0" + whole[14:]
    unknown = whole[:14] + b"XFIH\0\0\0\x02hi" + whole[14:] + b"JUNK\0\0\0\x01!"
    wrong_length = whole[:18] + b"\xff\xff\xff\xff" + whole[22:]
    for data in (
        b"\0" * 128 + whole,
        longer_header,
        unknown,
        wrong_length,
        whole[: -len(END)][:18] + b"\0\0\0\x09" + whole[22 : -len(END)],
    ):
        assert read_midi(data) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a MIDI file: it is empty"),
        (b"M", "not a MIDI file: it does not begin with MThd"),
        (b"This is no music.\n" * 30, "not a MIDI file: it does not begin with MThd"),
        (midi_file()[:10], "the file ends inside its header, at byte 10"),
        (midi_file(note(0, 60, 1), format=3), "format 3 is not known, expected 0, 1 or 2"),
        (midi_file(note(0, 60, 1), division=0), "the header says 0 ticks per quarter note, expected at least 1"),
        (
            midi_file(note(0, 60, 1), division=-31 * 256 + 4),
            "SMPTE division of 31 frames a second and 4 ticks a frame is not known",
        ),
        (midi_file(b"\0\x3c\x40" + note(0, 60, 1)), "damaged at byte 22: data before any status"),
        (midi_file(note(0, 60, 1), b"\0\x3c\x40"), "damaged at byte 42: data before any status"),
        (midi_file(b"\0\x90\x3c\xc8" + note(0, 60, 1)), "damaged at byte 25: a data byte of 200, expected at most 127"),
        (midi_file(b"\x81\x80\x80\x80\0\x90\x3c\x40"), "damaged at byte 26: a number of more than 4 bytes"),
        (midi_file(note(0, 60, 1))[:-7], "damaged at byte 27: the track ends inside an event"),
        (midi_file(note(0x0FFFFFFF, 60, 1) * 9), "the piece is longer than 2147483647 ticks"),
        (midi_file(tempo(0x0FFFFFFF, 60) * 9), "the piece is longer than 2147483647 ticks"),
        (
            midi_file(note(0, 60, 1) + b"\xff\xff\xff\x7f\xf0\x01\xf7" * 16 + note(30, 60, 1)),
            "the piece is longer than 2147483647 ticks",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_named_in_one_line(data, reason, tmp_path):
    path = tmp_path / "bad.mid"
    path.write_bytes(data)
    with pytest.raises(MidiError) as caught:
        read_midi(path)
    assert str(caught.value) == f"{path}: {reason}"


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.mid", tmp_path):
        with pytest.raises(MidiError, match=r"cannot be read"):
            read_midi(path)
