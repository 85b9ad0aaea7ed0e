"""The page of what a tokenizer loses: every number on it is one of the document, nothing on it asks for a network.

covers: star-20
"""

import re
import shutil

import numpy as np
import pytest
from browser import browser as start_browser  # beside this file

from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.data.token_losses import corpus_losses, examples
from etude.music.midi import write_midi
from etude.music.score import Controls, Score, Tempos, TimeSignatures, Track
from etude.pages.tokens import share, short, tokens_page
from etude.tokens import build_tokenizer


def piece(number):
    """Return a band of piano with a pedal, strings and drums, on and off the grid."""
    rng = np.random.default_rng(number)
    count = 300
    return Score.of(
        np.sort(rng.integers(0, 30_000, count)),
        rng.integers(20, 900, count),
        rng.integers(40, 70, count),
        rng.integers(1, 128, count),
        rng.integers(0, 3, count),
        ppq=480,
        tracks=[Track(0, name="Piano"), Track(48), Track(0, is_drum=True)],
        tempos=Tempos.of(tick=[0, 9600], us_per_quarter=[500_000, 350_000 + 10_000 * number]),
        time_signatures=TimeSignatures.of(tick=[0], numerator=[3], denominator=[4]),
        controls=Controls.of(tick=[0, 5000], track=[0, 0], number=[64, 64], value=[127, 0]),
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens_page")
    (folder / "midi").mkdir()
    for number in range(5):
        write_midi(piece(number), folder / "midi" / f"a-rather-long-name-of-a-file-that-has-to-wrap-{number}.mid")
    prepare(folder / "midi", folder / "out", workers=1, near_duplicates=False)
    return Corpus.open(folder / "out")


@pytest.fixture(scope="module", params=["performance", "remi"])
def made(corpus, request):
    tokenizer = build_tokenizer(request.param)
    losses = corpus_losses(corpus, tokenizer)
    return losses, list(examples(corpus, tokenizer, losses))


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_the_page_shows_what_was_measured(made):
    losses, shown = made
    page = tokens_page(losses, shown)
    text, notes = text_of(page), losses["notes"]
    assert f"come back {notes['kept']:,}" in text
    assert (f"{notes['cut']:,} notes end 0.2 s or more too early" in text) == (notes["cut"] > 0)
    assert f"95% within {short(losses['onset_ms']['size']['p95'])}, all within" in text
    assert f"over all pieces {losses['tempo_error']['mean']:.1%}" in text
    drums = losses["tables"]["drums"]
    told = "no" if "drums" in losses["loses"] else "yes"
    kept = f"{drums['kept']:,} {share(drums['kept'], drums['before'])}"
    assert f"drum notes {told} {kept} {drums['before']:,} 5" in text
    assert ("the lengths of notes" in text) == ("pedal" in losses["ends"])
    for word in losses["loses"]:
        assert word in text
    for row in losses["worst"]:
        assert f"{row['path']} {row['lost_share']:.1%}" in text


def test_examples_stand_side_by_side_and_can_be_played(made):
    losses, shown = made
    page = tokens_page(losses, shown)
    assert page.count("data-roll=") == 2 * len(shown) >= 4
    assert page.count("<strong>Before</strong>") == page.count("<strong>After</strong>") == len(shown)


def test_the_page_asks_for_nothing(made):
    page = tokens_page(*made)
    assert not re.search(r"@import|import\(|fetch\(|XMLHttp|@font-face|url\(", page)
    assert set(re.findall(r"https?://[^ '\"]+", page)) == {"http://www.w3.org/2000/svg"}


def test_words_from_files_cannot_become_markup(made):
    losses, shown = made
    bad = "<img src=x onerror=alert(1)>"
    page = tokens_page(
        losses
        | {
            "corpus": bad,
            "tokenizer": bad,
            "loses": [bad],
            "settings": {bad: bad},
            "worst": [row | {"path": bad} for row in losses["worst"]],
            "refused": {"pieces": 1, "examples": [{"path": bad, "reason": bad}]},
        },
        [one | {"path": bad, "why": bad} for one in shown],
        footer=bad,
    )
    assert "<img" not in page
    assert page.count("&lt;img") > 10


def test_a_sample_is_said_to_be_one_and_refusals_have_their_place(made):
    losses, _ = made
    refused = {"pieces": 2, "examples": [{"path": "x.mid", "reason": "26 hours long"}]}
    text = text_of(tokens_page(losses | {"measured": {"pieces": 5, "of": 9000}, "refused": refused}, []))
    assert "Of 5 pieces of 9,000, at equal distances over the corpus, that were encoded" in text
    assert "x.mid 26 hours long" in text
    assert "2 in all" in text


def test_a_corpus_of_nothing_has_a_page(tmp_path):
    (tmp_path / "x.mid").write_bytes(b"")
    corpus = Corpus.open(prepare(tmp_path, tmp_path / "out", workers=1)["corpus"])
    text = text_of(tokens_page(corpus_losses(corpus, build_tokenizer("remi")), []))
    assert "Of 0 pieces that were encoded and decoded again, – of the notes come back" in text


def test_shares_never_round_to_all_or_nothing():
    assert [share(*counts) for counts in [(0, 7), (1, 90_000), (3, 4), (89_999, 90_000), (7, 7)]] == [
        "0%", "0.01%", "75.0%", "99.99%", "100%",
    ]  # fmt: skip


@pytest.mark.services
@pytest.mark.parametrize("scheme", [{"width": 360}, {"width": 1280}, {"width": 1280, "dark": True}])
def test_in_a_browser_nothing_is_too_wide_and_nothing_goes_wrong(made, tmp_path, scheme):
    if not (shutil.which("chromedriver") and shutil.which("chromium")):
        pytest.fail("chromium and chromium-driver are not installed; run `make test-services`, which installs them")
    path = tmp_path / "page.html"
    path.write_text(tokens_page(*made))
    with start_browser() as window:
        window.emulate(**scheme)
        window.open(path)
        assert window.run("return document.documentElement.scrollWidth") <= scheme["width"]
        assert window.run("return document.querySelectorAll('.etude-cols').length") == 6
        tops = "[...document.querySelectorAll('.etude-player')].slice(0, 2).map((e) => e.getBoundingClientRect().top)"
        before, after = window.run(f"return {tops}")
        assert (before == after) == (scheme["width"] > 1000), "side by side where there is room"
        window.run("document.querySelector('.etude-play').scrollIntoView({behavior: 'instant', block: 'center'})")
        window.click(".etude-play")
        window.wait("document.querySelector('.etude-player').etudePlayer.roll.now > 100")
        assert (window.problems(), window.requests()) == ([], [])
