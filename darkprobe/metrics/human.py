"""Human soft labels: alignment of a model's wrong classes with people's, and the ceiling that their number sets."""

from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from darkprobe.blocks import map_blocks
from darkprobe.checks import check_choice, check_labels, check_logits, check_positive
from darkprobe.errors import InvalidValueError
from darkprobe.metrics._kinds import as_tensor
from darkprobe.metrics.affinity import features_of
from darkprobe.metrics.rank_features import centred_values, cosine
from darkprobe.metrics.wrong_classes import wrong_class_values
from darkprobe.types import FloatArray, IntArray, Labels, Logits

HumanMethod = Literal["kendall", "spearman", "pearson"]
METHODS: tuple[HumanMethod, ...] = ("kendall", "spearman", "pearson")


def human_alignment(
    logits: Logits,
    votes: FloatArray | IntArray,
    labels: Labels,
    *,
    method: HumanMethod = "spearman",
    temperature: float = 1.0,
) -> FloatArray:
    """Correlation of a model's scores of the wrong classes with people's votes for them, example by example.

    `kendall` (tau-b) and `spearman` compare orders, votes' ties included; `pearson` compares pt(T) with shares.

    Args:
        logits: (example, cls), floating, finite.
        votes: (example, cls), not negative: how many people chose each class, or their shares.
        labels: (example), integers in [0, cls).
        method: which correlation.
        temperature: T > 0; enters `pearson` only.

    Returns:
        (example,), float64, in [-1, 1]; higher is more human. NaN where nobody chose a wrong class, or all wrong
        classes are tied: there is no order to compare with. Such examples are to be left out and counted.

    Raises:
        InvalidValueError: shapes do not fit, or negative votes.
        UnknownNameError: no such method.

    Examples:
        >>> logits, votes = np.array([[5.0, 3, 2, 1], [5.0, 3, 2, 1]]), np.array([[40, 6, 3, 1], [50, 0, 0, 0]])
        >>> human_alignment(logits, votes, np.array([0, 0]), method="kendall")
        array([ 1., nan])

    References:
        Data of this kind: Peterson et al., ICCV 2019 (CIFAR-10H) [recall]; the measure is our choice [design].
    """
    function = "human_alignment"
    check_choice("human method", method, METHODS)
    check_positive(function, "temperature", temperature)
    check_logits(function, logits)
    people, index = checked_votes(function, votes, labels, tuple(logits.shape))
    values = as_tensor(logits)
    index, people = index.to(values.device), people.to(values.device)
    model = features_of(method, temperature=temperature)(wrong_class_values(values, index))
    found = cosine(model.double(), _features(people, index, method=method).double())
    return np.asarray(found.cpu())


def split_half_alignment(
    counts: IntArray, labels: Labels, *, method: HumanMethod = "spearman", splits: int = 20, seed: int = 0
) -> FloatArray:
    """Correlation between two random halves of the people, example by example, mean over splits.

    Args:
        counts: (example, cls), integers: how many people chose each class.
        labels: (example), integers in [0, cls).
        method: which correlation.
        splits: how many times people are split.
        seed: decides the splits.

    Returns:
        (example,), float64; NaN where no split leaves a wrong vote on both sides.

    Raises:
        InvalidValueError: counts that are not whole numbers.

    References:
        Our choice [design].
    """
    people, index = checked_votes("split_half_alignment", counts, labels, tuple(counts.shape))
    whole = people.round().long().numpy()
    if not np.array_equal(whole, people.numpy()):
        raise InvalidValueError(
            "split_half_alignment: `counts` must be whole numbers of people, got fractions. Give the file of counts."
        )
    if not len(whole):
        return np.empty(0)
    size = max(1, 2**18 // whole.shape[1] ** 2)
    blocks = [slice(start, start + size) for start in range(0, len(whole), size)]
    total = np.zeros(len(whole))
    defined = np.zeros(len(whole))
    for half in halves(whole, splits=splits, seed=seed):
        parts = [torch.from_numpy(part.astype(np.float32)) for part in (half, whole - half)]  # counts stay exact
        values = torch.cat(map_blocks(partial(_half_correlation, parts, index, method), blocks)).numpy()
        total += np.nan_to_num(values)
        defined += ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / np.where(defined > 0, defined, np.nan))


def _half_correlation(parts: list[Tensor], labels: Tensor, method: HumanMethod, rows: slice) -> Tensor:
    first, second = (_features(part[rows], labels[rows], method=method) for part in parts)
    return cosine(first.double(), second.double())


def halves(counts: IntArray, *, splits: int, seed: int) -> list[IntArray]:
    """Random halves of the votes of each row, drawn without replacement, (example, cls) each."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(splits):
        half = np.zeros_like(counts)
        left, wanted = counts.sum(1), counts.sum(1) // 2
        for own in range(counts.shape[1]):
            left = left - counts[:, own]
            half[:, own] = rng.hypergeometric(counts[:, own], left, wanted)
            wanted = wanted - half[:, own]
        found.append(half)
    return found


def ceiling_from_halves(correlation: float) -> float:
    """Highest correlation with all the people that a model without noise of its own can have.

    Spearman and Brown's formula takes the correlation of halves to the reliability 2 r / (1 + r) of the whole; its
    square root is the ceiling. NaN for a correlation that is not positive.
    """
    return float(np.sqrt(2 * correlation / (1 + correlation))) if correlation > 0 else float("nan")


def checked_votes(
    function: str, votes: FloatArray | IntArray, labels: Labels, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Votes as float64 and labels as int64 tensors, after checking that they fit."""
    people = np.asarray(votes)
    if people.shape != shape or not np.isfinite(people).all() or (people < 0).any():
        low = float(np.nanmin(people)) if people.size else 0.0
        raise InvalidValueError(
            f"{function}: `votes` must be not negative and of shape {shape}, got shape {people.shape} with smallest "
            f"value {low:g}. Give one row per example, in the order of the logits."
        )
    check_labels(function, labels, shape[:1], shape[-1])
    return torch.from_numpy(people.astype(np.float64)), as_tensor(labels).cpu().long()


def _features(votes: Tensor, labels: Tensor, *, method: HumanMethod) -> Tensor:
    wrong = wrong_class_values(votes, labels)
    if method == "pearson":
        return centred_values(wrong.double())
    return features_of(method)(wrong)
