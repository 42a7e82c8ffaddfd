"""Entropy of the soft label, of all classes and of the wrong ones."""

from darkprobe.metrics._per_example import per_example
from darkprobe.types import Labels, Logits, PerExample


def entropy(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Shannon entropy of the soft label, H(p(T)), in nats.

    H(p) = H_b(p_y) + (1 - p_y) H(pt), summed from terms of one sign. Zero probabilities add nothing.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, nats in [0, log C]; descriptive.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.25, 0.25]]))
        >>> entropy(logits, np.array([0])).round(6)
        array([1.039721])

    References:
        Standard; the chain rule is [derived].
    """
    return per_example("entropy", logits, labels, temperature=temperature)


def non_ground_truth_entropy(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Shannon entropy of the renormalised wrong classes, H(pt(T)), in nats.

    pt = p_W / (1 - p_y). Not to be confused with -sum over W of p log p, which mixes in the confidence.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, nats in [0, log(C - 1)]; descriptive. 0 for two classes.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.25, 0.25]]))
        >>> non_ground_truth_entropy(logits, np.array([0])).round(6)
        array([0.693147])

    References:
        The name is from Fan, Li and Zhan (arXiv 2405.13078) [text]; this reading of it is our choice [design].
    """
    return per_example("non_ground_truth_entropy", logits, labels, temperature=temperature)


def non_ground_truth_entropy_normalised(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Entropy of the renormalised wrong classes as a share of its maximum, H(pt(T)) / log(C - 1).

    Comparable between data sets with different numbers of classes.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, in [0, 1], 1 = all wrong classes alike; descriptive. NaN for two classes (0 / 0).

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.25, 0.25]]))
        >>> non_ground_truth_entropy_normalised(logits, np.array([0])).round(6)
        array([1.])

    References:
        Our choice [design].
    """
    return per_example("non_ground_truth_entropy_normalised", logits, labels, temperature=temperature)
