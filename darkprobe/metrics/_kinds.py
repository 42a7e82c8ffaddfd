"""NumPy or torch in, the same kind out: metrics compute on tensors, and arrays are viewed as tensors without a copy."""

import warnings
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from darkprobe.types import Array


class LogitRows(Protocol):
    """(example, cls) logits of which only slices are looked at: a tensor, or what reads them from a file."""

    @property
    def shape(self) -> "torch.Size | tuple[int, int]":
        """(example, cls)."""

    @property
    def device(self) -> torch.device:
        """Where the slices lie."""

    def __len__(self) -> int:
        """Number of examples."""

    def __getitem__(self, rows: slice) -> Tensor:
        """(row, cls) logits."""


def as_tensor(array: Array) -> Tensor:
    """The array as a tensor on the same memory; half precision and integers of other widths are widened."""
    if isinstance(array, Tensor):
        return array.detach()
    native = np.asarray(array)
    if not native.dtype.isnative or any(stride < 0 for stride in native.strides):
        native = np.ascontiguousarray(native, dtype=native.dtype.newbyteorder("="))
    if native.dtype.kind in "iu" and native.dtype != np.int64:
        native = native.astype(np.int64)
    with warnings.catch_warnings():  # metrics never write to what they are given, so read-only memory maps are fine
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(native)


def as_label_tensor(labels: Array, logits: Tensor) -> Tensor:
    """Labels as int64 on the device of the logits."""
    return as_tensor(labels).to(device=logits.device, dtype=torch.int64)


def in_kind_of(result: Tensor, like: Array) -> Array:
    """The result as a NumPy array where `like` is one, else as the tensor it is."""
    return result.numpy() if isinstance(like, np.ndarray) else result


def rows_per_block(logits: LogitRows) -> int:
    """How many rows to take at a time: measured on processors, where fewer pay for each call and more leave the caches;
    many on an accelerator."""
    elements = 2**19 if logits.device.type == "cpu" else 2**26
    return max(1, elements // max(1, logits.shape[-1]))
