"""float32 that means float32: on a GPU convolutions run in TF32 by default, with 10 bits of fraction instead of 23."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """The block computes float32 convolutions and products in float32; the caller's choice is given back after it.

    The choice is one for the whole process: other threads compute so too meanwhile.
    """
    backends: Any = torch.backends  # not all of it is annotated
    exact: Any
    if hasattr(backends.cudnn, "conv"):  # newer versions refuse to read the old switches once a new one was set
        parts, name, exact = [backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul], "fp32_precision", "ieee"
    else:
        parts, name, exact = [backends.cudnn, backends.cuda.matmul], "allow_tf32", False
    before = [getattr(part, name) for part in parts]
    for part in parts:
        setattr(part, name, exact)
    try:
        yield
    finally:
        for part, value in zip(parts, before, strict=True):
            setattr(part, name, value)
