"""`etude prepare` on a folder of MIDI, beside symusic's bare parse and Aria's build of the same files in one run.

    python benchmarks/prepare_corpus.py build/data [--workers 2] [--passes 3]
    python benchmarks/prepare_corpus.py build/data/asap/midi --aria ../aria --aria-utils ../aria-utils

`etude prepare` finds, reads, checks and hashes files, removes duplicates, finds variants, splits and writes the corpus;
the bare parse only parses, in one process; Aria's `MidiDataset.build_to_file` reads, filters, removes exact duplicates
and writes lines of JSON. Passes are interleaved and the median counts. Memory is the proportional set size of the
command and all its processes together, sampled 20 times a second in a pass of its own; processor time is of all.
Every command also runs on one file alone: "start apart" is without the time that takes, ours and theirs. Aria builds
every 10th file. The run fails when a file is missing from the ledger.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import symusic
from watching import watched

from etude.data.inputs import find_inputs


class Measured(NamedTuple):
    """One pass."""

    files: int
    wall_sec: float
    cpu_sec: float
    peak_bytes: int
    notes: int


def prepare_once(folder: Path, out: Path, workers: int, *more: str, memory: bool = False) -> Measured:
    """Run the command and watch it."""
    command = [sys.executable, "-m", "etude.cli", "prepare", folder, out, "--json", "--workers", str(workers), *more]
    ran = watched(command, memory=memory)
    made = json.loads(ran.printed)
    return Measured(made["seen"], ran.wall_sec, ran.cpu_sec, ran.peak_bytes, made["notes"])


_NAMES = (
    "symusic, bare parse, 1 process",
    "etude prepare, no near-duplicates",
    "etude prepare",
    "Aria, build_to_file",
)
_ARIA = """
import json, sys
sys.path[:0] = sys.argv[1:3]
from aria.datasets import MidiDataset
MidiDataset.build_to_file(dir=sys.argv[3], save_path=sys.argv[4], recur=True, overwrite=True, shuffle=False)
"""


def aria_once(files: list[str], aria: Path, aria_utils: Path, folder: Path) -> Measured:
    """Let Aria build a few files."""
    chosen = Path(tempfile.mkdtemp(dir=folder))
    for k, file in enumerate(files):
        (chosen / f"{k}.mid").symlink_to(Path(file).resolve())
    command = [sys.executable, "-c", _ARIA, aria.resolve(), aria_utils.resolve(), chosen, folder / "aria.jsonl"]
    with contextlib.chdir(aria):
        ran = watched(command, memory=False)
    notes = sum(symusic.Score(file).note_num() for file in files)
    return Measured(len(files), ran.wall_sec, ran.cpu_sec, ran.peak_bytes, notes)


def parse_once(files: list[str]) -> Measured:
    """Parse every file with symusic alone, in this process."""
    began, began_cpu = time.monotonic(), time.process_time()
    notes = sum(symusic.Score(file).note_num() for file in files)
    return Measured(len(files), time.monotonic() - began, time.process_time() - began_cpu, 0, notes)


def check_ledger(out: Path, names: list[str]) -> None:
    """Stop unless the ledger has exactly one row for every file."""
    listed = pq.read_table(out / "ledger.parquet", columns=["path"])["path"].to_pylist()
    if listed != names:
        sys.exit(f"the ledger lists {len(listed)} files, the folder has {len(names)}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--aria", type=Path, help="a copy of EleutherAI/aria")
    parser.add_argument("--aria-utils", type=Path, help="a copy of EleutherAI/aria-utils")
    options = parser.parse_args()

    inputs = find_inputs(options.folder)
    files = [one.path for one in inputs]
    bare, alone, ours, aria = _NAMES
    passes: dict[str, list[Measured]] = {name: [] for name in _NAMES}
    starts: dict[str, list[Measured]] = {name: [] for name in _NAMES}
    parse_once(files)  # fills the page cache, not counted
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one").mkdir()
        (folder / "one" / "0.mid").symlink_to(Path(files[0]).resolve())
        for number in range(options.passes):
            out = folder / str(number)
            for kept, source in ((starts, folder / "one"), (passes, options.folder)):
                kept[alone].append(prepare_once(source, out, options.workers, "--no-near-duplicates", "--force"))
                kept[ours].append(prepare_once(source, out, options.workers, "--force"))
            passes[bare].append(parse_once(files))
            check_ledger(out, [one.name for one in inputs])
        peaks = {
            alone: prepare_once(options.folder, out, options.workers, "--no-near-duplicates", "--force", memory=True),
            ours: prepare_once(options.folder, out, options.workers, "--force", memory=True),
        }
        written = sum(file.stat().st_size for file in out.rglob("*"))
        if options.aria:
            for kept, some in ((starts, files[:1]), (passes, files[::10])):
                kept[aria].append(aria_once(some, options.aria, options.aria_utils, folder))

    notes = f"{passes[bare][0].notes:,} notes"
    print(f"{len(files):,} files, {notes}; corpus of {written / 1e6:.0f} MB; every file in the ledger")
    machine = f"Python {platform.python_version()}, symusic {symusic.__version__}, {os.cpu_count()} cores"
    print(f"{machine}, {options.workers} workers")
    print()
    print("| | files | wall s | files/s | start apart | processor ms a file, start apart | times ours | peak MB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    base = per_file(passes[alone], starts[alone])[1]
    for name, runs in passes.items():
        if not runs:
            continue
        wall = statistics.median(run.wall_sec for run in runs)
        wall_apart, cpu_apart = per_file(runs, starts[name])
        peak = peaks[name].peak_bytes / 1e6 if name in peaks else 0
        row = (f"{runs[0].files:,}", f"{wall:.2f}", f"{runs[0].files / wall:,.0f}", f"{1 / wall_apart:,.0f}")
        row += (f"{cpu_apart * 1e3:.2f}", f"{cpu_apart / base:.2f}", f"{peak:,.0f}" if peak else "–")
        print(f"| {name} | {' | '.join(row)} |")


def per_file(runs: list[Measured], starts: list[Measured]) -> tuple[float, float]:
    """Return wall and processor seconds a file, those of a run on one file taken away."""
    seconds = []
    for kind in ("wall_sec", "cpu_sec"):
        start = statistics.median(getattr(run, kind) for run in starts) if starts else 0.0
        num_files = runs[0].files - (1 if starts else 0)
        seconds.append((statistics.median(getattr(run, kind) for run in runs) - start) / num_files)
    return seconds[0], seconds[1]


if __name__ == "__main__":
    main()
