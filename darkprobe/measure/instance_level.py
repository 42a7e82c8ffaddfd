"""Pairwise metrics example by example: all pairs of models in one pass, with floors, ceiling and consistency."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from darkprobe.measure.intervals import LEVEL, t_interval, wilson_interval
from darkprobe.measure.moments import JointMoments, Moments, all_true
from darkprobe.measure.plan import Value
from darkprobe.measure.records import Group
from darkprobe.measure.sparse import sparse_block
from darkprobe.measure.twins import pairs_of, scaled_pairs
from darkprobe.metrics import BUILT_IN, Metric, affinity_matrix, permuted_wrong_classes, shuffled_within_class
from darkprobe.metrics._kinds import as_tensor, rows_per_block
from darkprobe.types import Subset

Quantity = tuple[Metric, float | None]
PairValue = tuple[int, str, str, Value]
"""Index of the pair, suffix of the metric's name, subset, number."""


@dataclass
class PairPartial:
    """What the pass leaves of one quantity: moments of every pair, floors, and how they vary together."""

    moments: dict[Subset, Moments]
    within_class: Moments
    joint: JointMoments


def instance_values(
    group: Group, quantities: Sequence[Quantity], subsets: Sequence[Subset], *, seed: int
) -> Iterator[tuple[Quantity, PairValue]]:
    """Numbers of every pair and quantity; for rank correlations also their floors, ceiling and consistency."""
    pairs = len(pairs_of(len(group.records))[0])
    partials = [
        PairPartial(
            {subset: Moments.empty(pairs) for subset in subsets}, Moments.empty(pairs), JointMoments.empty(2 * pairs)
        )
        for _ in quantities
    ]
    shuffles = [np.asarray(shuffled_within_class(group.labels, seed=seed + m)) for m in range(len(group.records))]
    for rows in _blocks(group):
        _add_block(group, quantities, partials, rows=rows, shuffles=shuffles, seed=seed)
    for quantity, partial in zip(quantities, partials, strict=True):
        yield from ((quantity, value) for value in _pair_values(group, quantity[0], partial))


def class_pair_values(group: Group, quantities: Sequence[Quantity]) -> Iterator[tuple[Tensor, Tensor]]:
    """Block by block the (quantity x pair, example) values of all pairs, and the labels of the examples."""
    for rows in _blocks(group):
        stack = _stack(group, [rows] * len(group.records))
        labels = torch.from_numpy(group.labels[rows]).to(stack.device)
        yield torch.cat([_values_of_pairs(stack, labels, quantity) for quantity in quantities]), labels


def _blocks(group: Group) -> Iterator[slice]:
    """Rows of all models that are held at once: as many as one model alone would have."""
    if not len(group):
        return
    size = max(1, rows_per_block(_scores(group, 0, slice(0, 1))) // len(group.records))
    for start in range(0, len(group), size):
        yield slice(start, start + size)


def _add_block(
    group: Group,
    quantities: Sequence[Quantity],
    partials: list[PairPartial],
    *,
    rows: slice,
    shuffles: list[np.ndarray],
    seed: int,
) -> None:
    stack = _stack(group, [rows] * len(group.records))
    labels = torch.from_numpy(group.labels[rows]).to(stack.device)
    permuted = torch.stack(
        [
            as_tensor(permuted_wrong_classes(values, labels, seed=(seed + 1) * 7919 + rows.start * 31 + model))
            for model, values in enumerate(stack)
        ]
    )
    shuffled = _stack(group, [positions[rows] for positions in shuffles])
    masks = _masks(stack, labels)
    for quantity, partial in zip(quantities, partials, strict=True):
        values = _values_of_pairs(stack, labels, quantity)
        for subset, moments in partial.moments.items():
            mask = masks[subset]
            partial.moments[subset] = moments.merge(Moments.of(values if mask is None else values[:, mask]))
        if quantity[0].affinity is not None:
            floor = _values_of_pairs(permuted, labels, quantity)
            partial.joint = partial.joint.merge(JointMoments.of(torch.cat([values, floor])))
            within = Moments.of(_values_of_pairs(shuffled, labels, quantity))
            partial.within_class = partial.within_class.merge(within)


def _stack(group: Group, rows: "Sequence[slice | np.ndarray]") -> Tensor:
    chosen = [_scores(group, model, own) for model, own in enumerate(rows)]
    kind = torch.float64 if any(values.dtype == torch.float64 for values in chosen) else torch.float32
    return torch.stack([values.to(kind) for values in chosen])


def _scores(group: Group, model: int, rows: slice | np.ndarray) -> Tensor:
    """(example, cls) logits; of a sparse record, of which no more was asked, numbers in the order of the largest."""
    return sparse_block(group, model, rows).ranks if group.is_sparse(model) else as_tensor(group.logits(model, rows))


def _masks(stack: Tensor, labels: Tensor) -> dict[Subset, Tensor | None]:
    target = stack.gather(-1, labels.expand(stack.shape[:-1]).unsqueeze(-1))
    right = ((stack >= target).sum(-1) == 1).unbind(0)  # only the target itself is as large
    return {"all": None, "common": all_true(list(right))}


def _values_of_pairs(stack: Tensor, labels: Tensor, quantity: Quantity) -> Tensor:
    metric, temperature = quantity[0], 1.0 if quantity[1] is None else quantity[1]
    first, second = pairs_of(len(stack))
    if metric.affinity is not None:
        matrix = as_tensor(affinity_matrix(stack, labels, method=metric.affinity, temperature=temperature))
        own, other = (torch.from_numpy(side).to(matrix.device) for side in (first, second))
        return matrix[own, other]
    if metric in BUILT_IN:
        return torch.stack(
            [
                as_tensor(metric.function(stack[i], stack[j], labels, temperature=temperature))
                for i, j in zip(first, second, strict=True)
            ]
        )
    arrays, index = stack.cpu().numpy(), labels.cpu().numpy()  # a user's function takes arrays
    values = [
        metric.function(arrays[i], arrays[j], index, temperature=temperature)
        for i, j in zip(first, second, strict=True)
    ]
    return torch.from_numpy(np.asarray(values, dtype=np.float64)).to(stack.device)


def _pair_values(group: Group, metric: Metric, partial: PairPartial) -> Iterator[PairValue]:
    for subset, moments in partial.moments.items():
        if subset == "all" or metric.any_subset:
            yield from _mean_values(metric, moments, suffix="", subset=subset)
    if metric.affinity is None:
        return
    joint, pairs = partial.joint, len(partial.joint.mean) // 2
    error = np.sqrt(np.diag(joint.products))
    floors = Moments(np.full(pairs, joint.count), joint.mean[pairs:], error[pairs:] ** 2)
    yield from _mean_values(metric, floors, suffix="_floor_permuted", subset="all")
    yield from _mean_values(metric, partial.within_class, suffix="_floor_within_class", subset="all")
    correlations, permuted = joint.mean[:pairs], joint.mean[pairs:]
    covariance = joint.covariance_of_means()
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    for scaled in scaled_pairs(group):
        gradient = scaled.gradient(correlations, permuted)
        half = z * float(np.sqrt(gradient @ covariance @ gradient))
        value = float(scaled.consistency(correlations, permuted))
        found = Value(value=value, low=value - half, high=value + half, n=joint.count)
        yield scaled.pair, "_consistency", "all", found
        slope = scaled.ceiling_gradient(correlations)
        value = float(scaled.ceiling(correlations))
        half = z * float(np.sqrt(slope @ covariance[:pairs, :pairs] @ slope))
        yield scaled.pair, "_ceiling", "all", Value(value=value, low=value - half, high=value + half, n=joint.count)


def _mean_values(metric: Metric, moments: Moments, *, suffix: str, subset: str) -> Iterator[PairValue]:
    mean, count = moments.mean_or_nan(), moments.count
    low, high = t_interval(mean, moments.standard_error(), count)
    if metric.binary:
        low, high = wilson_interval(np.clip(mean, 0, 1), count)
    for pair in range(len(mean)):
        yield pair, suffix, subset, Value(value=mean[pair], low=low[pair], high=high[pair], n=count[pair])
