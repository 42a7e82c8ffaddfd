"""VGG with batch norm for small images: `vgg{8,11,13,16,19}-bn`, and `-bn-half` with half the channels.

Simonyan and Zisserman, 2015 (arXiv 1409.1556), with one linear layer, as the distillation literature trains it on
32x32 images: Tian et al., 2020 (arXiv 1910.10699) [code].
"""

from functools import partial

import torch
from torch import nn

from darkprobe.errors import InvalidValueError
from darkprobe.zoo.architectures import Architecture, initialise, kaiming_by_fan_out, register_ladder
from darkprobe.zoo.pooling import mean_over_pixels

_WIDTHS = (64, 128, 256, 512, 512)
_REPEATS = {8: (1, 1, 1, 1, 1), 11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """Five blocks of 3x3 convolutions with norm and ReLU, halved three times (four from 64 pixels on), linear head."""

    def __init__(
        self, input_shape: tuple[int, ...], num_classes: int, *, repeats: tuple[int, ...], divisor: int = 1
    ) -> None:
        super().__init__()
        channels = input_shape[0]
        for number, (full_width, repeat) in enumerate(zip(_WIDTHS, repeats, strict=True)):
            width, layers = full_width // divisor, list[nn.Module]()
            for _ in range(repeat):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            self.add_module(f"block{number}", nn.Sequential(*layers))
        self.pools = 4 if input_shape[1] >= 64 else 3
        self.pool = nn.MaxPool2d(2)
        self.linear = nn.Linear(channels, num_classes)
        initialise(self, kaiming_by_fan_out)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (batch, cls) of images (batch, channel, height, width)."""
        hidden = images
        for number in range(len(_WIDTHS)):
            hidden = getattr(self, f"block{number}")(hidden)
            if number < self.pools:
                hidden = self.pool(hidden)
        logits: torch.Tensor = self.linear(mean_over_pixels(hidden))
        return logits


def _make(name: str, size: tuple[int, ...], *, divisor: int = 1) -> Architecture:
    (depth,) = size
    if depth not in _REPEATS:
        raise InvalidValueError(
            f"build_module: depth of {name} must be one of {', '.join(map(str, _REPEATS))}, got {depth}. Choose one."
        )
    repeats = _REPEATS[depth]
    return Architecture(
        name=name,
        line="vgg-bn" if divisor == 1 else "vgg-bn-half",
        build=lambda input_shape, num_classes: VGG(input_shape, num_classes, repeats=repeats, divisor=divisor),
        source="Simonyan and Zisserman, 2015" + ("" if divisor == 1 else ", half the channels"),
    )


register_ladder("vgg{}-bn", [(depth,) for depth in _REPEATS], _make)
register_ladder("vgg{}-bn-half", [(8,)], partial(_make, divisor=2))
