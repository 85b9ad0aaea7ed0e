"""How long a person waits for `etude --help`, beside the bare interpreter and beside `import torch`.

    python benchmarks/start_up.py [--passes 15]

Wall time of whole processes, one of each in turn; the first of each, which fills the page cache, does not count.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "etude --help": ["-m", "etude.cli", "--help"],
    "etude train --help": ["-m", "etude.cli", "train", "--help"],
    "python -c 'import torch'": ["-c", "import torch"],
}


def main() -> None:
    """Time every command and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=15)
    passes = parser.parse_args().passes
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(1 + passes):
        for name, words in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            times[name].append(time.perf_counter() - began)
    print(f"Python {platform.python_version()}; median of {passes} processes, wall time\n")
    print("| command | s | slowest, s |\n|---|--:|--:|")
    for name, taken in times.items():
        print(f"| `{name}` | {statistics.median(taken[1:]):.3f} | {max(taken[1:]):.3f} |")


if __name__ == "__main__":
    main()
