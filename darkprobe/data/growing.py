"""`Growing`: images of which a thread still decodes the later ones. Who reads a row waits for that row alone.

So the first forward passes run while the rest is being decoded. It is read like an array: shape, dtype, length, and
rows by number, slice or index array; everything else wants `whole`.
"""

import math
import mmap
import os
import threading
from collections.abc import Iterator

import numpy as np

from darkprobe.data.progress import tracked
from darkprobe.errors import DataError

_HELD_BYTES = 1 << 26


class Growing:
    """Images (example, height, width, channel), uint8, filled in row order by another thread.

    Args:
        rows: how many there will be.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, rows: int) -> None:
        self._rows, self._ready, self._held = rows, 0, 0
        self._pixels: np.ndarray | None = None
        self._whole: np.ndarray | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._process = os.getpid()

    # What the decoding thread calls.

    def offer(self, pixels: np.ndarray | None, ready: int) -> None:
        """Says that the first `ready` rows are decoded; `pixels` stays None while their shape may still change.

        Raises:
            InterruptedError: the program has ended and nobody waits any more.
        """
        if not threading.main_thread().is_alive():
            raise InterruptedError("the program ended while it decoded images")
        with self._changed:
            if pixels is not None:
                self._pixels = pixels.view()
                self._pixels.setflags(write=False)
                self._release(math.prod(pixels.shape[1:]) * (ready - self._ready))
            self._ready = ready
            self._changed.notify_all()

    def complete(self, pixels: np.ndarray) -> None:
        """Hands over the whole array."""
        with self._changed:
            self._pixels = self._whole = pixels
            self._ready = self._rows
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Hands over what stopped the decoding; every reader gets it."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _release(self, fresh: int) -> None:
        """Lets go of written pages now and then; they stay in the system's cache, and memory stays flat."""
        self._held += fresh
        if self._held > _HELD_BYTES:
            release_pages(self)
            self._held = 0

    # What a reader calls.

    @property
    def shape(self) -> tuple[int, ...]:
        """(example, height, width, channel); waits for the first rows, or for all while every image is grey."""
        return tuple(self._wait(0).shape)

    @property
    def is_whole(self) -> bool:
        """Whether every row is there."""
        return self._whole is not None

    @property
    def _mmap(self) -> mmap.mmap | None:
        return getattr(self._pixels, "_mmap", None)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, rows: int | slice | list[int] | np.ndarray) -> np.ndarray:
        chosen: np.ndarray = self._wait(_last(rows, self._rows))[rows]
        return chosen

    def __array__(self, dtype: np.dtype | None = None, *, copy: bool | None = None) -> np.ndarray:
        return np.array(self.whole(), dtype=dtype, copy=copy if copy else None)

    def whole(self, what: str = "") -> np.ndarray:
        """All rows, once they are decoded.

        Args:
            what: a few words before a progress bar; none without them.

        Raises:
            DataError: an image cannot be decoded.
        """
        steps = self._steps()
        for _ in tracked(steps, total=self._rows, what=what, rows=int) if what else steps:
            pass
        assert self._whole is not None  # or an error was raised
        return self._whole

    def _steps(self) -> Iterator[int]:
        """The number of rows decoded since the last time, until the array is whole."""
        seen = 0
        while not self.is_whole:
            ready = self._more_than(seen)
            yield ready - seen
            seen = ready

    def _more_than(self, seen: int) -> int:
        """How many rows are decoded, once these are more than `seen`, or all of them are where they belong."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_whole or self._error is not None or self._ready > seen)
            self._check()
            return self._ready

    def _wait(self, ready: int) -> np.ndarray:
        """The array, once so many rows are in it."""
        if os.getpid() != self._process and not self.is_whole:
            raise DataError("load_split: images are still being decoded by another process. Load with wait=True.")
        with self._changed:
            self._changed.wait_for(
                lambda: self._error is not None or (self._pixels is not None and self._ready >= ready)
            )
            self._check()
            assert self._pixels is not None
            return self._pixels

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


def release_pages(inputs: object) -> None:
    """Lets go of pages of a memory-mapped array that were read or written; they stay in the system's cache."""
    mapped = getattr(inputs, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)


def _last(rows: int | slice | list[int] | np.ndarray, n: int) -> int:
    """How many rows must be there to read the chosen ones."""
    if isinstance(rows, slice):
        chosen = range(*rows.indices(n))
        return max(chosen, default=-1) + 1
    index = np.asarray(rows)
    index = np.flatnonzero(index) if index.dtype == bool else index
    return int(np.where(index < 0, index + n, index).max(initial=-1)) + 1
