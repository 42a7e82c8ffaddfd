"""Mean and choice of pixels whose gradients stay channels-last.

The gradients of `Tensor.mean` and of a slice are laid out channels-first, and so is every gradient before them. Where
activations are channels-last, each sum and ReLU then walks two layouts at once, which made a step of ResNet-8 a third
slower (batch 32, bfloat16; benchmarks/measure_layout.py). A pool has the same values and keeps the layout.
"""

import torch.nn.functional as F
from torch import Tensor


def mean_over_pixels(features: Tensor) -> Tensor:
    """(batch, channel, height, width) to (batch, channel)."""
    return F.avg_pool2d(features, features.shape[-2:]).flatten(1)


def every_other_pixel(features: Tensor, stride: int) -> Tensor:
    """(batch, channel, height, width) to the same with height and width divided by the stride, rounded up."""
    return F.avg_pool2d(features, 1, stride) if stride > 1 else features
