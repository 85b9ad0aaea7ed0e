"""What every dataset must be, whichever it is: a new line in ``CORPORA`` is tested here without another test."""

import re

import pytest

from etude.corpora import CORPORA, find_corpus
from etude.errors import CorpusError

TEXTS = ("id", "title", "composer", "genre", "group", "split", "path", "provenance", "licence")


@pytest.fixture(scope="module", params=sorted(CORPORA))
def dataset(request):
    return find_corpus(request.param)


@pytest.fixture(scope="module")
def pieces(dataset):
    return dataset.list_pieces()


def test_it_says_its_source_licence_citation_and_checksum(dataset):
    for name in ("SOURCE", "LICENCE", "CITATION", "CHECKSUM"):
        assert getattr(dataset, name).strip(), name
    assert re.fullmatch(r"[0-9a-f]{64}", dataset.CHECKSUM)
    assert (dataset.__doc__ or "").strip()


def test_every_piece_has_all_its_facts(pieces):
    assert pieces
    for piece in pieces:
        for name in TEXTS:
            value = getattr(piece, name)
            assert isinstance(value, str), (piece.path, name)
            assert value, (piece.path, name)
            assert value == " ".join(value.split()), (piece.path, name, value)


def test_ids_and_paths_name_one_piece_each(pieces):
    assert len({piece.id for piece in pieces}) == len(pieces)
    assert len({piece.path for piece in pieces}) == len(pieces)


def test_no_group_is_in_two_splits(pieces):
    split_of = {}
    for piece in pieces:
        assert piece.split in ("train", "valid", "test")
        assert split_of.setdefault(piece.group, piece.split) == piece.split, piece.group


def test_an_unknown_dataset_names_the_nearest():
    with pytest.raises(CorpusError, match="did you mean 'sampler'"):
        find_corpus("samplr")


def test_a_dataset_of_ones_own_needs_no_entry_and_a_missing_one_is_one_line():
    assert find_corpus("etude.corpora.sampler") is find_corpus("sampler")
    with pytest.raises(CorpusError, match=r"no_such_package\.songs.*cannot be imported"):
        find_corpus("no_such_package.songs")
