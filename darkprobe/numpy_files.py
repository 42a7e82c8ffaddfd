"""Checks of .npy and .npz files from outside: a header is not believed before memory is taken for what it declares."""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np

_MAX_HEADER = 1 << 16
_MAX_RATIO = 1100
"""Above what deflate can reach (1032:1) a member of an archive cannot be honest."""


def check_npy(path: Path | str) -> None:
    """Returns when the header of an .npy file can be read.

    Raises:
        Exception: of whatever kind NumPy's parser raises on what it finds; callers say it in their own words.
    """
    with Path(path).open("rb") as file:
        _declared(file)


def check_npz(path: Path | str) -> None:
    """Returns when every member of an archive holds just the bytes that its header declares, and no Python objects.

    Raises:
        ValueError: a member holds something else.
        Exception: of whatever kind the parsers of zip and NumPy raise; callers say it in their own words.
    """
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                dtype, declared = _declared(file)
            inflated = member.file_size > _MAX_RATIO * max(member.compress_size, 1)
            if dtype.hasobject or declared != member.file_size or inflated:
                raise ValueError(
                    f"member {member.filename!r} holds Python objects or not the {declared} bytes that its header "
                    "declares. Write it again with numpy.savez."
                )


def _declared(file: IO[bytes]) -> tuple["np.dtype[np.generic]", int]:
    """Type of an .npy file's values and the bytes it should have in all, found without trusting its header's length."""
    start = file.read(12)
    file.seek(0)
    version = np.lib.format.read_magic(file)
    length = int.from_bytes(start[8:10] if version == (1, 0) else start[8:12], "little")
    if length > _MAX_HEADER or version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"version {version} and a header of {length} bytes")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return dtype, file.tell() + dtype.itemsize * int(np.prod(shape, dtype=object))
