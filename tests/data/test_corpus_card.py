"""The card of a corpus: its numbers are those of the tables, and a hub can read its head."""

import re

import pyarrow.parquet as pq
import pytest
import yaml
from corpus_for_tests import make_corpus

from etude.data.card import corpus_card
from etude.data.corpus import Corpus
from etude.data.stats import corpus_stats


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus.open(make_corpus(tmp_path_factory.mktemp("card")))


@pytest.fixture(scope="module")
def card(corpus):
    return corpus_card(corpus_stats(corpus), title="A *small* corpus", about="From an attic.", version="1.2.3")


def tables(card):
    """Return the tables of a card: rows of cells by the first cell of the head, numbers as numbers."""
    found = {}
    for block in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|\n ").split(" | ")] for line in block.splitlines())
        found[head[0] or "summary"] = {row[0]: [number(cell) for cell in row[1:]] for row in rows}
    return found


def number(cell):
    plain = cell.replace(",", "")
    return float(plain) if re.fullmatch(r"-?\d+(\.\d+)?", plain) else cell


def test_the_numbers_of_the_card_are_those_of_the_tables(corpus, card):
    """covers: star-15"""
    pieces = pq.read_table(corpus.path / "pieces-00000.parquet").to_pylist()
    splits = {row["path"]: row for row in pq.read_table(corpus.path / "splits.parquet").to_pylist()}
    ledger = pq.read_table(corpus.path / "ledger.parquet").to_pylist()
    shown = tables(card)

    def hours(rows):
        return round(sum(row["duration_sec"] for row in rows) / 3600, 2)

    assert shown["summary"]["pieces"] == [len(pieces)]
    assert shown["summary"]["notes"] == [sum(len(row["note_pitch"]) for row in pieces)]
    assert shown["summary"]["hours"] == [hours(pieces)]
    assert shown["summary"]["groups"] == [len({row["group"] for row in splits.values()})]
    assert shown["summary"]["files seen"] == [len(ledger)]
    assert shown["summary"]["digest"] == [f"`{corpus.digest}`"]
    for split, cells in shown["split"].items():
        inside = [row for row in pieces if splits[row["path"]]["split"] == split]
        groups = {splits[row["path"]]["group"] for row in inside}
        assert cells == [len(inside), len(groups), sum(row["num_notes"] for row in inside), hours(inside)]
    for licence, cells in shown["licence"].items():
        inside = [row for row in pieces if row["licence"] == licence]
        assert cells[:2] == [len(inside), hours(inside)]
    for verdict, cells in shown["verdict"].items():
        assert cells == [sum(row["verdict"] == verdict for row in ledger)]
    assert shown["rule that was broken"] == {"`min_notes`": [2]}
    known = [row["label_composer"] for row in pieces if row["label_composer"]]
    assert shown["label"]["`label_composer`"][:2] == [len(known), len(set(known))]
    assert "Chopin 3, Haydn 3, Bach 2" in card
    assert "So are variants of one piece: 1 pair." in card


def test_the_head_is_what_hubs_read(card):
    _, head, _ = card.split("---\n", 2)
    about = yaml.safe_load(head)
    assert about["pretty_name"] == "A *small* corpus"
    assert about["license"] == ["cc-by-4.0", "cc0-1.0"]
    assert about["size_categories"] == ["n<1K"]
    assert about["configs"][0] == {"config_name": "pieces", "data_files": "pieces-*.parquet", "default": True}


def test_the_card_says_what_people_wrote_and_how_it_was_made(card):
    assert "# A \\*small\\* corpus\n" in card
    assert "From an attic." in card
    assert "Made by Etude 1.2.3" in card
    settings = yaml.safe_load(re.search(r"```yaml\n(.*?)```", card, re.DOTALL)[1])
    assert settings["filters"]["min_notes"] == 3
    assert settings["seed"] == 0


def test_words_from_files_cannot_break_the_tables(tmp_path, corpus):
    stats = corpus_stats(corpus)
    stats["labels"]["composer"]["top"][0]["value"] = "a|b `c` [d](e)\nf"
    stats["sources"] = {"x | y": 10}
    card = corpus_card(stats)
    assert tables(card)["label"]["`label_composer`"][0] == 8
    assert all(line.count(" | ") == 1 for line in card.splitlines() if line.startswith("| x"))


def test_a_corpus_of_one_licence_names_it_and_an_unknown_one_is_unknown(corpus):
    stats = corpus_stats(corpus)
    stats["licences"] = {"unknown": {"pieces": 10, "hours": 0.1, "asks": ["permission"]}}
    assert yaml.safe_load(corpus_card(stats).split("---\n")[1])["license"] == "unknown"
