"""Scores of a prediction against the label that are means over examples: accuracy, NLL, Brier."""

from darkprobe.metrics._per_example import per_example
from darkprobe.types import Labels, Logits, PerExample


def accuracy(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """1 where the target's logit is above all others, else 0.

    A tie between the target and a wrong class counts as wrong: the network has not decided. Not to be confused with
    `argmax == label`, which gives such a tie to the lower class number.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, 0 or 1 (the mean is a fraction); higher is better. The same at every temperature.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> accuracy(logits, np.array([0]))
        array([1.])

    References:
        Standard; the rule for ties is our choice [design].
    """
    return per_example("accuracy", logits, labels, temperature=temperature)


def nll(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Negative log-likelihood of the label, -log p_y(T), in nats.

    Finite whatever the gap between logits.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, nats in [0, inf); lower is better.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> nll(logits, np.array([0])).round(6)
        array([0.693147])

    References:
        Standard; proper scoring rule.
    """
    return per_example("nll", logits, labels, temperature=temperature)


def brier(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Brier score, sum over all classes of (p_c(T) - 1[c = y])^2.

    The multi-class sum in [0, 2]. Not to be confused with the two-class form, which is half of it, or the mean over
    classes.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, in [0, 2]; lower is better.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> brier(logits, np.array([0])).round(6)
        array([0.42])

    References:
        Brier, 1950 [recall]; proper scoring rule.
    """
    return per_example("brier", logits, labels, temperature=temperature)
