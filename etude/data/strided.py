"""Windows of fixed length over the pieces of a split, a stride apart, the prefix of a piece at the head of each.

A piece is read as END, its prefix, its body and END. What its prefix is says ``prefix_length`` of its tokenizer; of
absolute and relative it is what stands before the notes, START included; others have none. The
first window begins with that first END. Each next one is the prefix and what follows in the body from the last note
that begins at most ``stride`` ids after the beginning of the one before, so no window begins inside a note and every
id is a target. The last one ends with the piece and is filled up with PAD. Only of a stretch longer than a window in
which no note begins the rest is left out.

Dimension key:  B batch   T tokens
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from etude.data.batches import EvalBatch
from etude.data.shards import Shards
from etude.errors import TokenError
from etude.tokens.absolute_layout import START
from etude.tokens.augment import can_augment_ids


def prefix_length(tokenizer: Any, ids: np.ndarray) -> int:
    """Return how many ids at the beginning of a piece say what it is, before those that tell its notes."""
    if hasattr(tokenizer, "prefix_length"):
        return tokenizer.prefix_length(ids)
    starts = np.flatnonzero(ids == START) if can_augment_ids(tokenizer) else ids[:0]
    return int(starts[0]) + 1 if len(starts) else 0


class StridedWindows:
    """All windows of a split, in the order of its pieces.

    Args:
        shards: the tokens.
        split: the split to read.
        ctx_len: targets T of every window.
        stride: ids of the body from window to window at most, 1 to ``ctx_len`` less the longest prefix; half of
            ``ctx_len`` by default.

    Attributes:
        rows: the row in the shards of each window, int64 (W,).
        starts: the place in the body where each begins, int64 (W,); the first of a piece at 0.

    Raises:
        TokenError: the split has no pieces, or the stride does not fit beside a prefix.
    """

    def __init__(self, shards: Shards, split: str = "train", *, ctx_len: int, stride: int | None = None) -> None:
        self.shards = shards
        self.ctx_len = ctx_len
        self.stride = max(1, ctx_len // 2) if stride is None else stride
        rows, starts = [], []
        for row in shards.split_rows(split).tolist():
            begins = self._starts(row)
            rows.append(np.full(len(begins), row, np.int64))
            starts.append(begins)
        if not rows:
            raise TokenError(f"{shards.path}: no piece is in split '{split}'; see splits.parquet of its corpus")
        self.rows, self.starts = np.concatenate(rows), np.concatenate(starts)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> np.ndarray:
        """Return window ``number``: its ids, int64 (ctx_len + 1,), PAD where the piece is over."""
        ids, length = self._piece(int(self.rows[number]))
        start, head = int(self.starts[number]), ids[1 : 1 + length]
        # the first END and the prefix stand before the body
        window = np.concatenate([head, ids[1 + length + start :]]) if start else ids
        window = window[: self.ctx_len + 1]
        missing = [(0, self.ctx_len + 1 - len(window)), *[(0, 0)] * (window.ndim - 1)]
        return np.pad(window, missing, constant_values=self.shards.tokenizer.pad_id)

    def batch(self, numbers: Sequence[int]) -> EvalBatch:
        """Return windows side by side.

        Targets count but for padding and for a prefix that an earlier window of the piece had.
        """
        windows = np.stack([self[number] for number in numbers])
        ids_BT, targets_BT = windows[:, :-1], windows[:, 1:]
        is_pad = targets_BT == self.shards.tokenizer.pad_id
        weight_BT = ~(is_pad if targets_BT.ndim == 2 else is_pad.any(-1))
        for k, number in enumerate(numbers):
            if self.starts[number]:
                weight_BT[k, : max(0, self._piece(int(self.rows[number]))[1] - 1)] = False
        return EvalBatch(ids_BT, targets_BT, weight_BT)

    def _piece(self, row: int) -> tuple[np.ndarray, int]:
        """Return END and the ids of a piece, int64, and the length of its prefix."""
        stored = self.shards.ids(row).astype(np.int64)
        return np.concatenate([stored[-1:], stored]), prefix_length(self.shards.tokenizer, stored[:-1])

    def _starts(self, row: int) -> np.ndarray:
        """Return where in the body of a piece windows begin, rising, int64."""
        ids, length = self._piece(row)
        body = ids[1 + length :]
        room = self.ctx_len + 1 - length
        if not 1 <= self.stride < room:
            piece = self.shards.piece_ids[row].as_py()
            raise TokenError(
                f"stride = {self.stride}: expected 1 to {max(room - 1, 0)}, for windows of {self.ctx_len} ids with "
                f"the prefix of {length} ids of piece {piece}; take longer windows or another stride"
            )
        begins_note = self.shards.tokenizer.id_facts.starts_note[body]
        notes = np.flatnonzero(begins_note if begins_note.ndim == 1 else begins_note.any(-1))
        # the first window holds an END more before its prefix, and what begins a window is no target of it
        starts, end, latest = [0], room - 1, min(self.stride, room - 2)
        while end < len(body):
            place = int(np.searchsorted(notes, latest, side="right")) - 1
            if place < 0 or notes[place] <= starts[-1]:
                place += 1
            if place == len(notes):
                break
            starts.append(int(notes[place]))
            end, latest = starts[-1] + room, starts[-1] + self.stride
        return np.array(starts)
