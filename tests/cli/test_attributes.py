"""`etude attributes`: values, bins and evidence of MIDI files."""

import json

import numpy as np
import pytest

from etude.attributes import ATTRIBUTES
from etude.cli.__main__ import main
from etude.music.midi import write_midi
from etude.music.score import Score, Track


@pytest.fixture
def files(tmp_path):
    scale = Score.of(np.arange(8) * 480, [480] * 8, [60, 62, 64, 65, 67, 69, 71, 72])
    drums = Score.of([0, 960], [60, 60], [36, 36], tracks=[Track(0, is_drum=True)])
    for name, score in (("scale.mid", scale), ("drums.mid", drums)):
        write_midi(score, tmp_path / name)
    return [str(tmp_path / name) for name in ("scale.mid", "drums.mid")]


def test_json_has_the_keys_that_scripts_rely_on(capsys, files):
    """covers: star-45"""
    assert main(["attributes", *files, "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == ""
    assert [row["file"] for row in document["files"]] == files
    scale, drums = (row["attributes"] for row in document["files"])
    assert list(scale) == list(drums) == list(ATTRIBUTES)
    assert all({"value", "bin", "evidence"} == set(row) for row in scale.values())
    assert (scale["bars"]["value"], scale["bars"]["bin"]) == (2.0, "1 to 4")
    assert (scale["key"]["value"], scale["tempo"]["bin"]) == ("C major", "fast")
    assert scale["instruments"]["value"] == scale["instruments"]["bin"] == ["piano"]
    assert (drums["key"]["value"], drums["key"]["bin"]) == (None, "NA")
    assert drums["danceability"]["value"] == "yes"
    assert scale["genre"] == {"value": None, "bin": "NA", "evidence": "told by labels, not by notes"}


def test_a_table_shows_value_bin_and_evidence(capsys, files):
    assert main(["attributes", files[0], "--only", "duration, key"]) == 0
    title, duration, key = capsys.readouterr().out.splitlines()
    assert title == files[0]
    assert " ".join(duration.split()) == "duration 4 seconds up to 15 s first onset at 0.00 s, last end at 4.00 s"
    assert key.split()[:3] == ["key", "C", "major"]
    assert "% likely" in key


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--only", "tempi"], "did you mean 'tempo'"), (["missing.mid"], "missing.mid: cannot be read")],
)
def test_mistakes_are_one_line(capsys, files, arguments, message):
    assert main(["attributes", files[0], *arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("etude: ")
    assert err.count("\n") == 1
    assert message in err
