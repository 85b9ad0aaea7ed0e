"""The model on several ranks: copied or shared out, its gradients averaged, its copies compared, its parts gathered.

With ``train.shard=replicate`` each rank holds the whole model, and gradients are averaged once a step. With ``shard``
each holds a part of every weight, gradient and moment, and gathers a block when it is computed (FSDP2); gradients of
each micro-batch go to their owners at once, so that nobody ever holds all of them.

Gradients of replicas are averaged here and not by DistributedDataParallel: all of them are there before the first
message, so that ranks which disagree on what has a gradient get an error that names it, instead of waiting for each
other; and nothing is wrapped, so that names, methods and checkpoints are those of a process alone.
"""

from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn

from etude.errors import RunError
from etude.training.distributed import Ranks

_BUCKET_BYTES = 64 * 2**20
_FORWARD_METHODS = ("loss", "score")
"""Methods of a model that gather its weights; ``forward`` does by itself."""
_WHOLE_NUMBER = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def spread(model: nn.Module, device: torch.device, ranks: Ranks) -> nn.Module:
    """Move a model to where it is trained; shared out, block by block, if that was asked for."""
    if ranks.is_alone or not ranks.shard:
        return model.to(device)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device.type, (ranks.size,))
    for blocks in (child for child in model.children() if isinstance(child, nn.ModuleList)):
        for block in blocks:
            fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for name in _FORWARD_METHODS:
        register_fsdp_forward_method(model, name)
    return model


def average_gradients(model: nn.Module, ranks: Ranks) -> None:
    """Give every replica the mean of all replicas' gradients; shared-out gradients are means already.

    Raises:
        RunError: a weight has a gradient on some ranks only.
    """
    if ranks.is_alone or ranks.shard:
        return
    names, weights = zip(*model.named_parameters(), strict=True)
    found = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.uint8)
    _refuse_difference(ranks.gather_tensor(found), names, "has a gradient on some ranks and none on others")
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    sent = []
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        sent.append((flat, bucket, dist.all_reduce(flat, async_op=True)))
    for flat, bucket, work in sent:
        work.wait()
        parts = flat.div_(ranks.size).split([gradient.numel() for gradient in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def check_same_weights(model: nn.Module, ranks: Ranks) -> None:
    """Compare replicas bit by bit.

    Raises:
        RunError: they differ; the message names a weight and a rank.
    """
    if ranks.is_alone or ranks.shard:
        return
    names, weights = zip(*model.named_parameters(), strict=True)
    sums = torch.stack([_sum_of_bits(weight) for weight in weights]).cpu()
    _refuse_difference(ranks.gather_tensor(sums), names, "is no longer the same on all ranks")


def whole_weights(model: nn.Module, ranks: Ranks) -> dict[str, Tensor]:
    """Return all weights of a model by name; shared-out ones on the first rank's CPU, on the others nothing."""
    if ranks.is_alone or not ranks.shard:
        return {name: tensor.detach() for name, tensor in model.state_dict().items()}
    whole = {}
    for name, tensor in model.state_dict().items():
        gathered = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # all ranks take part
        if ranks.is_first:
            whole[name] = gathered.detach().cpu()
    return whole


def _refuse_difference(every: Tensor, names: tuple[str, ...], what: str) -> None:
    differs = (every != every[0]).nonzero()
    if len(differs):
        rank, place = differs[0].tolist()
        more = f" and {len(differs) - 1} more" if len(differs) > 1 else ""
        raise RunError(f"{names[place]}{more}: {what}: ranks 0 and {rank} have drifted apart")


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket, size = [], 0
    for gradient in gradients:
        if bucket and (size + gradient.nbytes > _BUCKET_BYTES or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    if bucket:
        yield bucket


@torch.no_grad()
def _sum_of_bits(weight: Tensor) -> Tensor:
    """Return a number that another bit anywhere would change: the sum of the bits as whole numbers, by place."""
    bits = weight.detach().contiguous().flatten().view(_WHOLE_NUMBER[weight.itemsize]).long()
    odd = 2 * torch.arange(len(bits), device=bits.device) + 1  # no multiple of an odd number is lost in 64 bits
    return (bits * odd).sum()
