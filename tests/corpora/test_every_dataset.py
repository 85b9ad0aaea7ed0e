"""What every dataset that can be fetched must be: a new line in ``DATASETS`` is tested here without another test."""

import csv
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mini_datasets import MINI

from etude.corpora import DATASETS, find_dataset
from etude.corpora.checksums import KINDS
from etude.corpora.fetch import fetch
from etude.data.labels import read_labels
from etude.data.licences import normal_licence, source_files
from etude.errors import CorpusError


@pytest.fixture(params=list(DATASETS))
def dataset(request):
    return find_dataset(request.param)


def served(dataset, mini, server):
    """Return the dataset as it is, but for the addresses and checksums of its files."""
    remotes = []
    for remote in dataset.remotes:
        data = mini.files[remote.name]
        server.files[remote.name.replace(" ", "%20")] = data
        sha256 = f"sha256:{hashlib.sha256(data).hexdigest()}"
        url = server.url(remote.name.replace(" ", "%20"))
        remotes.append(replace(remote, urls=(url,), checksum=remote.checksum and sha256))
    return replace(dataset, remotes=tuple(remotes))


def rows_of(folder):
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_it_says_all_that_a_person_must_know(dataset):
    assert DATASETS[dataset.name]
    for text in (dataset.title, dataset.homepage, dataset.citation, *dataset.remarks):
        assert text == " ".join(text.split()), text
        assert text
    assert urlsplit(dataset.homepage).scheme in ("http", "https")
    assert dataset.licence in ("", normal_licence(dataset.licence)), "in the spelling that corpora have for it"
    if not dataset.licence:
        assert any("licence" in remark for remark in dataset.remarks)


def test_its_files_have_addresses_and_checksums_of_known_kinds(dataset):
    names = [remote.name for remote in dataset.remotes]
    assert len(set(names)) == len(names)
    for remote in dataset.remotes:
        assert remote.urls or remote.page, "either an address or a page where a person gets it"
        for address in (*remote.urls, *filter(None, [remote.page])):
            assert re.fullmatch(r"https?://[^\s]+", address)
        if remote.checksum is not None:
            kind, _, digits = remote.checksum.partition(":")
            assert re.fullmatch(rf"[0-9a-f]{{{KINDS[kind]}}}", digits)
        assert remote.num_bytes is None or remote.num_bytes > 0


def test_fetched_from_a_server_it_says_of_each_piece_what_its_tables_say(dataset, server, tmp_path):
    mini = MINI[dataset.name]()
    made = fetch(served(dataset, mini, server), tmp_path / "set")
    rows = rows_of(tmp_path / "set")
    for path, (group, split, labels) in mini.expected.items():
        row = rows[path]
        assert (row["group"] or None, row["split"] or None) == (group, split), path
        assert {name: row.get(name, "") for name in labels} == labels, path
        assert (row["licence"], row["source"]) == (dataset.licence, dataset.title)
    assert made["torn"] == mini.torn
    assert made["files"] == len(rows)
    assert {path for path in rows if (tmp_path / "set" / path).is_file()} == set(rows)


def test_the_labels_are_such_as_prepare_reads_and_the_licence_such_as_it_finds(dataset, server, tmp_path):
    fetch(served(dataset, MINI[dataset.name](), server), tmp_path)
    paths = list(rows_of(tmp_path))
    labels = read_labels(tmp_path / "labels.csv", paths)
    assert set(labels.of) == set(paths)
    found = source_files(tmp_path, paths)
    assert {licence for licence, _ in found.values()} == {dataset.licence or None}
    assert {source for _, source in found.values()} == {dataset.homepage}


def test_a_copy_of_its_archive_is_enough_without_a_server(dataset, tmp_path):
    mini = MINI[dataset.name]()
    (tmp_path / "copies").mkdir()
    for name, data in mini.files.items():
        (tmp_path / "copies" / name).write_bytes(data)
    bare = tuple(replace(remote, urls=(), checksum=None, page="nowhere") for remote in dataset.remotes)
    fetch(replace(dataset, remotes=bare), tmp_path / "set", copy=tmp_path / "copies")
    assert set(mini.expected) <= set(rows_of(tmp_path / "set"))


def test_an_unknown_dataset_names_the_nearest():
    with pytest.raises(CorpusError, match="did you mean 'maestro-v3'"):
        find_dataset("maestro3")
    with pytest.raises(CorpusError, match="built in: `etude prepare sampler OUT`"):
        find_dataset("sampler")


def test_a_dataset_of_ones_own_needs_no_entry():
    assert find_dataset("etude.corpora.groove:GROOVE") is find_dataset("groove")
    with pytest.raises(CorpusError, match=r"etude\.corpora\.groove has no NOISE"):
        find_dataset("etude.corpora.groove:NOISE")
    with pytest.raises(CorpusError, match=r"no_such_package\.songs:SET.*cannot be imported"):
        find_dataset("no_such_package.songs:SET")


def test_the_page_of_datasets_has_a_row_with_its_licence(dataset):
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("|") and f"`{dataset.name}`" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2] == (dataset.licence or "not stated")
    assert ("*" in cells[0]) == (dataset.by_hand is not None)
    kinds = {(remote.checksum or "first use:").split(":")[0] for remote in dataset.remotes if remote.unpack}
    named = {"sha256": "SHA-256", "md5": "MD5", "git-blob": "Git", "git-tree": "Git", "first use": "first use"}
    assert {named[kind] for kind in kinds} == {cells[5]}
    assert cells[4].startswith("yes") == any(said[1] for said in MINI[dataset.name]().expected.values())
