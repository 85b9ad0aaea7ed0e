"""Learned merges: learning them and encoding with them, ours beside the peers' in one run; and memory as pieces grow.

    python benchmarks/bpe.py build/data/asap [--files 1000] [--size 5000] [--passes 3]
    python benchmarks/bpe.py build/data/asap --scale 100000

The first form learns merges until there are so many ids, from the ids of the same files, each contender in a process
of its own on one core: MidiTok's REMI with its defaults (merges within bars), our `remi` within bars and within
notes, and the library `tokenizers`, which MidiTok uses, on our ids and words, so that both do the same work. Then
all encode some of the files, in turns. Goals: at least 5 times as fast as MidiTok to learn, below 1 GB, and at least
8 times as fast to encode.

The second form counts the words of made pieces, as `etude tokenize --bpe` does, and samples memory whenever the
number of pieces has doubled. Goals: memory flat, time in proportion.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402  after the number of threads is settled
from prepare_scale import Bars  # noqa: E402
from taking_turns import machine, serve, take_turns  # noqa: E402

from etude.music.midi import read_midi  # noqa: E402
from etude.music.score import Score  # noqa: E402
from etude.randomness import generator  # noqa: E402
from etude.tokens import build_tokenizer  # noqa: E402
from etude.tokens.bpe import BpeTokenizer  # noqa: E402
from etude.tokens.bpe_learn import learn_merges  # noqa: E402
from etude.tokens.bpe_words import WordCounts  # noqa: E402

OURS = {"etude, remi within bars": "bar", "etude, remi within notes": "note"}
MIDITOK, LIBRARY = "MidiTok, REMI within bars", "tokenizers, on etude's words within bars"
_ENCODED = 60
"""Files that are encoded in each pass."""


def peak_mb() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Processor time from one look to the next."""

    def __init__(self) -> None:
        self._last = time.process_time()

    def look(self) -> float:
        """Return the seconds since the last look."""
        now = time.process_time()
        self._last, passed = now, now - self._last
        return passed


def our_words(plain: BpeTokenizer, paths: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the ids of files and where words begin in them."""
    pieces = [plain.base.encode(read_midi(path)) for path in paths]
    return [(ids, plain.word_starts(ids)) for ids in pieces]


def ours(paths: list[str], size: int, within: str) -> tuple[Callable[[], int], dict[str, Any]]:
    """Learn; return what encodes some files, and the facts."""
    plain: BpeTokenizer = build_tokenizer("bpe", base="remi", within=within)
    clock = Clock()
    pieces = our_words(plain, paths)
    read_sec = clock.look()
    counts = WordCounts()
    for ids, starts in pieces:
        counts.add(ids, starts)
    merges = learn_merges(counts.words(), vocab_size=plain.base.vocab_size, num_merges=size - plain.base.vocab_size)
    learn_sec = clock.look()
    tokenizer = plain.with_merges(merges)
    facts = {"ids": sum(len(ids) for ids, _ in pieces), "merges": len(merges), "read_sec": read_sec}
    return lambda: sum(len(tokenizer.encode(read_midi(path))) for path in some(paths)), facts | {
        "learn_sec": learn_sec,
        "peak_mb": peak_mb(),
    }


def of_miditok(paths: list[str], size: int) -> tuple[Callable[[], int], dict[str, Any]]:
    """Learn with MidiTok; return what encodes some files, and the facts."""
    warnings.simplefilter("ignore")
    import miditok
    from miditok.tokenizer_training_iterator import TokTrainingIterator

    tokenizer = miditok.REMI()
    clock = Clock()
    reader = TokTrainingIterator(tokenizer, [Path(path) for path in paths])
    words = [reader.load_file(path) for path in reader.files_paths]
    num_ids = sum(len(word) for of_file in words for word in of_file)
    read_sec = clock.look()
    with printing_to_stderr():
        tokenizer.train(vocab_size=size, model="BPE", iterator=words)
    learn_sec = clock.look()
    facts = {"ids": num_ids, "merges": size - len(tokenizer._vocab_base), "read_sec": read_sec}

    def encode() -> int:
        return sum(len(one.ids) for path in some(paths) for one in as_list(tokenizer.encode(Path(path))))

    return encode, facts | {"learn_sec": learn_sec, "peak_mb": peak_mb()}


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Keep a library's progress bar out of standard output, which holds the answers."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def as_list(sequences: Any) -> list[Any]:
    """Return what MidiTok returns, one sequence or several, as a list."""
    return sequences if isinstance(sequences, list) else [sequences]


def library(paths: list[str], size: int) -> tuple[Callable[[], int], dict[str, Any]]:
    """Learn with the library from our words; return nothing to do in passes, and the facts."""
    from tokenizers import Tokenizer, models, trainers

    plain: BpeTokenizer = build_tokenizer("bpe", base="remi", within="bar")
    clock = Clock()
    pieces = our_words(plain, paths)
    letters = [chr(0x100 + token_id) for token_id in range(plain.vocab_size)]
    words = [
        "".join(letters[token_id] for token_id in word) for ids, starts in pieces for word in np.split(ids, starts[1:])
    ]
    read_sec = clock.look()
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False, initial_alphabet=letters)
    Tokenizer(models.BPE()).train_from_iterator(words, trainer)
    facts = {"ids": sum(len(ids) for ids, _ in pieces), "merges": size - plain.vocab_size, "read_sec": read_sec}
    return lambda: 0, facts | {"learn_sec": clock.look(), "peak_mb": peak_mb()}


def some(paths: list[str]) -> list[str]:
    """Return the files that are encoded in each pass."""
    return paths[:: max(1, len(paths) // _ENCODED)][:_ENCODED]


def contend(name: str, paths: list[str], size: int) -> None:
    """Be a contender."""
    if name in OURS:
        encode, facts = ours(paths, size, OURS[name])
    else:
        encode, facts = {MIDITOK: of_miditok, LIBRARY: library}[name](paths, size)
    facts["encoded"] = encode()
    serve(lambda: encode, lambda: facts)


def compare(paths: list[str], options: argparse.Namespace) -> None:
    """Print the table of learning and encoding."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as listed:
        json.dump(paths, listed)
        listed.flush()
        arguments = ["--paths", listed.name, "--size", str(options.size), "."]
        names = [MIDITOK, *OURS, LIBRARY]
        results = take_turns(Path(__file__), names, passes=options.passes, threads=1, arguments=arguments)
    print(f"{len(paths)} files to {options.size:,} ids; {machine('numpy', 'symusic', 'miditok', 'tokenizers')}")
    print()
    print("| | ids | read and encode s | learn s | MidiTok's, times | peak MB | encode a file ms | MidiTok's, times |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    peer = results[MIDITOK]
    encoded = len(some(paths))
    for name in names:
        row = results[name]
        told = [f"{row['ids']:,}", f"{row['read_sec']:.1f}", f"{row['learn_sec']:.2f}"]
        told += [f"{peer['learn_sec'] / row['learn_sec']:.1f}", f"{row['peak_mb']:,.0f}"]
        if name != LIBRARY:
            ratio = statistics.median(b / a for a, b in zip(row["cpu_sec"], peer["cpu_sec"], strict=True))
            told += [f"{statistics.median(row['cpu_sec']) / encoded * 1e3:.2f}", f"{ratio:.1f}"]
        else:
            told += ["", ""]
        print(f"| {name} | {' | '.join(told)} |")


def varied(score: Score, number: int) -> Score:
    """Return a made piece in a key and a loudness of its own, so that its bars are not those of other pieces."""
    draw, pitch, velocity = generator(0, "varied", number), score.notes.pitch, score.notes.velocity
    semitones, louder = draw.integers(-6, 6), draw.integers(-8, 9, len(pitch))
    notes = score.notes.replace(
        pitch=np.clip(pitch + semitones, 0, 127).astype(np.int32),
        velocity=np.clip(velocity + louder, 1, 127).astype(np.int32),
    )
    return replace(score, notes=notes)


def scale(folder: Path, options: argparse.Namespace) -> None:
    """Print the table of memory and time as pieces grow."""
    plain: BpeTokenizer = build_tokenizer("bpe", base="remi", within="bar")
    bars = Bars(folder)
    counts, num_ids, clock, spent = WordCounts(), 0, Clock(), 0.0
    print(f"{options.scale:,} made pieces, remi within bars; {machine('numpy')}")
    print()
    print("| pieces | ids | counting s | memory MB | peak MB | words thinned below |")
    print("|--:|--:|--:|--:|--:|--:|")
    for number in range(1, options.scale + 1):
        ids = plain.base.encode(varied(bars.piece(number), number))
        starts = plain.word_starts(ids)
        clock.look()
        counts.add(ids, starts)
        spent += clock.look()
        num_ids += len(ids)
        if number == options.scale or (number >= 1000 and number & (number - 1) == 0) or number % 25_000 == 0:
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
            row = f"{number:,} | {num_ids:,} | {spent:.1f} | {resident:,.0f} | {peak_mb():,.0f} | {counts.threshold}"
            print(f"| {row} |", flush=True)
    words = counts.words()
    clock.look()
    merges = learn_merges(words, vocab_size=plain.vocab_size, num_merges=options.size - plain.vocab_size)
    told = f"{len(merges):,} merges learned in {clock.look():.1f} s from {len(words.ids):,} ids"
    print(f"\n{told}; peak {peak_mb():,.0f} MB")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="searched for *.mid")
    parser.add_argument("--files", type=int, default=1000, help="how many files, evenly spread (default 1000)")
    parser.add_argument("--size", type=int, default=5000, help="ids to learn to, the base's among them (default 5000)")
    parser.add_argument("--passes", type=int, default=3, help="counted passes of encoding (default 3)")
    parser.add_argument("--scale", type=int, default=0, help="so many made pieces, instead of comparing")
    parser.add_argument("--without", default="midi_score", help="skip names with this in them (default midi_score)")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--paths", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.contender:
        contend(options.contender, json.loads(options.paths.read_text()), options.size)
        return
    if options.scale:
        scale(options.folder, options)
        return
    found = sorted(str(path) for path in options.folder.rglob("*.mid") if options.without not in path.name)
    if not found:
        sys.exit(f"{options.folder}: no .mid files there")
    compare(found[:: max(1, len(found) // options.files)][: options.files], options)


if __name__ == "__main__":
    main()
