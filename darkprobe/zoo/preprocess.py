"""From raw inputs, as a data split holds them, to what a network takes, as its card says."""

import numpy as np
import torch
import torch.nn.functional as F

from darkprobe.errors import DataError
from darkprobe.zoo.card import Preprocessing


def preprocess(inputs: np.ndarray | torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Network inputs of a batch: float32 (batch, channel, height, width), or (batch, feature) unchanged.

    Images are scaled to [0, 1], turned to the channel order of the card, resized and centre-cropped where the card
    gives a size, and standardised as (value - mean) / std.

    Args:
        inputs: uint8 (batch, height, width, channel) images with channels in RGB order, or floating
            (batch, feature). A tensor may lie on any device.
        preprocessing: from the model's card.

    Raises:
        DataError: the number of channels does not fit the card.
    """
    raw = _as_tensor(inputs) if isinstance(inputs, np.ndarray) else inputs
    if raw.ndim == 2:
        return raw.float()
    images = _colours(raw.permute(0, 3, 1, 2), preprocessing)
    if preprocessing.size is not None:
        images = _resize(images.float(), preprocessing)
    return _standardise(images, preprocessing)


def _as_tensor(array: np.ndarray) -> torch.Tensor:
    """The array as a tensor; a read-only one (a memory map) is copied, as torch knows no read-only tensors."""
    return torch.from_numpy(np.ascontiguousarray(array) if array.flags.writeable else np.array(array))


def _colours(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Channels in the card's order; grey images are repeated for colour networks, never the other way round."""
    wanted = len(preprocessing.mean) or images.shape[1]
    if preprocessing.color_order == "bgr":
        images = images.flip(1)
    if images.shape[1] == 1 and wanted == 3:
        return images.expand(-1, 3, -1, -1)
    if images.shape[1] != wanted:
        raise DataError(
            f"preprocess: `inputs` must have {wanted} channels as the model's card says, got {images.shape[1]}. "
            "Choose data or a model that fit each other."
        )
    return images


def _resize(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Shorter side to size / crop_fraction, then the centre crop; antialiased, on tensors, the same everywhere."""
    assert preprocessing.size is not None
    height, width = preprocessing.size
    scale = max(height / images.shape[2], width / images.shape[3]) / preprocessing.crop_fraction
    # Rounded down, as timm and torchvision do; the small addition is for products that miss a whole number by a bit.
    target = (max(height, int(images.shape[2] * scale + 1e-6)), max(width, int(images.shape[3] * scale + 1e-6)))
    if target != images.shape[2:]:
        if preprocessing.interpolation == "nearest":
            images = F.interpolate(images, target, mode="nearest-exact")
        else:
            images = F.interpolate(
                images, target, mode=preprocessing.interpolation, align_corners=False, antialias=True
            ).clamp_(0, 255)
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]


def _standardise(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """(value / 255 - mean) / std, in one new tensor."""
    scaled = images.to(torch.float32, copy=True).div_(255)  # dividing bytes as they are is far slower
    if not preprocessing.mean:
        return scaled
    mean, std = (torch.tensor(each, device=scaled.device) for each in (preprocessing.mean, preprocessing.std))
    lines = scaled.permute(0, 2, 3, 1)
    if lines.is_contiguous():  # as raw images lie; a line of pixels at a time is faster than three values
        width = lines.shape[2]
        lines.view(*lines.shape[:2], -1).sub_(mean.repeat(width)).div_(std.repeat(width))
    else:
        lines.sub_(mean).div_(std)
    return scaled
