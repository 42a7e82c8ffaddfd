"""Renyi entropy and power sums: what the power-transform view of temperature adds."""

from darkprobe.metrics._per_example import per_example
from darkprobe.types import Labels, Logits, PerExample


def renyi_entropy(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Renyi entropy of the unscaled soft label of order a = 1/T, in nats.

    H_a(p) = log(sum_c p_c^a) / (1 - a) with p = softmax(f) at temperature 1. At T = 1 its limit, Shannon's entropy.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, nats in [0, log C]; descriptive; falls as a grows.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> renyi_entropy(logits, np.array([0]), temperature=0.5).round(6)  # -log(.25 + .16 + .01)
        array([0.867501])

    References:
        Zheng and Yang, ICLR 2024 (arXiv 2402.11148), section on transformed teacher matching [text].
    """
    return per_example("renyi_entropy", logits, labels, temperature=temperature)


def power_sum(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Sum of powers of the unscaled soft label, U = sum_c p_c^(1/T), p at temperature 1.

    The weight of an example in weighted transformed teacher matching: 1 for a one-hot label, C^(1 - 1/T) for a uniform
    one. Found from p_y(T) = p_y(1)^(1/T) / U.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, between 1 and C^(1 - 1/T); descriptive. For T > 1, larger = softer, more weight.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> power_sum(logits, np.array([0]), temperature=0.5).round(6)  # .25 + .16 + .01
        array([0.42])

    References:
        Zheng and Yang, ICLR 2024 (arXiv 2402.11148), eq. of the weighted loss [text].
    """
    return per_example("power_sum", logits, labels, temperature=temperature)
