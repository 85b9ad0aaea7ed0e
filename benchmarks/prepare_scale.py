"""`etude prepare` on collections that double in size: time and memory a file, for the capacity plan of docs/scale.md.

    python benchmarks/prepare_scale.py build/data build/scale [--files 100000] [--workers 2]

The collection is made once of bars of real pieces: every made piece is a chain of bars, each drawn from another
piece, so that no two are variants of each other. It is kept in the second folder (about 5 kB a file). Each size
is a part of the next. Goals: memory at most 1.5 GB plus 2 kB a file, time linear within 15 %.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
from watching import watched

from etude.data.inputs import find_inputs
from etude.errors import MidiError
from etude.music.edit import resample
from etude.music.midi import read_midi, write_midi
from etude.music.score import Score, Track
from etude.randomness import generator

_PPQ = 480
_BAR_TICKS = 4 * _PPQ
_PARTS = 8
_BARS = (24, 72)
"""Fewest and most bars of a made piece."""


class Bars:
    """Bars of 4 quarters of real pieces, as one table of notes with the first and last note of each bar."""

    def __init__(self, folder: Path, most_pieces: int = 3000) -> None:
        files = find_inputs(folder)
        columns, firsts, lasts, count = [], [], [], 0
        for one in files[:: max(1, len(files) // most_pieces)]:
            try:
                notes = resample(read_midi(one.path), _PPQ).notes
            except MidiError:
                continue
            bar, last = notes.onset_tick // _BAR_TICKS, int(notes.onset_tick[-1]) // _BAR_TICKS if len(notes) else -1
            edges = np.searchsorted(bar, np.arange(last + 2)) + count
            full = np.diff(edges) >= 4
            firsts.append(edges[:-1][full])
            lasts.append(edges[1:][full])
            columns.append([notes.onset_tick % _BAR_TICKS, notes.duration_tick, notes.pitch, notes.velocity])
            count += len(notes)
        self.notes = np.concatenate(columns, axis=1)
        self.first, self.last = np.concatenate(firsts), np.concatenate(lasts)

    def piece(self, number: int) -> Score:
        """Return made piece ``number``."""
        draw = generator(0, "bars", number)
        chosen = draw.integers(0, len(self.first), draw.integers(*_BARS))
        rows = np.concatenate([np.arange(self.first[k], self.last[k]) for k in chosen])
        place = np.repeat(np.arange(len(chosen)), self.last[chosen] - self.first[chosen])
        onset, duration, pitch, velocity = self.notes[:, rows]
        duration = np.minimum(duration, _BAR_TICKS)
        # the same key struck again ends the note before, as on a piano
        return Score.of(onset + place * _BAR_TICKS, duration, pitch, velocity, ppq=_PPQ, tracks=[Track(0)])


def make_collection(source: Path, out: Path, count: int) -> list[Path]:
    """Write the collection in ``_PARTS`` folders unless it is there; return them."""
    parts = [out / f"part-{k}" for k in range(_PARTS)]
    done = out / f"{count}.done"
    if not done.is_file():
        bars = Bars(source)
        for number in range(count):
            file = parts[number * _PARTS // count] / f"{number // 1000:04d}" / f"{number:07d}.mid"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_midi(bars.piece(number), file)
        done.touch()
    return parts


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()

    parts = make_collection(options.source, options.out, options.files)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {options.workers} workers")
    print()
    print("| files | notes | wall s | files/s | processor ms a file | peak MB | corpus MB | near pairs |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for num_parts in (1, 2, 4, 8):
        with tempfile.TemporaryDirectory(dir=options.out) as folder:
            source = Path(folder) / "midi"
            source.mkdir()
            for part in parts[:num_parts]:
                (source / part.name).symlink_to(part.resolve())
            command = [sys.executable, "-m", "etude.cli", "prepare", source, Path(folder) / "corpus", "--json"]
            ran = watched([*command, "--workers", str(options.workers)])
            made = json.loads(ran.printed)
            size = sum(file.stat().st_size for file in (Path(folder) / "corpus").rglob("*"))
        row = (f"{made['seen']:,}", f"{made['notes']:,}", f"{ran.wall_sec:.1f}", f"{made['seen'] / ran.wall_sec:,.0f}")
        row += (f"{ran.cpu_sec / made['seen'] * 1e3:.2f}", f"{ran.peak_bytes / 1e6:,.0f}", f"{size / 1e6:,.0f}")
        print(f"| {' | '.join(row)} | {made['near_pairs']:,} |", flush=True)


if __name__ == "__main__":
    main()
