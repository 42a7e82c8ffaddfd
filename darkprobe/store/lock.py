"""Who may write a part file: an operating-system lock, which a killed holder cannot leave behind, and who holds it."""

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from darkprobe.errors import StoreError


@contextmanager
def holding(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Holds the lock file `path` for the time of the block and removes it afterwards.

    Args:
        path: the lock file; it stays behind when its holder is killed, unlocked, and does no harm.
        shared: several holders at once, none of them alone (ranks of one run).

    Raises:
        StoreError: another process (or another part of this one) holds it; the message says which.
    """
    descriptor = _acquire(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        note = {"pid": os.getpid(), "host": platform.node()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
        yield
    finally:
        if not shared:  # the last of several holders cannot be told; their lock file is removed on finishing
            with suppress(OSError):  # the right to remove it was lost: it may stay behind and does no harm
                path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, kind: int) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            file = path.name.removeprefix(".").removesuffix(".lock")
            raise StoreError(
                f"{file} is being written by {holder}. Wait for it, or stop it; what it has done is kept."
            ) from None
        if _is_current(descriptor, path):
            return descriptor
        os.close(descriptor)  # the holder before us removed this file: take the lock on the new one


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {int(note['pid'])} on {note['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
