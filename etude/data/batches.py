"""Batches for training and windows for evaluation, cut from token shards.

Training batches are a pure function of (seed, step). In each epoch all training pieces are laid end to
end in an order of that epoch, each as its ids and END, and the two ends are joined to a ring: every piece
follows an END. The ring of N ids is cut every ``ctx_len`` ids, from a phase of that epoch, into
``ceil(N / ctx_len)`` windows, which are drawn in an order of that epoch. Every id is a target in every
epoch at least once; fewer than ``ctx_len`` ids, at the seam, are targets twice.

Of compound ids, a step is a row of Q ids, and every array of ids has Q as its last axis.

Dimension key:  B batch   T tokens, or steps   Q ids of a step
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from etude.data.shards import Shards
from etude.errors import TokenError
from etude.randomness import below, permutation


class TrainBatches:
    """Batches of windows over the pieces of a split.

    Args:
        shards: the tokens.
        ctx_len: targets T of a window.
        batch_size: windows B of a batch.
        seed: seed of order, phase and transposition.
        transpose_semitones: transpose each piece, anew in each epoch, by up to so many semitones up or
            down, evenly over those that keep all its notes in range; 0 for never.
        varied: gives the ids of a row of the shards in an epoch, END last, in place of transposition; of any
            length, see ``etude.data.varied``.
        split: the split to draw from.

    Attributes:
        tokens_per_epoch: ids in the split, N.
        windows_per_epoch: ``ceil(N / ctx_len)``.

    Raises:
        TokenError: the split has no pieces.
    """

    def __init__(
        self,
        shards: Shards,
        *,
        ctx_len: int,
        batch_size: int,
        seed: int,
        transpose_semitones: int = 0,
        varied: Callable[[int, int], np.ndarray] | None = None,
        split: str = "train",
    ) -> None:
        self.shards = shards
        self.ctx_len = ctx_len
        self.batch_size = batch_size
        self.seed = seed
        self.transpose_semitones = transpose_semitones
        self._varied = varied
        self._rows = _rows_of(shards, split)
        self.tokens_per_epoch = int(shards.lengths[self._rows].sum())
        self.windows_per_epoch = -(-self.tokens_per_epoch // ctx_len)
        # a batch lies in one epoch, or in two where one ends
        self._ring = functools.lru_cache(maxsize=2)(self._lay_ring)

    def at(self, step: int, rows: range | None = None) -> np.ndarray:
        """Return the batch of a step as ``ids_BT``, int64 (batch_size, ctx_len + 1), or ``ids_BTQ``.

        ``ids_BT[:, :-1]`` is what the model reads and ``ids_BT[:, 1:]`` what it must say.

        Args:
            step: counted from 0.
            rows: make only these rows of it, 0 to ``batch_size``; all by default.
        """
        first = step * self.batch_size
        return np.stack([self.window(first + row) for row in rows or range(self.batch_size)])

    def window(self, number: int) -> np.ndarray:
        """Return window ``number`` of the whole training, counted from 0: int64 (ctx_len + 1,) or (ctx_len + 1, Q)."""
        parts = self.parts(number, self.ctx_len + 1)
        return np.concatenate([part.ids[part.first : part.last] for part in parts]).astype(np.int64)

    def parts(
        self, number: int, num_ids: int, change: Callable[[np.ndarray], np.ndarray] = lambda ids: ids
    ) -> list["Part"]:
        """Return the parts of pieces that window ``number`` is made of, the predecessor of its first target included.

        Args:
            number: of the window in the whole training.
            num_ids: ids of all parts together.
            change: what else is done to the ids of a piece, END last.
        """
        epoch, place = divmod(number, self.windows_per_epoch)
        ring = self._ring(epoch)
        # the first target's predecessor opens the window
        at = (ring.phase + int(ring.windows[place]) * self.ctx_len - 1) % self.tokens_per_epoch
        parts, missing = [], num_ids
        piece = int(np.searchsorted(ring.ends, at, side="right"))
        while missing:
            row = int(ring.rows[piece])
            ids, length = change(self._piece(row, epoch)), int(self.shards.lengths[row])
            skip = at - int(ring.ends[piece]) + length
            if len(ids) != length:
                # a varied piece is entered at the same share of it; its END stays its END
                skip = skip * (len(ids) - 1) // max(length - 1, 1)
            parts.append(Part(row, epoch, ids, skip, min(skip + missing, len(ids))))
            missing -= parts[-1].last - skip
            piece = (piece + 1) % len(ring.rows)
            at = int(ring.ends[piece]) - int(self.shards.lengths[ring.rows[piece]])
        return parts

    def _lay_ring(self, epoch: int) -> "_Ring":
        rows = self._rows[permutation(len(self._rows), self.seed, "order", epoch)]
        return _Ring(
            rows=rows,
            ends=np.cumsum(self.shards.lengths[rows]),
            phase=below(self.ctx_len, self.seed, "phase", epoch),
            windows=permutation(self.windows_per_epoch, self.seed, "windows", epoch),
        )

    def _piece(self, row: int, epoch: int) -> np.ndarray:
        if self._varied is not None:
            return self._varied(row, epoch)
        return transposed_piece(self.shards, row, self.transpose_semitones, seed=self.seed, epoch=epoch)


class _Ring(NamedTuple):
    """One epoch: the pieces in their order, where each ends, and the windows in theirs."""

    rows: np.ndarray
    ends: np.ndarray
    phase: int
    windows: np.ndarray


class Part(NamedTuple):
    """Ids ``first`` up to ``last`` of a piece, which is a row of the shards in an epoch; ``ids`` are all of it."""

    row: int
    epoch: int
    ids: np.ndarray
    first: int
    last: int


class EvalBatch(NamedTuple):
    """Windows side by side, the shorter ones padded at their end.

    ``weight_BT`` is true for the targets that count; padding and repeated context do not.
    """

    ids_BT: np.ndarray
    targets_BT: np.ndarray
    weight_BT: np.ndarray


class EvalWindows:
    """All targets of a split, each exactly once, in windows that do not depend on any seed.

    A piece is read as END and its ids, and its targets are its ids and END. The first window of a piece
    starts at its beginning; each next one goes on ``stride`` targets later, the last one ends with the
    piece, and in each only the targets count that no window before it held. After the first window a
    target is thus seen with at least ``ctx_len - stride`` ids of context.

    Args:
        shards: the tokens.
        split: the split to read.
        ctx_len: targets T of a window at most.
        stride: new targets of a window, 1 to ``ctx_len``; half of ``ctx_len`` by default.
        max_pieces: read only so many pieces, evenly spread over the split.
        batch_size: windows B of a batch at most.

    Attributes:
        num_targets: targets that count.
        num_notes: notes in the pieces read.
        num_seconds: seconds of music in the pieces read.

    Raises:
        TokenError: the split has no pieces.
    """

    def __init__(
        self,
        shards: Shards,
        split: str,
        *,
        ctx_len: int,
        stride: int | None = None,
        max_pieces: int | None = None,
        batch_size: int = 16,
    ) -> None:
        self.shards = shards
        self.ctx_len = ctx_len
        self.stride = stride or max(1, ctx_len // 2)
        if not 1 <= self.stride <= ctx_len:
            raise ValueError(f"stride = {stride}: expected 1 to ctx_len = {ctx_len}")
        self.batch_size = batch_size
        self.rows = _rows_of(shards, split)
        if max_pieces is not None and max_pieces < len(self.rows):
            self.rows = self.rows[np.arange(max_pieces) * len(self.rows) // max_pieces]
        self.num_targets = int(shards.lengths[self.rows].sum())
        self.num_notes = int(shards.notes[self.rows].sum())
        self.num_seconds = float(shards.seconds[self.rows].sum())
        self._windows = self._cut()

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self._windows) // self.batch_size)

    def __iter__(self) -> Iterator[EvalBatch]:
        return self.share(0, 1)

    def share(self, rank: int, num_ranks: int) -> Iterator[EvalBatch]:
        """Yield every ``num_ranks``-th batch from number ``rank`` on: over all ranks, each batch once.

        All ranks get as many, since a model whose weights they share out runs on all of them or on none: a rank that
        has no batch left gets its last one, or the first of all, once more with all weights 0.
        """
        batch = None
        for first in range(0, len(self._windows), self.batch_size * num_ranks):
            own = self._windows[first + rank * self.batch_size :][: self.batch_size]
            if len(own):
                batch = self._batch(own)
            else:
                batch = batch or self._batch(self._windows[: self.batch_size])
                batch = batch._replace(weight_BT=np.zeros_like(batch.weight_BT))
            yield batch

    def _cut(self) -> np.ndarray:
        """Return int64 (W, 4): row, start, end and first counted target of each window, long ones first."""
        lengths = self.shards.lengths[self.rows]
        counts = 1 + np.maximum(0, -(-(lengths - self.ctx_len) // self.stride))
        row = np.repeat(np.arange(len(self.rows)), counts)
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        length = lengths[row]
        end = np.minimum(self.ctx_len + place * self.stride, length)
        start = np.maximum(0, end - self.ctx_len)
        fresh = np.where(place == 0, 0, self.ctx_len + (place - 1) * self.stride)
        windows = np.stack([self.rows[row], start, end, fresh], axis=1)
        return windows[np.argsort(start - end, kind="stable")]

    def _batch(self, windows: np.ndarray) -> EvalBatch:
        shape = (len(windows), int((windows[:, 2] - windows[:, 1]).max()))
        pad, end_id = self.shards.tokenizer.pad_id, self.shards.tokenizer.end_id
        step = self.shards.ids(int(windows[0, 0])).shape[1:]
        ids_BT, targets_BT = np.full((2, *shape, *step), pad, np.int64)
        batch = EvalBatch(ids_BT, targets_BT, np.zeros(shape, bool))
        for k, (row, start, end, fresh) in enumerate(windows.tolist()):
            ids = self.shards.ids(row)
            batch.ids_BT[k, 0] = ids[start - 1] if start else end_id
            batch.ids_BT[k, 1 : end - start] = ids[start : end - 1]
            batch.targets_BT[k, : end - start] = ids[start:end]
            batch.weight_BT[k, fresh - start : end - start] = True
        return batch


def transposed_piece(shards: Shards, row: int, most: int, *, seed: int, epoch: int) -> np.ndarray:
    """Return the ids of a piece, END last, moved as far as is drawn for it in an epoch.

    Args:
        shards: the tokens.
        row: of the piece.
        most: semitones up or down; of those that keep all its notes in range each is as likely.
        seed: of the run.
        epoch: counted from 0.
    """
    ids = shards.ids(row)
    if not most:
        return ids
    piece = shards.piece_ids[row].as_py()
    for draw in permutation(2 * most + 1, seed, "transpose", epoch, piece).tolist():
        semitones = draw - most
        if semitones == 0:
            return ids
        moved = shards.tokenizer.transpose_ids(ids[:-1].astype(np.int32), semitones)
        if moved is not None:
            return np.concatenate([moved, ids[-1:].astype(moved.dtype)])
    raise AssertionError("0 semitones is always among the draws")


def _rows_of(shards: Shards, split: str) -> np.ndarray:
    rows = shards.split_rows(split)
    if not len(rows):
        raise TokenError(f"{shards.path}: no piece is in split '{split}'; see splits.parquet of its corpus")
    return rows
