"""Datasets, one file each: where they are from, their licence, how to cite them, their pieces.

Built in, ``CORPORA``: a module with ``SOURCE``, ``LICENCE``, ``CITATION`` and ``CHECKSUM`` (strings), and
``list_pieces()``, whose rows have ``id, title, composer, genre, group, split, path, provenance, licence``.

To be fetched, ``DATASETS``: a ``Dataset`` in a module, see ``etude.corpora.dataset``; ``etude corpus fetch`` brings it.

To add one, write a file here and a line below; outside the package ``their.module`` or ``their.module:NAME`` works
wherever a name does.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from etude.errors import CorpusError
from etude.settings import nearest

if TYPE_CHECKING:
    from etude.corpora.dataset import Dataset

CORPORA = {"sampler": "etude.corpora.sampler"}
"""Names of what is built in to modules; imported when they are used."""

DATASETS = {
    "maestro-v3": "etude.corpora.maestro:MAESTRO_V3",
    "maestro-v2": "etude.corpora.maestro:MAESTRO_V2",
    "adl-piano-midi": "etude.corpora.adl_piano_midi:ADL_PIANO_MIDI",
    "giantmidi-piano": "etude.corpora.giantmidi_piano:GIANTMIDI_PIANO",
    "aria-midi-unique": "etude.corpora.aria_midi:ARIA_MIDI_UNIQUE",
    "aria-midi-deduped": "etude.corpora.aria_midi:ARIA_MIDI_DEDUPED",
    "aria-midi-pruned": "etude.corpora.aria_midi:ARIA_MIDI_PRUNED",
    "aria-midi": "etude.corpora.aria_midi:ARIA_MIDI",
    "asap": "etude.corpora.asap:ASAP",
    "atepp": "etude.corpora.atepp:ATEPP",
    "piano-midi-de": "etude.corpora.piano_midi_de:PIANO_MIDI_DE",
    "pijama": "etude.corpora.pijama:PIJAMA",
    "jtd": "etude.corpora.jtd:JTD",
    "pop909": "etude.corpora.pop909:POP909",
    "emopia": "etude.corpora.emopia:EMOPIA",
    "lakh-matched": "etude.corpora.lakh:LAKH_MATCHED",
    "lakh-full": "etude.corpora.lakh:LAKH_FULL",
    "lakh-clean": "etude.corpora.lakh:LAKH_CLEAN",
    "groove": "etude.corpora.groove:GROOVE",
    "nottingham": "etude.corpora.nottingham:NOTTINGHAM",
    "nes-mdb": "etude.corpora.nes_mdb:NES_MDB",
    "symphonynet": "etude.corpora.symphonynet:SYMPHONYNET",
    "jsb-chorales": "etude.corpora.jsb_chorales:JSB_CHORALES",
    "lieder": "etude.corpora.openscore:LIEDER",
    "string-quartets": "etude.corpora.openscore:STRING_QUARTETS",
}
"""Names of what can be fetched to ``module:NAME``; imported when they are used."""


def find_corpus(name: str) -> ModuleType:
    """Return the module of a built-in dataset, by its name in ``CORPORA`` or its dotted name.

    Raises:
        CorpusError: there is no such dataset.

    Example:
        >>> find_corpus("sampler").LICENCE
        'public domain'
    """
    target = CORPORA.get(name, name)
    if "." not in target:
        raise CorpusError(f"dataset {name!r}: no such dataset; {nearest(name, CORPORA)}")
    return _module(name, target)


def find_dataset(name: str) -> "Dataset":
    """Return a dataset that can be fetched, by its name in ``DATASETS`` or as ``their.module:NAME``.

    Raises:
        CorpusError: there is no such dataset.

    Example:
        >>> find_dataset("maestro-v3").licence
        'CC BY-NC-SA 4.0'
    """
    module, colon, attribute = DATASETS.get(name, name).partition(":")
    if not colon:
        built_in = " (it is built in: `etude prepare sampler OUT`)" if name in CORPORA else ""
        raise CorpusError(f"dataset {name!r}: nothing to fetch has that name{built_in}; {nearest(name, DATASETS)}")
    found = getattr(_module(name, module), attribute, None)
    if found is None:
        raise CorpusError(f"dataset {name!r}: {module} has no {attribute}; check its spelling")
    return found


def _module(name: str, target: str) -> ModuleType:
    try:
        return import_module(target)
    except ImportError as error:
        raise CorpusError(f"dataset {name!r}: cannot be imported: {error}; check its spelling") from None
