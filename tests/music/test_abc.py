"""ABC: notes, lengths, accidentals, repeats, parts and voices after the standard, and the same tunes as MIDI."""

import tarfile

import numpy as np
import pytest

from etude.data.inputs import find_inputs, read_bytes
from etude.errors import FormatError
from etude.music.abc_fields import read_key, read_metre, read_tempo
from etude.music.abc_tunes import read_abc
from etude.music.check import check_score
from etude.music.midi import read_midi
from etude.music.score import Track
from etude.music.timing import bar_starts


def tune(body, head="M:4/4\nL:1/4\nK:C"):
    return read_abc(f"X:1\nT:Test\n{head}\n{body}\n".encode())


def pitches(body, head="M:4/4\nL:1/4\nK:C"):
    return tune(body, head).notes.pitch.tolist()


def quarters(music):
    notes = music.notes
    rows = zip(notes.onset_tick / music.ppq, notes.duration_tick / music.ppq, notes.pitch.tolist(), strict=True)
    return [(round(float(onset), 6), round(float(duration), 6), pitch) for onset, duration, pitch in rows]


def test_octaves_and_lengths():
    assert quarters(tune("C,2 c'/ c//|z B3/2 C/4")) == [
        (0, 2, 48),
        (2, 0.5, 84),
        (2.5, 0.25, 72),
        (3.75, 1.5, 71),
        (5.25, 0.25, 60),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("^F F f|F", [66, 65 + 1, 77, 65]),
        ("^F =F F|_B", [66, 65, 65, 70]),
        ("^^C __D", [62, 60]),
        # a tie carries an accidental over the bar line, and no further
        ("^F-|F F", [66, 65]),
        ('"Am"C "^above"D "D7"E', [60, 62, 64]),
        ("{gf}C !trill!D .E ~F uG", [60, 62, 64, 65, 67]),
        ("[CEG] [K:D] F", [60, 64, 67, 66]),
        ("(CD) E", [60, 62, 64]),
        ("C\\\nD % comment\nE", [60, 62, 64]),
        ("C & E|D", [60, 64, 62]),
    ],
)
def test_what_stands_beside_notes(body, expected):
    assert pitches(body) == expected


@pytest.mark.parametrize(
    ("directive", "expected"), [("pitch", [66, 78, 65]), ("octave", [66, 77, 65]), ("not", [66, 77, 65])]
)
def test_how_far_an_accidental_reaches(directive, expected):
    head = f"%%propagate-accidentals {directive}\nM:4/4\nL:1/4\nK:C"
    assert pitches("^F f|F", head) == expected
    assert pitches("^F F", head) == ([66, 65] if directive == "not" else [66, 66])


def test_chords_tie_note_by_note():
    assert sorted(quarters(tune("[C-E]2 [CG]2"))) == [(0, 2, 64), (0, 4, 60), (2, 2, 67)]
    assert sorted(quarters(tune("[CE]- [CE]"))) == [(0, 2, 60), (0, 2, 64)]
    assert quarters(tune("[C2E]/")) == [(0, 1, 60), (0, 0.5, 64)]


def test_tuplets_and_broken_rhythm():
    thirds = [(round(place * 2 / 3, 6), round(2 / 3, 6)) for place in range(3)]
    assert [row[:2] for row in quarters(tune("(3CDE F2"))] == [*thirds, (2, 2)]
    assert [row[:2] for row in quarters(tune("(3:2:2C2D F"))] == [(0, 1.333333), (1.333333, 0.666667), (2, 1)]
    assert [row[:2] for row in quarters(tune("C>D E<F"))] == [(0, 1.5), (1.5, 0.5), (2, 0.5), (2.5, 1.5)]
    assert [row[:2] for row in quarters(tune("C>>D"))] == [(0, 1.75), (1.75, 0.25)]
    compound = quarters(tune("(2CD", "M:6/8\nL:1/8\nK:C"))
    assert [row[:2] for row in compound] == [(0, 0.75), (0.75, 0.75)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("|:C|D:|E", "CDCDE"),
        ("C|D:|E", "CDCDE"),
        ("|:C|[1D:|[2E||F", "CDCEF"),
        ("|:C|1 D:|2 E|]F", "CDCEF"),
        ("|:C::D:|", "CCDD"),
        ("|::C::|D", "CCCD"),
        ("|:C [1 D :| [2 E |]", "CDCE"),
        ("|:C|[1,3 D:|[2 E:|", "CDCECD"),
        ("C|D !fine!|E !D.C.!|", "CDECD"),
        ("C ||\n|: D :|", "CDD"),
        ("C|[|D|]", "CD"),
    ],
)
def test_repeats(body, expected):
    assert pitches(body) == [60 + "C.D.EF.G.A.B".index(step) for step in expected]


def test_parts_are_played_in_their_order():
    head = "P:A(AB)2C\nM:4/4\nL:1/4\nK:C"
    assert pitches("P:A\nC4|\nP:B\nD4|\nP:C\nE4|", head) == [60, 60, 62, 60, 62, 64]
    assert pitches("P:A\nC4|\nP:B\nD4|", "Y:BA\nM:4/4\nL:1/4\nK:C") == [62, 60]
    # an order that names a part that is not there says nothing
    assert pitches("P:A\nC4|\nP:B\nD4|", "P:ABX\nM:4/4\nL:1/4\nK:C") == [60, 62]
    assert pitches("P:A\nC4|\nP:B\nD4|", "P:((A)9999)9999\nM:4/4\nL:1/4\nK:C") == [60, 62]


def test_bars_begin_where_they_do_in_the_music_also_after_an_upbeat():
    music = tune("G|CDEF|CDE:|")
    assert (bar_starts(music) / music.ppq).tolist() == [0, 1, 5, 9, 13]


@pytest.mark.parametrize(
    ("value", "sharps", "is_minor"),
    [("G", 1, False), ("Bb", -2, False), ("F#m", 3, True), ("Ador", 1, False), ("D Mixolydian", 1, False)]
    + [("Em clef=treble", 1, True), ("C#", 7, False), ("none", 0, False), ("", 0, False), ("HP", 2, False)]
    + [("Gphr", -3, False), ("Bloc", 0, False), ("Flydian", 0, False), ("Aminor", 0, True), ("G clef=bass", 1, False)],
)
def test_keys(value, sharps, is_minor):
    assert read_key(value)[:2] == (sharps, is_minor)


def test_keys_metres_and_tempos_become_tables():
    music = tune("CDEF|[M:3/4][K:Am]CDE|", "M:C\nL:1/4\nQ:1/4=100\nK:G")
    assert music.key_signatures.sharps.tolist() == [1, 0]
    assert music.key_signatures.is_minor.tolist() == [0, 1]
    assert music.time_signatures.numerator.tolist() == [4, 3]
    assert music.tempos.us_per_quarter.tolist() == [600_000]
    assert read_metre("x/y") == read_metre("3/5") == ()
    assert read_tempo("Allegro", 1) is None


def test_the_unit_follows_from_the_metre_unless_it_is_said():
    assert quarters(tune("C", "M:2/4\nK:C"))[0][1] == 0.25
    assert quarters(tune("C", "M:6/8\nK:C"))[0][1] == 0.5
    assert quarters(tune("C", "M:2/4\nL:1/8\nK:C"))[0][1] == 0.5
    assert quarters(tune("C [L:1/16] C", "M:2/4\nL:1/8\nK:C"))[1][1] == 0.25


def test_voices_are_tracks_that_sound_together():
    head = 'M:4/4\nL:1/4\nV:1 name=Tune\nV:2 name="Low one" octave=-1\n%%MIDI program 40\nK:C'
    music = tune("V:1\nCDEF|G4|\nV:2\n%%MIDI program 32\nC4|z4|\n[V:1] A4|[V:2] B4|", head)
    assert [track.name for track in music.tracks] == ["Tune", "Low one"]
    assert music.tracks[1] == Track(32, False, "Low one")
    assert sorted(quarters(music)) == [
        (0, 1, 60),
        (0, 4, 48),
        (1, 1, 62),
        (2, 1, 64),
        (3, 1, 65),
        (4, 4, 67),
        (8, 4, 59),
        (8, 4, 69),
    ]


def test_transposition_clefs_and_drums():
    assert pitches("C", "M:4/4\nL:1/4\nK:C transpose=-2") == [58]
    assert pitches("C", "M:4/4\nL:1/4\nK:C clef=treble-8") == [48]
    assert pitches("C", "%%MIDI transpose 12\nM:4/4\nL:1/4\nK:C") == [72]
    assert tune("C", "%%MIDI channel 10\nM:4/4\nL:1/4\nK:C").tracks[0].is_drum


def test_chord_symbols_title_and_dynamics_are_kept():
    music = tune('"Am"C !ff!D|:"G7"E:|')
    rows = list(zip((music.texts.tick / music.ppq).tolist(), music.texts.kind, music.texts.text, strict=True))
    assert rows == [(0, "track_name", "Test"), (0, "text", "Am"), (2, "text", "G7"), (3, "text", "G7")]
    assert music.notes.velocity.tolist() == [80, 112, 112, 112]


def test_rests_of_whole_bars():
    assert [row[0] for row in quarters(tune("C4|Z2|D4|x2 z C"))] == [0, 12, 19]


def test_one_tune_of_a_file_with_what_stands_before_all():
    data = b"M:3/4\nL:1/4\n%%MIDI program 40\n\nX:1\nT:One\nK:C\nCDE|\n\nX:2\nT:Two\nK:G\nF3|\n"
    assert read_abc(data, tune=2).notes.pitch.tolist() == [66]
    assert read_abc(data, tune=2).time_signatures.numerator.tolist() == [3]
    assert read_abc(data, tune=1).tracks[0].program == 40
    with pytest.raises(FormatError, match="2 tunes; say which one, such as tune=1"):
        read_abc(data)
    with pytest.raises(FormatError, match="no tune with X:3; there are 2 tunes"):
        read_abc(data, tune=3)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "no tune: no line begins with X:"), (b"X:1\nT:No music\n", "no music: the tune has no line K:")],
)
def test_what_is_no_tune_is_refused(data, message):
    with pytest.raises(FormatError, match=message):
        read_abc(data)


def test_an_error_names_the_file(tmp_path):
    with pytest.raises(FormatError, match="none.abc: cannot be read"):
        read_abc(tmp_path / "none.abc")


def test_line_ends_and_encodings_do_not_matter():
    text = "X:1\nT:Für Elise\nM:4/4\nL:1/4\nK:C\nCDEF|\n"
    expected = read_abc(text.encode())
    assert read_abc(text.replace("\n", "\r\n").encode()) == expected
    assert read_abc(text.replace("\n", "\r").encode("latin-1")) == expected
    assert read_abc(b"\xef\xbb\xbf" + text.encode()) == expected


@pytest.fixture(scope="module")
def waltzes(shared_data, tmp_path_factory):
    """The folder of the Nottingham database's waltzes, as ABC and as MIDI."""
    folder = tmp_path_factory.mktemp("nottingham")
    with tarfile.open(shared_data / "nottingham" / "nottingham.tar.gz") as archive:
        chosen = [one for one in archive if "waltzes" in one.name and one.isfile()]
        archive.extractall(folder, chosen, filter="data")
    return folder


def melody(music):
    """Return onsets in twelfths of a quarter from the first one on, and pitches, of the first track."""
    own = music.notes.track == 0
    onset, pitch = np.rint(music.notes.onset_tick[own] * 12 / music.ppq), music.notes.pitch[own]
    return list(zip((onset - onset.min()).tolist(), pitch.tolist(), strict=True))


def without_repeated(rows):
    return [pitch for place, (_, pitch) in enumerate(rows) if place == 0 or rows[place - 1][1] != pitch]


def test_waltzes_have_the_melodies_of_their_midi_files(waltzes):
    """Those files break ties before a chord symbol; in three tunes they forget an accidental within its bar."""
    different = []
    for one in find_inputs(waltzes, ("abc",)):
        music = read_abc(read_bytes(one, at_most=1 << 20))
        assert check_score(music) == []
        file, number = one.name.split(".abc#")
        ours, theirs = melody(music), melody(read_midi(waltzes / f"midi/{file[4:]}{number}.mid"))
        if not set(ours) <= set(theirs) or without_repeated(ours) != without_repeated(theirs):
            different.append(int(number))
    assert different == [37, 6, 7]
