"""Fetch a dataset into a folder that ``etude prepare`` takes as it is: download, check, unpack, label.

Everything is made in ``FOLDER/.fetch``: what is downloaded stays there until all is done, so that a call that was cut
off continues. The files then move into the folder, and ``fetched.json`` comes last: with it the dataset is whole.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from etude.corpora import find_dataset
from etude.corpora.checksums import checked
from etude.corpora.copies import Copies
from etude.corpora.dataset import Dataset, Remote
from etude.corpora.download import Patience, download
from etude.corpora.label_files import LABELS, Labelled, write_labels, write_source
from etude.corpora.tables import read_json
from etude.corpora.unpack import is_archive, unpack
from etude.errors import CorpusError
from etude.files import write_json

FETCHED = "fetched.json"
_SCHEMA, _VERSION = "etude-fetched", 1
_WORK = ".fetch"

Progress = Callable[[str, int, int | None], None]
"""Takes what is being done, the bytes done, and those to do, None if nobody says."""


@dataclass(frozen=True)
class _Job:
    dataset: Dataset
    folder: Path
    copies: Copies
    patience: Patience
    progress: Progress
    known: dict[str, str]
    """SHA-256 of the files of an earlier call, by name."""

    @property
    def work(self) -> Path:
        return self.folder / _WORK


def fetch(
    dataset: str | Dataset,
    folder: Path | str,
    *,
    copy: Path | str | None = None,
    force: bool = False,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fetch a dataset, or label it anew where it has been fetched.

    Args:
        dataset: a name from ``DATASETS``, a dotted ``module:NAME``, or the dataset.
        folder: made, or empty, or one that an earlier call made.
        copy: an archive of it, a folder of its archives, or a folder with its unpacked files; what is missing there
            is downloaded.
        force: fetch it again where it has been fetched.
        patience: how long to wait for servers.
        progress: see ``Progress``.

    Returns:
        ``dataset``, ``title``, ``licence``, ``folder``, ``files`` (of music), ``groups`` (of more than one file),
        ``splits`` (files in each), ``torn`` (groups in two published splits), ``labels`` (names), ``downloads``,
        ``remarks``, ``already`` (it had been fetched).

    Raises:
        CorpusError: there is no such dataset, a file of it cannot be had or is not what was published, or something
            else is in the folder.
    """
    dataset = find_dataset(dataset) if isinstance(dataset, str) else dataset
    folder = Path(folder)
    fetched = _look_at(folder, dataset)
    with _alone(folder / _WORK), _tidy(folder):
        if fetched is not None and not force:
            shutil.rmtree(folder / _WORK)
            return _label(dataset, folder, fetched["downloads"], fetched["remarks"]) | {"already": True}
        known = {file["name"]: file["sha256"] for file in (fetched or {"downloads": []})["downloads"]}
        job = _Job(dataset, folder, Copies(copy), patience or Patience(), progress or _unseen, known)
        made = _make(job) | {"already": False}
        shutil.rmtree(job.work)
    return made


def _look_at(folder: Path, dataset: Dataset) -> dict[str, Any] | None:
    """Return what an earlier call left, None if nothing.

    Raises:
        CorpusError: something else is there.
    """
    if folder.is_dir():
        there = sorted(entry.name for entry in folder.iterdir())
        if FETCHED in there:
            fetched = read_json(folder / FETCHED)
            if not isinstance(fetched, dict) or fetched.get("schema") != _SCHEMA or fetched.get("version") != _VERSION:
                raise CorpusError(f"{folder / FETCHED}: not written by this version; name another folder")
            if fetched["dataset"] != dataset.name:
                raise CorpusError(f"{folder}: holds {fetched['dataset']}; name another folder for {dataset.name}")
            return fetched
        if there and _WORK not in there:
            raise CorpusError(f"{folder}: holds other files, such as '{there[0]}'; name an empty or a new folder")
    elif folder.exists():
        raise CorpusError(f"{folder}: a file; name a folder")
    return None


def _make(job: _Job) -> dict[str, Any]:
    unpacked = job.work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True)
    remarks, downloads = [], []
    loose = job.copies.is_unpacked(job.dataset)
    if loose:
        downloads.append(job.copies.copy_files(job.dataset, unpacked))
    for remote in job.dataset.remotes:
        if (remote.unpack and loose) or (unpacked / remote.name).exists():
            continue
        try:
            path, facts = _have(remote, job)
        except CorpusError as error:
            if remote.needed:
                raise
            remarks.append(f"{error}; without it there are fewer labels")
            continue
        downloads.append(facts)
        if remote.unpack:
            _unpack(path, unpacked, remote, job)
        else:
            shutil.copyfile(path, unpacked / remote.name)
    made = _label(job.dataset, unpacked, downloads, remarks)
    for entry in sorted(unpacked.iterdir()):
        _replace(entry, job.folder / entry.name)
    (unpacked.parent / FETCHED).replace(job.folder / FETCHED)
    return made | {"folder": str(job.folder)}


def _unpack(archive: Path, folder: Path, remote: Remote, job: _Job) -> None:
    try:
        unpack(
            archive, folder, remote, progress=lambda done, total: job.progress(f"unpacking {remote.name}", done, total)
        )
    except CorpusError as error:
        if not archive.is_relative_to(job.work):
            raise
        archive.unlink()
        raise CorpusError(f"{error}; the download was removed, run the command again") from error


def _have(remote: Remote, job: _Job) -> tuple[Path, dict[str, Any]]:
    """Return a file and what is to be remembered of it, once its checksum is as it should be."""
    at_hand = job.copies.find(remote, job.dataset)
    facts = {"name": remote.name, "url": None, "checksum": remote.checksum}
    if at_hand is not None:
        sha256 = checked(at_hand, remote.checksum, what=str(at_hand))
        return at_hand, facts | _trusted(remote, at_hand, sha256)
    if not remote.urls:
        raise CorpusError(
            f"{job.dataset.name}: {remote.name} is given to people who agree to its terms: get it from {remote.page} "
            f"and add --from FILE"
        )
    # who has a copy may have no network
    patience = job.patience if job.copies.place is None else replace(job.patience, tries=1)
    path, before = job.work / remote.name, job.known.get(remote.name)
    for last in (False, True):
        if not path.exists():
            path, facts["url"] = download(
                remote,
                job.work,
                patience=patience,
                progress=lambda done, total: job.progress(remote.name, done, total or remote.num_bytes),
            )
        try:
            sha256 = checked(path, remote.checksum, what=remote.name)
            if remote.checksum is None and before not in (None, sha256):
                raise CorpusError(f"{remote.name}: its SHA-256 is {sha256}, and was {before} when it was fetched first")
            if remote.unpack and not is_archive(path):
                raise CorpusError(f"{remote.name}: what the server sent is no archive")
            break
        except CorpusError as error:
            path.unlink()
            if last:
                again = "it was downloaded twice; try later, or name a good copy with --from"
                raise CorpusError(f"{error}; {again}") from error
    facts["url"] = facts["url"] or remote.urls[0]
    return path, facts | _trusted(remote, path, sha256)


def _trusted(remote: Remote, path: Path, sha256: str) -> dict[str, Any]:
    trust = "published" if remote.checksum else "first use"
    return {"num_bytes": path.stat().st_size, "sha256": sha256, "trust": trust}


def _label(dataset: Dataset, folder: Path, downloads: list[dict], remarks: list[str]) -> dict[str, Any]:
    """Write what stands beside the files, in ``folder``, and ``fetched.json`` beside it or in it."""
    unpacked = dataset.unpacked(folder)
    labelled = write_labels(folder, dataset, dataset.pieces(unpacked))
    said = list(dict.fromkeys([*dataset.remarks, *remarks, *unpacked.remarks, *_about(labelled)]))
    write_source(folder, dataset, labelled, files=downloads, remarks=said)
    fetched = {"schema": _SCHEMA, "version": _VERSION, "dataset": dataset.name, "downloads": downloads}
    inside = (folder / FETCHED).exists()
    write_json((folder if inside else folder.parent) / FETCHED, fetched | {"remarks": remarks})
    return {
        "dataset": dataset.name,
        "title": dataset.title,
        "licence": dataset.licence or None,
        "folder": str(folder),
        "files": labelled.files,
        "groups": labelled.groups,
        "splits": labelled.splits,
        "torn": labelled.torn,
        "labels": list(labelled.labels),
        "downloads": downloads,
        "remarks": said,
    }


def _about(labelled: Labelled) -> list[str]:
    if not labelled.torn:
        return []
    return [
        f"Groups that the published split tears apart: {labelled.torn:,}; {LABELS} keeps the split and gives such a "
        "group a name in each part."
    ]


@contextlib.contextmanager
def _tidy(folder: Path) -> Iterator[None]:
    """Leave nothing behind after a failure but what the next call continues with."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder / _WORK / "unpacked", ignore_errors=True)
        if {entry.name for entry in (folder / _WORK).iterdir()} <= {"lock"}:
            shutil.rmtree(folder / _WORK)
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _unseen(what: str, done: int, total: int | None) -> None:
    pass


def _replace(new: Path, old: Path) -> None:
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)
    new.replace(old)


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the folder where everything is made.

    Raises:
        CorpusError: another process holds it, or it cannot be written.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        handle = os.open(work / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CorpusError(f"{work.parent}: cannot be written: {error.strerror or error}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CorpusError(f"{work.parent}: another process is fetching into it; wait for it to end") from None
    finally:
        os.close(handle)
