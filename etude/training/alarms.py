"""Sanity alarms: what a training would show somebody who watched every number, said in one line each.

    norm         gradients are ten times what they were, or gone
    loss         long after the warm-up the loss is no better than a guess among all ids
    certainty    the model is certain of what it gets wrong: its entropy is far below its cross-entropy
    repetition   what it plays repeats itself, and the music does not
    not finite   a step had no finite loss or gradient; it is skipped and its batch kept as evidence

An alarm is told when it begins and not again until it has ended, on the log, as a record of kind ``alarm`` in
``metrics.jsonl``, and to whoever trains. Only steps that are not finite stop a run. Everything an alarm remembers is in
``TrainState.health``, so a resumed run tells what an uninterrupted one tells.

Dimension key:  R rows looked at   T tokens   V vocabulary
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from etude.errors import RunError
from etude.files import draft, write_json
from etude.randomness import seed_of
from etude.runs.run import Run
from etude.training.state import TrainState

_FAST, _SLOW = 0.9, 0.99  # decay a step of the running means that are compared
_STEPS_BEFORE_NORMS = 50
_STEPS_BEFORE_LOSS = 200  # after the warm-up
_GROUP = 4  # ids of a group that may come again
_EVIDENCE_KEPT = 8


class Alarm(NamedTuple):
    """What was seen.

    Args:
        name: of the alarm.
        rings: whether it is time to worry.
        text: what was seen and what may help, for a person.
        values: what was seen, for the record.
    """

    name: str
    rings: bool
    text: str
    values: dict[str, float]


class Alarms:
    """Watches the steps and evaluations of one run.

    Args:
        run: where alarms are recorded.
        parts: the training's model, task, tokenizer and device.
        config: of the run; without ``train.alarms`` only steps that are not finite are told.
        say: called with the line of an alarm.
    """

    def __init__(self, run: Run, parts: Any, config: Any, say: Callable[[str], None]) -> None:
        self._run = run
        self._parts = parts
        self._config = config
        self._say = say

    def after_step(self, state: TrainState, numbers: dict[str, Any]) -> None:
        """Look at what ``take_step`` returned.

        Raises:
            RunError: too many steps were not finite.
        """
        if numbers["skipped"]:
            if numbers["skipped"] == "not finite":
                self._not_finite(state, numbers)
            return
        state.health["bad_in_a_row"] = 0
        if self._config.train.alarms:
            self._settle(state, _of_step(state, numbers, self._config, self._parts.tokenizer.vocab_size))

    def after_evaluation(self, state: TrainState) -> None:
        """Look at what the model says and plays, on a few validation windows that the task gives, if it does."""
        if not self._config.train.alarms or not hasattr(self._parts.task, "probe"):
            return
        ids_RT = self._parts.task.probe()
        if ids_RT.shape[1] >= 2 * _GROUP:
            seed = seed_of(self._config.train.seed, "alarm", state.step)
            self._settle(state, _of_look(look(self._parts.model, ids_RT, seed=seed)))

    def _settle(self, state: TrainState, alarms: Iterator[Alarm]) -> None:
        for alarm in alarms:
            key = f"rings.{alarm.name}"
            if alarm.rings and not state.health.get(key):
                self._tell(state, alarm)
            state.health[key] = int(alarm.rings)

    def _tell(self, state: TrainState, alarm: Alarm) -> None:
        line = f"step {state.step}: alarm: {alarm.name}: {alarm.text}"
        self._run.say(line)
        self._run.log("alarm", state.step, {"alarm": alarm.name} | alarm.values)
        self._say(line)

    def _not_finite(self, state: TrainState, numbers: dict[str, Any]) -> None:
        health = state.health
        in_all, in_a_row = health.get("bad", 0) + 1, health.get("bad_in_a_row", 0) + 1
        health |= {"bad": in_all, "bad_in_a_row": in_a_row}
        what = f"loss {numbers['loss']}, gradient norm {numbers['grad_norm']}"
        kept = self._keep_evidence(state.step, numbers)
        where = f"its batch is {kept}" if kept else f"{_EVIDENCE_KEPT} batches of this kind are kept already"
        values = {"loss": numbers["loss"], "grad_norm": numbers["grad_norm"], "bad": in_all}
        self._tell(state, Alarm("not finite", True, f"{what}: the step is skipped; {where}", values))
        most = self._config.train.max_bad_steps
        if in_a_row > most or in_all > max(most, state.step // 20):
            raise RunError(
                f"step {state.step}: {what}: not a number, in {in_a_row} steps in a row and {in_all} in all "
                f"(train.max_bad_steps = {most}); the last checkpoint is whole; lower optim.peak_lr or set "
                "train.precision=float32 and train again"
            )

    def _keep_evidence(self, step: int, numbers: dict[str, Any]) -> str:
        """Write the batch of a step as ``evidence/step-<k>.npy`` and its numbers beside it; return the file's name."""
        folder: Path = self._run.path / "evidence"
        path = folder / f"step-{step:08d}.npy"
        is_kept = path.exists() or len(list(folder.glob("*.npy"))) < _EVIDENCE_KEPT
        if not (is_kept and self._parts.ranks.is_first):
            return str(path.relative_to(self._run.path)) if is_kept else ""
        folder.mkdir(exist_ok=True)
        batch = self._parts.task.train_batch(step - 1)
        with draft(path) as temporary, temporary.open("wb") as file:
            np.save(file, np.asarray(batch), allow_pickle=False)
        facts = {"step": step, "precision": self._parts.precision}
        facts |= {name: str(numbers[name]) for name in ("loss", "grad_norm", "lr")}
        write_json(path.with_suffix(".json"), facts)
        return str(path.relative_to(self._run.path))


def _of_step(state: TrainState, numbers: dict[str, Any], config: Any, vocab_size: int) -> Iterator[Alarm]:
    health = state.health
    seen = {"loss": numbers["loss"], "ln_norm": math.log(max(numbers["grad_norm"], 1e-30))}
    for name, decay in (("loss", _FAST), ("ln_norm", _FAST), ("ln_norm", _SLOW)):
        key = f"{name}.{decay}"
        health[key] = decay * health.get(key, seen[name]) + (1 - decay) * seen[name]
    now, usual = (math.exp(health[f"ln_norm.{decay}"]) for decay in (_FAST, _SLOW))
    if state.step >= _STEPS_BEFORE_NORMS:
        yield Alarm(
            "norm",
            now > 10 * usual or now < 1e-8,
            f"the gradient's norm is {now:.3g} of late and was {usual:.3g} before; a lower optim.peak_lr may help",
            {"grad_norm": now, "usual": usual},
        )
    if state.step >= config.optim.warmup_steps + _STEPS_BEFORE_LOSS:
        loss, guess = health[f"loss.{_FAST}"], math.log(vocab_size)
        yield Alarm(
            "loss",
            loss > 0.98 * guess,
            f"after {state.step} steps the loss is {loss:.3f}, no better than a guess among {vocab_size} ids "
            f"({guess:.3f}); another optim.peak_lr may help",
            {"loss": loss, "guess": guess},
        )


def _of_look(seen: dict[str, float]) -> Iterator[Alarm]:
    entropy, nats = seen["entropy"], seen["nats"]
    yield Alarm(
        "certainty",
        nats > 1.0 and entropy < 0.25 * nats,
        f"the model is certain, with an entropy of {entropy:.2f} nats, of what it gets wrong, {nats:.2f} nats a token "
        "of validation; lower optim.peak_lr, or end the training sooner",
        {"entropy": entropy, "nats": nats},
    )
    if "repeats" in seen:
        played, music = seen["repeats"], seen["repeats_in_music"]
        yield Alarm(
            "repetition",
            played > 0.75 and music < 0.5,
            f"{played:.0%} of the groups of {_GROUP} ids that the model plays came before in the same take, and "
            f"{music:.0%} in the music; look at samples/",
            {"repeats": played, "repeats_in_music": music},
        )


@torch.inference_mode()
def look(model: torch.nn.Module, ids_RT: Tensor, *, seed: int) -> dict[str, float]:
    """Return what a model says of some music, and how what it plays repeats itself beside how the music does.

    Args:
        model: gives logits (R, T, V); one with ``new_cache`` also goes on from the first half of each row.
        ids_RT: music, at least eight ids a row.
        seed: of what it plays.

    Returns:
        ``entropy`` of the next id and ``nats`` of the right one, means over ids; ``repeats`` and
        ``repeats_in_music``, the shares of groups of 4 ids in the second half that came before in the row.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    ids_RT = ids_RT.to(device)
    log_p_RTV = torch.log_softmax(model(ids_RT[:, :-1]).float(), dim=-1)
    seen = {
        "entropy": max(0.0, float(-(log_p_RTV.exp() * log_p_RTV).sum(-1).mean())),
        "nats": float(-log_p_RTV.gather(-1, ids_RT[:, 1:, None]).mean()),
    }
    prompt = ids_RT.shape[1] // 2
    if hasattr(model, "new_cache") and not _is_sharded(model):
        played_RT = _go_on(model, ids_RT[:, :prompt], ids_RT.shape[1], seed)
        seen |= {"repeats": repeats(played_RT, prompt), "repeats_in_music": repeats(ids_RT, prompt)}
    model.train(was_training)
    return seen


def repeats(ids_RT: Tensor, start: int) -> float:
    """Return the share of groups of 4 ids that end at ``start`` or later and came before in their row.

    Example:
        >>> repeats(torch.tensor([[1, 2, 3, 4, 1, 2, 3, 4, 9, 9]]), 6)
        0.25
    """
    groups = ids_RT.unfold(1, _GROUP, 1).tolist()
    again = [group in row[:place] for row in groups for place, group in enumerate(row) if place + _GROUP > start]
    return sum(again) / len(again)


def _go_on(model: torch.nn.Module, prompt_RT: Tensor, length: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    cache = model.new_cache(len(prompt_RT), length)
    logits_RV, played = model.prefill(prompt_RT, cache), [prompt_RT]
    while True:
        noise = -torch.empty(logits_RV.shape).exponential_(generator=generator).log()
        ids_R = (logits_RV.float() + noise.to(logits_RV.device)).argmax(-1)
        played.append(ids_R[:, None])
        if len(played) == length - prompt_RT.shape[1] + 1:
            return torch.cat(played, dim=1)
        logits_RV = model.step(ids_R, cache)


def _is_sharded(model: torch.nn.Module) -> bool:
    return any(hasattr(weight, "full_tensor") for weight in model.parameters())
