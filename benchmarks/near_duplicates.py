"""Near duplicates: how many planted variants are found among all pieces, and how many found pairs are right.

    python benchmarks/near_duplicates.py build/data ../shared/data [--sources 1100]

The first folder holds sets of MIDI files, the second a ``labels.csv`` for each set. Sources are drawn evenly over the
sets; each is changed in every way below, and every variant is searched among all pieces at once. A pair is right if
one piece is a variant of the other (planted), if the labels put both into one group, or if somebody compared them and
said so in ``near_duplicates.csv``; a pair that is in none of these counts as wrong and is printed. An exact digest of
the notes is the baseline: a copy that only an exact comparison needs.

One process. Times are processor times; memory is the largest resident set of the process.
"""

import argparse
import csv
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

import etude
from etude.fingerprints import Pairs, near_pairs, sketch, sketches_to_arrow
from etude.music import edit
from etude.music.score import Controls, PitchBends, Score, Texts, Track
from etude.randomness import generator

MIN_NOTES = 64
"""Pieces of fewer notes are counted apart: bars of drums, and fragments."""

CHECKED = Path(__file__).with_suffix(".csv")
SUFFIXES = (".mid", ".midi", ".kar")


def transposed(score: Score, rng: np.random.Generator) -> Score | None:
    """Up or down by 1 to 6 semitones."""
    pitch = score.notes.pitch[~drums_of(score)]
    if not len(pitch):
        return None
    by = [n for n in range(-6, 7) if n and pitch.min() + n >= 0 and pitch.max() + n <= 127]
    return edit.transpose(score, int(rng.choice(by)))


def other_tempo(score: Score, rng: np.random.Generator) -> Score:
    """A fifth faster or slower, by tempo events."""
    return edit.stretch_time(score, float(rng.choice([1 / 1.2, 1 / 0.8])))


def stretched(score: Score, rng: np.random.Generator) -> Score:
    """A fifth faster or slower, by the ticks of the notes."""
    factor, notes = float(rng.choice([1 / 1.2, 1 / 0.8])), score.notes
    onset = np.rint(notes.onset_tick * factor).astype(np.int64)
    duration = np.rint(notes.duration_tick * factor).astype(np.int64)
    return replace(score, notes=notes.replace(onset_tick=onset, duration_tick=duration))


def thinned(score: Score, rng: np.random.Generator) -> Score:
    """A tenth of the notes gone."""
    return replace(score, notes=score.notes.take(rng.random(len(score.notes)) >= 0.1))


def on_grid(positions: int) -> Callable[[Score, np.random.Generator], Score]:
    """On a grid of some positions a quarter."""
    return lambda score, rng: edit.resample(score, positions)


def excerpt(score: Score, rng: np.random.Generator) -> Score:
    """Half the time, from anywhere."""
    start_sec = float(rng.uniform(0, score.duration_sec / 2))
    return edit.trim(score, start_sec, start_sec + score.duration_sec / 2)


def outer_parts(score: Score, rng: np.random.Generator) -> Score | None:
    """The highest and the lowest of three tracks or more; else the highest and lowest note of each onset."""
    notes, is_pitched = score.notes, ~drums_of(score)
    if not is_pitched.any():
        return None
    tracks = np.flatnonzero(np.bincount(notes.track[is_pitched]) >= is_pitched.sum() / 10)
    if len(tracks) >= 3:
        mean = [notes.pitch[notes.track == track].mean() for track in tracks]
        return edit.select_tracks(score, sorted({int(tracks[np.argmax(mean)]), int(tracks[np.argmin(mean)])}))
    order = np.lexsort((notes.pitch, notes.onset_tick))
    is_new = np.diff(notes.onset_tick[order]) > 0
    return replace(score, notes=notes.take(np.sort(order[np.append(True, is_new) | np.append(is_new, True)])))


def merged(score: Score, rng: np.random.Generator) -> Score:
    """All pitched notes on one piano track, drums and everything else gone, at 220 ticks a quarter."""
    notes, drums = score.notes, drums_of(score)
    notes = notes.take(drums | True if drums.all() else ~drums)
    bare = Score(
        score.ppq,
        notes.replace(track=np.zeros(len(notes), np.int32)),
        (Track(0, bool(drums.all())),),
        tempos=score.tempos,
        controls=Controls.of(tick=[], track=[], number=[], value=[]),
        pitch_bends=PitchBends.of(tick=[], track=[], value=[]),
        texts=Texts.of(tick=[], kind=[], text=[], track=[]),
    )
    return edit.resample(bare, 220)


def four_changes(score: Score, rng: np.random.Generator) -> Score | None:
    """Transposed, stretched, thinned and re-quantised to 12."""
    score = transposed(score, rng)
    return score and on_grid(12)(thinned(stretched(score, rng), rng), rng)


def drums_of(score: Score) -> np.ndarray:
    """Tell which notes are drums."""
    return np.array([track.is_drum for track in score.tracks] or [False])[score.notes.track]


VARIANTS: dict[str, Callable[[Score, np.random.Generator], Score | None]] = {
    "transposed by 1 to 6": transposed,
    "tempo ±20 %": other_tempo,
    "ticks stretched, ±20 %": stretched,
    "10 % of notes dropped": thinned,
    "re-quantised, 12 a quarter": on_grid(12),
    "re-quantised, 4 a quarter": on_grid(4),
    "excerpt of half": excerpt,
    "outer parts only": outer_parts,
    "tracks merged, other ppq": merged,
    "four changes at once": four_changes,
}


class Made(NamedTuple):
    """Sketches of all pieces, then of all variants, and what they are of."""

    table: pa.Table
    kind: np.ndarray
    source: np.ndarray
    num_notes: np.ndarray
    is_exact: np.ndarray
    sketch_sec: np.ndarray


def make_sketches(folder: Path, paths: list[str], sources: list[int]) -> Made:
    """Sketch every piece and every variant of some, one piece in memory at a time."""
    everything, variants, chosen = [], [], set(sources)
    for row, path in enumerate(paths):
        score = etude.read_midi(folder / path)
        score.onset_sec  # noqa: B018  worked out before anything is timed
        began = time.process_time()
        of_piece = sketch(score)
        sec = time.process_time() - began
        everything.append((of_piece, "", row, len(score.notes), False, sec))
        for kind, change in VARIANTS.items() if row in chosen else ():
            variant = change(score, generator(0, "near-duplicates", kind, path))
            if variant is not None:
                is_exact = variant.content_digest() == score.content_digest()
                variants.append((sketch(variant), kind, row, len(score.notes), is_exact, 0.0))
    sketches, *columns = zip(*everything, *variants, strict=True)
    table = pa.Table.from_batches([sketches_to_arrow(sketches)])
    return Made(table, *(np.array(column) for column in columns))


def draw_sources(paths: list[str], count: int) -> list[int]:
    """Draw pieces evenly over the sets, a set being the first folder of a path."""
    rows = defaultdict(list)
    for row, path in enumerate(paths):
        rows[path.split("/")[0]].append(row)
    order = {name: generator(0, "sources", name).permutation(rows[name]).tolist() for name in sorted(rows)}
    turns = (order[name][turn] for turn in range(len(paths)) for name in order if turn < len(order[name]))
    return [row for _, row in zip(range(count), turns, strict=False)]


def read_labels(folder: Path, paths: list[str]) -> list[dict[str, str]]:
    """Return the labels of every piece."""
    found = {}
    for name in sorted({path.split("/")[0] for path in paths}):
        with (folder / name / "labels.csv").open(encoding="utf-8", newline="") as lines:
            found |= {f"{name}/{row['file']}": row for row in csv.DictReader(lines)}
    return [found[path] for path in paths]


def read_checked() -> dict[frozenset[str], bool]:
    """Return the pairs that somebody compared, and whether they are the same music."""
    with CHECKED.open(encoding="utf-8", newline="") as lines:
        return {frozenset((row["path_a"], row["path_b"])): row["same"] == "yes" for row in csv.DictReader(lines)}


def count_found(made: Made, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Search the variants of one kind among all pieces; return their rows, and which were joined with their source."""
    rows = np.flatnonzero((made.kind == "") | (made.kind == kind))
    pairs = near_pairs(made.table.take(pa.array(rows)))
    a, b = rows[pairs.a], rows[pairs.b]
    found = b[(made.kind[b] == kind) & (made.source[b] == a)]
    planted = np.flatnonzero(made.kind == kind)
    return planted, np.isin(planted, found)


class Verdicts(NamedTuple):
    """Pairs by how they are known to be right, or not to be."""

    planted: int
    group: int
    same: int
    different: int
    unchecked: list[tuple[str, str]]

    def row(self, name: str) -> str:
        """Return a line of the table."""
        right = self.planted + self.group + self.same
        every = right + self.different + len(self.unchecked)
        wrong = every - right
        told = f"{self.planted:,} planted, {self.group:,} of one group, {self.same} compared; {wrong} wrong"
        return f"| precision, {name} | {right:,} of {every:,} | {right / max(every, 1):.4f} | ≥ 0.99 | {told} |"


def judge(pairs: Pairs, source: np.ndarray, paths: list[str], group: list[str]) -> Verdicts:
    """Say of every pair how it is known to be right."""
    checked, counts, unchecked = read_checked(), defaultdict(int), []
    for a, b in zip(source[pairs.a].tolist(), source[pairs.b].tolist(), strict=True):
        if a == b or group[a] == group[b]:
            counts["planted" if a == b else "group"] += 1
        elif (same := checked.get(frozenset((paths[a], paths[b])))) is None:
            unchecked.append((paths[a], paths[b]))
        else:
            counts["same" if same else "different"] += 1
    return Verdicts(*(counts[name] for name in Verdicts._fields[:-1]), unchecked)


def joined_works(pairs: Pairs, paths: list[str]) -> tuple[int, int, int, int, int]:
    """Return of ASAP's movements with several files: all, whole in one component; their pairs, joined, connected."""
    root = list(range(len(paths)))

    def find(row: int) -> int:
        while root[row] != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    direct = set(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True))
    for a, b in direct:
        root[find(a)] = find(b)
    works = defaultdict(list)
    for row, path in enumerate(paths):
        if path.startswith("asap/"):
            works[path.rsplit("/", 1)[0]].append(row)
    works = [rows for rows in works.values() if len(rows) > 1]
    inside = [pair for rows in works for pair in combinations(rows, 2)]
    whole = sum(len({find(row) for row in rows}) == 1 for rows in works)
    return len(works), whole, len(inside), sum(p in direct for p in inside), sum(find(a) == find(b) for a, b in inside)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--sources", type=int, default=1100)
    options = parser.parse_args()

    files = (path for path in options.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    paths = sorted(path.relative_to(options.folder).as_posix() for path in files)
    group = [row["group"] for row in read_labels(options.labels, paths)]
    sources = draw_sources(paths, options.sources)
    made = make_sketches(options.folder, paths, sources)
    print(f"{len(paths):,} pieces, {len(sources):,} of them with variants, evenly over the sets")
    print("\n| | found | share | goal | |\n|---|--:|--:|--:|---|")
    for kind in VARIANTS:
        planted, found = count_found(made, kind)
        long = made.num_notes[planted] >= MIN_NOTES
        goal = "" if kind.startswith(("outer", "tracks", "four")) else "≥ 0.98"
        short = f"under {MIN_NOTES} notes {found[~long].sum()} of {(~long).sum()}"
        counts = f"{found[long].sum():,} of {long.sum():,} | {found[long].mean():.4f} | {goal}"
        print(f"| {kind} | {counts} | {short}; exact digest {made.is_exact[planted][long].mean():.2f} |")
    began = time.process_time()
    alone = near_pairs(made.table.slice(0, len(paths)))
    alone_sec, began = time.process_time() - began, time.process_time()
    every = near_pairs(made.table)
    every_sec = time.process_time() - began
    verdicts = judge(alone, made.source, paths, group), judge(every, made.source, paths, group)
    print(verdicts[0].row("pieces alone"))
    print(verdicts[1].row("with all variants"))
    works, whole, inside, direct, connected = joined_works(alone, paths)
    print(f"| ASAP: movements whose files are one group | {whole} of {works} | {whole / works:.4f} | | |")
    counts = f"{direct:,} of {inside:,} | {direct / inside:.4f}"
    print(f"| ASAP: pairs of one movement | {counts} | | {connected:,} in one group |")
    sec, about_3000 = made.sketch_sec[: len(paths)], np.abs(made.num_notes[: len(paths)] - 3000) <= 500
    sizes = f"all pieces {1000 * sec.mean():.2f}; {made.table.nbytes / len(made.table):.0f} bytes a piece"
    print(f"| sketching a piece of 2,500 to 3,500 notes, ms | {1000 * sec[about_3000].mean():.2f} | | ≤ 2 | {sizes} |")
    print(f"| searching {len(paths):,} pieces, s | {alone_sec:.2f} | | | {every_sec:.2f} s for {len(made.table):,} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"| memory, MB | {peak / 1e6:.0f} | | | the process, all sketches included |")
    for pair in dict.fromkeys(pair for verdict in verdicts for pair in verdict.unchecked):
        print("\nnot compared yet: " + " and ".join(pair), end="")
    print()


if __name__ == "__main__":
    main()
