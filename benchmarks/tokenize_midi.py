"""MIDI files to token ids and back on one core, ours beside the peers' in one run.

    python benchmarks/tokenize_midi.py build/data/asap [--files 600] [--passes 7] [--aria-utils DIR] [--processor DIR]

Every contender goes from paths to lists or arrays of ids, or from ids to the bytes of a MIDI file. Passes are
interleaved, so that a busy machine slows all of them; what is compared is processor time, not the clock on the
wall, and the median pass counts. The first, uncounted pass reads the files into the page cache. Peers run with
their defaults, on every 6th file; notes a second are compared. One default is changed: MidiTok's Octuple leaves out
whatever comes after 60 bars, two thirds of the notes of ASAP, and is given bars enough. ``--aria-utils`` names a
checkout of EleutherAI/aria-utils, ``--processor`` one of midi-neural-processor (needs pretty_midi), the encoder that
the 390 ids come from, with the pedal held as ours does.
"""

import argparse
import functools
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
from typing import Any, NamedTuple

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"

import symusic  # noqa: E402  after the number of threads is settled

from etude.music.midi import midi_bytes, read_midi  # noqa: E402
from etude.tokens import build_tokenizer  # noqa: E402

KINDS = ("performance", "midilike", "tsd", "remi", "octuple", "absolute", "relative", "anticipation")
MIDITOK = {"performance": "MIDILike", "midilike": "MIDILike", "tsd": "TSD", "remi": "REMI", "octuple": "Octuple"}
"""The scheme of MidiTok that is of one family with ours."""
ARIA = dict.fromkeys(("absolute", "relative"), "aria-utils AbsTokenizer")
PROCESSOR = "midi-neural-processor"
ENOUGH_BARS = 2000
EVERY = 6
"""Slow peers run on every so manieth file."""
BARE, READING = "symusic, bare parse", "etude, read_midi"


class Contender(NamedTuple):
    """Something that is timed.

    Attributes:
        run: takes a path, returns how many ids, or 0.
        peer: the name of the contender it is compared with.
        is_slow: runs on every ``EVERY``th file.
    """

    run: Callable[[str], int]
    peer: str = ""
    is_slow: bool = False


def contenders(aria_utils: Path | None, processor: Path | None) -> dict[str, Contender]:
    """Return what is timed, by name."""
    table = {
        BARE: Contender(lambda path: symusic.Score(path) and 0),
        READING: Contender(lambda path: len(read_midi(path).notes) and 0),
    }
    peers = {**miditok_contenders()}
    if aria_utils is not None:
        peers |= aria_contenders(aria_utils)
    if processor is not None:
        sys.path.insert(0, str(processor))
        import processor as neural_processor

        run = Contender(lambda path: len(neural_processor.encode_midi(path)), is_slow=True)
        peers[f"{PROCESSOR}, file to ids"] = run
    for kind in KINDS:
        family = f"MidiTok {MIDITOK[kind]}" if kind in MIDITOK else ARIA.get(kind, "")
        tokenizer = build_tokenizer(kind)
        encode = Contender(lambda path, tok=tokenizer: len(tok.encode(read_midi(path))), f"{family}, file to ids")
        if kind == "performance" and processor is not None:
            table[f"etude `{kind}`, file to ids, beside {PROCESSOR}"] = encode._replace(
                peer=f"{PROCESSOR}, file to ids"
            )
        table[f"etude `{kind}`, file to ids"] = encode
        ids_of = cached(lambda path, tok=tokenizer: tok.encode(read_midi(path)))
        decode = Contender(
            lambda path, tok=tokenizer, ids_of=ids_of: len(midi_bytes(tok.decode(ids_of(path)))) and 0,
            f"{family}, ids to MIDI",
        )
        table[f"etude `{kind}`, ids to MIDI"] = decode
    return table | peers


def miditok_contenders() -> dict[str, Contender]:
    """Return MidiTok's schemes, or nothing if it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import miditok
    except ImportError:
        print("MidiTok is not installed: pip install miditok", file=sys.stderr)
        return {}
    # that pieces are clipped is told for every file
    warnings.filterwarnings("ignore", message="miditok")
    table = {}
    for scheme in sorted(set(MIDITOK.values())):
        # a piece that goes on for longer loses its end
        bars = {"max_bar_embedding": ENOUGH_BARS} if scheme == "Octuple" else {}
        tokenizer = getattr(miditok, scheme)(miditok.TokenizerConfig(**bars))
        ids_of = cached(lambda path, tok=tokenizer: ids_in(tok(Path(path))))
        table[f"MidiTok {scheme}, file to ids"] = Contender(
            lambda path, tok=tokenizer: count_of(tok(Path(path))), is_slow=True
        )
        table[f"MidiTok {scheme}, ids to MIDI"] = Contender(
            lambda path, tok=tokenizer, of=ids_of: len(tok.decode(of(path)).dumps_midi()) and 0, is_slow=True
        )
    return table


def ids_in(sequences: Any) -> list:
    """Return the bare ids in what MidiTok returns, as a model would: one sequence, or one for each track."""
    return [one.ids for one in sequences] if isinstance(sequences, list) else sequences.ids


def aria_contenders(folder: Path) -> dict[str, Contender]:
    """Return aria-utils' tokenizer."""
    sys.path.insert(0, str(folder))
    from ariautils.midi import MidiDict
    from ariautils.tokenizer import AbsTokenizer

    tokenizer = AbsTokenizer()

    def file_to_ids(path: str) -> int:
        return len(tokenizer.encode(tokenizer.tokenize(MidiDict.from_midi(path))))

    return {"aria-utils AbsTokenizer, file to ids": Contender(file_to_ids, is_slow=True)}


def cached(function: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a function that keeps what it returned: ids are made before their decoding is timed."""
    return functools.lru_cache(maxsize=None)(function)


def count_of(sequences: object) -> int:
    """Return the number of ids in what MidiTok returns: one sequence, or one for each track."""
    return sum(len(one) for one in sequences) if isinstance(sequences, list) else len(sequences)


def seconds_of(function: Callable[[str], int], paths: list[str]) -> tuple[float, int]:
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
    parser.add_argument("--aria-utils", type=Path, help="a checkout of aria-utils")
    parser.add_argument("--processor", type=Path, help="a checkout of midi-neural-processor")
    arguments = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found = sorted(str(path) for folder in arguments.folders for path in folder.rglob("*.mid"))
    found = [path for path in found if arguments.without not in Path(path).name]
    if not found:
        sys.exit(f"{arguments.folders[0]}: no .mid files there")
    paths = found[:: max(1, len(found) // arguments.files)][: arguments.files]

    table = contenders(arguments.aria_utils, arguments.processor)
    few = paths[::EVERY]
    notes = {True: count_notes(few), False: count_notes(paths)}
    taken: dict[str, list[float]] = {name: [] for name in table}
    ids: dict[str, int] = {}
    for turn in range(-1, arguments.passes):
        for name, one in table.items():
            if one.is_slow and turn >= arguments.peer_passes:
                continue
            seconds, ids[name] = seconds_of(one.run, few if one.is_slow else paths)
            if turn >= 0:
                taken[name].append(seconds)

    rate = {name: notes[table[name].is_slow] / statistics.median(runs) for name, runs in taken.items() if runs}
    print(f"{len(paths)} files, {notes[False]:,} notes; {machine()}; processor time, median of interleaved passes\n")
    print("| | notes/s | times the bare parse | its peer takes, times ours | ids a note |")
    print("|---|--:|--:|--:|--:|")
    for name, notes_per_sec in rate.items():
        told = f"{ids[name] / notes[table[name].is_slow]:.2f}" if ids[name] else ""
        peer = rate.get(table[name].peer)
        beside = f"{notes_per_sec / peer:.1f}" if peer else ""
        print(f"| {name} | {notes_per_sec:,.0f} | {rate[BARE] / notes_per_sec:.2f} | {beside} | {told} |")


def count_notes(paths: list[str]) -> int:
    """Return the notes of all files."""
    return sum(len(read_midi(path).notes) for path in paths)


if __name__ == "__main__":
    main()
