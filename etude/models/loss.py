"""Cross-entropy of next tokens without a (tokens x vocabulary) float32 tensor.

Dimension key:  B batch   T tokens   D model width   V vocabulary   N = B*T   C tokens of one chunk

Logits exist for one chunk at a time. The gradients of hidden states and head are made in the forward
pass, chunk by chunk, while the softmax is at hand, so that nothing of size N x V is kept or made twice.
Matrix products run in autocast's dtype, the softmax in float32.
"""

import torch
from torch import Tensor

from etude.models.precision import product_dtype, sum_dtype

_LOGITS_PER_CHUNK = 2**23
"""Entries of one chunk's logits: 32 MB in float32."""
_ROOM = 64.0
"""In float16 gradients of logits are at most 1 / 64: sums over a chunk stay below 65,504, and little is lost below."""


def cross_entropy(
    hidden_BTD: Tensor,
    head_VD: Tensor,
    targets_BT: Tensor,
    weight_BT: Tensor | None = None,
    *,
    total_weight: float | Tensor | None = None,
    bias_V: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the weighted mean of -ln p(target), in nats, differentiable in hidden states, head and bias.

    Args:
        hidden_BTD: final hidden states, normalised.
        head_VD: weights of the head.
        targets_BT: ids of the next tokens.
        weight_BT: bool or float; 0 leaves a target out. None counts each target once.
        total_weight: what to divide the weighted sum by, if not by the sum of ``weight_BT``: give the sum over a
            whole batch and the losses of its micro-batches add up to the batch's own.
        bias_V: the head's bias, if it has one.

    Returns:
        The mean, a float32 scalar, 0 if the weights are all 0; and how many targets of weight above 0 were the
        likeliest id.
    """
    weight = torch.ones_like(targets_BT, dtype=torch.float32) if weight_BT is None else weight_BT.float()
    total = weight.sum() if total_weight is None else torch.as_tensor(total_weight, device=weight.device)
    scale_N = (weight / total.clamp(min=torch.finfo(torch.float32).tiny)).flatten()
    hidden_ND = hidden_BTD.flatten(0, -2)
    return _ChunkedCrossEntropy.apply(hidden_ND, head_VD, targets_BT.flatten(), scale_N, bias_V)


@torch.no_grad()
def score_targets(
    hidden_BTD: Tensor, head_VD: Tensor, targets_BT: Tensor, bias_V: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return ``nats_BT`` (float32), -ln p of each target, and ``correct_BT`` (bool), whether it was the likeliest."""
    hidden_ND, targets_N = hidden_BTD.flatten(0, -2), targets_BT.flatten()
    nats, correct = [], []
    for chunk in _chunks(targets_N.numel(), head_VD.shape[0]):
        logits_CV = torch.nn.functional.linear(hidden_ND[chunk], head_VD, bias_V).float()
        nats.append(torch.nn.functional.cross_entropy(logits_CV, targets_N[chunk], reduction="none"))
        correct.append(logits_CV.argmax(-1) == targets_N[chunk])
    return torch.cat(nats).view_as(targets_BT), torch.cat(correct).view_as(targets_BT)


def _chunks(num_tokens: int, vocab_size: int) -> list[slice]:
    size = max(1, _LOGITS_PER_CHUNK // vocab_size)
    return [slice(start, start + size) for start in range(0, num_tokens, size)]


class _ChunkedCrossEntropy(torch.autograd.Function):
    """sum_n scale_n * -ln softmax(hidden_n @ head.T + bias)[target_n]."""

    @staticmethod
    def forward(ctx, hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale_N: Tensor, bias_V: Tensor | None):
        dtype = product_dtype(hidden_ND)
        wants_hidden, wants_head, *_, wants_bias = ctx.needs_input_grad
        with torch.autocast(hidden_ND.device.type, enabled=False):
            head = head_VD.to(dtype)
            total = torch.zeros((), device=hidden_ND.device)
            num_correct = torch.zeros((), device=hidden_ND.device, dtype=torch.long)
            # a mean over a batch is too small for float16, however the loss is scaled after
            unit = scale_N.max().clamp(min=torch.finfo(torch.float32).tiny) * _ROOM if dtype == torch.float16 else None
            grad_hidden = torch.empty_like(hidden_ND) if wants_hidden else None
            grad_head = torch.zeros_like(head_VD, dtype=sum_dtype(head_VD)) if wants_head else None
            grad_bias = torch.zeros_like(bias_V, dtype=sum_dtype(bias_V)) if wants_bias else None
            for chunk in _chunks(hidden_ND.shape[0], head_VD.shape[0]):
                hidden = hidden_ND[chunk].to(dtype)
                logits_CV = (hidden @ head.T).float()
                log_p_CV = torch.log_softmax(logits_CV if bias_V is None else logits_CV.add_(bias_V), dim=-1)
                target_C1 = targets_N[chunk, None]
                scale_C1 = scale_N[chunk, None]
                total -= (log_p_CV.gather(1, target_C1) * scale_C1).sum()
                num_correct += ((log_p_CV.argmax(1) == targets_N[chunk]) & (scale_N[chunk] > 0)).sum()
                if wants_hidden or wants_head or wants_bias:
                    scale_C1 = scale_C1 if unit is None else scale_C1 / unit
                    grad_CV = log_p_CV.exp_().mul_(scale_C1).scatter_add_(1, target_C1, -scale_C1).to(dtype)
                    if wants_hidden:
                        grad_hidden[chunk] = grad_CV @ head
                    if wants_head:
                        grad_head += grad_CV.T @ hidden
                    if wants_bias:
                        grad_bias += grad_CV.sum(0, dtype=grad_bias.dtype)
        ctx.save_for_backward(grad_hidden, grad_head, grad_bias)
        ctx.head_dtype, ctx.unit = head_VD.dtype, unit
        ctx.mark_non_differentiable(num_correct)
        return total, num_correct

    @staticmethod
    def backward(ctx, grad_total: Tensor, _: Tensor):
        grad_hidden, grad_head, grad_bias = ctx.saved_tensors
        grad_total = grad_total if ctx.unit is None else grad_total * ctx.unit
        if grad_hidden is not None:
            grad_hidden = grad_hidden * grad_total
        if grad_head is not None:
            grad_head = (grad_head * grad_total).to(ctx.head_dtype)
        if grad_bias is not None:
            grad_bias = (grad_bias * grad_total).to(ctx.head_dtype)
        return grad_hidden, grad_head, None, None, grad_bias
