"""MidiDict: the keys that Aria's tools expect, what survives, what is refused."""

import json

import pytest

from etude.data.midi_dict import KEYS, metadata_of_line, midi_dict_line, midi_dict_of, read_midi_dict
from etude.errors import FormatError
from etude.music.score import Controls, Score, Tempos, Texts, Track

PIANO = Score.of([0, 240], [480, 240], [60, 64], [80, 81])


def as_read(score, metadata=None):
    return read_midi_dict(midi_dict_line(score, metadata))


def test_a_line_has_the_keys_in_their_order_and_what_each_message_holds():
    """covers: AP-1 (partly)"""
    score = Score.of(
        [0, 240],
        [480, 0],
        [60, 36],
        [80, 81],
        [0, 1],
        tracks=[Track(24), Track(0, True)],
        controls=Controls.of(tick=[1, 2, 3], track=[0, 0, 0], number=[64, 64, 1], value=[64, 63, 5]),
        tempos=Tempos.of(tick=[0, 9], us_per_quarter=[400_000, 600_000]),
        texts=Texts.of(tick=[0, 0], kind=["copyright", "lyric"], text=["me", "la"], track=[-1, 0]),
    )
    values = json.loads(midi_dict_line(score, {"composer": "bach"}))
    assert tuple(values) == KEYS
    assert values == {
        "meta_msgs": [{"type": "copyright", "data": "me"}],
        "tempo_msgs": [{"type": "tempo", "data": 400_000, "tick": 0}, {"type": "tempo", "data": 600_000, "tick": 9}],
        "pedal_msgs": [
            {"type": "pedal", "data": 1, "value": 64, "tick": 1, "channel": 0},
            {"type": "pedal", "data": 0, "value": 63, "tick": 2, "channel": 0},
        ],
        "instrument_msgs": [
            {"type": "instrument", "data": 24, "tick": 0, "channel": 0},
            {"type": "instrument", "data": 0, "tick": 0, "channel": 9},
        ],
        "note_msgs": [
            {"type": "note", "data": {"pitch": 60, "start": 0, "end": 480, "velocity": 80}, "tick": 0, "channel": 0},
            {
                "type": "note",
                "data": {"pitch": 36, "start": 240, "end": 240, "velocity": 81},
                "tick": 240,
                "channel": 9,
            },
        ],
        "ticks_per_beat": 480,
        "metadata": {"composer": "bach"},
    }


def test_a_tempo_and_a_piano_are_stated_where_nothing_is_said():
    values = midi_dict_of(Score(480))
    assert values["tempo_msgs"] == [{"type": "tempo", "data": 500_000, "tick": 0}]
    assert values["instrument_msgs"] == [{"type": "instrument", "data": 0, "tick": 0, "channel": 0}]
    late = midi_dict_of(Score.of([0], [1], [60], tempos=Tempos.of(tick=[5], us_per_quarter=[1])))
    assert [message["tick"] for message in late["tempo_msgs"]] == [0, 5]


def test_notes_pedal_and_tempos_come_back():
    score = Score.of(
        [0, 0, 100],
        [480, 10, 1],
        [60, 61, 62],
        [1, 64, 127],
        [0, 1, 2],
        tracks=[Track(0), Track(73), Track(0, True)],
        controls=Controls.of(tick=[0, 7], track=[0, 1], number=[64, 64], value=[127, 40]),
        tempos=Tempos.of(tick=[0], us_per_quarter=[123_456]),
    )
    back = as_read(score)
    assert back.content_digest() == score.content_digest()
    assert (back.tracks, back.controls, back.tempos) == (score.tracks, score.controls, score.tempos)
    assert as_read(back) == back, "a second time nothing is lost"


def test_a_pedal_without_notes_has_a_track():
    controls = Controls.of(tick=[0], track=[1], number=[64], value=[100])
    score = Score.of([0], [1], [60], tracks=[Track(0), Track(5)], controls=controls)
    assert as_read(score).tracks == (Track(0), Track(5))
    assert as_read(score).controls == controls


def test_twenty_instruments_share_fifteen_channels():
    tracks = [Track(program) for program in range(20)]
    score = Score.of(range(20), [1] * 20, [60] * 20, track=range(20), tracks=tracks)
    values = midi_dict_of(score)
    assert {message["channel"] for message in values["note_msgs"]} == set(range(16)) - {9}
    assert len(as_read(score).notes) == 20


def test_a_program_holds_from_its_change_on():
    values = midi_dict_of(PIANO)
    values["instrument_msgs"] = [{"type": "instrument", "data": 40, "tick": 240, "channel": 0}]
    values["instrument_msgs"] += [{"type": "instrument", "data": 3, "tick": 0, "channel": 0}]
    score = read_midi_dict(json.dumps(values))
    assert [score.tracks[track].program for track in score.notes.track] == [3, 40]


def test_older_lines_without_a_pedal_value_are_read():
    values = midi_dict_of(PIANO)
    values["pedal_msgs"] = [{"type": "pedal", "data": data, "tick": 0, "channel": 0} for data in (1, 0)]
    assert read_midi_dict(json.dumps(values)).controls.value.tolist() == [127, 0]


def changed(change):
    values = midi_dict_of(PIANO)
    change(values)
    return json.dumps(values).encode()


def note(values):
    return values["note_msgs"][1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "empty"),
        (b"{", "no JSON: "),
        (b"[" * 100_000, "no JSON: "),
        (b"\xff", "no JSON: "),
        (b"[]", "no MidiDict: it has no 'meta_msgs'"),
        (changed(lambda values: values.pop("note_msgs")), "no MidiDict: it has no 'note_msgs'"),
        (changed(lambda values: values.update(note_msgs={})), "note_msgs: dict, expected a list"),
        (changed(lambda values: note(values).pop("channel")), r"note_msgs\[1\]: no 'channel'"),
        (changed(lambda values: note(values)["data"].pop("end")), r"note_msgs\[1\]: no 'data.end'"),
        (changed(lambda values: values["note_msgs"].append(3)), r"note_msgs\[2\]: no 'data.pitch'"),
        (changed(lambda values: note(values)["data"].update(start=1.5)), r"start = 1.5: expected a whole number"),
        (changed(lambda values: note(values)["data"].update(start=True)), r"start = True: expected a whole number"),
        (changed(lambda values: note(values)["data"].update(end=10**30)), r"note_msgs\[1\].data.end: too large"),
        (changed(lambda values: note(values)["data"].update(end=1)), r"note_msgs\[1\]: end - start = -239, expected 0"),
        (changed(lambda values: note(values)["data"].update(pitch=128)), r"pitch = 128, expected 0 to 127"),
        (changed(lambda values: note(values).update(channel=16)), r"note_msgs\[1\]: channel = 16, expected 0 to 15"),
        (changed(lambda values: values.update(ticks_per_beat=0)), "ticks_per_beat = 0: expected a whole number from 1"),
        (changed(lambda values: values.update(ticks_per_beat="1")), "ticks_per_beat = '1': expected a whole number"),
        (changed(lambda values: values["instrument_msgs"][0].update(data=128)), r"data = 128, expected 0 to 127"),
        (changed(lambda values: values["meta_msgs"].append({"data": 1})), r"meta_msgs\[0\]: no text in 'data'"),
        (changed(lambda values: values["meta_msgs"].append({"data": "a", "type": "b"})), "expected text or copyright"),
        (changed(lambda values: values.update(pedal_msgs=[{}])), r"pedal_msgs\[0\]: no 'data'"),
    ],
)
def test_what_is_no_line_is_refused_with_its_place(line, message):
    with pytest.raises(FormatError, match=message):
        read_midi_dict(line)


def test_a_score_that_does_not_fit_is_refused():
    with pytest.raises(FormatError, match=r"notes.pitch\[0\]: pitch = 200, expected 0 to 127"):
        midi_dict_of(Score.of([0], [1], [200]))


def test_metadata_are_found():
    assert metadata_of_line(midi_dict_line(PIANO, {"genre": "jazz"})) == {"genre": "jazz"}
    with pytest.raises(FormatError, match="metadata: list, expected an object"):
        metadata_of_line(changed(lambda values: values.update(metadata=[])))
