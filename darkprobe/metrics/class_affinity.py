"""Class-level affinity: the mean soft label of each class, and how alike two models' are."""

import math

import torch
from torch import Tensor

from darkprobe.checks import check_array, check_choice, check_labels, check_logits, check_positive, check_room
from darkprobe.errors import InvalidValueError
from darkprobe.metrics._kinds import as_label_tensor, as_tensor, in_kind_of, rows_per_block
from darkprobe.metrics.affinity import METHODS, AffinityMethod, features_of
from darkprobe.metrics.rank_features import centred_values, cosine
from darkprobe.metrics.wrong_classes import wrong_class_values
from darkprobe.types import Array, Labels, Logits


def class_affinity_matrix(logits: Logits, labels: Labels, *, temperature: float = 4.0) -> Array:
    """Mean soft label of each class, M[k, c] = mean of p_c(T) over the examples of class k.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., cls, cls), float64, rows sum to 1; descriptive. The diagonal is the mean confidence of each class. NaN in
        the row of a class without examples.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]]))
        >>> class_affinity_matrix(logits, np.array([0, 0, 1]), temperature=1.0).round(6)
        array([[0.6, 0.4],
               [0.2, 0.8]])

    References:
        Our choice [design].
    """
    function = "class_affinity_matrix"
    check_positive(function, "temperature", temperature)
    check_logits(function, logits, ndim=None)
    values = as_tensor(logits)
    shape = tuple(values.shape[:-1])
    shared = shape[len(shape) - labels.ndim :] if 0 < getattr(labels, "ndim", 0) <= len(shape) else shape
    check_labels(function, labels, shared, values.shape[-1])
    index = as_label_tensor(labels, values).expand(shape)
    with torch.no_grad():
        sums, counts = class_sums(values, index, temperature=temperature)
    return in_kind_of(sums / counts.unsqueeze(-1), logits)


def class_affinity(
    logits: Logits,
    reference_logits: Logits,
    labels: Labels,
    *,
    temperature: float = 4.0,
    method: AffinityMethod = "spearman",
) -> Array:
    """Correlation of two models' mean soft labels of each class: `class_affinity_correlation` before its mean.

    Args:
        logits: (..., example, cls), floating, finite.
        reference_logits: the other model's, of the same shape.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.
        method: which correlation.

    Returns:
        (..., cls), float64, in [-1, 1]; 1 = the same order. NaN for a class without examples.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    References:
        Our choice [design].
    """
    check_logits("class_affinity", reference_logits, name="reference_logits", ndim=None)
    matrices = (class_affinity_matrix(values, labels, temperature=temperature) for values in (logits, reference_logits))
    return class_affinity_rows(*matrices, method=method)


def class_sums(logits: Tensor, labels: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """Sums of soft labels by class, (..., cls, cls), and examples by class, (..., cls), float64; blocks add up."""
    *lead, examples, classes = logits.shape
    models = math.prod(lead)  # told, since no examples leave nothing to infer it from
    flat = logits.reshape(models, examples, classes)
    index = labels.reshape(models, examples)
    check_room("class_sums", "a matrix of classes", classes=classes, needed=8 * len(flat) * classes**2)
    sums = torch.zeros((len(flat), classes, classes), dtype=torch.float64, device=logits.device)
    counts = torch.zeros((len(flat), classes), dtype=torch.float64, device=logits.device)
    size = rows_per_block(logits)
    for model in range(len(flat)):
        for start in range(0, examples, size):
            block, own = flat[model, start : start + size], index[model, start : start + size]
            sums[model].index_add_(0, own, torch.softmax(block.double() / temperature, dim=-1))
        counts[model] = torch.bincount(index[model], minlength=classes).double()
    return sums.reshape(*lead, classes, classes), counts.reshape(*lead, classes)


def class_affinity_correlation(matrix_a: Array, matrix_b: Array, *, method: AffinityMethod = "spearman") -> Array:
    """Correlation of two class-affinity matrices: row by row without the diagonal, then the mean over rows.

    Args:
        matrix_a: (..., cls, cls), floating; rows of NaN (classes without examples) are left out.
        matrix_b: the same for the other model; leading axes broadcast against those of `matrix_a`.
        method: which correlation, as in `affinity`; `pearson` takes the entries as they are.

    Returns:
        (...), float64, in [-1, 1]; 1 = the same order of wrong classes in every row. NaN when no row is left.

    Raises:
        InvalidValueError: a matrix is not square, or the two differ in size.
        UnknownNameError: no such method.

    Examples:
        >>> import numpy as np
        >>> matrix = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
        >>> float(class_affinity_correlation(matrix, matrix))
        1.0

    References:
        Our choice [design].
    """
    check_choice("affinity method", method, METHODS)
    by_class = class_affinity_rows(matrix_a, matrix_b, method=method)
    rows = as_tensor(by_class)
    return in_kind_of(rows.nanmean(-1), matrix_a)


def class_affinity_rows(matrix_a: Array, matrix_b: Array, *, method: AffinityMethod = "spearman") -> Array:
    """`class_affinity_correlation` before the mean over rows, (..., cls); NaN for classes that a matrix lacks."""
    check_choice("affinity method", method, METHODS)
    first = _rows_without_diagonal(matrix_a, "matrix_a")
    second = _rows_without_diagonal(matrix_b, "matrix_b")
    if first.shape[-1] != second.shape[-1]:
        raise InvalidValueError(
            f"class_affinity_correlation: `matrix_b` must have {first.shape[-2]} classes like `matrix_a`, got "
            f"{second.shape[-2]}. Compare models of the same data set."
        )
    features = centred_values if method == "pearson" else features_of(method)
    missing = first.isnan().any(-1) | second.isnan().any(-1)
    with torch.no_grad():
        rows = cosine(features(first.nan_to_num()), features(second.nan_to_num()))
    return in_kind_of(rows.masked_fill(missing, torch.nan), matrix_a)


def _rows_without_diagonal(matrix: Array, name: str) -> Tensor:
    check_array("class_affinity_correlation", name, matrix)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2] or matrix.shape[-1] < 2:
        raise InvalidValueError(
            f"class_affinity_correlation: `{name}` must have shape (..., cls, cls), got {tuple(matrix.shape)}. "
            "Pass what class_affinity_matrix returned."
        )
    values = as_tensor(matrix)
    own = torch.arange(values.shape[-1], device=values.device).expand(values.shape[:-1])
    return wrong_class_values(values, own)
