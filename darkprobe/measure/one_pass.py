"""The one pass over the logits of a group of models: block by block, all models side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from darkprobe.blocks import map_blocks
from darkprobe.errors import InvalidValueError
from darkprobe.measure.moments import Moments, all_true
from darkprobe.measure.plan import Partial, Plan
from darkprobe.measure.records import Group
from darkprobe.measure.sparse import ROWS, declares, says, sparse_block
from darkprobe.metrics import Metric
from darkprobe.metrics._kinds import as_tensor, rows_per_block
from darkprobe.metrics.soft_label_statistics import SoftLabelBlock

BLOCKS_PER_SPAN = 8
"""Blocks that one thread takes in a row; their moments are merged before they leave it."""


def one_pass(group: Group, plan: Plan) -> list[Partial]:
    """Moments of every per-example metric by subset, and what dataset metrics keep, for each model."""
    if not len(group):
        return [_empty(group, plan, model) for model in range(len(group.records))]
    # Columns are filled in place: many small results that outlive their blocks would hold memory between them.
    partials = [_empty(group, plan, model) for model in range(len(group.records))]
    size = min(_block_rows(group, model) for model in range(len(group.records)))
    blocks = [slice(start, min(start + size, len(group))) for start in range(0, len(group), size)]
    spans = [blocks[start : start + BLOCKS_PER_SPAN] for start in range(0, len(blocks), BLOCKS_PER_SPAN)]

    def measure_span(span: list[slice]) -> list[list[Moments]]:
        found = _measure_block(group, plan, partials, rows=span[0])
        for rows in span[1:]:
            more = _measure_block(group, plan, partials, rows=rows)
            found = [[a.merge(b) for a, b in zip(*pair, strict=True)] for pair in zip(found, more, strict=True)]
        return found

    own = any(metric.read is None for metric, _ in plan.quantities())  # a user's function need not stand threads
    for span in map(measure_span, spans) if own else map_blocks(measure_span, spans):
        for partial, moments in zip(partials, span, strict=True):
            for subset, more in zip(plan.subsets, moments, strict=True):
                partial.moments[subset] = partial.moments[subset].merge(more)
    return partials


def _empty(group: Group, plan: Plan, model: int) -> Partial:
    """Moments of nothing, and room for the columns; one example tells how wide they are."""
    moments = {subset: Moments.empty(len(plan.quantities())) for subset in plan.subsets}
    columns = {}
    if len(group):
        block = _block(group, model, slice(0, 1))
        for kind in plan.columns():
            read, temperature = kind
            if not declares(group, model, temperature):
                continue
            one = read(block.at(temperature))
            columns[kind] = one.new_empty((len(group), one.shape[-1]))
    return Partial(moments, columns)


def _measure_block(group: Group, plan: Plan, partials: list[Partial], *, rows: slice) -> list[list[Moments]]:
    """Moments of a block by model and subset; the columns go where they belong."""
    blocks = [_block(group, model, rows) for model in range(len(group.records))]
    right = [block.margin > 0 for block in blocks]
    common = all_true(right)
    found = []
    for model, (block, own, partial) in enumerate(zip(blocks, right, partials, strict=True)):
        masks = {"all": torch.ones_like(own), "correct": own, "common": common}
        unknown = torch.full(own.shape, torch.nan, dtype=torch.float64)
        values = [
            example_values(block, metric, temperature) if says(group, model, metric, temperature) else unknown
            for metric, temperature in plan.quantities()
        ]
        stacked = torch.stack(values) if values else torch.empty((0, len(own)), dtype=torch.float64)
        found.append(Moments.of_subsets(stacked, torch.stack([masks[subset] for subset in plan.subsets])))
        for (read, temperature), kept in partial.columns.items():
            kept[rows] = read(block.at(temperature))
    return found


@dataclass(frozen=True, kw_only=True)
class GroupRows:
    """Logits of one model of a group as `LogitRows`: each slice is read, decoded and put in order when asked for."""

    group: Group
    model: int

    @property
    def shape(self) -> tuple[int, int]:
        """(example, cls)."""
        return len(self.group), self.group.classes

    @cached_property
    def device(self) -> torch.device:
        """Where the logits lie."""
        return self[slice(0, 1)].device

    def __len__(self) -> int:
        return len(self.group)

    def __getitem__(self, rows: slice) -> Tensor:
        return as_tensor(self.group.logits(self.model, rows))


def row_slices(group: Group, model: int) -> Iterator[slice]:
    """Rows of one model in blocks, for those who read logits themselves."""
    if len(group):
        size = rows_per_block(as_tensor(group.logits(model, slice(0, 1))))
        yield from (slice(start, start + size) for start in range(0, len(group), size))


def soft_label_blocks(group: Group, model: int) -> Iterator[SoftLabelBlock]:
    """Blocks of rows of one model, one after the other."""
    size = _block_rows(group, model)
    return (_block(group, model, slice(start, start + size)) for start in range(0, len(group), size))


def blocks_side_by_side(group: Group, models: Sequence[int]) -> Iterator[tuple[SoftLabelBlock, ...]]:
    """Blocks of the same rows of several models, dense and sparse ones alike."""
    size = min(_block_rows(group, model) for model in models) if len(group) else 1
    for start in range(0, len(group), size):
        yield tuple(_block(group, model, slice(start, start + size)) for model in models)


def _block_rows(group: Group, model: int) -> int:
    """How many rows of a model make a block."""
    return ROWS if group.is_sparse(model) else rows_per_block(as_tensor(group.logits(model, slice(0, 1))))


def _block(group: Group, model: int, rows: slice) -> SoftLabelBlock:
    if group.is_sparse(model):
        return sparse_block(group, model, rows)
    logits = as_tensor(group.logits(model, rows))
    return SoftLabelBlock(logits, torch.from_numpy(group.labels[rows]).to(logits.device))


def example_values(block: SoftLabelBlock, metric: Metric, temperature: float | None) -> Tensor:
    """(example,) float64 values of a per_example metric, built in or a user's own, on a block."""
    temperature = 1.0 if temperature is None else temperature
    if metric.read is not None:
        return metric.read(block.at(temperature))
    logits, labels = block.logits, block.labels
    arrays = (logits.cpu().numpy(), labels.cpu().numpy())
    values = as_tensor(np.asarray(metric.function(*arrays, temperature=temperature), dtype=np.float64))
    if values.shape != labels.shape:
        raise InvalidValueError(
            f"measure: metric {metric.name!r} must give one value per example, shape {tuple(labels.shape)}, got "
            f"{tuple(values.shape)}. Register it as a dataset metric, or keep the example axis."
        )
    return values.to(logits.device)
