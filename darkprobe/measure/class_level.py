"""Class-level affinity of all pairs of models: means by class first, then rank correlation, with a bootstrap."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from darkprobe.measure.instance_level import PairValue
from darkprobe.measure.intervals import spread_interval
from darkprobe.measure.plan import Value
from darkprobe.measure.records import Group
from darkprobe.measure.twins import pairs_of, scaled_pairs
from darkprobe.metrics import permuted_wrong_classes
from darkprobe.metrics._kinds import as_tensor
from darkprobe.metrics.affinity import features_of
from darkprobe.metrics.rank_features import cosine_matrix
from darkprobe.metrics.wrong_classes import wrong_class_values
from darkprobe.types import Subset


def class_level_values(
    group: Group, *, temperature: float, subset: Subset, resamples: int, seed: int
) -> Iterator[PairValue]:
    """Mean over classes of the rank correlation of mean soft labels, its floor, ceiling and consistency.

    The first of the resamples is the sample itself. Examples are drawn inside each class, the same for every model.
    """
    found = _resampled_correlations(group, temperature=temperature, subset=subset, resamples=resamples, seed=seed)
    correlations, floors, n = found
    for pair in range(correlations.shape[1]):
        yield pair, "", subset, _value(correlations[:, pair], n, bounds=(-1, 1))
        if subset == "all":
            yield pair, "_floor_permuted", subset, _value(floors[:, pair], n, bounds=(-1, 1))
    if subset != "all":
        return
    for scaled in scaled_pairs(group):
        unbounded = (-np.inf, np.inf)
        values = scaled.consistency(correlations, floors)
        yield scaled.pair, "_consistency", subset, _value(values, n, bounds=unbounded)
        yield scaled.pair, "_ceiling", subset, _value(scaled.ceiling(correlations), n, bounds=(0, 1))


def _value(resampled: np.ndarray, n: int, *, bounds: tuple[float, float]) -> Value:
    value = float(resampled[0])
    low, high = spread_interval(value, resampled[1:], bounds)
    return Value(value=value, low=low, high=high, n=n)


def _resampled_correlations(
    group: Group, *, temperature: float, subset: Subset, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """(1 + resample, pair) correlations and floors, means over classes with examples, and how many examples."""
    first, second = pairs_of(len(group.records))
    sums = np.zeros((2, 1 + resamples, len(first)))
    filled = np.zeros_like(sums)
    n = 0
    for own in range(group.classes):
        stack = _logits_of_class(group, own, subset)
        if stack.shape[1] == 0:
            continue
        n += stack.shape[1]
        weights = _weights(stack.shape[1], resamples, seed=[seed, own]).to(stack.device)
        labels = torch.full((stack.shape[1],), own, device=stack.device)
        permuted = torch.stack(
            [as_tensor(permuted_wrong_classes(v, labels, seed=seed + 1 + own * 101 + m)) for m, v in enumerate(stack)]
        )
        for kind, values in enumerate((stack, permuted)):
            matrix = _correlations(values, own, weights, temperature=temperature)[:, first, second]
            sums[kind] += np.nan_to_num(matrix)
            filled[kind] += ~np.isnan(matrix)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / filled
    return means[0], means[1], n


def _logits_of_class(group: Group, own: int, subset: Subset) -> Tensor:
    """(model, example, cls) logits of the examples of one class."""
    rows = np.flatnonzero(group.labels == own)
    stack = torch.stack([as_tensor(group.logits(model, rows)).double() for model in range(len(group.records))])
    if subset == "common":
        right = ((stack >= stack[..., own : own + 1]).sum(-1) == 1).all(0)
        stack = stack[:, right]
    return stack


def _weights(examples: int, resamples: int, *, seed: list[int]) -> Tensor:
    """(1 + resample, example): ones, then how often each example was drawn."""
    drawn = np.random.default_rng(seed).multinomial(examples, np.full(examples, 1 / examples), size=resamples)
    return torch.from_numpy(np.concatenate([np.ones((1, examples)), drawn]))


def _correlations(stack: Tensor, own: int, weights: Tensor, *, temperature: float) -> np.ndarray:
    """(1 + resample, model, model) rank correlations of the mean soft labels of one class."""
    means = weights @ torch.softmax(stack / temperature, dim=-1) / stack.shape[1]  # (model, 1 + resample, cls)
    labels = torch.full(means.shape[:-1], own, device=means.device)
    ranks = features_of("spearman")(wrong_class_values(means, labels))
    return np.asarray(cosine_matrix(ranks.transpose(0, 1).contiguous()).cpu())
