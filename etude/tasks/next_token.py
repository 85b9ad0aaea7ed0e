"""Next token: given the ids of a piece so far, say which comes next.

Dimension key:  B batch   T tokens
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from etude.data.batches import EvalWindows, TrainBatches
from etude.data.tokenize import tokenize
from etude.data.varied import varied_pieces
from etude.errors import SettingsError
from etude.generate.takes import Take
from etude.metrics import lm

_SHOWN_SEC = 20.0


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
        self._batches = TrainBatches(
            self.shards,
            ctx_len=ctx_len,
            batch_size=config.train.batch_tokens // ctx_len,
            seed=config.train.seed,
            transpose_semitones=config.data.transpose_semitones,
            varied=varied_pieces(self.shards, corpus, config.data, seed=config.train.seed, say=say),
        )
        self._valid = EvalWindows(self.shards, "valid", ctx_len=ctx_len, max_pieces=config.train.eval_pieces)

    @property
    def tokens_per_epoch(self) -> int:
        """Training targets of one pass over the corpus."""
        return self._batches.tokens_per_epoch

    def train_batch(self, step: int) -> torch.Tensor:
        """Return the ids of a step, int64 (B, T + 1): inputs and, one further, targets."""
        return torch.from_numpy(self._batches.at(step))

    def loss(self, model: torch.nn.Module, ids: torch.Tensor) -> Loss:
        """Return the loss of predicting ``ids[:, 1:]`` from ``ids[:, :-1]``."""
        return Loss(*model.loss(ids[:, :-1], ids[:, 1:]))

    def evaluate(self, model: torch.nn.Module) -> dict[str, float]:
        """Score every target of the validation split once, with at least half a window of context.

        Returns:
            The numbers of ``etude.metrics.lm.evaluate``.
        """
        device = next(model.parameters()).device
        nats, correct = 0.0, 0
        for batch in self._valid:
            ids_BT, targets_BT, weight_BT = (torch.from_numpy(array).to(device) for array in batch)
            nats_BT, correct_BT = model.score(ids_BT, targets_BT)
            nats += float((nats_BT.double() * weight_BT).sum())
            correct += int((correct_BT & weight_BT).sum())
        valid = self._valid
        return lm.evaluate(
            nats=nats, tokens=valid.num_targets, notes=valid.num_notes, seconds=valid.num_seconds, correct=correct
        )

    def show(self, player: Any, count: int) -> list[Take]:
        """Let a trained model, as ``etude.model_folder.load`` returns it, play some takes from nothing."""
        return player.generate(count, seconds=_SHOWN_SEC)

    def state_dict(self) -> dict[str, Any]:
        """Return what must be remembered: nothing, batches are a function of the step."""
        return {}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
