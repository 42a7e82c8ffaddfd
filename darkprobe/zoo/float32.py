"""float32 that means float32: on a GPU convolutions run in TF32 by default, with 10 bits of fraction instead of 23."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """The block computes float32 convolutions and products in float32; the caller's choice is given back after it.

    The choice is one for the whole process: other threads compute so too meanwhile.
    """
    cudnn: Any = torch.backends.cudnn  # not all of it is annotated
    with ExitStack() as at_end:
        if hasattr(cudnn, "conv"):  # newer versions refuse to read the old switches once a new one was set
            for part in (cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul):
                at_end.callback(setattr, part, "fp32_precision", part.fp32_precision)
                part.fp32_precision = "ieee"
        else:
            at_end.callback(setattr, cudnn, "allow_tf32", cudnn.allow_tf32)
            at_end.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            cudnn.allow_tf32 = False
            torch.set_float32_matmul_precision("highest")
        yield
