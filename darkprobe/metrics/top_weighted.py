"""Rank agreement that looks at the top: weighted Kendall's tau and rank-biased overlap of the wrong classes."""

from collections.abc import Callable

import torch
from torch import Tensor

from darkprobe.blocks import map_blocks
from darkprobe.checks import check_labels, check_logits
from darkprobe.errors import InvalidValueError
from darkprobe.metrics._kinds import as_label_tensor, as_tensor, in_kind_of
from darkprobe.metrics.rank_features import centred_ranks, pair_signs
from darkprobe.metrics.wrong_classes import wrong_class_values
from darkprobe.types import Labels, Logits, PerExample

PERSISTENCE = 0.9


def weighted_tau(logits: Logits, reference_logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Kendall's tau of the wrong classes in which a pair weighs 1/rank + 1/rank, ranks from the most likely.

    The mean of the values with ranks by one model and by the other; SciPy's `weightedtau` where there are no ties.

    Args:
        logits: (..., example, cls), floating, finite.
        reference_logits: the other model's, of the same shape.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: ignored; every metric takes it.

    Returns:
        (..., example), float64, in [-1, 1]; 1 = the same order. NaN where a model has all wrong classes tied.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite or a label is out of range.

    References:
        Vigna, WWW 2015 [recall]; tied classes share the mean of their ranks, our choice [design].
    """
    return _pairwise("weighted_tau", _weighted_tau, logits, reference_logits, labels)


def rank_biased_overlap(
    logits: Logits, reference_logits: Logits, labels: Labels, *, temperature: float = 1.0
) -> PerExample:
    """Mean over depths d, with weights 0.9^d, of the overlap of the d most likely wrong classes.

    sum over d of 0.9^d |top_d(A) and top_d(B)| / d, divided by the sum of the weights, so that equal orders give 1.

    Args:
        logits: (..., example, cls), floating, finite.
        reference_logits: the other model's, of the same shape.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: ignored; every metric takes it.

    Returns:
        (..., example), float64, in [0, 1]; 1 = the same order. Of tied classes the first found comes first.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite or a label is out of range.

    References:
        Webber, Moffat and Zobel, 2010 [recall]; the normalised finite form is our choice [design].
    """
    return _pairwise("rank_biased_overlap", _rank_biased_overlap, logits, reference_logits, labels)


def _weighted_tau(first: Tensor, second: Tensor) -> Tensor:
    signs = pair_signs(first).double(), pair_signs(second).double()
    both = signs[0] * signs[1]
    values = []
    for scores in (first, second):
        n = scores.shape[-1]
        weights = _pair_sums(1 / ((n + 1) / 2 - centred_ranks(scores).double()))
        lengths = [(weights * sign.square()).sum(-1) for sign in signs]
        values.append((weights * both).sum(-1) / (lengths[0] * lengths[1]).sqrt())
    return ((values[0] + values[1]) / 2).clamp(-1, 1)


def _pair_sums(values: Tensor) -> Tensor:
    """v_i + v_j for each pair, in the order of `pair_signs`."""
    n = values.shape[-1]
    windows = torch.cat([values, values[..., : n // 2]], dim=-1).unfold(-1, n, 1)[..., 1:, :]
    return (windows + values.unsqueeze(-2)).flatten(-2)[..., : n * (n - 1) // 2]


def _rank_biased_overlap(first: Tensor, second: Tensor) -> Tensor:
    n = first.shape[-1]
    depth = torch.arange(1, n + 1, dtype=torch.float64, device=first.device)
    weights = PERSISTENCE**depth
    # A class counts at every depth from the one where both models have it: |top_d(A) and top_d(B)| is their number.
    gains = (weights / depth).flip(0).cumsum(0).flip(0) / weights.sum()
    places = [scores.argsort(dim=-1, descending=True, stable=True).argsort(-1) for scores in (first, second)]
    return gains[torch.maximum(*places)].sum(-1).clamp(0, 1)


def _pairwise(
    function: str, compute: Callable[[Tensor, Tensor], Tensor], logits: Logits, reference: Logits, labels: Labels
) -> PerExample:
    check_logits(function, logits, ndim=None)
    check_logits(function, reference, name="reference_logits", ndim=None)
    if tuple(logits.shape) != tuple(reference.shape):
        raise InvalidValueError(
            f"{function}: `reference_logits` must have the shape of `logits`, {tuple(logits.shape)}, got "
            f"{tuple(reference.shape)}. Pair the models by example ids first."
        )
    shape, classes = tuple(logits.shape[:-1]), logits.shape[-1]
    check_labels(function, labels, shape[len(shape) - labels.ndim :], classes)
    first, second = (as_tensor(values).reshape(-1, classes) for values in (logits, reference))
    index = as_label_tensor(labels, first).expand(shape).reshape(-1)
    size = max(1, 2**18 // classes**2)

    def block(start: int) -> Tensor:
        rows = slice(start, start + size)
        return compute(*(wrong_class_values(values[rows], index[rows]) for values in (first, second)))

    found = map_blocks(block, range(0, len(first), size))
    result = torch.cat(found) if found else torch.empty(0, dtype=torch.float64)
    return in_kind_of(result.reshape(shape), logits)
