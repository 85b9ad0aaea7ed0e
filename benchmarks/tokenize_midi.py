"""MIDI files to token ids on one core, ours beside the peers' in one run.

    python benchmarks/tokenize_midi.py build/data/asap [--files 600] [--passes 7] [--processor DIR]

Every contender goes from paths to lists or arrays of ids. Passes are interleaved, so that a busy machine slows
all of them; what is compared is processor time, not the clock on the wall, and the median pass counts. The
first, uncounted pass reads the files into the page cache. Peers run with their defaults. ``--processor`` names
a checkout of midi-neural-processor (needs pretty_midi), the encoder that the 390 ids come from.
"""

import argparse
import gc
import importlib.metadata
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"

import symusic  # noqa: E402  after the number of threads is settled

from etude.music.midi import read_midi  # noqa: E402
from etude.tokens import build_tokenizer  # noqa: E402

Contender = Callable[[str], int]
"""Takes a path, returns how many ids (or none)."""


def contenders(processor: Path | None) -> dict[str, tuple[Contender, bool]]:
    """Return names to (function, whether it is slow)."""
    ours = build_tokenizer("performance")

    def bare_parse(path: str) -> int:
        symusic.Score(path)
        return 0

    def our_reading(path: str) -> int:
        read_midi(path)
        return 0

    def our_ids(path: str) -> int:
        return len(ours.encode(read_midi(path)))

    table: dict[str, tuple[Contender, bool]] = {
        "symusic, bare parse": (bare_parse, False),
        "etude, read_midi": (our_reading, False),
        "etude, file to `performance` ids": (our_ids, False),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import miditok
        midi_like = miditok.MIDILike()
        table["MidiTok, file to MIDILike ids"] = (lambda path: count_of(midi_like(Path(path))), True)
    except ImportError:
        print("MidiTok is not installed: pip install miditok", file=sys.stderr)
    if processor is not None:
        sys.path.insert(0, str(processor))
        import processor as neural_processor

        table["midi-neural-processor, file to ids"] = (lambda path: len(neural_processor.encode_midi(path)), True)
    return table


def count_of(sequences: object) -> int:
    """Return the number of ids in what MidiTok returns: one sequence, or one for each track."""
    return sum(len(one) for one in sequences) if isinstance(sequences, list) else len(sequences)


def seconds_of(function: Contender, paths: list[str]) -> tuple[float, int]:
    """Return the processor seconds of one pass over all files, and the ids it gave."""
    gc.collect()
    started = time.process_time()
    ids = sum(function(path) for path in paths)
    return time.process_time() - started, ids


def machine() -> str:
    """Return the processor, the Python and the versions in words."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    names = ("numpy", "symusic", "miditok")
    installed = {dist.metadata["Name"].lower() for dist in importlib.metadata.distributions()}
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names if name in installed)
    return f"{model}, one core of {os.cpu_count()}, Python {platform.python_version()}, {versions}"


def main() -> None:
    """Run and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="searched for *.mid")
    parser.add_argument("--files", type=int, default=600, help="how many files, evenly spread (default 600)")
    parser.add_argument("--passes", type=int, default=7, help="counted passes, at least 1 (default 7)")
    parser.add_argument(
        "--peer-passes", type=int, default=2, help="counted passes of slow peers, 0 for none (default 2)"
    )
    parser.add_argument("--without", default="midi_score", help="skip names with this in them (default midi_score)")
    parser.add_argument("--processor", type=Path, help="a checkout of midi-neural-processor")
    arguments = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found = sorted(str(path) for folder in arguments.folders for path in folder.rglob("*.mid"))
    found = [path for path in found if arguments.without not in Path(path).name]
    if not found:
        sys.exit(f"{arguments.folders[0]}: no .mid files there")
    paths = found[:: max(1, len(found) // arguments.files)][: arguments.files]
    notes = sum(len(read_midi(path).notes) for path in paths)

    table = contenders(arguments.processor)
    taken: dict[str, list[float]] = {name: [] for name in table}
    ids: dict[str, int] = {}
    for turn in range(-1, arguments.passes):
        for name, (function, is_slow) in table.items():
            if is_slow and not 0 <= turn < arguments.peer_passes:
                continue
            seconds, ids[name] = seconds_of(function, paths)
            if turn >= 0:
                taken[name].append(seconds)

    parse = statistics.median(taken["symusic, bare parse"])
    ours = statistics.median(taken["etude, file to `performance` ids"])
    print(f"{len(paths)} files, {notes:,} notes; {machine()}; processor time, median of interleaved passes\n")
    print("| | ms a file | notes/s | times the bare parse | times ours | ids a note |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, passes in taken.items():
        if not passes:
            continue
        seconds = statistics.median(passes)
        told = f"{ids[name] / notes:.2f}" if ids[name] else ""
        print(
            f"| {name} | {1000 * seconds / len(paths):.2f} | {notes / seconds:,.0f} | {seconds / parse:.2f} "
            f"| {seconds / ours:.2f} | {told} |"
        )


if __name__ == "__main__":
    main()
