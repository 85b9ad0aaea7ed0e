"""`etude prepare` on a folder of MIDI, beside symusic's bare parse and Aria's build of the same files in one run.

    python benchmarks/prepare_corpus.py build/data [--workers 2] [--passes 3]
    python benchmarks/prepare_corpus.py build/data/asap/midi --aria ../aria --aria-utils ../aria-utils

`etude prepare` finds, reads, checks and hashes files, removes duplicates, finds variants, splits and writes the corpus;
the bare parse only parses, in one process; Aria's `MidiDataset.build_to_file` reads, filters, removes exact duplicates
and writes lines of JSON. Passes are interleaved and the median counts. Memory is the proportional set size of the
command and all its processes together, sampled 20 times a second; processor time is that of all of them, with the
start of Python and of the libraries, except for Aria, from whose time that of a build of one file is taken away,
because it loads torch. Aria builds every 10th file. The run fails when a file is missing from the ledger.
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


def prepare_once(folder: Path, out: Path, workers: int, *more: str) -> Measured:
    """Run the command and watch it."""
    command = [sys.executable, "-m", "etude.cli", "prepare", folder, out, "--json", "--workers", str(workers), *more]
    ran = watched(command)
    made = json.loads(ran.printed)
    return Measured(made["seen"], ran.wall_sec, ran.cpu_sec, ran.peak_bytes, made["notes"])


_ARIA = """
import json, sys
sys.path[:0] = sys.argv[1:3]
from aria.datasets import MidiDataset
MidiDataset.build_to_file(dir=sys.argv[3], save_path=sys.argv[4], recur=True, overwrite=True, shuffle=False)
"""


def aria_once(files: list[str], aria: Path, aria_utils: Path, folder: Path) -> Measured:
    """Let Aria build every 10th file; the time that a build of one file takes is taken away."""
    times = []
    for name, some in (("one", files[:1]), ("some", files[::10])):
        chosen = Path(tempfile.mkdtemp(prefix=name, dir=folder))
        for k, file in enumerate(some):
            (chosen / f"{k}.mid").symlink_to(Path(file).resolve())
        command = [sys.executable, "-c", _ARIA, aria.resolve(), aria_utils.resolve(), chosen, folder / "aria.jsonl"]
        with contextlib.chdir(aria):
            times.append(watched(command))
    notes = sum(symusic.Score(file).note_num() for file in files[::10][1:])
    one, some = times
    seconds = some.wall_sec - one.wall_sec, some.cpu_sec - one.cpu_sec
    return Measured(len(files[::10]) - 1, *seconds, some.peak_bytes, notes)


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
    bare, alone, ours = "symusic, bare parse, 1 process", "etude prepare, no near-duplicates", "etude prepare"
    passes: dict[str, list[Measured]] = {bare: [], alone: [], ours: []}
    parse_once(files)  # fills the page cache, not counted
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.passes):
            out = Path(folder) / str(number)
            passes[bare].append(parse_once(files))
            passes[alone].append(prepare_once(options.folder, out, options.workers, "--no-near-duplicates"))
            passes[ours].append(prepare_once(options.folder, out, options.workers, "--force"))
            check_ledger(out, [one.name for one in inputs])
        written = sum(file.stat().st_size for file in out.rglob("*"))
        if options.aria:
            passes["Aria, build_to_file"] = [aria_once(files, options.aria, options.aria_utils, Path(folder))]

    notes = passes[bare][0].notes
    print(f"{len(files):,} files, {notes:,} notes; corpus of {written / 1e6:.0f} MB; every file in the ledger")
    machine = f"Python {platform.python_version()}, symusic {symusic.__version__}, {os.cpu_count()} cores"
    print(f"{machine}, {options.workers} workers")
    print()
    print("| | files | wall s | files/s of wall | processor ms a file | times ours | peak MB, all processes |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    ours_ms = statistics.median(run.cpu_sec / run.files for run in passes[alone]) * 1e3
    for name, runs in passes.items():
        wall = statistics.median(run.wall_sec for run in runs)
        cpu_ms = statistics.median(run.cpu_sec / run.files for run in runs) * 1e3
        peak = max(run.peak_bytes for run in runs) / 1e6
        count = runs[0].files
        row = (f"{count:,}", f"{wall:.2f}", f"{count / wall:,.0f}", f"{cpu_ms:.2f}", f"{cpu_ms / ours_ms:.2f}")
        print(f"| {name} | {' | '.join(row)} | {f'{peak:,.0f}' if peak else '–'} |")


if __name__ == "__main__":
    main()
