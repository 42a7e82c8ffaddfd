"""Decoded images, kept once as memory-mapped arrays, so that a data set is decoded on first use only.

The folder is `$DARKPROBE_CACHE`, else `$XDG_CACHE_HOME/darkprobe`, else `~/.cache/darkprobe`. Arrays are written beside
their final name and renamed: a reader sees a whole array or none. Images are decoded by one process at a time, and one
that comes later waits for it.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np

from darkprobe.data.growing import Growing
from darkprobe.files import content_hash, replacing

Allocate: TypeAlias = Callable[[tuple[int, ...]], np.ndarray]
"""Shape to an empty uint8 array, in memory or in a file."""

Offer: TypeAlias = Callable[[np.ndarray | None, int], None]
"""Told the array, once its shape is sure, and how many of its first rows are decoded."""

_POLL_SECONDS = 0.05


def cache_folder() -> Path:
    """Where decoded data are kept; the folder need not exist yet."""
    chosen = os.environ.get("DARKPROBE_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "darkprobe"


def cached_array(key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array that `make` returns, read-only and memory-mapped; made and written only when it is not there yet.

    Where the cache cannot be written (full disk, read-only home), the array is returned as it is.

    Args:
        key: file name without suffix; must name everything that decides the content.
        make: makes the array.
    """
    path = cache_folder() / f"{key}.npy"
    if not path.exists():
        array = make()
        try:
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.save(file, array)
        except OSError:  # a cache is a convenience: the data are here
            array.setflags(write=False)
            return array
    return _open(path)


def growing_pixels(key: str, rows: int, decode: Callable[[Allocate, Offer], np.ndarray]) -> np.ndarray | Growing:
    """Decoded images: from the cache, or while a thread decodes them into the file of the cache.

    The file gets its name when it is complete. Where the cache cannot be written, images are decoded into memory.

    Args:
        key: file name without suffix; must name everything that decides the content.
        rows: number of images.
        decode: allocates the array with the function it is given, fills it and returns it, or returns another.
    """
    path = cache_folder() / f"{key}.npy"
    if path.exists():
        return _open(path)
    growing = Growing(rows)

    def work() -> None:
        try:
            growing.complete(_decoded(path, decode, growing.offer))
        except BaseException as error:  # whatever it is, it is raised where rows are waited for
            growing.fail(error)

    threading.Thread(target=work, name=f"decode {key}").start()
    return growing


def _decoded(path: Path, decode: Callable[[Allocate, Offer], np.ndarray], offer: Offer) -> np.ndarray:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _turn(path):
            if not path.exists():  # the one before us may have made it
                for left in path.parent.glob(f".{path.name}.*.tmp"):
                    left.unlink(missing_ok=True)  # by a decoder that was killed
                with replacing(path) as temporary:
                    _decode_into(temporary, decode, offer)
            return _open(path)
    except InterruptedError:
        raise
    except OSError:  # a cache is a convenience
        array = decode(lambda shape: np.empty(shape, dtype=np.uint8), offer)
        array.setflags(write=False)
        return array


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Waits until no other process decodes into `path`; the lock of a killed one is free."""
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not threading.main_thread().is_alive():
                    raise InterruptedError("the program ended while it waited for decoded images") from None
                time.sleep(_POLL_SECONDS)
            except OSError:  # a file system without locks: both decode, to the same bytes
                break
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _decode_into(path: Path, decode: Callable[[Allocate, Offer], np.ndarray], offer: Offer) -> None:
    def allocate(shape: tuple[int, ...]) -> np.ndarray:
        mapped: np.ndarray = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a crash when a mapped page is written
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return mapped

    array = decode(allocate, offer)
    if not isinstance(array, np.memmap):
        with path.open("wb") as file:
            np.save(file, array)


def files_key(kind: str, paths: Sequence[Path], *choices: object) -> str:
    """Name for what is read from files: their paths, sizes and times of change, and the reader's choices."""
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return f"{kind}-{content_hash([stats, [str(choice) for choice in choices]])[:24]}"


def _open(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
