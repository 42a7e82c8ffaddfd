"""Residual networks for 32x32 images: `resnetD` (He et al., 2016, section 4.2) and the wider `resnetDx4`.

`resnetD` has D = 6n + 2 layers, widths 16, 16, 32, 64 and option-A shortcuts, which have no parameters: every second
pixel, new channels zero. `resnetDx4` (Tian et al., 2020, "Contrastive representation distillation") has widths
32, 64, 128, 256 and 1x1 convolutions as shortcuts. Layer names of `resnetD` are those of the public CIFAR weights.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from darkprobe.errors import InvalidValueError
from darkprobe.zoo.architectures import Architecture, initialise, register_ladder
from darkprobe.zoo.pooling import every_other_pixel, mean_over_pixels


class PaddedShortcut(nn.Module):
    """Option A: every `stride`-th pixel, and zeros for the channels that are new, half on either side."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.before = new_channels // 2
        self.after = new_channels - self.before
        self.stride = stride

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, channel, height, width) to (batch, channel + new, height / stride, width / stride)."""
        return F.pad(every_other_pixel(images, self.stride), (0, 0, 0, 0, self.before, self.after))


def _padded(inputs: int, outputs: int, stride: int) -> nn.Module:
    return PaddedShortcut(outputs - inputs, stride)


def _projected(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, added to a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: Callable[[int, int, int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else shortcut(inputs, outputs, stride)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Same axes out as in; height and width divided by the stride."""
        hidden = F.relu(self.bn1(self.conv1(images)))
        hidden = self.bn2(self.conv2(hidden))
        return F.relu(hidden + self.shortcut(images))


class ResNet(nn.Module):
    """Stem, three stages of `blocks` basic blocks, mean over pixels, linear head.

    Args:
        input_shape: (channel, height, width).
        num_classes: number of outputs.
        widths: channels of the stem and of the three stages.
        blocks: basic blocks per stage.
        shortcut: makes the shortcut where the shape changes.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        *,
        widths: tuple[int, int, int, int],
        blocks: int,
        shortcut: Callable[[int, int, int], nn.Module],
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_shape[0], widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        channels = widths[0]
        for stage, width in enumerate(widths[1:], start=1):
            layers = []
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                layers.append(BasicBlock(channels, width, stride, shortcut))
                channels = width
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.linear = nn.Linear(channels, num_classes)
        initialise(self, lambda weight: nn.init.kaiming_normal_(weight))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (batch, cls) of images (batch, channel, height, width)."""
        hidden = F.relu(self.bn1(self.conv1(images)))
        for stage in ("layer1", "layer2", "layer3"):
            hidden = getattr(self, stage)(hidden)
        logits: torch.Tensor = self.linear(mean_over_pixels(hidden))
        return logits


def blocks_per_stage(name: str, depth: int, *, step: int, offset: int) -> int:
    """n of depth = step * n + offset; refuses depths that have none.

    Examples:
        >>> blocks_per_stage("resnet20", 20, step=6, offset=2)
        3
    """
    if depth <= offset or (depth - offset) % step:
        near = max(step + offset, round((depth - offset) / step) * step + offset)
        raise InvalidValueError(
            f"build_module: depth of {name} must be {step}n + {offset}, got {depth}. The nearest is {near}."
        )
    return (depth - offset) // step


def _plain(name: str, size: tuple[int, ...]) -> Architecture:
    blocks = blocks_per_stage(name, size[0], step=6, offset=2)
    return Architecture(
        name=name,
        line="resnet-cifar",
        build=lambda input_shape, num_classes: ResNet(
            input_shape, num_classes, widths=(16, 16, 32, 64), blocks=blocks, shortcut=_padded
        ),
        source="He et al., 2016",
    )


def _wide(name: str, size: tuple[int, ...]) -> Architecture:
    blocks = blocks_per_stage(name, size[0], step=6, offset=2)
    return Architecture(
        name=name,
        line="resnet-x4",
        build=lambda input_shape, num_classes: ResNet(
            input_shape, num_classes, widths=(32, 64, 128, 256), blocks=blocks, shortcut=_projected
        ),
        source="Tian et al., 2020",
    )


register_ladder("resnet{}", [(8,), (14,), (20,), (32,), (44,), (56,), (110,)], _plain)
register_ladder("resnet{}x4", [(8,), (32,)], _wide)
