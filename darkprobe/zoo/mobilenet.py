"""MobileNetV2 for 32x32 images: `mobilenetv2-W`, W the width in percent, 50 in the distillation literature.

Sandler et al., 2018 (arXiv 1801.04381); strides for small images and an expansion in every block as in Tian et al.,
2020 (arXiv 1910.10699) [code].
"""

import torch
import torch.nn.functional as F
from torch import nn

from darkprobe.zoo.architectures import Architecture, initialise, kaiming_by_fan_out, register_ladder
from darkprobe.zoo.pooling import mean_over_pixels

# expansion, channels at full width, blocks, stride of the first
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_LAST = 1280


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3 and linear 1x1 projection; added to the input where the shape is the same."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.depthwise = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.project = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.same = stride == 1 and inputs == outputs

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Same axes out as in; height and width divided by the stride."""
        hidden = F.relu(self.bn1(self.expand(images)))
        hidden = F.relu(self.bn2(self.depthwise(hidden)))
        projected: torch.Tensor = self.bn3(self.project(hidden))
        return projected + images if self.same else projected


class MobileNetV2(nn.Module):
    """Stem of stride 2, seven stages of inverted residuals, 1x1 convolution to 1280, mean over pixels, linear head."""

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, *, width: float) -> None:
        super().__init__()
        channels = int(32 * width)
        self.conv1 = nn.Conv2d(input_shape[0], channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for stage, (expansion, outputs, blocks, stride) in enumerate(_STAGES, start=1):
            layers = []
            for block in range(blocks):
                layers.append(
                    InvertedResidual(channels, int(outputs * width), stride if block == 0 else 1, expansion=expansion)
                )
                channels = int(outputs * width)
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        last = max(_LAST, int(_LAST * width))
        self.conv2 = nn.Conv2d(channels, last, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(last)
        self.linear = nn.Linear(last, num_classes)
        initialise(self, kaiming_by_fan_out)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (batch, cls) of images (batch, channel, height, width)."""
        hidden = F.relu(self.bn1(self.conv1(images)))
        for stage in range(1, len(_STAGES) + 1):
            hidden = getattr(self, f"layer{stage}")(hidden)
        hidden = F.relu(self.bn2(self.conv2(hidden)))
        logits: torch.Tensor = self.linear(mean_over_pixels(hidden))
        return logits


def _make(name: str, size: tuple[int, ...]) -> Architecture:
    (percent,) = size
    return Architecture(
        name=name,
        line="mobilenetv2",
        build=lambda input_shape, num_classes: MobileNetV2(input_shape, num_classes, width=percent / 100),
        source="Sandler et al., 2018",
    )


register_ladder("mobilenetv2-{}", [(25,), (50,), (100,)], _make)
