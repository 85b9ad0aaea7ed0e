"""MusicXML: what sounds, in which order, and what is refused."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from musicxml_making import attributes, backup, barline, note, score

from etude.errors import FormatError
from etude.music.check import check_score
from etude.music.midi import midi_bytes, read_midi
from etude.music.musicxml import read_musicxml
from etude.music.score import Track
from etude.music.timing import bar_starts

SONG = Path(__file__).with_name("scores") / "lc6995255.mxl"


def quarters(music):
    """Return onset and duration in quarters, and pitch, of each note."""
    notes = music.notes
    rows = zip(notes.onset_tick / music.ppq, notes.duration_tick / music.ppq, notes.pitch.tolist(), strict=True)
    return [(float(onset), float(duration), pitch) for onset, duration, pitch in rows]


def on_a_grid(music):
    """Return onset and duration in 24ths of a quarter, and pitch: the same in every resolution."""
    notes = music.notes
    onset, duration = (np.rint(column * 24 / music.ppq) for column in (notes.onset_tick, notes.duration_tick))
    return sorted(zip(onset.tolist(), duration.tolist(), notes.pitch.tolist(), strict=True))


def test_a_song_has_the_same_notes_as_its_midi_file(shared_data):
    """covers: star-2"""
    music = read_musicxml(SONG)
    assert len(music.notes) == 756
    assert check_score(music) == []
    assert on_a_grid(music) == on_a_grid(read_midi(shared_data / "mini" / "lieder" / "lc6995255.mid"))


def test_a_song_stays_the_same_as_midi():
    music = read_musicxml(SONG)
    assert [track.name for track in music.tracks] == ["Voice", "Piano"]
    assert "lyric" in music.texts.kind
    again = read_midi(midi_bytes(music))
    assert again.content_digest() == music.content_digest()
    assert again.time_signatures == music.time_signatures


def test_chords_rests_and_voices_sound_where_they_stand():
    measure = attributes() + note("C4", 4) + note("E4", 4, chord=True) + note("", 2) + note("G4", 2)
    measure += backup(8) + note("C3", 8, voice=2)
    assert quarters(read_musicxml(score([measure]))) == [
        (0.0, 4.0, 48),
        (0.0, 2.0, 60),
        (0.0, 2.0, 64),
        (3.0, 1.0, 67),
    ]


def test_ties_make_one_note_over_bars_and_voices():
    first = attributes() + note("C4", 6) + note("D4", 2, tie=["start"])
    second = backup(0) + note("D4", 8, tie=["stop", "start"], voice=2)
    third = note("D4", 2, tie=["stop"]) + note("D4", 6)
    assert quarters(read_musicxml(score([first, second, third]))) == [(0, 3, 60), (3, 6, 62), (9, 3, 62)]


def test_a_tie_that_leads_nowhere_ends_with_its_note():
    measure = attributes() + note("C4", 4, tie=["start"]) + note("D4", 4, tie=["stop"])
    assert quarters(read_musicxml(score([measure]))) == [(0, 2, 60), (2, 2, 62)]


def test_two_voices_that_tie_one_pitch_keep_a_note_each():
    measure = attributes() + note("C4", 8, tie=["start"]) + backup(8) + note("C4", 8, tie=["start"], voice=2)
    after = note("C4", 8, tie=["stop"]) + backup(8) + note("C4", 4, tie=["stop"], voice=2)
    assert sorted(quarters(read_musicxml(score([measure, after])))) == [(0, 6, 60), (0, 8, 60)]


def test_a_transposing_instrument_sounds_at_its_own_pitch():
    transpose = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    measure = attributes(fifths=2, more=transpose) + note("D5", 8)
    music = read_musicxml(score([measure]))
    assert music.notes.pitch.tolist() == [72]
    assert music.key_signatures.sharps.tolist() == [0]
    in_c = read_musicxml(score([measure], head="<defaults><concert-score/></defaults>"))
    assert in_c.notes.pitch.tolist() == [74]


def test_an_octave_change_counts():
    transpose = "<transpose><chromatic>0</chromatic><octave-change>-1</octave-change></transpose>"
    assert read_musicxml(score([attributes(more=transpose) + note("C3", 8)])).notes.pitch.tolist() == [36]


def test_programs_and_drums_become_tracks():
    part_list = (
        '<score-part id="P1"><part-name>Flute</part-name><score-instrument id="I1"/>'
        '<midi-instrument id="I1"><midi-channel>1</midi-channel><midi-program>74</midi-program></midi-instrument>'
        '</score-part><score-part id="P2"><part-name>Kit</part-name>'
        '<score-instrument id="S1"/><score-instrument id="S2"/><score-instrument id="S3"/>'
        '<midi-instrument id="S1"><midi-channel>10</midi-channel><midi-unpitched>37</midi-unpitched></midi-instrument>'
        '<midi-instrument id="S2"><midi-channel>10</midi-channel><midi-unpitched>39</midi-unpitched></midi-instrument>'
        "</score-part>"
    )
    unpitched = "<unpitched><display-step>E</display-step><display-octave>4</display-octave></unpitched>"
    hits = "".join(
        f'<note>{unpitched}<duration>2</duration><instrument id="{one}"/></note>' for one in ("S1", "S2", "S3", "S1")
    )
    music = read_musicxml(score([attributes() + note("C6", 8)], [attributes() + hits], part_list=part_list))
    assert music.tracks == (Track(73, False, "Flute"), Track(0, True, "Kit"))
    # the third instrument has no sound of General MIDI
    assert quarters(music) == [(0, 4, 84), (0, 1, 36), (1, 1, 38), (3, 1, 36)]


def test_repeats_and_volte_are_played():
    first = attributes() + barline("left", "forward") + note("C4", 8)
    second = barline("left", ending=("1", "start")) + note("D4", 8) + barline("right", "backward", ("1", "stop"))
    third = barline("left", ending=("2", "start")) + note("E4", 8) + barline("right", ending=("2", "discontinue"))
    data = score([first, second, third, note("F4", 8)])
    assert read_musicxml(data).notes.pitch.tolist() == [60, 62, 60, 64, 65]
    assert read_musicxml(data, repeats=False).notes.pitch.tolist() == [60, 62, 64, 65]


def test_marks_in_the_first_part_alone_hold_for_all():
    top = [attributes() + note("C5", 8), note("D5", 8) + barline("right", "backward", times=3)]
    low = [attributes() + note("C3", 8), note("D3", 8)]
    assert read_musicxml(score(top, low)).notes.pitch.tolist() == [72, 48, 74, 50] * 3


def test_a_da_capo_goes_to_the_fine():
    fine = note("D4", 8) + '<sound fine="yes"/>'
    capo = (
        note("E4", 8)
        + '<direction><direction-type><words>D.C.</words></direction-type><sound dacapo="yes"/></direction>'
    )
    assert read_musicxml(score([attributes() + note("C4", 8), fine, capo])).notes.pitch.tolist() == [60, 62, 64, 60, 62]


def test_bars_begin_where_they_do_in_the_music_also_after_an_upbeat():
    music = read_musicxml(score([attributes() + note("C4", 2), note("D4", 8), note("E4", 8)]))
    assert (bar_starts(music) / music.ppq).tolist() == [0, 1, 5]


def test_a_bar_in_two_halves_stays_one_bar():
    halves = [note("D4", 6) + barline("right", "backward"), note("E4", 2)]
    music = read_musicxml(score([attributes() + note("C4", 8), *halves, note("F4", 8)]))
    assert (bar_starts(music) / music.ppq).tolist() == [0, 4, 7, 11, 15]


def test_tempos_are_those_of_the_sound_or_of_the_metronome_and_return_with_a_repeat():
    sound = '<direction><direction-type><words>Slow</words></direction-type><sound tempo="60"/></direction>'
    mark = (
        "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><beat-unit-dot/>"
        "<per-minute>ca. 80</per-minute></metronome></direction-type></direction>"
    )
    repeated = [attributes() + sound + note("C4", 8), mark + note("D4", 8) + barline("right", "backward")]
    tempos = read_musicxml(score(repeated)).tempos
    assert tempos.us_per_quarter.tolist() == [1_000_000, 500_000, 1_000_000, 500_000]


def test_a_repeat_restores_the_metre_and_tempo_that_held_where_it_leads():
    parts = [
        attributes(time=(3, 4)) + '<sound tempo="60"/>' + note("C4", 6),
        barline("left", "forward") + note("D4", 6),
        attributes(time=(2, 4)) + '<sound tempo="120"/>' + note("E4", 4) + barline("right", "backward"),
    ]
    music = read_musicxml(score(parts))
    assert music.time_signatures.numerator.tolist() == [3, 2, 3, 2]
    assert (music.tempos.tick / music.ppq).tolist() == [0, 6, 8, 11]
    assert music.onset_sec.tolist() == [0, 3, 6, 7, 10]


def test_metres_of_several_kinds_of_beats_add_up():
    time = "<time><beats>3+2</beats><beat-type>8</beat-type><beats>1</beats><beat-type>4</beat-type></time>"
    measure = f"<attributes><divisions>2</divisions>{time}</attributes>" + note("C4", 7)
    metres = read_musicxml(score([measure])).time_signatures
    assert (metres.numerator.tolist(), metres.denominator.tolist()) == ([7], [8])


def test_dynamics_are_velocities_from_their_place_in_time_on():
    loud = "<direction><direction-type><dynamics><f/></dynamics></direction-type></direction>"
    soft = '<direction><direction-type><dynamics><p/></dynamics></direction-type><sound dynamics="50"/></direction>'
    measure = attributes() + note("C4", 4) + loud + note("D4", 4) + backup(8) + note("C3", 6, voice=2)
    measure += note("D3", 2, voice=2) + soft + note("E3", 8, attribute=' dynamics="100"')
    measure += note("F3", 8)
    music = read_musicxml(score([measure]))
    assert dict(zip(music.notes.pitch.tolist(), music.notes.velocity.tolist(), strict=True)) == {
        60: 80,
        62: 96,
        48: 80,
        50: 96,
        52: 90,
        53: 45,
    }


def test_grace_and_cue_notes_are_silent():
    grace = "<note><grace/><pitch><step>B</step><octave>3</octave></pitch></note>"
    cue = "<note><cue/><pitch><step>G</step><octave>4</octave></pitch><duration>4</duration></note>"
    measure = attributes() + grace + note("C4", 4) + cue
    assert read_musicxml(score([measure])).notes.pitch.tolist() == [60]
    head = "<identification><encoding><software>MuseScore 3.6.2</software></encoding></identification>"
    assert read_musicxml(score([measure], head=head)).notes.pitch.tolist() == [60, 67], "small notes, which sound"


def test_words_titles_and_pedal_are_kept():
    def sung(text, verse):
        return f'<lyric number="{verse}"><syllabic>single</syllabic><text>{text}</text></lyric>'

    pedal = '<direction><direction-type><pedal type="{}"/></direction-type></direction>'
    measure = attributes() + pedal.format("start") + note("C4", 4, more=sung("Ah", 1) + sung("Oh", 2))
    measure += note("D4", 4) + pedal.format("stop") + barline("right", "backward")
    head = "<work><work-title>Song</work-title></work><identification><rights>Free</rights></identification>"
    music = read_musicxml(score([measure], head=head))
    rows = zip(music.texts.kind, music.texts.text, music.texts.track.tolist(), strict=True)
    assert list(rows) == [("track_name", "Song", -1), ("copyright", "Free", -1), ("lyric", "Ah", 0), ("lyric", "Ah", 0)]
    assert (music.controls.tick / music.ppq).tolist() == [0, 4, 4, 8]
    assert music.controls.value.tolist() == [127, 0, 127, 0]


def test_divisions_of_all_parts_are_held_exactly():
    thirds = [attributes(divisions=3) + note("C4", 1) + note("D4", 2)]
    fifths = [attributes(divisions=5) + note("C5", 1) + note("D5", 4)]
    music = read_musicxml(score(thirds, fifths))
    assert music.ppq % 15 == 0
    assert sorted(quarters(music)) == [(0, 0.2, 72), (0, 1 / 3, 60), (0.2, 0.8, 74), (1 / 3, 2 / 3, 62)]


def test_durations_beyond_what_midi_can_hold_are_rounded():
    music = read_musicxml(score([attributes(divisions=65537) + note("C4", 65537) + note("D4", 32768)]))
    assert music.ppq == 10_080
    assert music.notes.duration_tick.tolist() == [10_080, 5040]


def packed(data, name="score.xml", container=None):
    text = f'<container><rootfiles><rootfile full-path="{name}"/></rootfiles></container>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", text if container is None else container)
        archive.writestr("score.xml", data)
    return file.getvalue()


def test_compressed_and_utf16_files_are_the_same_score(tmp_path):
    data = score([attributes() + note("C4", 8)])
    plain = read_musicxml(data)
    assert read_musicxml(packed(data)) == plain
    assert read_musicxml(data.decode().replace("UTF-8", "UTF-16").encode("utf-16")) == plain
    (tmp_path / "a.musicxml").write_bytes(data)
    assert read_musicxml(tmp_path / "a.musicxml") == plain


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb">'
    + "".join(f'<!ENTITY b{n} "{f"&b{n - 1 or str()};" * 60}">' for n in range(1, 7))
    + "]><score-partwise><movement-title>&b6;</movement-title></score-partwise>"
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"no XML", "damaged XML"),
        (score([attributes() + note("C4", 8)])[:-30], "damaged XML"),
        (b"<score-timewise/>", "<score-timewise> instead of <score-partwise>: not MusicXML by part"),
        (b"<html/>", "<html> instead of <score-partwise>"),
        (b'<?xml version="1.0" encoding="UTF-99"?><score-partwise/>', "damaged XML: unknown encoding"),
        (BOMB.encode(), "damaged XML"),
        (score([note("C4", 8).replace("<duration>8</duration>", "")]), "measure 1: a note or a step without a dur"),
        (score([attributes() + note("C4", 8), backup(10**12)]), "measure 2: a note or a step without a duration"),
        (score([attributes() + note("H4", 8)]), "measure 1: a pitch without a step and an octave"),
        (score([attributes(divisions=0) + note("C4", 8)]), "measure 1: divisions = 0, expected more than 0"),
        (score([attributes() + note("C4", 10**8)] * 40), "the piece is longer than"),
        (score([attributes() + note("C4", 8) + barline("right", "backward", times=200_000)]), "more than 100000 bars"),
        (packed(b"", "other.xml"), "damaged compressed MusicXML"),
        (packed(b"", container="<container/>"), "without a root file"),
        (packed(b"", container="<"), "META-INF/container.xml"),
        (b"PK\x03\x04" + bytes(50), "damaged compressed MusicXML"),
    ],
)
def test_what_is_no_score_is_refused_in_one_line(data, message):
    with pytest.raises(FormatError) as caught:
        read_musicxml(data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_unpacks_to_more_than_is_read_is_refused(monkeypatch):
    monkeypatch.setattr("etude.music.musicxml.MAX_XML_BYTES", 500)
    with pytest.raises(FormatError, match=r"score.xml has \d+ bytes unpacked; at most 500 are read"):
        read_musicxml(packed(score([attributes() + note("C4", 8)] * 20)))


def test_an_error_names_the_file(tmp_path):
    with pytest.raises(FormatError, match="none.mxl: cannot be read: No such file"):
        read_musicxml(tmp_path / "none.mxl")
    (tmp_path / "a.mxl").write_bytes(b"no")
    with pytest.raises(FormatError, match="a.mxl: damaged XML"):
        read_musicxml(tmp_path / "a.mxl")


def test_another_reader_hears_the_same_chorales():
    music21 = pytest.importorskip("music21", reason="music21, of the extra `scores`, reads the files to compare with")
    for name in ("bach/bwv281.mxl", "bach/bwv65.2.mxl"):
        path = music21.common.getCorpusFilePath() / name
        parsed = music21.converter.parse(path, forceSource=True)
        expected = [
            (float(one.getOffsetInHierarchy(parsed)), float(one.quarterLength), one.pitch.midi)
            for one in parsed.stripTies().recurse().notes
        ]
        assert sorted(quarters(read_musicxml(path, repeats=False))) == sorted(expected)
