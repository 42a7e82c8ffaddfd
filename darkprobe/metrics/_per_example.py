"""The door of the per-example metrics: checks, blocks of rows, and the answer in the caller's kind of array."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from darkprobe.blocks import map_blocks
from darkprobe.checks import check_labels, check_logits, check_positive
from darkprobe.metrics._kinds import as_label_tensor, as_tensor, in_kind_of, rows_per_block
from darkprobe.metrics.soft_label_statistics import SoftLabelBlock, SoftLabelStatistics
from darkprobe.types import Labels, Logits, PerExample

Result = TypeVar("Result")
Reader = Callable[[SoftLabelStatistics], Tensor]
"""Reads one value per example off the statistics of a block."""


def map_soft_label_blocks(function: Callable[[SoftLabelBlock], Result], logits: Tensor, labels: Tensor) -> list[Result]:
    """`function` of blocks of rows of (example, cls) logits, small enough to work on in cache, in order."""
    size = rows_per_block(logits)
    starts = range(0, len(logits), size)
    return map_blocks(lambda at: function(SoftLabelBlock(logits[at : at + size], labels[at : at + size])), starts)


def checked_rows(function: str, logits: Logits, labels: Labels) -> tuple[Tensor, Tensor]:
    """Logits as (row, cls) and labels as (row), after checking them; labels may lack leading axes and are repeated."""
    check_logits(function, logits, ndim=None)
    shape = tuple(logits.shape[:-1])
    shared = shape[len(shape) - labels.ndim :] if 0 < getattr(labels, "ndim", 0) <= len(shape) else shape
    check_labels(function, labels, shared, logits.shape[-1])
    values = as_tensor(logits)
    index = as_label_tensor(labels, values).expand(shape)
    return values.reshape(-1, values.shape[-1]), index.reshape(-1)


def per_example(
    function: str, logits: Logits, labels: Labels, *, temperature: float = 1.0, read: Reader | None = None
) -> PerExample:
    """One value per example, (..., example), float64.

    Args:
        function: name of the caller for messages, and of the property that is read when `read` is None.
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.
        read: what to take from the statistics of a block.
    """
    check_positive(function, "temperature", temperature)
    values, index = checked_rows(function, logits, labels)
    take = read or property_reader(function)
    found = map_soft_label_blocks(lambda block: take(block.at(temperature)), values, index)
    result = torch.cat(found) if found else torch.empty(0, dtype=torch.float64, device=values.device)
    return in_kind_of(result.reshape(tuple(logits.shape[:-1])), logits)


def property_reader(name: str) -> Reader:
    """The function that reads the property `name` of `SoftLabelStatistics`."""

    def read(statistics: SoftLabelStatistics) -> Tensor:
        value: Tensor = getattr(statistics, name)
        return value

    return read
