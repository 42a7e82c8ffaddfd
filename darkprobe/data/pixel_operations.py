"""Augmentations of uint8 images in whole numbers, so that CPU and GPU give the same pixels.

Images are (example, height, width, channel) tensors on any device. Factors come as whole numbers of 256ths and
positions as whole pixels, drawn elsewhere; nothing here is random. Sums are kept in float32, which is faster than
integers: every one is a whole number below 2^24, so that no device and no order of operations rounds it.
"""

import torch

ONE = 256  # the fixed-point unit
_GREY = (77, 150, 29)  # ITU-R BT.601 luma, in 256ths


def place(
    images: torch.Tensor, *, down: torch.Tensor, right: torch.Tensor, mirrored: torch.Tensor, pad: int
) -> torch.Tensor:
    """Images after a crop from a black frame of `pad` pixels, and mirrored where asked.

    Args:
        images: uint8.
        down, right: (example,), int64 in [0, 2 * pad]: position of the crop in the padded image.
        mirrored: (example,), bool.
        pad: width of the frame.
    """
    n, height, width, channels = images.shape
    if not pad:
        return torch.where(mirrored[:, None, None, None], images.flip(2), images)
    framed = torch.nn.functional.pad(images, (0, 0, pad, pad, pad, pad))
    rows = down[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(n, -1)
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns) + right[:, None]
    first = torch.arange(n, device=images.device)[:, None] * (height + 2 * pad) + rows
    pixels = first[:, :, None] * (width + 2 * pad) + columns[:, None, :]
    return framed.reshape(-1, channels).index_select(0, pixels.view(-1)).view(n, height, width, channels)


def zoom(images: torch.Tensor, *, top: torch.Tensor, left: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """The window at (top, left) of each image, scaled to the whole image's size by bilinear interpolation.

    Args:
        images: uint8.
        top, left: (example,), int64: first row and column of the window.
        size: (example, 2), int64: height and width of the window, at least 1 and inside the image.
    """
    n, height, width, channels = images.shape
    lines = images.reshape(n * height, -1)
    upright = _between_lines(lines, *_samples(top, size[:, 0], height))
    # Columns become lines: whole lines are gathered much faster than single pixels.
    columns = upright.view(n, height, width, channels).transpose(1, 2).reshape(n * width, -1)
    scaled = _between_lines(columns, *_samples(left, size[:, 1], width)).add_(0.5)
    upright = scaled.view(n, width, height, channels).transpose(1, 2)
    return upright.to(torch.uint8, memory_format=torch.contiguous_format)


def _between_lines(lines: torch.Tensor, index: torch.Tensor, after: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(example x sample, value), float32: lines at `index` and `after`, blended.

    Values come with at most 8 bits after the point and weights are 256ths, so that every product and sum fits the 24
    bits of float32 and nothing is rounded, in whatever order a device computes.

    Args:
        lines: (example x line, value), uint8 or float32.
        index, after, weight: (example, sample), as `_samples` gives them.
    """
    first = torch.arange(len(index), device=lines.device)[:, None] * (len(lines) // max(1, len(index)))
    here, next_ = (lines.index_select(0, (first + which).view(-1)).float() for which in (index, after))
    return here.lerp_(next_, weight.view(-1, 1))


def _samples(start: torch.Tensor, length: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Source index of `n` samples at pixel centres, the next one in the window, and its weight, in whole 256ths."""
    steps = torch.arange(n, device=start.device)
    position = ((2 * steps + 1) * length[:, None] * ONE) // (2 * n) - ONE // 2
    position = position.clamp(min=0)  # before the first centre the first pixel is repeated
    index = start[:, None] + position // ONE
    return index, torch.minimum(index + 1, (start + length - 1)[:, None]), (position % ONE).float() / ONE


def jitter(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast about the image's mean grey, then saturation, each scaled and cut to [0, 255].

    Args:
        images: uint8; with one channel saturation changes nothing.
        factors: (example, 3), int64, in 256ths: for brightness, contrast and saturation.
    """
    brightness, contrast, saturation = (factors[:, i, None, None, None].float() for i in range(3))
    bright = _rounded(images.float().mul_(brightness))
    pixels = bright.shape[1] * bright.shape[2]
    mean = (_grey(bright).sum((1, 2, 3), keepdim=True, dtype=torch.float64) / pixels).floor_().float()
    contrasted = _rounded(bright.mul_(contrast).add_(mean * (ONE - contrast)))
    grey = _grey(contrasted).mul_(ONE - saturation).squeeze(-1)
    saturated = contrasted.mul_(saturation)
    for channel in saturated.unbind(-1):  # twice as fast as adding to all at once
        channel.add_(grey)
    return _rounded(saturated).to(torch.uint8)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """Values in 256ths to whole numbers in [0, 255], in place."""
    return values.add_(ONE // 2).mul_(1 / ONE).floor_().clamp_(0, 255)


def _grey(images: torch.Tensor) -> torch.Tensor:
    """Luma of whole-number float32 images, (example, height, width, 1); without three channels: their mean channel."""
    if images.shape[-1] != 3:
        return (images.sum(-1, keepdim=True) / images.shape[-1]).floor_()
    red, green, blue = images.unbind(-1)
    return _rounded((red * _GREY[0]).add_(green, alpha=_GREY[1]).add_(blue, alpha=_GREY[2]))[..., None]


def blend(images: torch.Tensor, others: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """share x own + (1 - share) x other, rounded.

    Args:
        images, others: uint8, alike in shape.
        share: (example,), float32, whole 256ths in [0, 1].
    """
    return others.float().lerp_(images.float(), share[:, None, None, None]).add_(0.5).to(torch.uint8)


def paste(images: torch.Tensor, others: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """Images with a box of the others in place of their own pixels.

    Args:
        images, others: uint8, alike in shape.
        box: (example, 4), int64: top, bottom, left, right; bottom and right are not in the box.
    """
    n, height, width, channels = images.shape
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).repeat_interleave(channels)
    inside_rows = (rows >= box[:, :1]) & (rows < box[:, 1:2])
    inside_columns = (columns >= box[:, 2:3]) & (columns < box[:, 3:])
    inside = (inside_rows[:, :, None] & inside_columns[:, None, :]).to(torch.uint8)
    own, other = (some.view(n, height, width * channels) for some in (images, others))
    return (own + inside * (other - own)).view_as(images)  # modulo 256, so exact; faster than torch.where
