"""Feature maps of linear attention: what stands for the exponential of softmax attention.

The similarity of a query and a key is the product of their features, none of which is negative. Slopes are
made from the features themselves, so that nothing else is kept for the backward pass.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class FeatureMap(NamedTuple):
    """A feature map of (..., K) and its backward pass.

    Attributes:
        features: inputs to features.
        backward: the gradient of the features and the features to the gradient of the inputs.
    """

    features: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


def elu1(x: Tensor) -> Tensor:
    """Return x + 1 above 0 and e^x below: elu(x) + 1, without the 1 that small values drown in.

    Example:
        >>> elu1(torch.tensor([-20.0, 0.0, 2.0]))
        tensor([2.0612e-09, 1.0000e+00, 3.0000e+00])
    """
    return x.clamp(max=0).exp_().add_(x.clamp(min=0))


def _elu1_backward(grad: Tensor, features: Tensor) -> Tensor:
    return features.clamp(max=1).mul_(grad)


def _relu_backward(grad: Tensor, features: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward(grad, features, 0)


def _softmax_backward(grad: Tensor, features: Tensor) -> Tensor:
    return torch._softmax_backward_data(grad.contiguous(), features, -1, features.dtype)


FEATURE_MAPS = {
    "elu1": FeatureMap(elu1, _elu1_backward),
    "relu": FeatureMap(torch.relu, _relu_backward),
    "softmax": FeatureMap(lambda x: torch.softmax(x, dim=-1), _softmax_backward),
}
"""The names in ``LinearSettings.feature_map``. With relu, a query without a positive feature finds 0."""
