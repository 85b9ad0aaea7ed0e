"""Next token: given the ids of a piece so far, say which comes next.

A window may hold the end of one piece and the beginning of the next. With ``data.separate_pieces`` no token then sees
one of another piece: END, which is the last target of a piece, opens the next one, in training as in evaluation.

Dimension key:  B batch   T tokens   R rows looked at
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from etude.data.batches import EvalWindows, TrainBatches
from etude.data.made_batches import MadeBatches
from etude.data.tokenize import tokenize
from etude.data.varied import varied_pieces
from etude.errors import RunError, SettingsError
from etude.generate.takes import Take
from etude.metrics import lm

AddUp = Callable[..., Sequence[float]]
_SHOWN_SEC = 20.0
_PROBE_ROWS, _PROBE_TOKENS = 4, 128


@dataclass(frozen=True)
class Loss:
    """What one forward pass says: the mean loss in nats, and how many targets were the likeliest id."""

    nats: torch.Tensor
    num_correct: torch.Tensor


class NextToken:
    """Windows over the training pieces, cross-entropy, and whole validation pieces scored once a target.

    Args:
        config: the run's configuration.
        corpus: the open corpus; it is tokenised here if it was not before.
        tokenizer: what turns its pieces into ids.
        say: called with a line of text when something takes long.

    Raises:
        TokenError: a split that is needed has no pieces, or shards of another tokenizer.
        SettingsError: the tokenizer has several ids a step, or cannot vary pieces as is asked.
    """

    def __init__(self, config: Any, corpus: Any, tokenizer: Any, *, say: Callable[[str], None]) -> None:
        if tokenizer.num_codebooks > 1:
            raise SettingsError(
                f"data.tokenizer.kind = '{tokenizer.kind}': has {tokenizer.num_codebooks} ids a step, and the task "
                "next_token and its models take one; choose another tokenizer"
            )
        self.shards = tokenize(corpus, tokenizer, say=say)
        ctx_len = config.model.ctx_len
        shape = {"ctx_len": ctx_len, "batch_size": config.train.batch_tokens // ctx_len, "seed": config.train.seed}
        varied = varied_pieces(self.shards, corpus, config.data, seed=config.train.seed, say=say)
        self._batches: Any = self._lay_batches(
            config, transpose_semitones=config.data.transpose_semitones, varied=varied, **shape
        )
        if config.train.made_data:
            epoch = self._batches.tokens_per_epoch
            self._batches = MadeBatches(tokenizer.vocab_size, tokens_per_epoch=epoch, **shape)
        self._separator = tokenizer.end_id if config.data.separate_pieces else None
        self._valid = self._lay_windows("valid", ctx_len=ctx_len, max_pieces=config.train.eval_pieces)
        self._probe_len = min(ctx_len, _PROBE_TOKENS)

    def _lay_batches(self, config: Any, **options: Any) -> TrainBatches:
        return TrainBatches(self.shards, **options)

    def _lay_windows(self, split: str, **options: Any) -> EvalWindows:
        return EvalWindows(self.shards, split, **options)

    def _score(self, model: torch.nn.Module, ids_BT: torch.Tensor, targets_BT: torch.Tensor) -> tuple:
        return model.score(ids_BT, targets_BT)

    @property
    def tokens_per_epoch(self) -> int:
        """Training targets of one pass over the corpus."""
        return self._batches.tokens_per_epoch

    def train_batch(self, step: int, rows: range | None = None) -> torch.Tensor:
        """Return the ids of a step, or of some rows of it, int64 (B, T + 1): inputs and, one further, targets."""
        return torch.from_numpy(self._batches.at(step, rows))

    def loss(self, model: torch.nn.Module, ids: torch.Tensor) -> Loss:
        """Return the loss of predicting ``ids[:, 1:]`` from ``ids[:, :-1]``."""
        read_BT, said_BT = ids[:, :-1], ids[:, 1:]
        if self._separator is None:
            return Loss(*model.loss(read_BT, said_BT))
        segments_BT = (read_BT == self._separator).cumsum(1)
        return Loss(*model.loss(read_BT, said_BT, segments_BT=segments_BT))

    def evaluate(
        self, model: torch.nn.Module, *, rank: int = 0, num_ranks: int = 1, add_up: AddUp = lambda *values: values
    ) -> dict[str, float]:
        """Score every target of the validation split once, with at least half a window of context.

        Args:
            model: in evaluation mode.
            rank: of this process among those that score a share each, from 0.
            num_ranks: how many those are.
            add_up: adds numbers up over all of them.

        Returns:
            The numbers of ``etude.metrics.lm.evaluate``.

        Raises:
            RunError: the loss is not finite.
        """
        device = next(model.parameters()).device
        nats, correct = 0.0, 0
        for batch in self._valid.share(rank, num_ranks):
            ids_BT, targets_BT, weight_BT, *more = (torch.from_numpy(array).to(device) for array in batch)
            nats_BT, correct_BT = self._score(model, ids_BT, targets_BT, *more)
            nats += float((nats_BT.double() * weight_BT).sum())
            correct += int((correct_BT & weight_BT).sum())
        nats, correct = add_up(nats, correct)
        if not math.isfinite(nats):
            raise RunError(
                f"validation: loss {nats}: not a number; weights are not finite, or too large for the precision: "
                "lower optim.peak_lr or set train.precision=float32 and train again"
            )
        valid = self._valid
        return lm.evaluate(
            nats=nats, tokens=valid.num_targets, notes=valid.num_notes, seconds=valid.num_seconds, correct=correct
        )

    def probe(self) -> torch.Tensor:
        """Return windows of validation pieces to look at the model with, without padding: int64 (R, T)."""
        windows = EvalWindows(
            self.shards, "valid", ctx_len=self._probe_len, max_pieces=_PROBE_ROWS, batch_size=_PROBE_ROWS
        )
        ids_BT, _, weight_BT = next(iter(windows))
        length = int((weight_BT * np.arange(1, weight_BT.shape[1] + 1)).max(axis=1).min())
        return torch.from_numpy(ids_BT[:, :length])

    def show(self, player: Any, count: int) -> list[Take]:
        """Let a trained model, as ``etude.model_folder.load`` returns it, play some takes from nothing."""
        return player.generate(count, seconds=_SHOWN_SEC)

    def state_dict(self) -> dict[str, Any]:
        """Return what must be remembered: nothing, batches are a function of the step."""
        return {}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
