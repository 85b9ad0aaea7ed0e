"""The dtypes of products and sums, for code that autocast does not see into."""

import torch
from torch import Tensor


def product_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which a linear layer would multiply ``x``: autocast's, or its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def sum_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which many values like ``x`` are added up: at least float32."""
    return torch.promote_types(x.dtype, torch.float32)
