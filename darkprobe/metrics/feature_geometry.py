"""Geometry of penultimate features: how tight classes are, how their centres lie, and how alike two networks are.

The explanation on offer for flat wrong classes in large teachers is that features of a class collapse to their centre.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from darkprobe.checks import check_array, check_finite, check_labels, is_floating
from darkprobe.errors import InvalidValueError
from darkprobe.metrics._kinds import as_label_tensor, as_tensor, in_kind_of
from darkprobe.types import Array, Labels


@dataclass(frozen=True, kw_only=True)
class ClassCentres:
    """Centres of the classes that have examples, (present, feature), their mean over examples, and class sizes."""

    centres: Tensor
    mean: Tensor
    sizes: Tensor
    present: Tensor


def feature_compactness(features: Array, labels: Labels) -> float:
    """Within-class over between-class variance of features.

    mean |h - centre of its class|^2 / mean over examples of |centre of its class - mean of all|^2.

    Args:
        features: (example, feature), floating, finite.
        labels: (example), integers >= 0.

    Returns:
        In [0, inf); smaller = more compact classes; descriptive. Unchanged by rotation, shift and scale. NaN for one
        class or when all centres agree.

    Raises:
        InvalidValueError: shapes do not fit or a feature is not finite.

    Examples:
        >>> import numpy as np
        >>> round(feature_compactness(np.array([[1.0], [3.0], [-1.0], [-3.0]]), np.array([0, 0, 1, 1])), 6)
        0.25

    References:
        The idea: Fan, Li and Zhan (arXiv 2405.13078) [recall]; this ratio is our choice [design].
    """
    values, index = _checked("feature_compactness", features, labels)
    found = _centres(values, index)
    own = torch.searchsorted(found.present, index)
    within = (values - found.centres[own]).square().sum()
    between = ((found.centres - found.mean).square().sum(-1) * found.sizes).sum()
    return float(within / between) if float(between) > 0 else float("nan")


def centre_cosines(features: Array, labels: Labels) -> Array:
    """Cosines between class centres, measured from the mean of all features.

    Args:
        features: (example, feature), floating, finite.
        labels: (example), integers >= 0.

    Returns:
        (present, present), float64, in [-1, 1], rows in label order, for the classes that have examples; descriptive.
        Equally spread centres of K classes have -1 / (K - 1) off the diagonal.

    References:
        Our choice [design].
    """
    values, index = _checked("centre_cosines", features, labels)
    found = _centres(values, index)
    unit = torch.nn.functional.normalize(found.centres - found.mean, dim=-1)
    return in_kind_of((unit @ unit.T).clamp(-1, 1), features)


def centre_cosine_spread(features: Array, labels: Labels) -> float:
    """How unlike the distances between classes are in feature space: std over pairs of `centre_cosines`.

    Args:
        features: (example, feature), floating, finite.
        labels: (example), integers >= 0.

    Returns:
        In [0, 1]; 0 = every class is as far from every other (a simplex), and the features hold no class relations;
        descriptive. NaN for fewer than three classes.

    References:
        Simplex of class centres ("neural collapse"): Papyan, Han and Donoho, PNAS 2020 [recall]; its use as a measure
        of class relations is our choice [design].
    """
    cosines = as_tensor(centre_cosines(features, labels))
    if len(cosines) < 3:
        return float("nan")
    first, second = torch.triu_indices(len(cosines), len(cosines), offset=1)
    return float(cosines[first, second].std(correction=0))


def weight_alignment(features: Array, labels: Labels, weight: Array) -> float:
    """Mean cosine between each class's weights in the last layer and the centre of its features.

    Both measured from their mean over classes.

    Args:
        features: (example, feature), floating, finite: what the last layer takes.
        labels: (example), integers in [0, cls).
        weight: (cls, feature), floating: rows of the last layer.

    Returns:
        In [-1, 1]; 1 = weights and centres point the same way; descriptive.

    References:
        Our choice [design].
    """
    values, index = _checked("weight_alignment", features, labels)
    rows = as_tensor(weight).double().to(values.device)
    if rows.ndim != 2 or rows.shape[1] != values.shape[1] or int(index.max()) >= len(rows):
        raise InvalidValueError(
            f"weight_alignment: `weight` must have shape (cls, {values.shape[1]}) with a row per label, got "
            f"{tuple(rows.shape)}. Take features and weights of the same network."
        )
    found = _centres(values, index)
    centred = rows - rows.mean(0)
    cosines = torch.nn.functional.cosine_similarity(found.centres - found.mean, centred[found.present], dim=-1)
    return float(cosines.mean())


def linear_cka(features: Array, reference_features: Array) -> float:
    """Linear centred kernel alignment of two networks' features of the same examples.

    |X'Y|_F^2 / (|X'X|_F |Y'Y|_F) with centred columns; from products of feature size, so linear in examples.

    Args:
        features: (example, feature), floating, finite.
        reference_features: (example, other feature), the same examples in the same order.

    Returns:
        In [0, 1]; 1 = equal up to rotation, shift and scale. NaN where one does not vary. Biased upwards when there
        are fewer examples than some ten times the features.

    Raises:
        InvalidValueError: other numbers of examples, or a feature is not finite.

    Examples:
        >>> import numpy as np
        >>> x = np.array([[1.0, 0], [0, 1], [-1, 0]])
        >>> round(linear_cka(x, x[:, ::-1] * 3 + 1), 6)
        1.0

    References:
        Kornblith et al., ICML 2019 [recall].
    """
    first, second = (
        _matrix("linear_cka", name, values)
        for name, values in (("features", features), ("reference_features", reference_features))
    )
    if len(first) != len(second):
        raise InvalidValueError(
            f"linear_cka: `reference_features` must have {len(first)} examples like `features`, got {len(second)}. "
            "Pair the examples by id."
        )
    first, second = first - first.mean(0), second - second.mean(0)
    cross = (first.T @ second).square().sum()
    own = (first.T @ first).square().sum().sqrt() * (second.T @ second).square().sum().sqrt()
    return float(cross / own) if float(own) > 0 else float("nan")


def _matrix(function: str, name: str, values: Array) -> Tensor:
    check_array(function, name, values)
    if values.ndim != 2 or not is_floating(values) or 0 in values.shape:
        raise InvalidValueError(
            f"{function}: `{name}` must be floating and of shape (example, feature), got {values.dtype} "
            f"{tuple(values.shape)}. Pool or flatten features first."
        )
    check_finite(function, name, values)
    return as_tensor(values).double()


def _checked(function: str, features: Array, labels: Labels) -> tuple[Tensor, Tensor]:
    values = _matrix(function, "features", features)
    check_labels(function, labels, (len(values),), 2**31)
    return values, as_label_tensor(labels, values)


def _centres(features: Tensor, labels: Tensor) -> ClassCentres:
    counts = torch.bincount(labels)
    present = torch.nonzero(counts).squeeze(-1)
    own = torch.searchsorted(present, labels)
    sizes = counts[present].double()
    sums = torch.zeros(len(present), features.shape[1], dtype=features.dtype, device=features.device)
    centres = sums.index_add(0, own, features) / sizes.unsqueeze(-1)
    return ClassCentres(centres=centres, mean=features.mean(0), sizes=sizes, present=present)
