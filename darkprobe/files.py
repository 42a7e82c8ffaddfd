"""Writing files so that a reader sees the old content or the new, never half of one; and content addresses."""

import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darkprobe.errors import DataError

_DIGITS = 300  # a float holds 308


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it is flushed to disk and renamed over `path`.

    On an exception the temporary file is removed and `path` is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path | str, text: str) -> None:
    """Writes `text` as UTF-8 through a rename."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any, *, indent: int | None = 2) -> None:
    """Writes `value` as strict JSON (no NaN) through a rename."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False, sort_keys=False) + "\n")


def strict_json(text: str) -> Any:
    """What JSON text says; raises ValueError on a number that no float holds (NaN, 1e999, 400 digits), and on half a
    surrogate pair, which no file can hold.
    """
    found = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    if re.search(r"\\u[dD][89a-fA-F]", text):
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits is too large")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def read_json(path: Path | str, *, who: str) -> dict[str, Any]:
    """The JSON object in a file; `who` complains where it is none.

    Raises:
        DataError: the file cannot be read, is not JSON, or holds something else than an object.
    """
    try:
        found = strict_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{who}: {path} must be JSON, got something else ({error}). Restore the file, or remove it and run the "
            "command that wrote it again."
        ) from error
    if not isinstance(found, dict):
        raise DataError(
            f"{who}: {path} must hold a JSON object, got {type(found).__name__}. Restore the file, or remove it and "
            "run the command that wrote it again."
        )
    return found


def content_hash(value: Any) -> str:
    """SHA-256, in hex, of the canonical JSON of `value`: equal values give equal names on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_file(path: Path | str) -> str:
    """SHA-256, in hex, of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
