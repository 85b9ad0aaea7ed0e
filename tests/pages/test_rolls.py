"""Rolls, players and how a Score shows itself, without a browser."""

import base64
import html
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from etude.music.score import Score, Track
from etude.pages.picture import roll_svg
from etude.pages.player import player_html, score_html
from etude.pages.roll import Roll, pitch_name


def roll_data(markup):
    return json.loads(html.unescape(re.search(r'data-roll="([^"]*)"', markup).group(1)))


def test_the_data_of_a_roll_hold_every_note_to_the_millisecond(duet):
    data = roll_data(player_html(duet, title="Duet"))
    packed, count = base64.b64decode(data["notes"]), data["count"]
    assert len(packed) == 11 * count == 11 * len(duet.notes)
    onset, duration = np.frombuffer(packed, "<u4", 2 * count).reshape(2, count)
    pitch, velocity, track = np.frombuffer(packed, np.uint8, offset=8 * count).reshape(3, count)
    np.testing.assert_allclose(onset / 1000, duet.onset_sec, atol=5e-4)
    np.testing.assert_allclose((onset + duration) / 1000, duet.offset_sec, atol=5e-4)
    for column, expected in ((pitch, "pitch"), (velocity, "velocity"), (track, "track")):
        np.testing.assert_array_equal(column, getattr(duet.notes, expected))
    assert data["end"] == round(1000 * duet.duration_sec)
    assert [track["name"] for track in data["tracks"]] == ["Violin <&>", "piano"]


def test_bars_are_drawn_only_where_the_score_has_a_time_signature(duet):
    assert roll_data(player_html(duet, title="Duet"))["bars"][:3] == [0, 2000, 4000]
    assert roll_data(player_html(Score.of([0], [480], [60]), title="One"))["bars"] == []


def test_the_pedal_lane_holds_values_of_the_sustain_pedal(duet):
    time, value = Roll(duet).pedal
    assert time.tolist() == [0, 1000, 2000]
    assert value.tolist() == [127, 0, 90]
    assert "ped." in roll_svg(duet)
    assert "ped." not in roll_svg(Score.of([0], [480], [60]))


def test_a_picture_is_sound_svg_with_a_stroke_for_every_note(duet):
    picture = ET.fromstring(roll_svg(duet, title="Violin <&> piano"))
    paths = [path.get("d") for path in picture.iter("{http://www.w3.org/2000/svg}path")]
    strokes = [path for path in paths if re.fullmatch(r"(M[\d.]+ [\d.]+h[\d.]+)+", path)]
    assert sum(path.count("M") for path in strokes) == len(duet.notes)
    assert picture.get("aria-label").startswith("Piano roll of Violin <&> piano: 80 notes")


@pytest.mark.parametrize(("scheme", "dark"), [("auto", True), ("light", False), ("dark", False)])
def test_a_picture_follows_the_scheme_or_keeps_the_one_asked_for(duet, scheme, dark):
    assert ("prefers-color-scheme" in roll_svg(duet, scheme=scheme)) is dark
    assert ("#1b1e24" in roll_svg(duet, scheme=scheme)) is (scheme != "light")


def test_an_unknown_scheme_is_refused(duet):
    with pytest.raises(ValueError, match="'auto', 'light' or 'dark'"):
        roll_svg(duet, scheme="blue")


@pytest.mark.parametrize(
    "score",
    [
        Score.of(),
        Score.of([0], [0], [0]),
        Score.of([0, 10**7], [1, 10**7], [0, 127], [1, 127]),
        Score.of([0], [480], [36], tracks=[Track(0, is_drum=True)]),
        Score.of(np.zeros(300, int), [480] * 300, np.arange(300) % 128, track=np.arange(300)),
    ],
    ids=["empty", "no length", "hours", "drum", "300 tracks"],
)
def test_odd_scores_can_be_shown(score):
    ET.fromstring(roll_svg(score))
    assert roll_data(score_html(score))["count"] == len(score.notes)


def test_words_from_files_cannot_become_markup():
    name = "</script><img src=x onerror=alert(1)>"
    score = Score.of([0, 0], [480, 480], [60, 64], track=[0, 1], tracks=[Track(0, name=name), Track(0)])
    shown = player_html(score, title=name, note=name, name=name, midi=b"")
    assert "<img" not in shown
    assert "</script>" not in shown


def test_a_score_in_a_notebook_is_small_and_asks_for_nothing(duet):
    """covers: star-81"""
    shown = duet._repr_html_()
    assert len(shown) < 45_000 + 60 * len(duet.notes)
    assert set(re.findall(r' (?:src|href)="(.{5})', shown)) == {"data:"}
    assert not re.search(r"@import|import\(|fetch\(|XMLHttp|@font-face|url\(", shown)
    assert set(re.findall(r"https?://[^ '\"]+", shown)) == {"http://www.w3.org/2000/svg"}, "a name, not an address"
    assert 'id="' not in shown, "ids would clash with those of another cell"


def test_a_player_offers_the_midi_file_and_embeds_the_sound(duet, tmp_path):
    shown = player_html(duet, title="My Duet", midi=b"MThd", wav=b"RIFF")
    assert 'download="my-duet.mid" href="data:audio/midi;base64,TVRoZA=="' in shown
    assert "<audio controls" in shown
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert player_html(duet, title="My Duet", midi=b"MThd", wav=tmp_path / "a.wav") == shown


def test_pitches_have_their_names():
    assert [pitch_name(pitch) for pitch in (0, 60, 61, 127)] == ["C-1", "C4", "C♯4", "G9"]
