"""A corpus is split anew from what it holds: no file is read, pieces and token shards stay."""

import json

import pyarrow.parquet as pq
import pytest
from pieces_for_tests import song, tree_of, write_songs

from etude.cli.__main__ import main
from etude.data.corpus import Corpus
from etude.data.prepare import prepare
from etude.data.resplit import resplit
from etude.errors import CorpusError
from etude.music.edit import transpose
from etude.music.midi import write_midi

LABELS = ["path,performer,group,split"]
LABELS += [f"{k}.mid,{'Shi' if k % 3 else 'Na'},,{'test' if k == 0 else ''}" for k in range(12)]


@pytest.fixture
def corpus(tmp_path):
    write_songs(tmp_path / "midi", [f"{k}.mid" for k in range(12)], num_notes=200)
    write_midi(transpose(song(5, num_notes=200), 4), tmp_path / "midi" / "5 higher.mid")
    write_midi(transpose(song(0, num_notes=200), 4), tmp_path / "midi" / "0 higher.mid")
    table = [*LABELS, "5 higher.mid,Shi,,", "0 higher.mid,Na,,train"]
    (tmp_path / "midi" / "labels.csv").write_text("\n".join(table))
    return Corpus.open(prepare(tmp_path / "midi", tmp_path / "corpus", workers=1)["corpus"])


def rows(corpus):
    return {row["path"]: row for row in Corpus.open(corpus.path).splits.to_pylist()}


def test_the_same_settings_give_the_same_files(corpus):
    before = tree_of(corpus.path)
    resplit(corpus.path)
    assert tree_of(corpus.path) == before


def test_another_seed_gives_another_split_and_digest_and_the_same_pieces(corpus):
    """covers: AP-8"""
    before = tree_of(corpus.path)
    made = resplit(corpus.path, seed=2)
    after = tree_of(corpus.path)
    assert {name for name in before if before[name] != after[name]} == {"splits.parquet", "corpus.json"}
    assert made["digest"] == Corpus.open(corpus.path).digest != corpus.digest
    found = rows(corpus)
    assert found["5.mid"]["split"] == found["5 higher.mid"]["split"]
    assert found["0.mid"]["split"] == "test"


def test_given_splits_that_tear_variants_apart_are_leaks_until_they_are_ignored(corpus):
    assert corpus.info["leaks"] == 1
    made = resplit(corpus.path, given_splits="ignore")
    assert made["leaks"] == 0
    found = rows(corpus)
    assert found["0.mid"]["group"] == found["0 higher.mid"]["group"]
    assert found["0.mid"]["split"] == found["0 higher.mid"]["split"]
    assert pq.read_table(corpus.path / "near.parquet")["joined"].to_pylist() == [True, True]


def test_a_label_becomes_a_group(corpus):
    resplit(corpus.path, given_splits="ignore", group_by=["performer"])
    found = rows(corpus)
    assert {row["group"] for row in found.values()} == {"performer=Na", "performer=Shi"}
    assert len({row["split"] for path, row in found.items() if path in ("1.mid", "2.mid", "4.mid")}) == 1


def test_a_label_that_contradicts_the_given_splits_is_refused_and_nothing_changes(corpus):
    before = tree_of(corpus.path)
    with pytest.raises(CorpusError, match="'Na' has pieces in more than one of the splits that the labels give"):
        resplit(corpus.path, group_by=["performer"])
    assert tree_of(corpus.path) == before


def test_an_unknown_label_is_refused_with_the_nearest(corpus):
    with pytest.raises(CorpusError, match="group by performr: no such label; did you mean 'performer'"):
        resplit(corpus.path, group_by=["performr"])


def test_the_command_says_what_it_made(corpus, capsys):
    code = main(["corpus", "split", str(corpus.path), "--given", "ignore", "--seed", "3", "--json"])
    made = json.loads(capsys.readouterr().out)
    assert code == 0
    assert made["corpus"] == str(corpus.path)
    assert sum(made["splits"].values()) == 14
    assert main(["corpus", "split", str(corpus.path), "--fractions", "0.5,0.25,0.25"]) == 0
    assert Corpus.open(corpus.path).info["settings"]["fractions"] == [0.5, 0.25, 0.25]
    capsys.readouterr()
    assert main(["corpus", "split", str(corpus.path), "--fractions", "0.5,0.25"]) == 1
    assert "fractions" in capsys.readouterr().err
