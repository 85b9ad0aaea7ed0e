"""Datasets, one file each: where it comes from, its licence, how to cite it, its checksum, its pieces.

A dataset is a module with ``SOURCE``, ``LICENCE``, ``CITATION`` and ``CHECKSUM`` (strings), and ``list_pieces()``,
whose rows have ``id, title, composer, genre, group, split, path, provenance, licence``. To add one, write a
file here and a line in ``CORPORA``; outside the package ``their.module`` works wherever a name does.
"""

from importlib import import_module
from types import ModuleType

from etude.errors import CorpusError
from etude.settings import nearest

CORPORA = {"sampler": "etude.corpora.sampler"}
"""Names to modules; imported when they are used."""


def find_corpus(name: str) -> ModuleType:
    """Return the module of a dataset, by its name in ``CORPORA`` or its dotted name.

    Raises:
        CorpusError: there is no such dataset.

    Example:
        >>> find_corpus("sampler").LICENCE
        'public domain'
    """
    target = CORPORA.get(name, name)
    if "." not in target:
        raise CorpusError(f"dataset {name!r}: no such dataset; {nearest(name, CORPORA)}")
    try:
        return import_module(target)
    except ImportError as error:
        raise CorpusError(f"dataset {name!r}: cannot be imported: {error}; check its spelling") from None
