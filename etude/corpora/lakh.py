"""Lakh MIDI Dataset 0.1: all files, those matched to songs of the Million Song Dataset, and the clean subset.

In ``lmd_full`` and ``lmd_matched`` a file is named by its MD5. A group is what matches link: one song has several
files, and one file is matched to several releases of a song. In ``clean_midi`` a group is artist and title.
"""

import re
from collections.abc import Iterator
from typing import Any

from etude.corpora.dataset import Dataset, Piece, Remote, Unpacked
from etude.corpora.tables import plain_name, read_json

_URL = "http://hog.ee.columbia.edu/craffel/lmd/{}"
_NOT_A_NAME = re.compile(r"[0-9 ._-]*|(track|untitled|unknown|song|midi?|new|test)[0-9 ._-]*", re.IGNORECASE)


def _describe_matched(unpacked: Unpacked) -> Iterator[Piece]:
    scores = _table(unpacked, "match_scores.json")
    names = [(path, *path.rsplit("/", 2)[-2:]) for path in unpacked.music if path.count("/")]
    matches = [(song, name.rsplit(".", 1)[0]) for _, song, name in names]
    group_of = _linked(matches)
    for (path, _, _), (song, digest) in zip(names, matches, strict=True):
        score = scores.get(song, {}).get(digest)
        labels = {"msd_track": song, "match_score": "" if score is None else f"{score:.4f}"}
        yield Piece(path, f"lakh:{group_of[song]}", None, labels)


def _describe_full(unpacked: Unpacked) -> Iterator[Piece]:
    scores = _table(unpacked, "match_scores.json")
    origins = _table(unpacked, "md5_to_paths.json")
    group_of = _linked([(song, digest) for song, digests in scores.items() for digest in digests])
    for path in unpacked.music:
        digest = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        name = _title(origins.get(digest, []))
        group = f"lakh:{group_of[digest]}" if digest in group_of else None
        yield Piece(path, group, None, {"name": name})


def _describe_clean(unpacked: Unpacked) -> Iterator[Piece]:
    for path in unpacked.music:
        parts = path.split("/")
        if len(parts) < 2:
            continue
        artist = parts[-2]
        # several files of one song: Title.mid, Title.1.mid, Title.2.mid
        title = re.sub(r"\.[0-9]+$", "", parts[-1].rsplit(".", 1)[0])
        group = f"lakh:{plain_name(artist)}/{plain_name(title)}"
        yield Piece(path, group, None, {"artist": artist, "title": title})


def _linked(matches: list[tuple[str, str]]) -> dict[str, str]:
    """Return the first name of each set of names that matches link, by each of its names."""
    above: dict[str, str] = {}

    def first(name: str) -> str:
        above.setdefault(name, name)
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for song, digest in matches:
        one, other = sorted((first(song), first(digest)))
        above[other] = one
    return {name: first(name) for name in list(above)}


def _title(origins: list[str]) -> str:
    """Return the first name that says something among those that a file had on the web."""
    names = (origin.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0] for origin in origins)
    return next((name for name in names if not _NOT_A_NAME.fullmatch(name)), "")


def _table(unpacked: Unpacked, name: str) -> dict[str, Any]:
    table = unpacked.find(name)
    return read_json(table) if table else {}


def _dataset(part: str, title: str, describe: Any, *archives: Remote, remarks: tuple[str, ...]) -> Dataset:
    return Dataset(
        name=f"lakh-{part}",
        title=f"Lakh MIDI Dataset 0.1 ({title})",
        homepage="https://colinraffel.com/projects/lmd/",
        licence="CC BY 4.0",
        citation=(
            "C. Raffel. Learning-Based Methods for Comparing Sequences, with Applications to Audio-to-MIDI Alignment "
            "and Matching. PhD thesis, Columbia University, 2016."
        ),
        remotes=archives,
        describe=describe,
        remarks=remarks,
    )


_SCORES = Remote(name="match_scores.json", urls=(_URL.format("match_scores.json"),), unpack=False, needed=False)
_ORIGINS = Remote(name="md5_to_paths.json", urls=(_URL.format("md5_to_paths.json"),), unpack=False, needed=False)
_RIGHTS = "The licence is that of the collection; the songs and most of the arrangements have owners of their own."

LAKH_MATCHED = _dataset(
    "matched",
    "LMD-matched",
    _describe_matched,
    Remote(
        name="lmd_matched.tar.gz",
        urls=(_URL.format("lmd_matched.tar.gz"),),
        num_bytes=1_407_072_670,
        checksum="sha256:621ff830aed771f469e5bfa13dc12a33c6ed69090adeda63d0b5c47783af0191",
    ),
    _SCORES,
    remarks=("45,129 different files; those matched to several songs are there several times.", _RIGHTS),
)
LAKH_FULL = _dataset(
    "full",
    "LMD-full",
    _describe_full,
    Remote(
        name="lmd_full.tar.gz",
        urls=(_URL.format("lmd_full.tar.gz"),),
        num_bytes=1_768_163_879,
        checksum="sha256:6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
    ),
    _SCORES,
    _ORIGINS,
    remarks=(
        "176,581 different files, some thousand of them damaged. Only those matched to a song have a group; the others "
        "need the near-duplicates that `etude prepare` finds.",
        _RIGHTS,
    ),
)
LAKH_CLEAN = _dataset(
    "clean",
    "Clean MIDI subset",
    _describe_clean,
    Remote(name="clean_midi.tar.gz", urls=(_URL.format("clean_midi.tar.gz"),), num_bytes=234_283_029),
    remarks=("Artist and title are those of the files' names, some of them wrong.", _RIGHTS),
)
