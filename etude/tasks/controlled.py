"""Controlled: given what a piece is to be, and its ids so far, say which comes next.

What it is to be is told in two ways, alone or together: by a prefix of control tokens (tokenizer ``control``), and by
conditions whose vectors meet those of the ids (``model.conditions``). In training some of it is left out at random, so
that the model can be asked for any part of it, or for nothing.

Dimension key:  B batch   T tokens   C conditions
"""

from collections.abc import Callable
from typing import Any

import torch

from etude.data.controlled import ControlledBatches, ControlledWindows, Dropout, Told, dropped_names
from etude.data.piece_conditions import PieceConditions
from etude.errors import SettingsError
from etude.tasks.next_token import Loss, NextToken


class Controlled(NextToken):
    """As ``NextToken``, of pieces of which is told what they are.

    A mean counts the targets that count: a batch is divided by how many those are on the average, so that
    micro-batches and ranks add up to the same loss however prefixes fall.

    Args:
        config: the run's configuration.
        corpus: the open corpus; it is tokenised here if it was not before.
        tokenizer: what turns its pieces into ids.
        say: called with a line of text when something takes long.

    Raises:
        CorpusError: the corpus does not have a label that is told.
        TokenError: a split that is needed has no pieces, or shards of another tokenizer.
        SettingsError: there is nothing to tell, or the tokenizer does not say what is to be told.
    """

    def __init__(self, config: Any, corpus: Any, tokenizer: Any, *, say: Callable[[str], None]) -> None:
        self._corpus, self._say, self._told = corpus, say, Told(tokenizer, None, config.task.loss == "music")
        super().__init__(config, corpus, tokenizer, say=say)
        self._ctx_len = config.model.ctx_len

    def _lay_batches(self, config: Any, **options: Any) -> ControlledBatches:
        settings = getattr(config.model, "conditions", None)
        if settings is not None and settings.attributes:
            conditions = PieceConditions(settings, self.shards, self._corpus, config.data, say=self._say)
            self._told = self._told._replace(conditions=conditions)
        names, task = dropped_names(self._told), config.task
        if not names:
            raise SettingsError(
                "task.kind = 'controlled': there is nothing to tell; give data.tokenizer=control and its attributes, "
                "or model.conditions.attributes"
            )
        dropout = Dropout(names=names, each=task.drop_each, everything=task.drop_all, seed=config.train.seed)
        batches = ControlledBatches(self.shards, told=self._told, dropout=dropout, **options)
        self._targets_per_window = batches.targets_per_window
        return batches

    def _lay_windows(self, split: str, **options: Any) -> ControlledWindows:
        return ControlledWindows(self.shards, split, told=self._told, **options)

    def train_batch(self, step: int, rows: range | None = None) -> torch.Tensor:
        """Return a step's windows, or some of them, int64 (B, T + 1, 2 + C); see ``etude.data.controlled``."""
        batch = super().train_batch(step, rows)
        if batch.ndim == 3:
            return batch
        # made data: every target counts, and nothing is told
        told = batch.new_zeros(*batch.shape, 2 + self._told.num_conditions)
        told[..., 0], told[..., 1] = batch, 1
        return told

    def loss(self, model: torch.nn.Module, batch: torch.Tensor) -> Loss:
        """Return the loss of predicting the ids of ``batch[:, 1:]`` that count from those before them."""
        read_BT, said_BT, weight_BT = batch[:, :-1, 0], batch[:, 1:, 0], batch[:, 1:, 1]
        options: dict[str, Any] = {"total_weight": len(batch) * self._targets_per_window}
        if self._told.num_conditions:
            options["conditions_BTC"] = batch[:, 1:, 2:]
        if self._separator is not None:
            options["segments_BT"] = (read_BT == self._separator).cumsum(1)
        nats, num_correct = model.loss(read_BT, said_BT, weight_BT, **options)
        # of as many targets as a batch has in all
        return Loss(nats, num_correct * (self._ctx_len / self._targets_per_window))

    def _score(self, model: torch.nn.Module, ids_BT: torch.Tensor, targets_BT: torch.Tensor, *told: Any) -> tuple:
        (conditions_BTC,) = told
        if not self._told.num_conditions:
            return model.score(ids_BT, targets_BT)
        return model.score(ids_BT, targets_BT, conditions_BTC=conditions_BTC)
