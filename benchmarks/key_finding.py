"""Key finding: how often the key of a piece is right, ours beside music21's.

    python benchmarks/key_finding.py build/data ../shared/data [--tune] [--every 1]

The first folder holds unpacked sets, the second a ``labels.csv`` for each set. The truth is the key that
``key_audio.txt`` gives to most of a POP909 song, and the key of a Nottingham tune's source, where it is one of the 24.

POP909 is halved by a digest of the song. ``--tune`` makes the profiles of ``etude/music/key_finding.py`` anew, from the
first half alone; the table is of the second half and of all of Nottingham, which took no part. How the times are scaled
and the strength of the penalty were chosen by four-fold cross-validation within the first half.

Beside the share of right keys stands the weighted score of MIREX: 0.5 for a key a fifth away, 0.3 for the relative and
0.2 for the parallel key. One process, processor time; music21 reads the file itself and is timed without that.
"""

import argparse
import csv
import hashlib
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import etude
from etude.music.key_finding import KEYS, find_key, pitch_class_time
from etude.music.key_profiles import MAJOR, MINOR
from etude.music.score import Score

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
PENALTY, STEPS, RATE = 1e-3, 1500, 0.05


class Piece(NamedTuple):
    """A file with the key that people gave it."""

    path: Path
    key: int
    is_for_tuning: bool


def key_number(tonic: str, *, is_minor: bool) -> int:
    """Return the place of a key in ``KEYS``."""
    accidentals = tonic[1:].count("#") - tonic[1:].count("b") - tonic[1:].count("-")
    return (LETTERS[tonic[0].upper()] + accidentals) % 12 + 12 * is_minor


def pop909(data: Path, labels: Path) -> list[Piece]:
    """Return the songs with a table of keys."""
    pieces = []
    for row in csv.DictReader((labels / "pop909" / "labels.csv").open(encoding="utf-8")):
        path = data / "pop909" / row["file"]
        seconds: dict[str, float] = {}
        for line in (path.parent / "key_audio.txt").read_text().splitlines():
            if fields := line.split():
                seconds[fields[2]] = seconds.get(fields[2], 0.0) + float(fields[1]) - float(fields[0])
        tonic, mode = max(seconds, key=seconds.__getitem__).split(":")
        is_first_half = hashlib.sha256(row["group"].encode()).digest()[0] % 2 == 0
        pieces.append(Piece(path, key_number(tonic, is_minor=mode == "min"), is_first_half))
    return pieces


def nottingham(data: Path, labels: Path) -> list[Piece]:
    """Return the tunes whose key is a major or minor one; none is for tuning."""
    pieces = []
    for row in csv.DictReader((labels / "nottingham" / "labels.csv").open(encoding="utf-8")):
        if found := re.fullmatch(r"([A-G][#b]?)(m?)", row["key"]):
            pieces.append(
                Piece(data / "nottingham" / row["file"], key_number(found[1], is_minor=bool(found[2])), False)
            )
    return pieces


def tuned(scores: list[Score], keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two profiles, (2, 12), and the two offsets that fit keys best: a multinomial logistic regression."""
    time_of = np.array([pitch_class_time(score) for score in scores])
    root = np.sqrt(time_of / time_of.sum(1, keepdims=True))
    x = np.stack([np.roll(root, -tonic, axis=1) for tonic in range(12)], axis=1)  # (N, tonic, tone above it)
    weights, offset = np.zeros((2, 12)), np.zeros(2)
    moments = [[np.zeros_like(one), np.zeros_like(one)] for one in (weights, offset)]
    for step in range(1, STEPS + 1):
        fit = np.concatenate([x @ weights[mode] + offset[mode] for mode in (0, 1)], axis=1)
        error = np.exp(fit - fit.max(1, keepdims=True))
        error /= error.sum(1, keepdims=True)
        error[np.arange(len(keys)), keys] -= 1
        error = error.reshape(len(keys), 2, 12) / len(keys)
        gradients = np.einsum("nmt,ntd->md", error, x) + PENALTY * weights, error.sum((0, 2))
        for value, gradient, (mean, square) in zip((weights, offset), gradients, moments, strict=True):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            value -= RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weights, offset


def by_correlation(score: Score) -> int:
    """Return the key whose Krumhansl-Kessler profile correlates best with the sounding times."""
    keys = np.array([np.roll(mode, tonic) for mode in (MAJOR, MINOR) for tonic in range(12)], float)
    keys -= keys.mean(1, keepdims=True)
    return int(np.argmax(keys @ pitch_class_time(score) / np.linalg.norm(keys, axis=1)))


def ours(path: Path) -> tuple[int, float]:
    """Return the key and the seconds that finding it took."""
    score = etude.read_midi(path)
    start = time.process_time()
    tonic, is_minor = find_key(score)
    return tonic + 12 * is_minor, time.process_time() - start


def classic(path: Path) -> tuple[int, float]:
    """Return the key by the classic profiles, and the seconds."""
    score = etude.read_midi(path)
    start = time.process_time()
    return by_correlation(score), time.process_time() - start


def of_music21(path: Path) -> tuple[int, float]:
    """Return the key that music21's default analysis finds, and the seconds."""
    import music21

    stream = music21.converter.parse(str(path), forceSource=True)
    start = time.process_time()
    found = stream.analyze("key")
    return key_number(found.tonic.name, is_minor=found.mode == "minor"), time.process_time() - start


def row(name: str, pieces: list[Piece], find: Callable[[Path], tuple[int, float]]) -> str:
    """Return a line of the table."""
    found, seconds = np.array([find(piece.path) for piece in pieces]).T
    truth, found = np.array([piece.key for piece in pieces]), found.astype(int)
    same_mode, apart = truth // 12 == found // 12, (found - truth) % 12
    relative = ~same_mode & (apart == np.where(truth >= 12, 3, 9))
    shares = [
        (truth == found).mean(),
        (same_mode & np.isin(apart, (5, 7))).mean(),
        relative.mean(),
        (~same_mode & (apart == 0)).mean(),
    ]
    score = float(np.dot(shares, (1, 0.5, 0.3, 0.2)))
    cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
    return f"| {name} | {len(pieces)} | {cells} | {score:.3f} | {1e3 * np.median(seconds):.2f} |"


def main() -> None:
    """Print the table, and the profiles if they are made anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--tune", action="store_true", help="make the profiles anew and print them")
    parser.add_argument("--every", type=int, default=1, help="take every n-th piece of the table")
    options = parser.parse_args()
    songs, tunes = pop909(options.data, options.labels), nottingham(options.data, options.labels)
    if options.tune:
        half = [piece for piece in songs if piece.is_for_tuning]
        weights, offset = tuned(
            [etude.read_midi(piece.path) for piece in half], np.array([piece.key for piece in half])
        )
        print(f"{len(half)} songs, of {len(KEYS)} keys")
        for name, profile in zip(("MAJOR", "MINOR"), np.rint(100 * weights).astype(int).tolist(), strict=True):
            print(f"{name} = {tuple(profile)}")
        print(f"MAJOR_RARER = {round(100 * (offset[1] - offset[0]))}")
    warnings.simplefilter("ignore")
    held_out = [piece for piece in songs if not piece.is_for_tuning]
    print("| | pieces | right | a fifth off | relative | parallel | weighted | ms a piece |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for set_name, pieces in (("POP909, second half", held_out), ("Nottingham", tunes)):
        for name, find in (("etude", ours), ("Krumhansl-Kessler", classic), ("music21", of_music21)):
            print(row(f"{set_name}: {name}", pieces[:: options.every], find), flush=True)


if __name__ == "__main__":
    main()
