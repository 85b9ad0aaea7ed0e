"""Random numbers as functions: (seed, stream, index…) → numbers, with no generator to carry along.

A stream is a name, such as ``"order"`` or ``"dropout"``; indices are integers or strings, such as a step,
an epoch or a piece. The same arguments give the same numbers in any process, in any order of calls and
after any interruption, so there is no state to save.

Streams are independent: each is a Philox counter generator keyed by a BLAKE2b hash of its arguments.
``permutation`` and ``below`` use raw 64-bit draws alone, which numpy promises never to change; what
``generator(...)`` draws from a distribution may change with a major version of numpy.
"""

import hashlib
import json

import numpy as np

Index = int | str


def seed_of(seed: int, stream: str, *index: Index) -> int:
    """Return the seed of a stream: a whole number from 0 to 2**63 - 1, as ``torch.manual_seed`` takes it.

    Args:
        seed: the seed of the experiment.
        stream: what the numbers are for.
        index: where in the stream: a step, an epoch, a row, a piece.

    Example:
        >>> seed_of(0, "dropout", 12, 3) == seed_of(0, "dropout", 12, 3)
        True
        >>> seed_of(0, "dropout", 12, 3) == seed_of(0, "dropout", 123)
        False
    """
    return int.from_bytes(_key(seed, stream, index)[:8], "little") >> 1


def below(bound: int, seed: int, stream: str, *index: Index) -> int:
    """Return one whole number from 0 to ``bound - 1``; the bias is under ``bound`` / 2**63.

    Example:
        >>> 0 <= below(512, 0, "phase", 7) < 512
        True
    """
    return seed_of(seed, stream, *index) % bound


def generator(seed: int, stream: str, *index: Index) -> np.random.Generator:
    """Return a fresh numpy generator at the start of a stream.

    Example:
        >>> a, b = generator(0, "noise", 1), generator(0, "noise", 1)
        >>> bool((a.normal(size=4) == b.normal(size=4)).all())
        True
    """
    return np.random.Generator(_philox(seed, stream, index))


def permutation(size: int, seed: int, stream: str, *index: Index) -> np.ndarray:
    """Return the numbers from 0 to ``size - 1`` in a random order, int64, the same with any numpy.

    Example:
        >>> sorted(permutation(4, 0, "order", 1).tolist())
        [0, 1, 2, 3]
    """
    return np.argsort(_philox(seed, stream, index).random_raw(size), kind="stable")


def _philox(seed: int, stream: str, index: tuple[Index, ...]) -> np.random.Philox:
    return np.random.Philox(key=np.frombuffer(_key(seed, stream, index), dtype="<u8"))


def _key(seed: int, stream: str, index: tuple[Index, ...]) -> bytes:
    # JSON keeps 1 and "1" apart, and ("a", "b") apart from ("ab",)
    parts = [int(seed), stream, *(part if isinstance(part, str) else int(part) for part in index)]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).digest()
