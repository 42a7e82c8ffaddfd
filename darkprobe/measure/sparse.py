"""Records of which only the largest logits are known: which quantities they give, and their blocks of sums."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from darkprobe.errors import InvalidValueError
from darkprobe.measure.records import Group
from darkprobe.metrics import Metric
from darkprobe.metrics.sparse_block import SparseLabelBlock

ROWS = 4096
"""Rows of a block of sparse sums."""


def says(group: Group, model: int, metric: Metric, temperature: float | None) -> bool:
    """Whether a record gives a metric exactly at a temperature; a dense one gives all."""
    if not group.is_sparse(model):
        return True
    from darkprobe.store.sparse import is_exact  # only a sparse record needs the store

    declared, k = facts(group.records[model])
    return is_exact(metric.name, temperature=temperature or 1.0, declared=declared, k=k)


def declares(group: Group, model: int, temperature: float) -> bool:
    """Whether sums over all classes are known at a temperature."""
    return not group.is_sparse(model) or temperature in facts(group.records[model])[0]


def facts(record: Any) -> tuple[tuple[float, ...], int]:
    """The declared temperatures of a sparse record, and how many classes it keeps."""
    return tuple(map(float, record.array("tail_temperatures"))), int(record.array("topk_logits").shape[-1])


def check_asked(
    group: Group, metrics: Sequence[Metric], temperatures: Sequence[float], *, function: str = "measure"
) -> None:
    """Refuses a metric that was asked for by name where a sparse record cannot give it at any temperature.

    Raises:
        InvalidValueError: the message names the model, the metric and what it needs.
    """
    for model, record in enumerate(group.records):
        for metric in metrics:
            if not any(says(group, model, metric, temperature) for temperature in temperatures):
                from darkprobe.store.sparse import why_not

                declared, k = facts(record)
                raise InvalidValueError(
                    f"{function}: {metric.name} is not known from the sparse logits of {record.card.model_id!r}: "
                    f"{why_not(metric.name, declared=declared, k=k)}. Ask for another, or extract again."
                )


def known_of_pairs(
    group: Group, quantities: Sequence[tuple[Metric, float | None]]
) -> list[tuple[Metric, float | None]]:
    """Those of the quantities of pairs that every record of the group gives exactly."""
    models = range(len(group.records))
    return [(metric, at) for metric, at in quantities if all(says(group, model, metric, at) for model in models)]


def sparse_block(group: Group, model: int, rows: slice | np.ndarray) -> SparseLabelBlock:
    """The sums of some rows of a sparse record."""
    record, order = cast(Any, group.records[model]), group.order[model]
    chosen: Any = rows if order is None else order[rows]

    def read(name: str) -> torch.Tensor:
        return torch.from_numpy(np.array(record.array(name)[chosen]))

    return SparseLabelBlock(
        read("topk_logits"),
        torch.from_numpy(np.asarray(record.array("topk_indices")[chosen], np.int64)),
        read("tail_lse"),
        temperatures=facts(record)[0],
        label_logits=read("label_logits"),
        labels=torch.from_numpy(group.labels[rows]),
        classes=group.classes,
    )
