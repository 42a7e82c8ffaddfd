"""Encoded images (JPEG, PNG, ...) to one uint8 array, with stable ids from their bytes.

Bytes come in batches, so that neither they nor the pixels ever have to be in memory at once.
"""

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from darkprobe.data.cache import Allocate, Offer, cache_folder, cached_array, growing_pixels
from darkprobe.data.split import PENDING, Split
from darkprobe.errors import DataError, MissingDependencyError
from darkprobe.files import content_hash
from darkprobe.types import IntArray

if TYPE_CHECKING:
    from PIL import Image

Batches: TypeAlias = Callable[[], Iterator[list[bytes]]]
"""Starts over the encoded images, in row order, some at a time."""

_DEEP = ("I", "F", "I;16", "I;16B", "I;16L")  # more than 8 bits a channel: a conversion would clip them
_SHARE = 32  # images that one thread decodes in a row
_AHEAD = 4  # shares under way for each thread


@dataclass(frozen=True, kw_only=True)
class EncodedImages:
    """Images of one split as a reader finds them.

    Attributes:
        batches: starts over their bytes.
        labels: (example,), int64.
        class_names: one per class.
        size: side of a square to which the shorter side is scaled (bicubic) and the rest cropped, or None to leave
            images as they are; then all must have one size.
        key: names everything that decides bytes and labels; the cache goes by it.
        where: names the data in messages and in the progress bar.
    """

    batches: Batches
    labels: IntArray
    class_names: tuple[str, ...]
    size: int | None
    key: str
    where: str

    def split(self, *, dataset: str, name: str, source: str) -> Split:
        """The split with its ids; pixels are those of the cache, or are being decoded into it (`Growing`)."""
        if not len(self.labels):
            raise DataError(f"load_split: {self.where} must hold examples, got none. Fetch the data again.")
        pixels = f"{self.key}-pixels-{self.size or 'asis'}"
        stands_for = content_hash([pixels, list(self.class_names)])
        return Split(
            dataset=dataset,
            name=name,
            kind="image",
            # Whoever asks for growing pixels (`load_split(wait=False)`) knows how to read them; others never meet them.
            inputs=cast(np.ndarray, growing_pixels(pixels, len(self.labels), self.decode)),
            labels=self.labels,
            example_ids=np.array(cached_array(f"{self.key}-ids", self.ids)),
            class_names=self.class_names,
            source=source,
            stand_in=f"{PENDING}{stands_for[len(PENDING) :]}",
            fingerprint_file=cache_folder() / f"{self.key}-fingerprint-{stands_for[:16]}.txt",
        )

    def ids(self) -> IntArray:
        """Ids of all examples (`content_ids`)."""
        return content_ids(chain.from_iterable(self.batches()), self.labels)

    def decode(self, allocate: Allocate, offer: Offer) -> np.ndarray:
        """Pixels, uint8 (example, height, width, channel): 3 channels, or 1 when every image is grey.

        Args:
            allocate: makes the array, given its shape.
            offer: told how many of the first rows are decoded, and the array once an image with colours was seen.

        Raises:
            DataError: an image cannot be decoded, has more than 8 bits a channel, or another size than the first.
        """
        first = _decode(next(self.batches())[0], self.size, f"{self.where}, row 0")
        pixels = allocate((len(self.labels), *first.shape[:2], 3))
        coloured = False
        for ready, colour in self._filled(pixels):
            coloured |= colour
            offer(pixels if coloured else None, ready)
        return pixels if coloured else np.ascontiguousarray(pixels[..., :1])

    def _filled(self, pixels: np.ndarray) -> Iterator[tuple[int, bool]]:
        """Decodes all images on every core, a few at a time, in order: how many rows are done, and whether one of the
        last few has colour."""
        workers = os.cpu_count() or 1
        under_way: deque[tuple[int, Future[bool]]] = deque()
        row = 0
        with ThreadPoolExecutor(workers) as pool:
            for blobs in self.batches():
                for start in range(0, len(blobs), _SHARE):
                    share = blobs[start : start + _SHARE]
                    under_way.append((row + len(share), pool.submit(self._fill, pixels, row, share)))
                    row += len(share)
                    if len(under_way) > _AHEAD * workers:
                        ready, done = under_way.popleft()
                        yield ready, done.result()
            for ready, done in under_way:
                yield ready, done.result()

    def _fill(self, pixels: np.ndarray, start: int, blobs: list[bytes]) -> bool:
        """Decodes some images to their rows; returns whether one of them has colour."""
        coloured = False
        for row, blob in enumerate(blobs, start=start):
            image = _decode(blob, self.size, f"{self.where}, row {row}")
            if image.shape[:2] != pixels.shape[1:3]:
                raise DataError(
                    f"load_split: images of {self.where} must have one size, got {image.shape[0]}x{image.shape[1]} in "
                    f"row {row} after {pixels.shape[1]}x{pixels.shape[2]} in row 0. Give a size, e.g. ?size=224."
                )
            coloured |= image.shape[2] == 3
            pixels[row] = image
        return coloured


def _decode(blob: bytes, size: int | None, where: str) -> np.ndarray:
    """One image as uint8 (height, width, 1 or 3)."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError("load_split: images need Pillow. Run: pip install 'darkprobe[data]'") from error
    try:
        with Image.open(io.BytesIO(blob)) as image:
            if image.mode in _DEEP:
                raise DataError(
                    f"load_split: images must have 8 bits a channel, got mode {image.mode} ({where}). "
                    "Convert the files first."
                )
            mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
            converted = image if image.mode == mode else image.convert(mode)
            pixels = np.asarray(_fit(converted, size))
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"load_split: image must be readable, got {len(blob)} bytes that are not ({where}: {error}). "
            "Fetch the file again or remove the row."
        ) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _fit(image: "Image.Image", size: int | None) -> "Image.Image":
    """Shorter side scaled to `size`, centre crop of size x size."""
    if size is None or image.size == (size, size):
        return image
    from PIL import Image

    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + size, top + size))


def content_ids(blobs: Iterable[bytes], labels: IntArray) -> IntArray:
    """An id for each example from its bytes, (example,), int64, distinct.

    The id is the first 8 bytes of SHA-256. Copies of one example are numbered by label and then by row, so that the set
    of ids, and which label each has, do not depend on the order of rows.

    Args:
        blobs: bytes of each example.
        labels: (example,), integer.
    """
    digests = [hashlib.sha256(blob).digest() for blob in blobs]
    ids = np.array([_id(digest) for digest in digests], dtype=np.int64)
    values, counts = np.unique(ids, return_counts=True)
    for value in values[counts > 1]:
        rows = np.flatnonzero(ids == value)
        rows = rows[np.argsort(labels[rows], kind="stable")]
        for copy, row in enumerate(rows[1:], start=1):
            ids[row] = _id(hashlib.sha256(digests[row] + copy.to_bytes(8, "little")).digest())
    return ids


def _id(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little", signed=True)
