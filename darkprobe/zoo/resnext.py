"""ResNeXt for 32x32 images: `resnextD-CxWd` with D = 9n + 2 layers, C groups of W channels in the first stage.

Xie et al., 2017 (arXiv 1611.05431), section 5.2: bottleneck blocks whose middle convolution is grouped, three stages.
"""

import torch
import torch.nn.functional as F
from torch import nn

from darkprobe.zoo.architectures import Architecture, initialise, kaiming_by_fan_out, register_ladder
from darkprobe.zoo.pooling import mean_over_pixels
from darkprobe.zoo.resnet import blocks_per_stage

_EXPANSION = 4


class GroupedBottleneck(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolutions with batch norm, added to a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, width: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Same axes out as in; height and width divided by the stride."""
        hidden = F.relu(self.bn1(self.conv1(images)))
        hidden = F.relu(self.bn2(self.conv2(hidden)))
        return F.relu(self.bn3(self.conv3(hidden)) + self.shortcut(images))


class ResNeXt(nn.Module):
    """Stem of 64 channels, three stages with 256, 512 and 1024 outputs, mean over pixels, linear head."""

    def __init__(
        self, input_shape: tuple[int, ...], num_classes: int, *, blocks: int, groups: int, group_width: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_shape[0], 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for stage, planes in enumerate((64, 128, 256), start=1):
            layers = []
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                width = planes * group_width // 64 * groups
                layers.append(GroupedBottleneck(channels, planes * _EXPANSION, stride, width=width, groups=groups))
                channels = planes * _EXPANSION
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.linear = nn.Linear(channels, num_classes)
        initialise(self, kaiming_by_fan_out)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (batch, cls) of images (batch, channel, height, width)."""
        hidden = F.relu(self.bn1(self.conv1(images)))
        for stage in ("layer1", "layer2", "layer3"):
            hidden = getattr(self, stage)(hidden)
        logits: torch.Tensor = self.linear(mean_over_pixels(hidden))
        return logits


def _make(name: str, size: tuple[int, ...]) -> Architecture:
    depth, groups, group_width = size
    blocks = blocks_per_stage(name, depth, step=9, offset=2)
    return Architecture(
        name=name,
        line=f"resnext{depth}-{group_width}d",
        build=lambda input_shape, num_classes: ResNeXt(
            input_shape, num_classes, blocks=blocks, groups=groups, group_width=group_width
        ),
        source="Xie et al., 2017",
    )


register_ladder("resnext{}-{}x{}d", [*((29, c, 4) for c in (4, 8, 16, 24, 32, 64)), (29, 8, 64)], _make)
