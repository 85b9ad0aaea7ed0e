"""Optimisers that torch does not have: one that finds its own step size, one that steps along rotations.

Both keep what they remember as tensors of their parameters' state, so that checkpoints hold it like any moment.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Prodigy(torch.optim.Optimizer):
    """Adam whose step size is an estimate of how far the weights have to go, made from the gradients themselves.

    The learning rate multiplies the estimate and is 1, or a schedule from 1 down. The estimate ``d`` begins at 1e-6 and
    only grows. It costs two more tensors a parameter than Adam: where it began, and a mean of gradients.

    Args:
        params: parameters or groups.
        lr: multiplies the estimate.
        betas: decay of the running means of gradient and squared gradient; the estimate's is the root of the second.
        eps: added, times the estimate, to the root of the mean squared gradient.
        weight_decay: decay apart from the gradient, as in AdamW.
        first_step: the estimate at the beginning.

    Source:
        Mishchenko and Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner", 2024, algorithm 4; decay
        apart from the gradient as the authors' own code has it.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        first_step: float = 1e-6,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self._first_step = first_step

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        with_gradient = ((group, p) for group in self.param_groups for p in group["params"] if p.grad is not None)
        found = [(group, p, self._state_of(p)) for group, p in with_gradient]
        if not found:
            return
        d, travelled = (max(float(state[name]) for _, _, state in found) for name in ("step_size", "travelled"))
        # groups may have rates of their own; the estimate is one, made at the highest of them
        lr = max(group["lr"] for group in self.param_groups)
        slow = math.sqrt(found[0][0]["betas"][1])
        towards, length = 0.0, 0.0
        for group, p, state in found:
            fast, squared = group["betas"]
            state["exp_avg"].lerp_(p.grad * d, 1 - fast)
            state["exp_avg_sq"].mul_(squared).addcmul_(p.grad, p.grad, value=(1 - squared) * d * d)
            state["gradients"].mul_(slow).add_(p.grad, alpha=(1 - slow) * lr * d * d)
            towards = towards + _whole((p.grad * (state["first"] - p)).sum())
            length = length + _whole(state["gradients"].abs().sum())
        towards, length = torch.stack([towards, length]).tolist()
        travelled = slow * travelled + (1 - slow) * lr * d * d * towards
        estimate = max(d, travelled / length) if length > 0 else d
        for group, p, state in found:
            p.mul_(1 - group["weight_decay"] * group["lr"] * d)
            p.addcdiv_(state["exp_avg"], state["exp_avg_sq"].sqrt().add_(d * group["eps"]), value=-group["lr"] * d)
            state["step_size"].fill_(estimate)
            state["travelled"].fill_(travelled)

    def _state_of(self, p: Tensor) -> dict[str, Tensor]:
        state = self.state[p]
        if not state:
            state |= {name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq", "gradients")}
            # what all parameters share stands beside each, as torch keeps its count of steps
            state |= {
                "first": p.detach().clone(),
                "step_size": torch.tensor(self._first_step, dtype=torch.float64),
                "travelled": torch.tensor(0.0, dtype=torch.float64),
            }
        return state


class Muon(torch.optim.AdamW):
    """Momentum turned into the nearest rotation for matrices, AdamW for tables and vectors.

    Matrices are the parameters of the groups that are named ``matrices``. Steps are scaled to the size that AdamW's
    have late in a training of a large model; small models take a higher learning rate.

    Args:
        groups: as ``build_optimizer`` makes them, with a ``name`` each.
        momentum: decay of the running mean of gradients of matrices.
        settings: those of AdamW.

    Source:
        Jordan et al., "Muon", 2024; the scale of 0.2 sqrt(longer side) is from Liu et al., "Muon is Scalable for LLM
        Training", 2025.
    """

    def __init__(self, groups: list[dict[str, Any]], *, momentum: float = 0.95, **settings: Any) -> None:
        super().__init__(groups, **settings)
        self._momentum = momentum

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        everything = self.param_groups
        for group in everything:
            if group["name"] == "matrices":
                for p in group["params"]:
                    if p.grad is not None:
                        self._turn(p, group)
        self.param_groups = [group for group in everything if group["name"] != "matrices"]
        try:
            super().step()
        finally:
            self.param_groups = everything

    def _turn(self, p: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(p.grad, 1 - self._momentum)
        direction = nearest_rotation(p.grad.lerp(state["momentum"], self._momentum))
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(direction, alpha=-0.2 * math.sqrt(max(p.shape)) * group["lr"])


def _whole(total: Tensor) -> Tensor:
    """Return a sum over every shard of a sharded parameter; of any other, the sum itself."""
    return total.full_tensor() if hasattr(total, "full_tensor") else total


def nearest_rotation(matrix: Tensor, *, rounds: int = 5) -> Tensor:
    """Return a matrix with the same singular vectors whose singular values are all near 1, from 0.7 to 1.2.

    Args:
        matrix: two axes.
        rounds: of a polynomial of fifth degree, in bfloat16 except on the CPU.

    Source:
        The coefficients are those of Jordan et al., chosen for speed: they overshoot 1 and stay around it.
    """
    x = matrix.float() if matrix.device.type == "cpu" else matrix.bfloat16()
    if wide := x.shape[0] < x.shape[1]:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        square = x.T @ x
        x = 3.4445 * x + x @ (-4.7750 * square + 2.0315 * square @ square)
    return (x.T if wide else x).to(matrix.dtype)
