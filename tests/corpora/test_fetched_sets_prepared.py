"""What was fetched is prepared as it is: official splits, groups, labels and licences arrive in the corpus."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from mini_datasets import MINI

from etude.corpora import find_dataset
from etude.corpora.fetch import fetch
from etude.data.corpus import Corpus
from etude.data.prepare import prepare


def prepared(name, tmp_path):
    mini, dataset = MINI[name](), find_dataset(name)
    for file, data in mini.files.items():
        (tmp_path / file).write_bytes(data)
    loose = tuple(replace(remote, checksum=None) for remote in dataset.remotes)
    fetch(replace(dataset, remotes=loose), tmp_path / "set", copy=tmp_path)
    made = prepare(tmp_path / "set", tmp_path / "corpus", workers=1)
    return mini, made, pq.read_table(tmp_path / "corpus" / "splits.parquet").to_pylist()


@pytest.mark.parametrize("version", ["maestro-v2", "maestro-v3"])
def test_the_official_split_of_both_maestro_tables_is_honoured(version, tmp_path):
    """covers: MT-6"""
    mini, made, rows = prepared(version, tmp_path)
    assert {row["path"]: row["split"] for row in rows} == {path: said[1] for path, said in mini.expected.items()}
    assert {row["path"]: row["group"] for row in rows} == {path: said[0] for path, said in mini.expected.items()}
    assert made["unmatched_labels"] == []


def test_labels_licence_and_source_are_those_of_the_dataset(tmp_path):
    """covers: star-9 (partly), star-14 (partly)"""
    mini, _, _ = prepared("groove", tmp_path)
    pieces = {piece.path: piece for piece in Corpus.open(tmp_path / "corpus").pieces(columns=())}
    assert set(pieces) == set(mini.expected)
    for path, (_, _, labels) in mini.expected.items():
        assert pieces[path].licence == "CC BY 4.0"
        assert pieces[path].source == "Groove MIDI Dataset 1.0.0"
        assert labels.items() <= pieces[path].labels.items()


def test_a_group_of_a_set_without_a_published_split_is_never_torn(tmp_path):
    mini, _, rows = prepared("asap", tmp_path)
    split_of = {}
    for row in rows:
        assert split_of.setdefault(row["group"], row["split"]) == row["split"]
    assert {row["path"]: row["group"] for row in rows}.items() >= {
        path: said[0] for path, said in mini.expected.items()
    }.items()
