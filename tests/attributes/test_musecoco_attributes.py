"""The twelve attributes of MuseCoco, at both sides of every edge of their bins."""

import numpy as np
import pytest

from etude.attributes import attribute, measure
from etude.attributes.instruments import class_of
from etude.music.score import Score, Tempos, TimeSignatures, Track
from etude.tokens.musecoco_prefix import PUBLISHED, prefix_ids, values_of_ids

QUARTER = 480
DRUMS = (Track(0, is_drum=True),)


def bin_of(name, score):
    one = attribute(name)
    return one.bins.bin_of(one.measure(score))


def quarters(count, *, pitch=60, **more):
    """Quarter notes one after the other."""
    return Score.of(np.arange(count) * QUARTER, [QUARTER] * count, [pitch] * count, **more)


def at_tempo(qpm, **more):
    return quarters(8, tempos=Tempos.of(tick=[0], us_per_quarter=[round(60e6 / qpm)]), **more)


def in_metre(numerator, denominator, **more):
    return quarters(8, time_signatures=TimeSignatures.of(tick=[0], numerator=[numerator], denominator=[denominator]))


def test_a_score_at_each_edge_falls_on_the_right_side():
    """covers: MT-19"""
    assert [bin_of("tempo", at_tempo(qpm)) for qpm in (76, 77, 119, 120)] == ["slow", "moderate", "moderate", "fast"]
    eighths = [Score.of(np.arange(16) * step, [60] * 16, [60] * 16) for step in (480, 360, 240)]
    assert [bin_of("rhythm_intensity", score) for score in eighths] == ["low", "medium", "high"]
    bars = {count: bin_of("bars", quarters(4 * count)) for count in (4, 5, 8, 9, 12, 13, 16, 17)}
    fours = ["1 to 4", "5 to 8", "9 to 12", "13 to 16"]
    assert list(bars.values()) == [fours[0], *np.repeat(fours[1:], 2).tolist(), "more than 16"]
    lengths = [bin_of("duration", quarters(count)) for count in (30, 31, 60, 61)]
    assert lengths == ["up to 15 s", "15 to 30 s", "15 to 30 s", "30 to 45 s"]
    dances = [attribute("danceability").measure(drums_on(beats)) for beats in ([0, 2, 1], [0, 1, 3], [0, 1])]
    assert dances == ["yes", "no", None]
    scales = [[60, 62, 64, 65, 67, 69, 71, 72], [57, 59, 60, 62, 64, 65, 68, 69], [57, 60, 64]]
    keys = [attribute("key").measure(Score.of(np.arange(len(p)) * 480, [480] * len(p), p)) for p in scales]
    assert keys == ["C major", "A minor", "A minor"]
    assert len(PUBLISHED) == 12
    # labels and scores are one code: what is written before a piece is what is measured of it
    piece = at_tempo(76)
    assert values_of_ids(prefix_ids(measure(piece)))["tempo"] == bin_of("tempo", piece)


@pytest.mark.parametrize(
    ("qpm", "name"),
    [
        (40, "slow"),
        (75, "slow"),
        (76, "slow"),
        (77, "moderate"),
        (119, "moderate"),
        (119.9, "moderate"),
        (120, "fast"),
        (200, "fast"),
    ],
)
def test_tempo_is_slow_up_to_76_and_fast_from_120(qpm, name):
    """covers: MT-19 (partly)"""
    assert bin_of("tempo", at_tempo(qpm)) == name


def test_a_slow_piece_stays_slow_when_it_is_written_as_tokens():
    assert bin_of("tempo", at_tempo(16 * 2 ** (27 / 12))) == "slow"


def test_several_tempos_have_no_value_unless_they_are_one_step():
    two = Tempos.of(tick=[0, 4 * QUARTER], us_per_quarter=[500_000, 400_000])
    near = Tempos.of(tick=[0, 4 * QUARTER], us_per_quarter=[500_000, 499_000])
    late = Tempos.of(tick=[0, 40 * QUARTER], us_per_quarter=[500_000, 400_000])
    assert attribute("tempo").measure(quarters(8, tempos=two)) is None
    assert 120 < attribute("tempo").measure(quarters(8, tempos=near)) < 120.25
    assert attribute("tempo").measure(quarters(8, tempos=late)) == 120.0


def test_before_the_first_tempo_120_holds():
    late = Tempos.of(tick=[4 * QUARTER], us_per_quarter=[400_000])
    assert attribute("tempo").measure(quarters(8, tempos=late)) is None
    assert attribute("tempo").measure(quarters(4, tempos=late)) == 120.0


@pytest.mark.parametrize(
    ("per_bar", "value", "name"),
    [(3, 0.75, "low"), (4, 1.0, "low"), (5, 1.25, "medium"), (7, 1.75, "medium"), (8, 2.0, "high"), (16, 4.0, "high")],
)
def test_intensity_is_low_up_to_one_position_a_quarter_and_high_from_two(per_bar, value, name):
    """covers: MT-19 (partly)"""
    onset = np.concatenate([bar * 4 * QUARTER + np.arange(per_bar) * (QUARTER // 4) for bar in range(2)])
    score = Score.of(onset, [60] * len(onset), [60] * len(onset))
    assert attribute("rhythm_intensity").measure(score) == value
    assert bin_of("rhythm_intensity", score) == name


def test_a_chord_is_one_position_however_unevenly_it_is_struck():
    score = Score.of([0, 5, 12, 480, 960, 1440], [480] * 6, [60, 64, 67, 60, 60, 60])
    assert attribute("rhythm_intensity").measure(score) == 1.0


@pytest.mark.parametrize(
    ("count", "name"),
    [
        (1, "1 to 4"),
        (4, "1 to 4"),
        (5, "5 to 8"),
        (8, "5 to 8"),
        (9, "9 to 12"),
        (12, "9 to 12"),
        (13, "13 to 16"),
        (16, "13 to 16"),
        (17, "more than 16"),
        (100, "more than 16"),
    ],
)
def test_bars_are_counted_in_fours_up_to_sixteen(count, name):
    """covers: MT-19 (partly)"""
    assert attribute("bars").measure(quarters(4 * count)) == count
    assert bin_of("bars", quarters(4 * count)) == name


def test_bars_before_and_after_the_music_do_not_count_but_silent_ones_within_do():
    score = Score.of([3 * 1920, 7 * 1920], [480, 9 * 1920], [60, 60])
    assert attribute("bars").measure(score) == 5
    assert attribute("bars").evidence(score) == "notes begin in bars 4 to 8"


def test_an_onset_just_before_a_bar_line_belongs_to_the_next_bar():
    assert attribute("bars").measure(Score.of([0, 1915], [480, 480], [60, 60])) == 2


@pytest.mark.parametrize(
    ("metre", "name"),
    [((4, 4), "4/4"), ((2, 4), "2/4"), ((3, 4), "3/4"), ((1, 4), "1/4"), ((6, 8), "6/8"), ((3, 8), "3/8")],
)
def test_the_metres_with_a_name(metre, name):
    """covers: MT-19 (partly)"""
    assert bin_of("metre", in_metre(*metre)) == name


def test_other_metres_keep_their_value_and_several_have_none():
    """covers: MT-19 (partly)"""
    assert attribute("metre").measure(in_metre(5, 4)) == "5/4"
    assert bin_of("metre", in_metre(5, 4)) == "other"
    assert attribute("metre").measure(quarters(8)) == "4/4"
    assert attribute("metre").evidence(quarters(8)) == "no time signature: 4/4, as MIDI says"
    twice = TimeSignatures.of(tick=[0, 1920], numerator=[4, 3], denominator=[4, 4])
    again = TimeSignatures.of(tick=[0, 1920], numerator=[4, 4], denominator=[4, 4])
    assert attribute("metre").measure(quarters(8, time_signatures=twice)) is None
    assert attribute("metre").measure(quarters(8, time_signatures=again)) == "4/4"
    assert attribute("metre").measure(quarters(4, time_signatures=twice)) == "4/4"


@pytest.mark.parametrize(
    ("pitches", "name"),
    [
        ([57, 60, 64], "minor"),
        ([60, 64, 67], "major"),
        ([60, 62, 64, 65, 67, 69, 71, 72], "major"),
        ([57, 59, 60, 62, 64, 65, 67, 69], "minor"),
        ([57, 59, 60, 62, 64, 65, 68, 69], "minor"),
    ],
)
@pytest.mark.parametrize("moved", [0, 1, 5, -2])
def test_c_major_a_minor_and_a_lone_a_minor_triad_are_told_apart(pitches, name, moved):
    """covers: MT-19 (partly)"""
    score = Score.of(np.arange(len(pitches)) * 480, [480] * len(pitches), np.array(pitches) + moved)
    assert attribute("mode").measure(score) == name
    assert attribute("key").measure(score).endswith(name)
    if not moved:
        assert attribute("key").measure(score) == ("C major" if name == "major" else "A minor")


def test_long_notes_tell_the_key_whatever_brief_ones_say():
    onset = np.concatenate([np.arange(8) * 1920, 8 * 1920 + np.arange(16) * 10])
    score = Score.of(onset, [1920] * 8 + [10] * 16, [60, 64, 67, 65, 69, 67, 71, 72] + [66, 68, 70, 73] * 4)
    assert attribute("key").measure(score) == "C major"


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        (1, "up to 15 s"),
        (15, "up to 15 s"),
        (15.5, "15 to 30 s"),
        (30, "15 to 30 s"),
        (30.5, "30 to 45 s"),
        (45, "30 to 45 s"),
        (60, "45 to 60 s"),
        (60.5, "more than 60 s"),
    ],
)
def test_duration_is_counted_in_quarters_of_a_minute(seconds, name):
    """covers: MT-19 (partly)"""
    assert bin_of("duration", quarters(round(2 * seconds))) == name
    # the same length, added up from lengths that no float holds
    thirds = Tempos.of(tick=[0], us_per_quarter=[333_333])
    count = round(seconds * 3)
    assert attribute("duration").measure(quarters(count, tempos=thirds)) == pytest.approx(count * 0.333333)


@pytest.mark.parametrize(
    ("span", "name"),
    [(0, "0 octaves"), (1, "1 octave"), (12, "1 octave"), (13, "2 octaves"), (24, "2 octaves"), (127, "11 octaves")],
)
def test_octaves_are_always_rounded_up(span, name):
    """covers: MT-19 (partly)"""
    assert bin_of("pitch_range", Score.of([0, 480], [480, 480], [0, span])) == name


def drums_on(beats, *, metre=(4, 4), notes=1):
    """Drum notes on beats, each struck so many times."""
    onset = np.repeat(np.array(beats) * QUARTER, notes)
    signature = TimeSignatures.of(tick=[0], numerator=[metre[0]], denominator=[metre[1]])
    return Score.of(onset, [60] * len(onset), [36] * len(onset), tracks=DRUMS, time_signatures=signature)


@pytest.mark.parametrize(
    ("score", "value"),
    [
        (drums_on([0, 2, 2, 1]), "yes"),
        (drums_on([0, 1, 3]), "no"),
        (drums_on([0, 1, 2, 3]), None),
        (drums_on([0, 3], metre=(3, 4)), "yes"),
        (drums_on([0, 1, 2], metre=(3, 4)), "no"),
        (drums_on([0, 2, 3], metre=(2, 4)), "yes"),
        (drums_on([0, 0.5, 1], metre=(4, 4)), None),
        (drums_on([0, 3], metre=(6, 8)), None),
        (quarters(8), None),
    ],
)
def test_danceability_reaches_yes_no_and_not_known(score, value):
    """covers: MT-19 (partly)"""
    assert attribute("danceability").measure(score) == value


def test_drum_notes_are_counted_and_not_positions():
    # one position each; the strong one is struck by two drums
    score = Score.of([0, 0, 480], [60] * 3, [36, 42, 38], tracks=DRUMS)
    assert attribute("danceability").measure(score) == "yes"
    assert attribute("danceability").evidence(score).startswith("2 drum notes on strong beats, 1 on other beats")


def test_every_program_belongs_to_one_of_28_classes():
    """covers: MT-19 (partly)"""
    names = attribute("instruments").bins.names[:-1]
    assert len(names) == 28
    assert {class_of(program) for program in range(128)} == set(names)
    assert class_of(5, is_drum=True) == "drums"
    table = {0: "piano", 9: "keyboard", 10: "sound effects", 43: "bass", 47: "percussion", 60: "horn", 74: "pipe"}
    table |= {55: "percussion", 59: "trumpet", 69: "horn", 70: "bassoon", 103: "sound effects", 117: "percussion"}
    assert {program: class_of(program) for program in table} == table


def test_only_instruments_that_play_count():
    tracks = (Track(0), Track(40), Track(33), Track(0, is_drum=True))
    score = Score.of([0, 0, 480], [480] * 3, [60, 40, 36], track=[0, 2, 3], tracks=tracks)
    assert attribute("instruments").measure(score) == ("piano", "bass", "drums")


def test_artist_emotion_and_genre_come_from_labels():
    """covers: MT-19 (partly)"""
    names = ["artist", "emotion", "genre"]
    assert measure(quarters(4), names) == dict.fromkeys(names)
    labels = {"composer": "Chopin", "emotion": "Q3", "genre": "Pop_Rock"}
    assert measure(quarters(4), names, labels=labels) == {
        "artist": "Chopin",
        "emotion": "sad",
        "genre": ("pop and rock",),
    }
    assert measure(quarters(4), ["artist"], labels={"composer": "Alkan"}) == {"artist": None}
