"""Wide residual networks for 32x32 images: `wrnD-K` with D = 6n + 4 layers, K times as wide.

Zagoruyko and Komodakis, 2016 (arXiv 1605.07146): pre-activation basic blocks, no dropout, and 1x1
convolutions as shortcuts.
"""

import torch
import torch.nn.functional as F
from torch import nn

from darkprobe.zoo.architectures import Architecture, initialise, kaiming_by_fan_out, register_ladder
from darkprobe.zoo.pooling import mean_over_pixels
from darkprobe.zoo.resnet import blocks_per_stage


class PreActBlock(nn.Module):
    """Norm, ReLU and 3x3 convolution, twice; the shortcut starts after the first ReLU where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Same axes out as in; height and width divided by the stride."""
        active = F.relu(self.bn1(images))
        skipped = images if self.shortcut is None else self.shortcut(active)
        hidden: torch.Tensor = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return hidden + skipped


class WideResNet(nn.Module):
    """Stem of 16 channels, three stages of 16K, 32K and 64K channels, norm, mean over pixels, linear head."""

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, *, blocks: int, widen: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False)
        channels = 16
        for stage, base in enumerate((16, 32, 64), start=1):
            layers = []
            for block in range(blocks):
                layers.append(PreActBlock(channels, base * widen, 2 if stage > 1 and block == 0 else 1))
                channels = base * widen
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, num_classes)
        initialise(self, kaiming_by_fan_out)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (batch, cls) of images (batch, channel, height, width)."""
        hidden = self.conv1(images)
        for stage in ("layer1", "layer2", "layer3"):
            hidden = getattr(self, stage)(hidden)
        logits: torch.Tensor = self.linear(mean_over_pixels(F.relu(self.bn(hidden))))
        return logits


def _make(name: str, size: tuple[int, ...]) -> Architecture:
    depth, widen = size
    blocks = blocks_per_stage(name, depth, step=6, offset=4)
    return Architecture(
        name=name,
        line=f"wrn{depth}",
        build=lambda input_shape, num_classes: WideResNet(input_shape, num_classes, blocks=blocks, widen=widen),
        source="Zagoruyko and Komodakis, 2016",
    )


_SIZES = [(16, 1), (16, 2), (16, 4), *((28, k) for k in (1, 2, 3, 4, 6, 8, 10)), (40, 1), (40, 2), (40, 4)]
register_ladder("wrn{}-{}", _SIZES, _make)
