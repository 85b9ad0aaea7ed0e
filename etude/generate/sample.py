"""Draw ids from a model, one at a time, a batch of takes together.

Dimension key:  B takes   T tokens   V vocabulary   C cells of the grammar's state

The random numbers of a take depend on (its seed, the position in the piece) alone, so a take does not
know which batch it was drawn in. Whether its logits are the same alone is the model's affair: they are
in the batch-invariant float32 mode (``exact``); otherwise a recipe replays the whole batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from etude.errors import SettingsError
from etude.generate.constrain import Constraint
from etude.generate.longest_note import LongestNote
from etude.randomness import generator

_SECONDS_CHECK_EVERY = 16  # tokens between two looks at the clock of each take
_MAX_TOKENS_PER_SEC = 200  # denser than any piano music; ends a take that never lets time pass
_STILL_TOKENS = 512  # more than a moment of music has; ends a take whose notes all begin at one


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How an id is drawn from the model's distribution.

    Args:
        temperature: divides the logits; 0 takes the most probable id.
        top_k: keep the k most probable ids; 0 keeps all.
        top_p: keep the most probable ids that together reach this probability; 1 keeps all.
        min_p: drop ids less probable than this share of the most probable one; 0 keeps all.
        grammar: draw only ids with which the piece stays valid.
        longest_note_sec: with the grammar, a note that has sounded this long must end; None for no limit.
    """

    temperature: float = 0.95
    top_k: int = 0
    top_p: float = 0.95
    min_p: float = 0.02
    grammar: bool = True
    longest_note_sec: float | None = 12.0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise SettingsError(f"temperature = {self.temperature}: expected 0 (greedy) or more")
        if self.top_k < 0:
            raise SettingsError(f"top_k = {self.top_k}: expected 0 (off) or more")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"top_p = {self.top_p}: expected above 0 and at most 1 (off)")
        if self.longest_note_sec is not None and not self.longest_note_sec > 0:
            raise SettingsError(f"longest_note_sec = {self.longest_note_sec}: expected more than 0, or none")
        if not 0 <= self.min_p <= 1:
            raise SettingsError(f"min_p = {self.min_p}: expected 0 (off) to 1")


@dataclass(frozen=True, kw_only=True)
class Length:
    """When a take ends: at the first of the limits that are given.

    Args:
        seconds: length of the new music; END is not drawn before unless ``until_end``.
        tokens: number of new ids; END is not drawn before unless ``until_end``.
        until_end: let the model end the piece by itself before a limit.
    """

    seconds: float | None = None
    tokens: int | None = None
    until_end: bool = False

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise SettingsError(f"seconds = {self.seconds}: expected more than 0")
        if self.tokens is not None and self.tokens < 1:
            raise SettingsError(f"tokens = {self.tokens}: expected 1 or more")

    def max_tokens(self, ctx_len: int) -> int:
        """Return the largest number of new ids, given the model's context for takes without a limit."""
        if self.tokens is not None:
            return self.tokens
        if self.seconds is not None:
            return int(self.seconds * _MAX_TOKENS_PER_SEC) + _SECONDS_CHECK_EVERY
        return ctx_len


def pick(logits_BV: torch.Tensor, uniform_B: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Choose one id a row by inverting the cumulated probabilities at a uniform number.

    Args:
        logits_BV: float32; -inf marks what must not be drawn.
        uniform_B: float64 in [0, 1), one number a row.
        sampling: temperature and the filters; filters act in the order top_k, top_p, min_p.

    Returns:
        int64 ids, shape (B,).
    """
    if sampling.temperature == 0:
        return logits_BV.argmax(-1)
    ordered_BV, ids_BV = logits_BV.sort(dim=-1, descending=True, stable=True)
    p_BV = torch.softmax(ordered_BV.double() / sampling.temperature, -1)
    if sampling.top_k:
        p_BV[:, sampling.top_k :] = 0
    if sampling.top_p < 1:
        below_BV = p_BV.cumsum(-1) - p_BV
        p_BV = p_BV * (below_BV < sampling.top_p * p_BV.sum(-1, keepdim=True))
    if sampling.min_p > 0:
        p_BV = p_BV * (p_BV >= sampling.min_p * p_BV[:, :1])
    cumulated_BV = p_BV.cumsum(-1)
    rank_B1 = (cumulated_BV <= uniform_B[:, None] * cumulated_BV[:, -1:]).sum(-1, keepdim=True)
    # u·total can round up to total itself: the last kept id is the limit
    last_B1 = (p_BV > 0).sum(-1, keepdim=True) - 1
    return ids_BV.gather(-1, torch.minimum(rank_B1, last_B1).clamp_min(0)).squeeze(-1)


@torch.inference_mode()
def sample_ids(
    network: torch.nn.Module,
    tokenizer,
    *,
    prompt_ids: np.ndarray,
    seeds: list[int],
    sampling: Sampling,
    length: Length,
    exact: bool = False,
    on_tokens: Callable[[int], None] | None = None,
) -> list[np.ndarray]:
    """Continue one prompt in as many ways as there are seeds.

    Args:
        network: a decoder with ``new_cache``, ``prefill`` and ``step``, in evaluation mode.
        tokenizer: what the network was trained with.
        prompt_ids: ids of the beginning, without END, shape (T,); may be empty.
        seeds: one a take.
        sampling: how to draw.
        length: when to stop.
        exact: the batch-invariant float32 mode: a take equals the same take drawn alone.
        on_tokens: called with the number of positions done, for a progress bar.

    Returns:
        For each take its ids, prompt included, END excluded.
    """
    device = next(network.parameters()).device
    start_T = torch.tensor([tokenizer.end_id, *prompt_ids.tolist()], device=device)
    num_takes, max_new = len(seeds), length.max_tokens(network.settings.ctx_len)
    if (limit := getattr(network.settings, "max_tokens", None)) is not None:
        # positions that end: so does the take; a prompt that leaves no room is refused by new_cache
        max_new = max(1, min(max_new, limit - len(start_T)))
    cache = network.new_cache(num_takes, len(start_T) + max_new, exact=exact)
    logits_BV = network.prefill(start_T.expand(num_takes, -1), cache)
    legality = _Legality(tokenizer, sampling, prompt_ids, num_takes, device)
    uniform_BT = torch.from_numpy(np.stack([generator(seed, "sample").random(max_new) for seed in seeds])).to(device)
    never_V = torch.zeros(tokenizer.vocab_size, dtype=torch.bool, device=device)
    never_V[tokenizer.pad_id] = True
    never_V[tokenizer.end_id] = not (length.until_end or (length.seconds is None and length.tokens is None))
    done_B = torch.zeros(num_takes, dtype=torch.bool, device=device)
    drawn_BT = torch.full((num_takes, max_new), tokenizer.end_id, device=device)
    clock = _Clock(tokenizer, prompt_ids, length.seconds)
    for position in range(max_new):
        logits_BV = logits_BV.float().masked_fill(never_V, -torch.inf)
        if sampling.grammar:
            logits_BV = logits_BV.masked_fill(~legality.mask(), -torch.inf)
        ids_B = pick(logits_BV, uniform_BT[:, position], sampling)
        ids_B = torch.where(done_B, tokenizer.end_id, ids_B)
        drawn_BT[:, position] = ids_B
        done_B = done_B | (ids_B == tokenizer.end_id)
        if position % _SECONDS_CHECK_EVERY == _SECONDS_CHECK_EVERY - 1:
            if on_tokens is not None:
                on_tokens(position + 1)
            if position % _STILL_TOKENS == _STILL_TOKENS - 1:
                done_B = done_B | clock.stands_still(drawn_BT[:, : position + 1], done_B)
            if clock.all_done(drawn_BT[:, : position + 1], done_B):
                break
        if position + 1 < max_new:
            legality.advance(ids_B)
            logits_BV = network.step(ids_B, cache)
    return [_until_end(prompt_ids, row, tokenizer.end_id) for row in drawn_BT.cpu().numpy()]


class _Legality:
    """Keeps what the grammar, and the limit on long notes, know of each take."""

    def __init__(self, tokenizer, sampling: Sampling, prompt_ids: np.ndarray, num_takes: int, device) -> None:
        self.states, self.rules = [], []
        if not sampling.grammar:
            return
        self.rules.append(Constraint(tokenizer.grammar, device))
        timing = getattr(tokenizer, "note_timing", None)
        if sampling.longest_note_sec is not None and timing is not None:
            self.rules.append(LongestNote(timing, sampling.longest_note_sec, device))
        self.states = [rule.after(prompt_ids).expand(num_takes, -1) for rule in self.rules]

    def mask(self) -> torch.Tensor:
        """Return mask_BV, the ids that may come next."""
        mask_BV = self.rules[0].legal(self.states[0])
        for rule, state in zip(self.rules[1:], self.states[1:], strict=True):
            mask_BV = rule.narrow(mask_BV, state)
        return mask_BV

    def advance(self, ids_B: torch.Tensor) -> None:
        """Take note of one more id for each take."""
        self.states = [rule.advance(state, ids_B) for rule, state in zip(self.rules, self.states, strict=True)]


class _Clock:
    """Knows when every take has ended or lasts long enough, and which of them will never do either."""

    def __init__(self, tokenizer, prompt_ids: np.ndarray, seconds: float | None) -> None:
        self.tokenizer, self.prompt_ids = tokenizer, prompt_ids
        self.limit_sec = None if seconds is None else tokenizer.measure(prompt_ids)[1] + seconds
        self.latest_sec: float | np.ndarray = -1.0

    def stands_still(self, drawn_BT: torch.Tensor, done_B: torch.Tensor) -> torch.Tensor:
        """Return the takes, bool (B,), in which no note began later since this was asked last.

        A model that has learned nothing may never write the one id that lets time pass. Whether a take
        ends here depends on the take alone.
        """
        if self.limit_sec is None:
            return torch.zeros_like(done_B)
        latest = np.full(len(done_B), np.inf)
        for take, (done, row) in enumerate(zip(done_B.tolist(), drawn_BT.cpu().numpy(), strict=True)):
            if not done:
                score = self.tokenizer.decode(np.concatenate([self.prompt_ids, row]))
                latest[take] = score.onset_sec.max(initial=0.0)
        still = latest <= self.latest_sec
        self.latest_sec = latest
        return torch.from_numpy(still).to(done_B.device)

    def all_done(self, drawn_BT: torch.Tensor, done_B: torch.Tensor) -> bool:
        """Return whether nothing more needs to be drawn."""
        if self.limit_sec is None:
            return bool(done_B.all())
        for done, row in zip(done_B.tolist(), drawn_BT.cpu().numpy(), strict=True):
            if not done and self.tokenizer.measure(np.concatenate([self.prompt_ids, row]))[1] < self.limit_sec:
                return False
        return True


def _until_end(prompt_ids: np.ndarray, row: np.ndarray, end_id: int) -> np.ndarray:
    ended = np.flatnonzero(row == end_id)
    return np.concatenate([prompt_ids, row[: ended[0]] if len(ended) else row]).astype(np.int32)
