"""`etude prepare` on a folder of MIDI, beside symusic's bare parse of the same files in the same run.

    python benchmarks/prepare_corpus.py build/data [--workers 2] [--passes 3]

`etude prepare` finds, reads, checks and hashes files, removes duplicates, splits and writes the corpus; the bare
parse only parses, in one process. Passes are interleaved and the median counts. Memory is the proportional set
size of the command and all its processes together, sampled 20 times a second; processor time is that of all of
them. The run fails when a file is missing from the ledger.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import symusic

from etude.data.midi_files import find_midi

_SAMPLE_EVERY_SEC = 0.05


class Measured(NamedTuple):
    """One pass."""

    wall_sec: float
    cpu_sec: float
    peak_bytes: int
    notes: int


def prepare_once(folder: Path, out: Path, workers: int) -> Measured:
    """Run the command and watch it."""
    command = [sys.executable, "-m", "etude.cli", "prepare", folder, out, "--json", "--workers", str(workers)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(proportional_bytes, family(process.pid))))
            time.sleep(_SAMPLE_EVERY_SEC)
        wall = time.monotonic() - began
        made = json.loads(process.stdout.read())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(wall, cpu, peak, made["notes"])


def parse_once(files: list[str]) -> Measured:
    """Parse every file with symusic alone, in this process."""
    began, began_cpu = time.monotonic(), time.process_time()
    notes = sum(symusic.Score(file).note_num() for file in files)
    return Measured(time.monotonic() - began, time.process_time() - began_cpu, 0, notes)


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += (task / "children").read_text().split() if task.name != str(pid) else []
    except OSError:
        return [pid]
    return [pid, *(below for child in children for below in family(int(child)))]


def proportional_bytes(pid: int) -> int:
    """Return the proportional set size of a process: shared pages divided among those who share them."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


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
    options = parser.parse_args()

    files = find_midi(options.folder)
    passes: dict[str, list[Measured]] = {
        "symusic, bare parse, 1 process": [],
        f"etude prepare, {options.workers} workers": [],
    }
    bare, ours = passes
    parse_once([file.path for file in files])  # fills the page cache, not counted
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.passes):
            out = Path(folder) / str(number)
            passes[bare].append(parse_once([file.path for file in files]))
            passes[ours].append(prepare_once(options.folder, out, options.workers))
            check_ledger(out, [file.name for file in files])
        written = sum(file.stat().st_size for file in out.rglob("*"))

    notes = passes[bare][0].notes
    print(f"{len(files):,} files, {notes:,} notes; corpus of {written / 1e6:.0f} MB; every file in the ledger")
    print(f"Python {platform.python_version()}, symusic {symusic.__version__}, {os.cpu_count()} cores")
    print()
    print("| | wall s | processor s | notes/s of wall | notes/s of processor | peak MB, all processes |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, runs in passes.items():
        wall, cpu = (statistics.median(column) for column in ([r.wall_sec for r in runs], [r.cpu_sec for r in runs]))
        peak = max(run.peak_bytes for run in runs) / 1e6
        memory = f"{peak:,.0f}" if peak else "–"
        notes = runs[0].notes
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {notes / wall:,.0f} | {notes / cpu:,.0f} | {memory} |")


if __name__ == "__main__":
    main()
