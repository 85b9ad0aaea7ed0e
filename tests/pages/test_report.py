"""Pages as a whole, without a browser."""

import re
from html.parser import HTMLParser

import pytest

from etude.music.score import Score
from etude.pages import DemoContent, Html, Section, Take, demo_page, page, table, takes_page
from etude.pages.text import markup, number

_VOID = {"meta", "link", "br", "img", "input"}


class Balance(HTMLParser):
    """Fails where a tag is not closed in order; collects ids, links and addresses."""

    def __init__(self, document):
        super().__init__()
        self.open, self.ids, self.addresses = [], [], []
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.addresses += [value for name, value in attributes if name in {"href", "src", "action", "data"}]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def comparison(distance):
    return {
        "takes": 1,
        "takes_mean": 0.9,
        "takes_std": 0.0,
        "held_out_mean": 0.8,
        "held_out_std": 0.1,
        "difference_low": -0.1,
        "difference_high": 0.2,
        "distance": distance,
        "overlap": 0.5,
        "takes_values": [0.9],
        "held_out_values": [0.7, 0.9],
        "title": "in-key rate",
        "meaning": "How much is in key.",
    }


@pytest.fixture
def content(duet):
    return DemoContent(
        title="A demo of <etude>",
        corpus={"pieces": 12, "notes": 34567},
        model={"parameters": 1_000_000},
        loss={"train": ([1, 2, 3], [6.0, 4.0, 2.0]), "valid": ([0, 3], [6.0, 2.5])},
        baselines={"bigram": 4.0, "5-gram": 2.0},
        scores=[
            {"name": "this model", "nats_per_token": 2.5, "nats_per_note": 7.5, "nats_per_sec": 30.0, "accuracy": 0.4},
            {"name": "bigram", "nats_per_token": 4.0, "nats_per_note": 12.0, "nats_per_sec": 48.0},
            {"name": "5-gram", "nats_per_token": 2.0, "nats_per_note": 6.0, "nats_per_sec": 24.0},
        ],
        takes=[Take(score=duet, title="Take 1", midi=b"MThd", recipe={"seed": 1234567, "top_p": 0.98, "prompt": None})],
        comparison={"in_key": comparison(0.5), "polyphony": comparison(1.5)},
        commands=[("etude runs list", "See what there is")],
    )


def test_the_demo_page_is_well_formed_and_needs_nothing_from_elsewhere(content):
    """covers: star-80"""
    found = Balance(demo_page(content))
    assert len(found.ids) == len(set(found.ids))
    inside = {f"#{name}" for name in found.ids}
    assert all(address in inside or address.startswith("data:") for address in found.addresses)


def test_the_demo_page_says_how_far_the_model_is_from_each_baseline(content):
    document = demo_page(content)
    assert "38% below the bigram and 25% above the 5-gram" in document
    assert 'etude-good">✓ 38% below' in document
    assert 'etude-poor">✗ 25% above' in document


def test_the_demo_page_marks_attributes_that_are_too_far_off(content):
    document = demo_page(content)
    assert 'etude-good">✓ 0.50' in document
    assert 'etude-poor">✗ 1.50' in document
    assert "How much is in key." in document


def test_recipes_show_seeds_as_they_are_typed(content):
    assert "<dt>seed</dt><dd>1234567</dd>" in demo_page(content)


def test_text_is_escaped_and_markup_is_not():
    document = page("a < b", [Section("c & d", [table(["", "<x>"], [["<y>", Html("<b>z</b>")]])])], lead="<i>")
    assert "<h1>a &lt; b</h1>" in document
    assert "<x>" not in document
    assert "<y>" not in document
    assert "<b>z</b>" in document
    Balance(document)


def test_a_page_forbids_itself_the_network():
    """covers: star-80"""
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page("t", [])).group(1)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_a_page_of_takes_holds_a_player_for_each():
    takes = [Take(score=Score.of([0], [480], [60]), title=f"Take {i}") for i in range(3)]
    document = takes_page("Takes", takes)
    assert document.count("data-roll=") == 3
    Balance(document)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (True, "True"), (1234, "1,234"), (0.5, "0.500"), (-12.345, "-12.35"), ("a<", "a&lt;")],
)
def test_values_read_as_people_write_them(value, shown):
    assert markup(value) == shown


def test_large_fractions_lose_their_digits():
    assert number(98765.4321) == "98,765"
