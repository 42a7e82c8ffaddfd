"""Class relations in the last layer: cosines between the weight vectors of the classes."""

import numpy as np

from darkprobe.checks import check_array, check_finite
from darkprobe.errors import InvalidValueError
from darkprobe.types import FloatArray


def weight_cosines(weight: FloatArray) -> FloatArray:
    """Cosines between the last layer's weight vectors of each pair of classes, measured from their mean.

    The mean is taken off because adding one vector to the weights of all classes changes no probability.

    Args:
        weight: (cls, feature), floating, finite: rows of the last layer.

    Returns:
        (cls, cls), float64, in [-1, 1], 1 on the diagonal; larger = more alike. Equally spread classes have
        -1 / (C - 1) off the diagonal.

    Raises:
        InvalidValueError: not a matrix, or not finite.

    Examples:
        >>> weight_cosines(np.eye(3)).round(3)[0].tolist()
        [1.0, -0.5, -0.5]

    References:
        Class weights as class relations: Tang et al., arXiv 2002.03532 [text: abstract]; the centring is our choice
        [design].
    """
    check_array("weight_cosines", "weight", weight)
    if weight.ndim != 2 or 0 in weight.shape:
        raise InvalidValueError(
            f"weight_cosines: `weight` must have shape (cls, feature), got {tuple(weight.shape)}. "
            "Pass the weight matrix of the last layer."
        )
    check_finite("weight_cosines", "weight", weight)
    rows = np.asarray(weight, dtype=np.float64)
    rows = rows - rows.mean(0)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(norm > 0, norm, 1)
    cosines: FloatArray = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    return cosines


def weight_similarities(cosines: FloatArray) -> FloatArray:
    """Cosines as the positive similarities that trees and block scores take: (1 + cosine) / 2, in [0, 1]."""
    return np.asarray((1 + cosines) / 2)
