"""`etude corpus stats|check|card`: JSON for scripts, lines for people, exit codes for both."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from etude.cli.__main__ import main
from etude.cli.corpus import COMMANDS
from etude.data.corpus import Corpus


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def sampler(tmp_path_factory):
    out = tmp_path_factory.mktemp("corpora") / "sampler"
    assert main(["prepare", "sampler", str(out), "given_splits=ignore", "--json"]) == 0
    return out


@pytest.fixture
def leaking(sampler, tmp_path):
    """A copy of which one group is torn apart."""
    corpus = shutil.copytree(sampler, tmp_path / "leaking")
    table = pq.read_table(corpus / "splits.parquet")
    rows = table.to_pylist()
    groups = [row["group"] for row in rows]
    torn = next(row for row in rows if groups.count(row["group"]) > 1)
    torn["split"] = "test" if torn["split"] != "test" else "train"
    pq.write_table(type(table).from_pylist(rows, table.schema), corpus / "splits.parquet")
    return corpus, torn


def test_every_sub_command_is_listed_and_shows_an_example(capsys):
    code, out, _ = run(capsys, "corpus", "--help")
    assert code == 0
    assert all(name in out for name in COMMANDS)
    for name in ("stats", "check", "card"):
        assert f"etude corpus {name}" in run(capsys, "corpus", name, "--help")[1]
    assert run(capsys, "corpus")[1] == out


def test_a_misspelt_sub_command_is_answered_with_the_nearest(capsys):
    code, _, err = run(capsys, "corpus", "stat")
    assert (code, err) == (1, "etude: 'stat': no such command; did you mean 'stats'?\n")


def test_stats_are_one_json_document_and_write_a_page(capsys, sampler, tmp_path):
    code, out, err = run(capsys, "corpus", "stats", sampler, "--json", "--out", tmp_path / "page.html")
    stats = json.loads(out)
    assert (code, err) == (0, "")
    assert stats["pieces"] == len(Corpus.open(sampler))
    assert stats["page"] == str(tmp_path / "page.html")
    assert stats["digest"] in (tmp_path / "page.html").read_text()


def test_a_person_reads_numbers_and_where_the_page_is(capsys, sampler, tmp_path):
    lines = run(capsys, "corpus", "stats", sampler, "--out", tmp_path / "page.html")[1].splitlines()
    corpus = Corpus.open(sampler)
    assert lines[0].startswith(f"pieces          {len(corpus)} in ")
    assert lines[-1] == f"page: {tmp_path / 'page.html'}"


def test_a_good_corpus_is_said_to_be_good(capsys, sampler):
    code, out, _ = run(capsys, "corpus", "check", sampler)
    assert code == 0
    assert out.endswith("nothing is wrong\n")
    document = json.loads(run(capsys, "corpus", "check", sampler, "--json")[1])
    assert (document["problems"], document["corpus"]) == (0, str(sampler))


def test_a_leak_ends_with_1_and_names_both_files(capsys, leaking):
    """covers: B39 (partly)"""
    corpus, torn = leaking
    code, out, err = run(capsys, "corpus", "check", corpus)
    assert (code, err) == (1, "")
    (line,) = [line for line in out.splitlines() if f"group '{torn['group']}'" in line]
    assert line.count(" (") == 2
    code, out, _ = run(capsys, "corpus", "check", corpus, "--json")
    found = {check["check"]: check for check in json.loads(out)["checks"]}
    assert code == 1
    assert len(found["groups"]["listed"][0]["files"]) == 2


def test_the_card_is_written_beside_the_tables_and_can_be_printed(capsys, sampler, tmp_path):
    """covers: star-15 (partly)"""
    (tmp_path / "about.md").write_text("Fiddle tunes and chorales.")
    said = ["--title", "Tunes", "--about", tmp_path / "about.md"]
    code, out, _ = run(capsys, "corpus", "card", sampler, *said, "--json")
    card = (sampler / "README.md").read_text()
    assert (code, json.loads(out)["path"]) == (0, str(sampler / "README.md"))
    assert "# Tunes" in card
    assert "Fiddle tunes and chorales." in card
    assert run(capsys, "corpus", "card", sampler, *said, "--stdout")[1] == card
    assert Corpus.open(sampler)
    assert main(["corpus", "check", str(sampler)]) == 0, "a card is no damage"


@pytest.mark.parametrize("command", ["stats", "check", "card"])
def test_what_is_no_corpus_is_answered_in_one_line(capsys, tmp_path, command):
    code, out, err = run(capsys, "corpus", command, tmp_path)
    assert (code, out) == (1, "")
    assert err == f"etude: {tmp_path}: not a corpus, has no corpus.json; make one with `etude prepare`\n"


def test_a_missing_text_for_the_card_is_answered_in_one_line(capsys, sampler, tmp_path):
    code, _, err = run(capsys, "corpus", "card", sampler, "--about", tmp_path / "none.md")
    assert code == 1
    assert err.startswith(f"etude: {tmp_path / 'none.md'}: cannot be read: ")
