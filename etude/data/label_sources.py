"""Everything that is known of files before they are read: a table, their names, SOURCE files, fixed labels.

A table speaks first. What it leaves open is filled from the names of files where that is asked for, from the
nearest ``SOURCE.md``, ``SOURCE.txt`` or ``SOURCE`` at or above a file for licence and source, and last from
what was said for all files at once.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from etude.data.labels import NOTHING, Labels, read_labels
from etude.data.licence_names import normal_licence
from etude.data.licences import source_files
from etude.data.names import check_label, labels_of_name
from etude.data.prepare_settings import PrepareSettings

OWN_TABLE = "labels.csv"
"""A table of this name in the folder that is prepared is read when no other is named."""
NO_TABLE = "none"


def labels_of_files(
    folder: Path,
    paths: Sequence[str],
    *,
    table: Path | str | None,
    licence: str | None,
    fixed: Mapping[str, str],
    settings: PrepareSettings,
) -> Labels:
    """Gather what is known of files.

    Args:
        folder: that is prepared.
        paths: of the files below it.
        table: of labels; None takes ``labels.csv`` in the folder if it is there, ``"none"`` takes no table.
        licence: of files for which nothing names one.
        fixed: labels of all files for which nothing names others.
        settings: ``names`` are the labels read from names.

    Raises:
        CorpusError: labels that do not fit.
        SettingsError: a fixed composer, form or genre that nobody knows.
    """
    licence = normal_licence(licence)
    fixed = {name: check_label(name, value) for name, value in fixed.items()}
    own = folder / OWN_TABLE
    if table is None and own.is_file():
        table = own
    labels = Labels() if table is None or os.fspath(table) == NO_TABLE else read_labels(table, paths)
    labels = replace(labels, names=_names(labels, settings.names, fixed))
    sources = source_files(folder, paths)
    if labels.of or settings.names or fixed or sources or licence:
        for path in paths:
            said = labels.of.get(path, NOTHING)
            found_licence, found_source = sources.get(path, (None, None))
            labels.of[path] = replace(
                said,
                labels=_filled(said.labels, labels_of_name(path, settings.names) if settings.names else {}, fixed),
                licence=normal_licence(said.licence) or found_licence or licence,
                source=said.source or found_source,
            )
    return labels


def _names(labels: Labels, from_names: Sequence[str], fixed: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*labels.names, *from_names, *fixed)))


def _filled(said: Mapping[str, str | None], *others: Mapping[str, str]) -> dict[str, str | None]:
    filled = dict(said)
    for other in others:
        for name, value in other.items():
            if filled.get(name) is None:
                filled[name] = value
    return filled
