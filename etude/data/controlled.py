"""Batches and evaluation windows of pieces with what is told of them: conditions of each id, and a prefix.

A window is an array (T + 1, 2 + C): its ids; whether each counts as a target; and of each condition the row that the
id before it is read with. A prefix of control tokens stands at the head of every window that begins after it in a
piece, so that whatever part of a piece a model reads, it reads what the piece is; there it never counts.

Dimension key:  B batch   T tokens   C conditions
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from etude.data.batches import EvalWindows, TrainBatches
from etude.data.piece_conditions import PieceConditions
from etude.data.shards import Shards
from etude.errors import SettingsError
from etude.randomness import below


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """How often nothing is said of a condition, though it is known.

    What is dropped of a row of a batch is a function of (seed, step, row), and rows of a batch are shared out over
    ranks, so no two ranks drop alike, and any number of them drops what one would.

    Args:
        names: of all conditions.
        each: probability that one of them is dropped.
        everything: probability that all of them are.
        seed: of the run.

    Example:
        >>> Dropout(names=("genre", "author"), each=0.0, everything=1.0, seed=0).of_row(7, 3)
        ('genre', 'author')
    """

    names: tuple[str, ...]
    each: float
    everything: float
    seed: int

    def of_row(self, step: int, row: int) -> tuple[str, ...]:
        """Return the names of which nothing is said in a row of the batch of a step."""
        if self._happens(self.everything, step, row, "everything", ""):
            return self.names
        return tuple(name for name in self.names if self._happens(self.each, step, row, "each", name))

    def _happens(self, probability: float, step: int, row: int, what: str, name: str) -> bool:
        return probability > 0 and below(1 << 32, self.seed, "condition_dropout", step, row, what, name) < (
            probability * (1 << 32)
        )


class Told(NamedTuple):
    """How pieces are told to a model: which ids are a prefix, which of them count, which rows belong to them.

    Args:
        tokenizer: of the shards.
        conditions: of the model; None if it has none.
        music_alone: ids of a prefix are no targets.
    """

    tokenizer: Any
    conditions: PieceConditions | None
    music_alone: bool

    @property
    def num_conditions(self) -> int:
        """Conditions C of the model."""
        return 0 if self.conditions is None else len(self.conditions.settings.attributes)

    @property
    def prefix_names(self) -> tuple[str, ...]:
        """The attributes of a prefix, in order."""
        return tuple(one.name for one in self.tokenizer.settings.attributes) if self.has_prefix else ()

    @property
    def has_prefix(self) -> bool:
        """Whether pieces begin with a prefix."""
        return self.tokenizer.kind == "control"

    @property
    def longest_prefix(self) -> int:
        """Ids that a prefix may have."""
        return len(self.prefix_names) + 1 if self.has_prefix else 0

    def prefix_length(self, ids: np.ndarray) -> int:
        """Return how many ids at the beginning of a piece are its prefix."""
        return self.tokenizer.prefix_length(ids[: self.longest_prefix]) if self.has_prefix else 0

    def counted_ids(self, shards: Shards, rows: np.ndarray) -> int:
        """Return how many ids of pieces count as targets."""
        every = int(shards.lengths[rows].sum())
        if not (self.music_alone and self.has_prefix):
            return every
        return every - sum(self.prefix_length(shards.ids(row)) for row in rows.tolist())

    def columns(self, row: int, ids: np.ndarray, epoch: int | None = None) -> np.ndarray:
        """Return the window's columns of all ids of a piece, END last: int64 (N, 2 + C)."""
        table = np.ones((len(ids), 2 + self.num_conditions), np.int64)
        table[:, 0] = ids
        if self.music_alone:
            table[: self.prefix_length(ids), 1] = 0
        if self.conditions is not None:
            table[:, 2:] = self.conditions.of_ids(row, ids, epoch)
        return table

    def head(self, table: np.ndarray, first: int) -> np.ndarray:
        """Return what stands before a window that begins at id ``first`` of a piece: its prefix, and never counts."""
        head = table[: min(first, self.prefix_length(table[:, 0])) if first < len(table) - 1 else 0].copy()
        head[:, 1] = 0
        return head

    def check_length(self, ctx_len: int) -> None:
        """Refuse windows in which a prefix leaves no room.

        Raises:
            SettingsError: they are too short.
        """
        if ctx_len <= self.longest_prefix:
            raise SettingsError(
                f"model.ctx_len = {ctx_len}: a prefix of {self.longest_prefix} ids leaves no room for music; take more"
            )


class ControlledBatches(TrainBatches):
    """Batches of windows over the training pieces, with what is told of each; see the module's header.

    Args:
        shards: the tokens.
        told: how pieces are told.
        dropout: what is left out of that.
        ctx_len: targets T of a window, those of a prefix at its head included.
        options: those of ``TrainBatches``.

    Attributes:
        targets_per_window: how many targets of a window count, on the average over an epoch.
    """

    def __init__(self, shards: Shards, *, told: Told, dropout: Dropout, ctx_len: int, **options: Any) -> None:
        told.check_length(ctx_len)
        super().__init__(shards, ctx_len=ctx_len - told.longest_prefix, **options)
        self._told, self._dropout, self._length = told, dropout, ctx_len
        share = told.counted_ids(shards, self._rows) / self.tokens_per_epoch
        self.targets_per_window = self.ctx_len * share

    def window(self, number: int) -> np.ndarray:
        """Return window ``number`` of the whole training, counted from 0: int64 (ctx_len + 1, 2 + C)."""
        told = self._told
        dropped = self._dropout.of_row(*divmod(number, self.batch_size))
        in_prefix = [name for name in dropped if name in told.prefix_names]
        parts = self.parts(
            number, self._length + 1, lambda ids: told.tokenizer.drop_conditions(ids, in_prefix) if in_prefix else ids
        )
        tables = [told.columns(part.row, part.ids, part.epoch) for part in parts]
        pieces = [table[part.first : part.last] for part, table in zip(parts, tables, strict=True)]
        # what comes first in the piece is read after the prefix, and does not follow from it
        pieces[0][0, 1] = 0
        window = np.concatenate([told.head(tables[0], parts[0].first), *pieces])[: self._length + 1]
        if told.conditions is not None:
            window[:, [2 + k for k, name in enumerate(told.conditions.settings.names) if name in dropped]] = 0
        return window


class ControlledBatch(NamedTuple):
    """Windows side by side, the shorter ones padded at their end; ``weight_BT`` is true for the targets that count."""

    ids_BT: np.ndarray
    targets_BT: np.ndarray
    weight_BT: np.ndarray
    conditions_BTC: np.ndarray


class ControlledWindows(EvalWindows):
    """All targets of a split, each exactly once, with what is told of each piece; see ``EvalWindows``.

    Padding is PAD, counts as no target, and nothing is told of it.
    """

    def __init__(self, shards: Shards, split: str, *, told: Told, ctx_len: int, **options: Any) -> None:
        told.check_length(ctx_len)
        super().__init__(shards, split, ctx_len=ctx_len - told.longest_prefix, **options)
        self._told = told
        self.num_targets = told.counted_ids(shards, self.rows)

    def _batch(self, windows: np.ndarray) -> ControlledBatch:
        tables = [self._table(*window) for window in windows.tolist()]
        shape = len(tables), max(len(table) for table in tables), tables[0].shape[1]
        padded = np.zeros(shape, np.int64)
        padded[..., 0] = self.shards.tokenizer.pad_id
        for row, table in zip(padded, tables, strict=True):
            row[: len(table)] = table
        said = padded[:, 1:]
        return ControlledBatch(padded[:, :-1, 0].copy(), said[..., 0].copy(), said[..., 1] > 0, said[..., 2:].copy())

    def _table(self, row: int, start: int, end: int, fresh: int) -> np.ndarray:
        """Return one window: END or what is before it, and its targets."""
        told = self._told
        table = told.columns(row, self.shards.ids(row))
        first = np.zeros((1, table.shape[1]), np.int64)
        first[0, 0] = self.shards.tokenizer.end_id
        if start:
            first = table[start - 1 : start]
        window = np.concatenate([told.head(table, max(start - 1, 0)), first, table[start:end]])
        window[: len(window) - (end - fresh), 1] = 0
        return window


def dropped_names(told: Told) -> tuple[str, ...]:
    """Return the names of everything that may be dropped, those of a prefix first, each once."""
    own: Sequence[str] = () if told.conditions is None else told.conditions.settings.names
    return tuple(dict.fromkeys([*told.prefix_names, *own]))
