"""The page of a corpus: every number on it is one of the document, nothing on it asks for a network."""

import re
import shutil

import pytest
from browser import browser as start_browser  # beside this file

from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.data.stats import corpus_stats, typical_pieces
from etude.music.midi import write_midi
from etude.music.score import Score, Track
from etude.pages.bars import Column, column_chart, histogram_chart, parted_bars, whole_bar
from etude.pages.corpus import corpus_page
from etude.pages.corpus_charts import is_class
from etude.pages.corpus_files import pair_of_paths, rule_in_words


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "out"
    return Corpus.open(prepare("sampler", out, filters={"min_notes": 150})["corpus"])


@pytest.fixture(scope="module")
def stats(corpus):
    return corpus_stats(corpus)


@pytest.fixture
def document(stats):
    """Return a function that makes a page of a document with some parts replaced."""
    return lambda pieces=(), **parts: corpus_page(stats | parts, list(pieces))


def test_the_page_shows_what_was_counted(stats, document):
    page = document()
    for count in (stats["pieces"], stats["notes"], stats["groups"]["count"], stats["files"]["filtered"]):
        assert f"{count:,}" in page
    assert "notes, at least 150</dt>" in page
    for name, label in stats["labels"].items():
        if is_class(label):
            assert f"<h3>{name}</h3>" in page
            assert f"<dt>{label['top'][0]['value']}</dt>" in page
    for key, count in stats["music"]["keys"].items():
        assert f'title="{key}: {count:,}"' in page
    for file in stats["dropped"]["rules"]["min_notes"]["examples"][:3]:
        assert file["path"] in page


def test_typical_pieces_are_shown_and_can_be_played(corpus, stats, document):
    page = document(typical_pieces(corpus, stats))
    assert page.count("data-roll=") == 6
    assert page.count('<svg class="etude-roll') == 6


def test_the_page_asks_for_nothing(corpus, stats, document):
    page = document(typical_pieces(corpus, stats))
    assert not re.search(r"@import|import\(|fetch\(|XMLHttp|@font-face|url\(", page)
    assert set(re.findall(r"https?://[^ '\"]+", page)) == {"http://www.w3.org/2000/svg"}


def test_words_from_files_cannot_become_markup(stats, document):
    bad = "<img src=x onerror=alert(1)>"
    label = stats["labels"]["composer"]
    top = [row | {"value": bad} for row in label["top"]]
    pair = {"path_a": bad, "path_b": bad, "similarity": 0.5, "semitones": -2, "split_a": bad, "split_b": "test"}
    group = {"group": bad, "pieces": 2, "pairs": 1, "split": "train", "lowest": 0.5, "paths": [bad]}
    rule = {"files": 1, "first": 1, "low": None, "high": None, "examples": [{"path": bad, "value": bad}]}
    page = document(
        corpus=bad,
        labels={bad: label | {"top": top}},
        licences={bad: {"pieces": 1, "hours": 1.0, "asks": []}},
        sources={bad: 1},
        duplicates={"files": 1, "pairs": [{"path": bad, "duplicate_of": bad}]},
        near_duplicates={"pairs": 1, "leaks": 1, "pieces": 2, "num_groups": 1, "groups": [group], "leaking": [pair]},
        dropped={"rules": {bad: rule}, "reasons": {bad: {"files": 1, "examples": [{"path": bad, "reason": bad}]}}},
    )
    assert "<img" not in page
    assert page.count("&lt;img") > 10


def test_leaks_stand_out(document):
    pair = {"path_a": "a/x.mid", "path_b": "a/y.mid", "similarity": 0.5, "semitones": -2}
    pair |= {"split_a": "train", "split_b": "test"}
    near = {"pairs": 1, "leaks": 1, "pieces": 2, "num_groups": 1, "groups": [], "leaking": [pair]}
    page = document(near_duplicates=near)
    assert "Variants in different splits" in page
    assert "50% alike, −2 semitones, train and test" in page
    assert "1 pair of variants lie in different splits" in page


def test_a_corpus_of_nothing_has_a_page(tmp_path):
    (tmp_path / "x.mid").write_bytes(b"")
    corpus = Corpus.open(prepare(tmp_path, tmp_path / "out", workers=1)["corpus"])
    page = corpus_page(corpus_stats(corpus), [])
    assert "0 pieces in 0 groups" in page
    assert "not a MIDI file: it is empty" in page


def test_a_corpus_of_drums_has_no_keys_and_no_pitches(tmp_path):
    kit = Score.of(range(0, 9600, 240), [100] * 40, [36, 38, 42, 38] * 10, tracks=[Track(0, is_drum=True)])
    write_midi(kit, tmp_path / "beat.mid")
    stats = corpus_stats(Corpus.open(prepare(tmp_path, tmp_path / "out", workers=1)["corpus"]))
    page = corpus_page(stats, [])
    assert "Drums alone: they have no pitch." in page
    assert "most often" not in page
    assert "<dt>drums</dt>" in page


def test_a_sample_is_said_to_be_one(document):
    assert "measured on 20,000 of 1,000,000 pieces" in document(measured={"pieces": 20_000, "of": 1_000_000})


def test_titles_measurements_and_files_get_no_chart():
    def label(values, known, top):
        rows = [{"value": value, "pieces": 1, "train": 1, "valid": 0, "test": 0} for value in top]
        return {"known": known, "values": values, "complete": True, "top": rows}

    assert is_class(label(2, 3, ["yes", "no"]))
    assert is_class(label(10, 100, ["1", "2", "3"])), "a few numbers are classes"
    assert not is_class(label(100, 100, ["Toccata", "Fugue"]))
    assert not is_class(label(300, 900, ["1.5", "2.5", "3.5"]))
    assert not is_class(label(20, 90, ["a/b.mid", "a/c.mid"]))
    assert not is_class(label(0, 0, []))


def test_columns_are_as_high_as_what_they_count():
    chart = column_chart([Column(1, "one"), Column(4, "four", 3), Column(0, "none")], title="Counts")
    heights = [float(height) for height in re.findall(r"<b style=\"height:([\d.]+)%", chart)]
    assert heights == [25, 100, 0]
    assert 'title="four"' in chart
    assert "--c:var(--t3)" in chart


def test_the_line_in_a_histogram_is_at_the_median():
    shown = {
        "min": 0.0, "median": 5.0, "max": 10.0,
        "histogram": {"edges": [0.0, 5.0, 10.0], "counts": [3, 1], "log": False, "beyond": 0},
    }  # fmt: skip
    assert '<u style="left:50.00%">' in histogram_chart(shown, title="Values")


def test_parts_of_bars_add_up():
    bars = parted_bars({"a": {"x": 1, "y": 3}, "b": {"x": 2}}, {"x": 0, "y": 1})
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", bars)]
    assert widths == [25, 75, 50]
    assert 'title="x 1, y 3"' in bars
    whole = whole_bar({"x": 1, "y": 3, "z": 0}, {"x": 0, "y": 1, "z": 2})
    assert "x <b>1</b> 25%" in whole
    assert "z" not in re.sub(r"<[^>]*>", "", whole)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("min_length_sec", "length, at least 30 s"),
        ("max_notes_per_sec", "notes a second, at most 20"),
        ("max_notes_per_sec_in_window[45s]", "notes a second in 45 s, at most 30"),
        ("min_pitch_entropy_bits", "pitch entropy, at least 2.5 bits"),
        ("licence", "licence"),
    ],
)
def test_rules_read_as_people_say_them(rule, said):
    limits = {
        "min_length_sec": 30.0,
        "max_notes_per_sec": 20,
        "max_notes_per_sec_in_window": [[40.0, 10.0], [30.0, 45.0]],
        "min_pitch_entropy_bits": 2.5,
    }
    assert rule_in_words(rule, limits) == said


def test_the_folder_of_two_paths_is_said_once():
    assert pair_of_paths("a/b/c.mid", "a/d/c.mid", "and") == "<span>a/</span> b/c.mid <span>and</span> d/c.mid"
    assert pair_of_paths("c.mid", "d.mid", "and") == "c.mid <span>and</span> d.mid"


@pytest.mark.services
@pytest.mark.parametrize("scheme", [{"width": 360}, {"width": 1280}, {"width": 1280, "dark": True}])
def test_in_a_browser_nothing_is_too_wide_and_nothing_goes_wrong(corpus, stats, document, tmp_path, scheme):
    if not (shutil.which("chromedriver") and shutil.which("chromium")):
        pytest.fail("chromium and chromium-driver are not installed; run `make test-services`, which installs them")
    path = tmp_path / "page.html"
    path.write_text(document(typical_pieces(corpus, stats)))
    with start_browser() as window:
        window.emulate(**scheme)
        window.open(path)
        assert window.run("return document.documentElement.scrollWidth") <= scheme["width"]
        assert window.run("return document.querySelectorAll('.etude-cols').length") >= 7
        lowest = "[...document.querySelectorAll('.etude-cols')].map((e) => e.getBoundingClientRect().height)"
        assert min(window.run(f"return {lowest}")) >= 100
        assert (window.problems(), window.requests()) == ([], [])
