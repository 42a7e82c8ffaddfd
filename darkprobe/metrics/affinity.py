"""Instance-level class affinity: do two models put the wrong classes of the same example in the same order?

Rank measures compare wrong-class logits, so no temperature enters. Each measure is the cosine of two vectors
(`rank_features`), hence all pairs of models at once cost one Gram matrix per example.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from darkprobe.blocks import map_blocks
from darkprobe.checks import check_choice, check_labels, check_logits, check_positive
from darkprobe.errors import InvalidValueError
from darkprobe.metrics._kinds import as_label_tensor, as_tensor, in_kind_of
from darkprobe.metrics.rank_features import (
    Features,
    centred_ranks,
    centred_values,
    cosine,
    cosine_matrix,
    pair_signs,
    top_indicators,
)
from darkprobe.metrics.wrong_classes import wrong_class_values
from darkprobe.types import Array, Labels, Logits, PerExample

AffinityMethod = Literal["kendall", "spearman", "pearson", "top1", "top3", "top5", "top10"]
METHODS: tuple[AffinityMethod, ...] = ("kendall", "spearman", "pearson", "top1", "top3", "top5", "top10")


def features_of(method: str, *, temperature: float = 1.0) -> Features:
    """The function from wrong-class logits to the vectors whose cosine is `method`."""
    if method == "kendall":
        return pair_signs
    if method == "spearman":
        return centred_ranks
    if method == "pearson":
        return partial(_centred_probabilities, temperature=temperature)
    return top_indicators(int(method.removeprefix("top")))


def _centred_probabilities(wrong: Tensor, *, temperature: float) -> Tensor:
    # pt is (1 + expm1((f - max f) / T)) / Z, and a correlation asks for neither the 1 nor Z: so nothing cancels where
    # pt is nearly flat.
    wrong = wrong.double()
    return centred_values(torch.expm1((wrong - wrong.amax(-1, keepdim=True)) / temperature))


def _rows_per_block(method: str, models: int, wrong_classes: int, device: torch.device) -> int:
    per_row = wrong_classes * (wrong_classes - 1) // 2 if method == "kendall" else wrong_classes
    elements = 2**19 if device.type == "cpu" else 2**27
    return max(1, elements // max(1, models * per_row))


def _row_blocks(method: str, stacks: Sequence[Tensor]) -> list[slice]:
    """Rows of (..., row, cls) stacks, so many at a time that their vectors fit a cache."""
    models = sum(stack[..., 0, 0].numel() for stack in stacks) if stacks[0].shape[-2] else 1
    size = _rows_per_block(method, models, stacks[0].shape[-1] - 1, stacks[0].device)
    return [slice(start, start + size) for start in range(0, stacks[0].shape[-2], size)]


def affinity(
    logits: Logits,
    reference_logits: Logits,
    labels: Labels,
    *,
    method: AffinityMethod = "kendall",
    temperature: float = 1.0,
) -> PerExample:
    """Correlation of two models' scores of the wrong classes, example by example.

    `kendall` is tau-b and `spearman` takes average ranks, both on logits; `pearson` compares the renormalised
    probabilities pt(T); `topK` is |top-K(A) and top-K(B)| / K of the wrong classes.

    Args:
        logits: (..., example, cls), floating, finite.
        reference_logits: the other model's, of the same shape.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        method: which correlation.
        temperature: T > 0; enters `pearson` only.

    Returns:
        (..., example), float64, in [-1, 1] ([0, 1] for top-K); 1 = the same order. NaN where a model has all wrong
        classes tied, or has only one.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.
        UnknownNameError: no such method.

    Examples:
        >>> import numpy as np
        >>> logits, other = np.array([[9.0, 3, 2, 1]]), np.array([[9.0, 2, 3, 1]])
        >>> affinity(logits, other, np.array([0]), method="kendall").round(6)
        array([0.333333])

    References:
        Kendall, 1945 (tau-b) [recall]. That teachers agree on relative class affinity: Fan, Li and Zhan
        (arXiv 2405.13078) [text]; these measures of it are our choice [design].
    """
    function = "affinity"
    check_choice("affinity method", method, METHODS)
    check_positive(function, "temperature", temperature)
    check_logits(function, logits, ndim=None)
    check_logits(function, reference_logits, name="reference_logits", ndim=None)
    if tuple(logits.shape) != tuple(reference_logits.shape):
        raise InvalidValueError(
            f"{function}: `reference_logits` must have the shape of `logits`, {tuple(logits.shape)}, got "
            f"{tuple(reference_logits.shape)}. Pair the models by example ids first."
        )
    first, second = as_tensor(logits), as_tensor(reference_logits)
    index = _checked_labels(function, labels, first)
    features = features_of(method, temperature=temperature)
    result = torch.empty(first.shape[:-1], dtype=torch.float64, device=first.device)

    def fill(rows: slice) -> None:
        a, b = (features(wrong_class_values(stack[..., rows, :], index[..., rows])) for stack in (first, second))
        result[..., rows] = cosine(a, b)

    map_blocks(fill, _row_blocks(method, (first, second)))
    return in_kind_of(result, logits)


def affinity_matrix(
    logits: Logits, labels: Labels, *, method: AffinityMethod = "kendall", temperature: float = 1.0
) -> Array:
    """`affinity` of all pairs of models at once, example by example.

    Args:
        logits: (model, example, cls), floating, finite.
        labels: (example), integers in [0, cls).
        method: which correlation.
        temperature: T > 0; enters `pearson` only.

    Returns:
        (model, model, example), float64, symmetric, in [-1, 1]; NaN as in `affinity`.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.
        UnknownNameError: no such method.
    """
    function = "affinity_matrix"
    check_choice("affinity method", method, METHODS)
    check_positive(function, "temperature", temperature)
    check_logits(function, logits, ndim=3)
    stack = as_tensor(logits)
    models, examples, _ = stack.shape
    index = _checked_labels(function, labels, stack)
    features = features_of(method, temperature=temperature)
    result = torch.empty((models, models, examples), dtype=torch.float64, device=stack.device)

    def fill(rows: slice) -> None:
        wrong = wrong_class_values(stack[:, rows], index[:, rows])
        vectors = features(wrong.transpose(0, 1).contiguous())  # (row, model, feature)
        result[..., rows] = cosine_matrix(vectors).permute(1, 2, 0)

    map_blocks(fill, _row_blocks(method, (stack,)))
    return in_kind_of(result, logits)


def _checked_labels(function: str, labels: Labels, logits: Tensor) -> Tensor:
    shape = tuple(logits.shape[:-1])
    shared = shape[len(shape) - labels.ndim :] if 0 < getattr(labels, "ndim", 0) <= len(shape) else shape
    check_labels(function, labels, shared, logits.shape[-1])
    return as_label_tensor(labels, logits).expand(shape)
