"""What the loop remembers besides weights and moments; a checkpoint holds it as JSON."""

import math
from dataclasses import dataclass, field


@dataclass
class TrainState:
    """Counters, best values, and sums since the last line of the log.

    Args:
        step: optimiser steps done, those included that were skipped.
        tokens: training targets learned from.
        seconds: time spent in steps, over all starts.
        best_loss: lowest validation loss so far, nats per token; None before the first evaluation.
        best_accuracy: highest validation accuracy so far; None before the first evaluation.
        recent: sums over the steps since the last line of the log.
        health: numbers by name of loss scaling, skipped steps and alarms; see ``precision`` and ``alarms``.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_accuracy: float | None = None
    recent: dict[str, float] = field(default_factory=dict)
    health: dict[str, float] = field(default_factory=dict)

    def count(
        self,
        nats: float,
        correct: int,
        targets: int,
        seconds: float,
        lr: float,
        norm: float,
        waited: float = 0.0,
    ) -> None:
        """Add one step.

        Args:
            nats: its mean loss.
            correct: how many of its targets were the likeliest id.
            targets: how many targets it had.
            seconds: its time.
            lr: its learning rate.
            norm: its gradient's norm before clipping.
            waited: seconds of its time in which it waited for its batch.
        """
        self.step += 1
        self.tokens += targets
        self.seconds += seconds
        self._add(steps=1, nats=nats, correct=correct, targets=targets, seconds=seconds, grad_norm=norm, waited=waited)
        self.recent["lr"] = lr

    def count_skipped(self, seconds: float, lr: float) -> None:
        """Add a step whose update was left out: the clock goes on, nothing was learned."""
        self.step += 1
        self.seconds += seconds
        self._add(skipped=1, seconds=seconds)
        self.recent["lr"] = lr

    def take_recent(self) -> dict[str, float]:
        """Return the means since the last call, as a line of the log, and start over."""
        recent, self.recent = self.recent, {}
        steps, targets = recent.get("steps", 0), recent.get("targets", 0)
        line = {
            "loss": recent["nats"] / steps if steps else math.nan,
            "accuracy": recent["correct"] / targets if targets else 0.0,
            "grad_norm": recent["grad_norm"] / steps if steps else math.nan,
            "lr": recent["lr"],
            "tokens": self.tokens,
            "tokens_per_sec": targets / recent["seconds"],
            "data_wait": recent.get("waited", 0.0) / recent["seconds"],
        }
        return line | ({"skipped": recent["skipped"]} if recent.get("skipped") else {})

    def _add(self, **values: float) -> None:
        for name, value in values.items():
            self.recent[name] = self.recent.get(name, 0) + value
