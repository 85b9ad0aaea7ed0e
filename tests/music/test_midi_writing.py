"""Writing MIDI: everything that a Score holds is in the file, and other readers find it there."""

from dataclasses import replace

import numpy as np
import pytest
import symusic
from hypothesis import given
from midi_making import midi_file, note, program, scores

from etude.errors import MidiError
from etude.music.midi import midi_bytes, read_midi, write_midi
from etude.music.score import Controls, Score, Tempos, Texts, TimeSignatures, Track


@given(scores())
def test_whatever_is_written_is_read_back(score):
    """covers: AP-2"""
    read = read_midi(midi_bytes(score))
    assert read == score


@given(scores(max_notes=80, max_tracks=2))
def test_another_reader_finds_the_same_notes(score):
    found = symusic.Score.from_midi(midi_bytes(replace(score, texts=Texts.of(tick=[], kind=[], text=[], track=[]))))
    columns = [track.notes.numpy() for track in found.tracks]
    notes = sorted(
        row
        for c in columns
        for row in zip(*(c[n].tolist() for n in ("time", "duration", "pitch", "velocity")), strict=True)
    )
    own = score.notes
    assert notes == sorted(
        zip(own.onset_tick.tolist(), own.duration_tick.tolist(), own.pitch.tolist(), own.velocity.tolist(), strict=True)
    )


def test_real_music_survives_reading_writing_and_reading_again(shared_data, tmp_path):
    """covers: AP-2"""
    for path in sorted((shared_data / "mini").rglob("*.mid")):
        first = read_midi(path)
        write_midi(first, tmp_path / "again.mid")
        assert read_midi(tmp_path / "again.mid") == first, path.name


def test_a_resaved_file_has_the_same_content_digest(shared_data):
    path = next(iter(sorted((shared_data / "mini").rglob("*.mid"))))
    score = read_midi(path)
    assert read_midi(midi_bytes(score)).content_digest() == score.content_digest()


def test_the_same_score_gives_the_same_bytes():
    def build():
        return Score.of([0, 480], [480, 480], [60, 64], tempos=Tempos.of(tick=[0], us_per_quarter=[400_000]))

    assert midi_bytes(build()) == midi_bytes(build())


def test_an_end_comes_before_the_next_beginning_of_its_pitch_and_tick():
    score = Score.of([0, 480, 480], [480, 0, 480], [60, 60, 60], [1, 2, 3])
    assert read_midi(midi_bytes(score)) == score


def test_rests_longer_than_one_delta_time_are_written():
    score = Score.of(
        [0, 2**31 - 10], [1, 5], [60, 62], texts=Texts.of(tick=[2**30], kind=["cue"], text=["now"], track=[-1])
    )
    assert read_midi(midi_bytes(score)) == score


def test_drums_play_on_channel_10_and_programs_do_not_collide():
    tracks = [Track(index * 7 % 128, index % 5 == 4) for index in range(18)]
    score = Score.of([0] * 18, [480] * 18, [60] * 18, track=range(18), tracks=tracks)
    data = midi_bytes(score)
    for chunk, track in zip(data.split(b"MTrk")[2:], tracks, strict=True):
        status, program_ = chunk[5], chunk[6]
        assert status & 0xF0 == 0xC0
        assert (status & 0x0F == 9) == track.is_drum
        assert program_ == track.program
    channels = [chunk[5] & 0x0F for chunk in data.split(b"MTrk")[2:]]
    melodic = [channel for channel, track in zip(channels, tracks, strict=True) if not track.is_drum]
    assert len(set(melodic)) == len(melodic)


def test_beyond_fifteen_tracks_each_program_has_a_channel():
    tracks = [Track(index % 10) for index in range(40)]
    score = Score.of([0] * 40, [480] * 40, [60] * 40, track=range(40), tracks=tracks)
    channel_of = {}
    for chunk, track in zip(midi_bytes(score).split(b"MTrk")[2:], tracks, strict=True):
        channel_of.setdefault(chunk[5] & 0x0F, set()).add(track.program)
    assert all(len(programs) == 1 for programs in channel_of.values())
    assert read_midi(midi_bytes(score)) == score


def test_a_program_follows_the_bank_that_it_is_chosen_from():
    bank = Controls.of(tick=[0, 0, 10], track=[0, 0, 0], number=[0, 7, 32], value=[8, 100, 1])
    data = midi_bytes(Score.of([20], [10], [60], tracks=[Track(33)], controls=bank))
    assert data.index(bytes([0xB0, 32, 1])) < data.index(bytes([0xC0, 33])) < data.index(bytes([0x90, 60]))
    assert read_midi(data).controls == bank


def test_names_and_further_names_of_a_track_stay_apart():
    texts = Texts.of(tick=[5], kind=["track_name"], text=["later"], track=[0])
    for name in ("", "first"):
        score = Score.of([0], [10], [60], tracks=[Track(0, name=name)], texts=texts)
        assert read_midi(midi_bytes(score)) == score


def test_a_piece_without_notes_or_tracks_can_be_written():
    for score in (Score(480), Score.of(), Score(96, tempos=Tempos.of(tick=[7], us_per_quarter=[1]))):
        assert read_midi(midi_bytes(score)) == score


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        (Score.of([0], [1], [128]), "notes.pitch[0]: pitch = 128, expected 0 to 127"),
        (Score.of([0], [1], [60], [0]), "notes.velocity[0]: velocity = 0, expected 1 to 127"),
        (Score.of([-1], [1], [60]), "notes.onset_tick[0]: onset_tick = -1, expected 0 to 2147483647"),
        (
            Score.of([0], [1], [60], ppq=40_000),
            "ppq = 40000: MIDI holds at most 32767 ticks per quarter note; use edit.resample",
        ),
        (
            Score(480, time_signatures=TimeSignatures.of(tick=[0], numerator=[4], denominator=[6])),
            "time_signatures.denominator[0]: denominator = 6, expected a power of two",
        ),
    ],
    ids=["pitch", "velocity", "onset", "ppq", "denominator"],
)
def test_what_midi_cannot_hold_is_refused_and_nothing_is_overwritten(score, reason, tmp_path):
    path = tmp_path / "take.mid"
    path.write_bytes(b"was here")
    with pytest.raises(MidiError) as caught:
        write_midi(score, path)
    assert str(caught.value) == f"{path}: cannot be written: {reason}"
    assert path.read_bytes() == b"was here"
    assert list(tmp_path.iterdir()) == [path]


def test_notes_that_end_out_of_turn_swap_their_ends():
    score = Score.of([0, 5], [20, 5], [60, 60])
    read = read_midi(midi_bytes(score))
    np.testing.assert_array_equal(read.notes.onset_tick, [0, 5])
    np.testing.assert_array_equal(read.notes.onset_tick + read.notes.duration_tick, [10, 20])


def test_a_file_with_a_channel_that_changes_its_program_is_kept():
    first = read_midi(
        midi_file(program(0, 5) + note(0, 60, 10) + program(0, 7) + note(0, 60, 10) + program(0, 5) + note(0, 60, 9))
    )
    assert read_midi(midi_bytes(first)) == first
