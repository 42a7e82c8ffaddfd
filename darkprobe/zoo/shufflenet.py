"""ShuffleNet V1 (3 groups) and V2 (full width) for 32x32 images: `shufflenetv1`, `shufflenetv2`.

Zhang et al., 2018 (arXiv 1707.01083) and Ma et al., 2018 (arXiv 1807.11164); a 1x1 stem without pooling for small
images, and a ReLU after the depthwise convolution of V1, as in Tian et al., 2020 (arXiv 1910.10699) [code].
"""

import torch
import torch.nn.functional as F
from torch import nn

from darkprobe.zoo.architectures import initialise, kaiming_by_fan_out, register_model
from darkprobe.zoo.pooling import mean_over_pixels

_GROUPS = 3
_STAGES_V1 = ((240, 4), (480, 8), (960, 4))  # channels, blocks
_STAGES_V2 = ((116, 4), (232, 8), (464, 4))
_STEM = 24
_LAST_V2 = 1024


def shuffle(images: torch.Tensor, groups: int) -> torch.Tensor:
    """Channels (group, member) read as (member, group), so that the next grouped layer mixes groups."""
    batch, channels, height, width = images.shape
    return images.reshape(batch, groups, channels // groups, height, width).transpose(1, 2).reshape(images.shape)


def _pointwise(inputs: int, outputs: int, *, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, groups=groups, bias=False), nn.BatchNorm2d(outputs))


def _depthwise(channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
    )


class UnitV1(nn.Module):
    """Grouped 1x1, shuffle, depthwise 3x3, grouped 1x1; added to the input, or joined to it pooled when stride is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        grown = outputs - inputs if stride == 2 else outputs
        width = grown // 4
        self.groups = 1 if inputs == _STEM else _GROUPS
        self.reduce = _pointwise(inputs, width, groups=self.groups)
        self.depthwise = _depthwise(width, stride)
        self.grow = _pointwise(width, grown, groups=_GROUPS)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Same axes out as in; height and width divided by the stride."""
        hidden = shuffle(F.relu(self.reduce(images)), self.groups)
        hidden = self.grow(F.relu(self.depthwise(hidden)))
        if self.pool is None:
            return F.relu(hidden + images)
        return F.relu(torch.cat([hidden, self.pool(images)], 1))


class UnitV2(nn.Module):
    """Half of the channels (or, with stride 2, all of them on two ways) through 1x1, depthwise 3x3, 1x1; shuffled."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half, entering = outputs // 2, inputs // 2 if stride == 1 else inputs
        self.skip: nn.Module | None = None
        if stride == 2:
            self.skip = nn.Sequential(_depthwise(inputs, stride), _pointwise(inputs, half), nn.ReLU())
        self.reduce = _pointwise(entering, half)
        self.depthwise = _depthwise(half, stride)
        self.grow = _pointwise(half, half)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Same axes out as in; height and width divided by the stride."""
        left, right = images.chunk(2, 1) if self.skip is None else (self.skip(images), images)
        right = F.relu(self.grow(self.depthwise(F.relu(self.reduce(right)))))
        return shuffle(torch.cat([left, right], 1), 2)


class ShuffleNet(nn.Module):
    """1x1 stem, three stages that start with stride 2, for V2 a 1x1 convolution, mean over pixels, linear head."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        *,
        unit: type[UnitV1] | type[UnitV2],
        stages: tuple[tuple[int, int], ...],
        last: int | None,
    ) -> None:
        super().__init__()
        self.conv1 = _pointwise(input_shape[0], _STEM)
        channels = _STEM
        for number, (width, blocks) in enumerate(stages, start=1):
            units = [unit(channels if block == 0 else width, width, 2 if block == 0 else 1) for block in range(blocks)]
            self.add_module(f"layer{number}", nn.Sequential(*units))
            channels = width
        self.conv2 = None if last is None else _pointwise(channels, last)
        self.linear = nn.Linear(last or channels, num_classes)
        initialise(self, kaiming_by_fan_out)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (batch, cls) of images (batch, channel, height, width)."""
        hidden = F.relu(self.conv1(images))
        for stage in ("layer1", "layer2", "layer3"):
            hidden = getattr(self, stage)(hidden)
        if self.conv2 is not None:
            hidden = F.relu(self.conv2(hidden))
        logits: torch.Tensor = self.linear(mean_over_pixels(hidden))
        return logits


def _v1(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    return ShuffleNet(input_shape, num_classes, unit=UnitV1, stages=_STAGES_V1, last=None)


def _v2(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    return ShuffleNet(input_shape, num_classes, unit=UnitV2, stages=_STAGES_V2, last=_LAST_V2)


register_model("shufflenetv1", line="shufflenetv1", build=_v1, source="Zhang et al., 2018")
register_model("shufflenetv2", line="shufflenetv2", build=_v2, source="Ma et al., 2018")
