"""The demo, from the built-in pieces to a page that plays in a real browser."""

import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from browser import browser as start_browser

from etude.cli.__main__ import main
from etude.music.check import check_score
from etude.music.midi import read_midi

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What ``etude demo --json`` prints after a few seconds of training."""
    out = tmp_path_factory.mktemp("demo")
    pytest.importorskip("midirenderer", reason="needs the audio extra")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out)
        printed = []
        patch.setattr("builtins.print", lambda *words, file=None, **_: printed.append(words) if file is None else None)
        assert main(["demo", "--minutes", "0.1", "--takes", "2", "--seconds", "5", "--out", str(out), "--json"]) == 0
    return json.loads(printed[-1][0])


def test_every_take_is_a_valid_piece_with_sound(demo):
    assert len(demo["takes"]) == 2
    for name in demo["takes"]:
        assert check_score(read_midi(name)) == []
        with wave.open(str(Path(name).with_suffix(".wav"))) as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32768
            assert sound.getnframes() / sound.getframerate() >= 4.0
        assert 0.1 < np.abs(samples).max() < 1.0


def test_model_and_both_baselines_are_scored(demo):
    assert set(demo["baselines"]) == {"bigram", "5-gram"}
    assert demo["valid"]["nats_per_token"] > 0


def test_the_page_shows_a_player_a_take_and_asks_the_network_for_nothing(demo):
    if not (shutil.which("chromedriver") and shutil.which("chromium")):
        pytest.fail("chromium and chromium-driver are not installed; run `make test-services`, which installs them")
    with start_browser() as window:
        window.open(Path(demo["page"]))
        assert window.wait("document.querySelectorAll('audio').length") == 2
        text = window.run("return document.body.innerText")
        assert all(word in text for word in ("bigram", "5-gram", "in-key rate", "polyphony", "etude generate"))
        assert window.problems() == []
        assert window.requests() == []
