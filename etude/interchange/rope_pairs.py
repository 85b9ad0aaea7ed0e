"""The order of rows that rotary positions ask for."""

from torch import Tensor


def in_halves(rows: Tensor, head_width: int) -> Tensor:
    """Reorder rows of queries or keys whose features turn with their neighbour, for those that turn halves.

    Args:
        rows: weights (heads x K, D) or biases (heads x K); features 2i and 2i + 1 of a head are a pair.
        head_width: K.

    Returns:
        The same rows; features i and i + K/2 are a pair.

    Example:
        >>> import torch
        >>> in_halves(torch.arange(8), 4).tolist()
        [0, 2, 1, 3, 4, 6, 5, 7]
    """
    return rows.unflatten(0, (-1, head_width // 2, 2)).transpose(1, 2).flatten(0, 2)
