"""Augmented views of a split's images, drawn from (seed, view, example id) alone.

The same pixels come out whatever the batch size, the order of rows, the worker, the rank or the device: positions and
factors are drawn on the CPU from a counter-based generator (`keyed.py`), and pixels are moved and blended in whole
numbers (`pixel_operations.py`). So cached logits of a view stay paired with its images.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch

from darkprobe.blocks import map_blocks
from darkprobe.data import pixel_operations
from darkprobe.data.keyed import Purpose, fraction, keyed_words, whole
from darkprobe.data.pixel_operations import ONE
from darkprobe.data.policy import ViewPolicy
from darkprobe.data.split import Split
from darkprobe.errors import InvalidValueError
from darkprobe.types import IntArray

_VALUES = 3 * 2**18  # 256 CIFAR images; measured: more leave the cache of a core, fewer wait for the interpreter


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """With whom each example is mixed, and how much of the image stays its own.

    Attributes:
        partner_rows: (example,), int64: rows of the split.
        share: (example,), float64 in [0, 1]: share of the own image; the partner has the rest. Mix labels alike.
    """

    partner_rows: IntArray
    share: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Draws:
    """What was drawn for each image of a view; None where the policy has no such step.

    Attributes:
        rows: (example,), of the split.
        windows: (example, 4): top, left, height and width of the crop that is scaled to the whole image.
        places: (example, 3): rows down, columns to the right, 1 where mirrored.
        factors: (example, 3), in 256ths: of brightness, contrast and saturation.
    """

    rows: IntArray
    windows: IntArray | None
    places: IntArray | None
    factors: IntArray | None

    def part(self, examples: slice) -> "_Draws":
        """The draws of some of the images."""
        windows, places, factors = (
            None if values is None else values[examples] for values in (self.windows, self.places, self.factors)
        )
        return _Draws(rows=self.rows[examples], windows=windows, places=places, factors=factors)


class Views:
    """Augmented images of one split.

    Args:
        split: images; partners for mixing come from all of it, so mixed views of a part differ from those of the
            whole.
        policy: which augmentations.
        seed: 0 to 2^64 - 1.

    Examples:
        >>> from darkprobe.data import load_split
        >>> views = Views(load_split("digits", "train"), policy=ViewPolicy(pad=1), seed=0)
        >>> bool((views.images([5, 3], view=2)[1] == views.images([3], view=2)[0]).all())
        True
    """

    def __init__(self, split: Split, *, policy: ViewPolicy, seed: int) -> None:
        if split.kind != "image" and not policy.clean:
            raise InvalidValueError(
                f"Views: `policy` must be clean for {split.kind}, got {policy.text}. Only images have augmented views."
            )
        if not 0 <= seed < 2**64:
            raise InvalidValueError(f"Views: `seed` must lie in [0, 2^64), got {seed}. Choose another.")
        self.split, self.policy, self.seed = split, policy, seed
        self._rows_by_id = np.argsort(split.example_ids)

    def images(self, rows: IntArray | list[int], *, view: int, device: str = "cpu") -> torch.Tensor:
        """Images of one view, uint8 (example, height, width, channel).

        Args:
            rows: (example,), rows of the split, in any order.
            view: 0 to 2^32 - 1; another number gives another draw.
            device: where pixels are computed and returned.
        """
        rows = np.asarray(rows, dtype=np.int64)
        _check_view(view)
        own, (mixing, boxes) = self._draws(rows, view), self._mixing(rows, view)
        others = None if mixing is None else self._draws(mixing.partner_rows, view)

        def some(part: slice) -> torch.Tensor:
            images = self._alone(own.part(part), device)
            if mixing is None or others is None:
                return images
            partners = self._alone(others.part(part), device)
            if boxes is not None:
                return pixel_operations.paste(images, partners, torch.from_numpy(boxes[part]).to(device))
            share = torch.from_numpy(mixing.share[part].astype(np.float32)).to(device)
            return pixel_operations.blend(images, partners, share)

        # A few images at a time, which also bounds the memory of large ones.
        step = max(1, _VALUES // max(1, math.prod(self.split.inputs.shape[1:]))) if device == "cpu" else len(rows)
        starts = range(0, max(1, len(rows)), max(1, step))
        return torch.cat(map_blocks(some, [slice(start, start + step) for start in starts]))

    def mixing(self, rows: IntArray | list[int], *, view: int) -> Mixing | None:
        """Partners and shares of a mixed view, or None where the policy does not mix."""
        _check_view(view)
        return self._mixing(np.asarray(rows, dtype=np.int64), view)[0]

    def _words(self, rows: IntArray, view: int, purpose: Purpose) -> np.ndarray:
        return keyed_words(self.split.example_ids[rows], seed=self.seed, view=view, purpose=purpose)

    def _draws(self, rows: IntArray, view: int) -> "_Draws":
        policy, windows, places, factors = self.policy, None, None, None
        if policy.window:
            windows = self._windows(rows, view)
        if policy.pad or policy.flip:
            words = self._words(rows, view, Purpose.PLACE)
            mirrored = (words[:, 2] >> np.uint64(31)).astype(np.int64) * policy.flip
            places = np.column_stack([whole(words[:, :2], 2 * policy.pad + 1), mirrored])
        if policy.jitter:
            spread = round(policy.jitter * ONE)
            factors = ONE - spread + whole(self._words(rows, view, Purpose.COLOUR)[:, :3], 2 * spread + 1)
        return _Draws(rows=rows, windows=windows, places=places, factors=factors)

    def _alone(self, draws: "_Draws", device: str) -> torch.Tensor:
        """Images of a view before they are mixed."""
        images = torch.from_numpy(np.asarray(self.split.inputs[draws.rows])).to(device)
        if draws.windows is not None:
            top, left, *size = torch.from_numpy(draws.windows).to(device).unbind(1)
            images = pixel_operations.zoom(images, top=top, left=left, size=torch.stack(size, 1))
        if draws.places is not None:
            down, right, mirrored = torch.from_numpy(draws.places).to(device).unbind(1)
            images = pixel_operations.place(
                images, down=down, right=right, mirrored=mirrored.bool(), pad=self.policy.pad
            )
        if draws.factors is not None:
            images = pixel_operations.jitter(images, torch.from_numpy(draws.factors).to(device))
        return images

    def _windows(self, rows: IntArray, view: int) -> IntArray:
        """Top, left, height and width of each random-resized crop, (example, 4).

        The area is uniform in [window, 1]; the side ratio is 1 + u / 3 or its inverse, u uniform in [0, 1), so that it
        lies between 3/4 and 4/3. Only operations that IEEE 754 rounds exactly are used. [design]
        """
        height, width = self.split.inputs.shape[1:3]
        words = self._words(rows, view, Purpose.WINDOW)
        area = self.policy.window + (1 - self.policy.window) * fraction(words[:, 0])
        signed = 2 * fraction(words[:, 1]) - 1
        ratio = np.where(signed > 0, 1 + signed / 3, 1 / (1 - signed / 3))
        tall = np.clip(np.rint(np.sqrt(area / ratio) * height), 1, height).astype(np.int64)
        wide = np.clip(np.rint(np.sqrt(area * ratio) * width), 1, width).astype(np.int64)
        top, left = whole(words[:, 2], height - tall + 1), whole(words[:, 3], width - wide + 1)
        return np.stack([top, left, tall, wide], axis=1)

    def _mixing(self, rows: IntArray, view: int) -> tuple[Mixing | None, IntArray | None]:
        """Partners and shares, and for cutmix the boxes (example, 4): top, bottom, left, right.

        A partner is any example of the split, the example itself included.
        """
        if self.policy.mix == "none":
            return None, None
        words = self._words(rows, view, Purpose.MIX)
        partners = self._rows_by_id[whole(words[:, 0], len(self.split))]
        share = _own_share(words[:, 1], self.policy.mix_alpha)
        if self.policy.mix == "mixup":
            return Mixing(partner_rows=partners, share=share), None
        height, width = self.split.inputs.shape[1:3]
        side = np.sqrt(1 - share)
        top, bottom = _span(words[:, 2], side, height)
        left, right = _span(words[:, 3], side, width)
        kept = 1 - (bottom - top) * (right - left) / (height * width)
        return Mixing(partner_rows=partners, share=kept), np.stack([top, bottom, left, right], axis=1)


def _own_share(words: np.ndarray, alpha: float) -> np.ndarray:
    """Draws from Beta(alpha, alpha) in whole 256ths, so that the last bits of a special function do not matter."""
    drawn = fraction(words)
    if alpha != 1:
        from scipy.special import betaincinv

        drawn = betaincinv(alpha, alpha, drawn)
    return np.asarray(np.rint(drawn * ONE) / ONE)


def _span(words: np.ndarray, side: np.ndarray, length: int) -> tuple[IntArray, IntArray]:
    """First and last-but-one pixel of a side of the box: centred anywhere, cut at the edge."""
    extent = np.rint(side * length).astype(np.int64)
    centre = whole(words, length)
    return np.maximum(centre - extent // 2, 0), np.minimum(centre - extent // 2 + extent, length)


def _check_view(view: int) -> None:
    if not 0 <= view < 2**32:
        raise InvalidValueError(f"Views: `view` must lie in [0, 2^32), got {view}. Choose another.")


def pixel_hash(example_ids: IntArray, images: torch.Tensor) -> int:
    """One number for the pixels of many examples, in [0, 2^64): batches add up to the whole, in any order.

    Each example gives the first 8 bytes of SHA-256 over its id and its pixels; they are added modulo 2^64. So the hash
    of a view is the sum of the hashes of its batches modulo 2^64.

    Args:
        example_ids: (example,), int64.
        images: (example, ...), uint8, on any device.
    """
    pixels = np.ascontiguousarray(images.cpu().numpy())
    total = 0
    for example, image in zip(np.asarray(example_ids, dtype="<i8"), pixels, strict=True):
        digest = hashlib.sha256(example.tobytes())
        digest.update(image)
        total += int.from_bytes(digest.digest()[:8], "little")
    return total % 2**64
