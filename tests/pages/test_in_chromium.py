"""Pages in a real Chromium: they play, they answer, they ask the network for nothing.

Needs Debian's packages ``chromium`` and ``chromium-driver``.
"""

import io
import shutil
import wave

import numpy as np
import pytest
from browser import browser as start_browser  # beside this file

from etude.pages import Section, Take, line_chart, page, takes_page
from etude.pages.report import columns

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def browser():
    if not (shutil.which("chromedriver") and shutil.which("chromium")):
        pytest.fail("chromium and chromium-driver are not installed; run `make test-services`, which installs them")
    with start_browser() as window:
        yield window


@pytest.fixture
def opened(browser, tmp_path):
    """Return a function that opens a document; afterwards nothing may have gone wrong in it."""

    def open_document(document, **scheme):
        browser.problems(), browser.requests()
        browser.emulate(**scheme)
        path = tmp_path / "page.html"
        path.write_text(document)
        browser.open(path)
        return browser

    yield open_document
    assert browser.problems() == []
    assert browser.requests() == []


def tone(seconds=20, rate=8000):
    samples = np.sin(np.arange(seconds * rate) * 440 * 2 * np.pi / rate) * 8000
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1), out.setsampwidth(2), out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


@pytest.fixture
def takes(duet):
    """One take with recorded sound, one that the page must make the sound for."""
    return takes_page("Takes", [Take(score=duet, title="One", wav=tone(), midi=b"MThd"), Take(score=duet, title="Two")])


AUDIO = "document.querySelectorAll('audio')"


def test_play_moves_the_time_and_the_playhead(opened, takes):
    window = opened(takes)
    window.click(".etude-play")
    window.wait(f"{AUDIO}[0].currentTime > 0.3")
    # the roll follows at the next frame, so it may be a few milliseconds behind the sound
    window.wait("document.querySelector('.etude-player').etudePlayer.roll.now > 300")
    assert window.run("return document.querySelector('output').textContent").endswith("/ 0:20")
    window.click(".etude-play")
    assert window.wait(f"{AUDIO}[0].paused")


def test_a_take_without_recorded_sound_is_heard_and_stops_the_other(opened, takes):
    window = opened(takes)
    window.click(".etude-play", nth=0)
    window.wait(f"{AUDIO}[0].currentTime > 0.1")
    window.click(".etude-play", nth=1)
    window.wait(f"{AUDIO}[1].currentTime > 0.1")
    assert window.run(f"return {AUDIO}[0].paused")
    assert window.run(f"return {AUDIO}[1].duration") == pytest.approx(20 + 1.2 - 40 / 960, abs=0.1)


def test_sound_made_by_the_page_is_loud_enough_and_not_clipped(opened, takes):
    window = opened(takes)
    samples = window.run("""
        const made = etudePages.synthesise(document.querySelectorAll('.etude-player')[1].etudePlayer.roll);
        return made.arrayBuffer().then((data) => {
            const samples = new Int16Array(data, 44);
            return [samples.reduce((a, b) => Math.max(a, Math.abs(b)), 0),
                    Math.sqrt(samples.reduce((a, b) => a + b * b, 0) / samples.length)];
        });""")
    assert samples[0] == pytest.approx(0.85 * 32767, rel=0.01)
    assert samples[1] > 1000


def test_a_click_into_the_roll_seeks_there(opened, takes):
    window = opened(takes)
    window.click(".etude-view")  # WebDriver clicks into the middle
    assert window.run(f"return {AUDIO}[0].currentTime") == pytest.approx(9.6, abs=0.5)


def test_space_and_arrows_work_on_a_focused_roll(opened, takes):
    window = opened(takes)
    window.run("document.querySelector('.etude-view').focus()")
    window.press("\ue014")  # right arrow
    assert window.run(f"return {AUDIO}[0].currentTime") == pytest.approx(5)
    window.press(" ")
    window.wait(f"!{AUDIO}[0].paused")
    window.press(" ")
    window.wait(f"{AUDIO}[0].paused")
    window.press("\ue011")  # home
    assert window.run(f"return {AUDIO}[0].currentTime") == 0


def test_the_slider_and_buttons_say_what_they_are(opened, takes):
    window = opened(takes)
    controls = "[...document.querySelectorAll('.etude-bar :is(button, input, a)')]"
    said = window.run(f"return {controls}.map((e) => e.ariaLabel || e.textContent)")
    assert said[:2] == ["Play One", "Position in One"]
    assert all(said)


def test_the_roll_shows_notes_in_the_colours_of_both_schemes(opened, takes):
    pixels = """
        const canvas = document.querySelector('canvas'), c = canvas.getContext('2d');
        const data = c.getImageData(0, 0, canvas.width, canvas.height).data, seen = new Set();
        for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 3).join());
        return [...seen]"""
    assert "255,255,255" in opened(takes).run(pixels)
    dark = opened(takes, dark=True).run(pixels)
    assert "27,30,36" in dark
    assert "255,255,255" not in dark
    assert len(dark) > 20


@pytest.mark.parametrize("width", [360, 400, 1280])
def test_nothing_is_wider_than_the_screen(opened, takes, width):
    window = opened(takes, width=width)
    assert window.run("return document.documentElement.scrollWidth") <= width


def test_zooming_keeps_the_roll_in_its_frame(opened, takes):
    window = opened(takes)
    window.click("[aria-label='Zoom in']")
    window.click("[aria-label='Zoom in']")
    view = window.run("const v = document.querySelector('.etude-view'); return [v.scrollWidth, v.clientWidth]")
    assert view[0] > 3.5 * view[1]
    assert window.run("return document.documentElement.scrollWidth <= innerWidth")


def test_a_chart_shows_values_under_the_arrow_keys(opened):
    chart = line_chart({"train": ([0, 10], [4.0, 2.0])}, x_label="step", y_label="loss")
    window = opened(page("Chart", [Section("Loss", [columns([chart])])]))
    window.run("document.querySelector('.etude-area').focus()")
    window.press("\ue012")  # left arrow
    assert "train: 4.000" in window.run("return document.querySelector('.etude-tip').textContent")


def test_scores_in_a_notebook_do_not_disturb_each_other(opened, duet):
    """covers: star-81"""
    cell = f'<div class="output">{duet._repr_html_()}</div>'
    window = opened(f'<!doctype html><body data-jp-theme-light="false">{cell}{cell}{cell}</body>')
    assert window.run("return document.querySelectorAll('.etude-player[data-ready]').length") == 3
    window.click(".etude-play", nth=2)
    window.wait(f"{AUDIO}[2].currentTime > 0.1")
    assert window.run("return getComputedStyle(document.querySelector('.etude')).colorScheme") == "dark"
    assert window.run("return getComputedStyle(document.body).fontFamily") != window.run(
        "return getComputedStyle(document.querySelector('.etude')).fontFamily"
    ), "the notebook keeps its own style"


def test_without_scripts_the_page_still_shows_rolls_and_players(opened, browser, takes):
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened(takes)
        found = browser._send("POST", "/elements", {"using": "css selector", "value": ".etude-view svg"})
        assert len(found) == 2
        found = browser._send("POST", "/elements", {"using": "css selector", "value": "audio[controls]"})
        assert len(found) == 1
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)
