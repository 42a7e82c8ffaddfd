"""How much probability the target gets, and how much is left for the wrong classes."""

from darkprobe.metrics._per_example import per_example
from darkprobe.types import Labels, Logits, PerExample


def target_confidence(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Probability of the target, p_y(T).

    p_y = softmax(f / T)[y]. Not to be confused with the largest probability, which may be another class's.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, a fraction in [0, 1]; descriptive (surer is not better).

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> target_confidence(logits, np.array([0])).round(6)
        array([0.5])

    References:
        Hinton, Vinyals and Dean, 2015, eq. 1 [recall].
    """
    return per_example("target_confidence", logits, labels, temperature=temperature)


def non_target_mass(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Probability of all wrong classes together, 1 - p_y(T).

    Computed from the wrong classes, so that it keeps its digits when p_y rounds to 1. It is the confidence factor of
    distinctness: std over W of p = (1 - p_y) * std over W of pt.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, a fraction in [0, 1]; descriptive.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> non_target_mass(logits, np.array([0])).round(6)
        array([0.5])

    References:
        The factorisation is [derived].
    """
    return per_example("non_target_mass", logits, labels, temperature=temperature)


def derived_average(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Mean probability of a wrong class, e = (1 - p_y) / (C - 1).

    With `derived variance` the two numbers in which asymmetric temperature scaling describes a teacher.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, a probability in [0, 1 / (C - 1)]; descriptive.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> derived_average(logits, np.array([0])).round(6)
        array([0.25])

    References:
        Asymmetric temperature scaling (NeurIPS 2022), official code [code].
    """
    return per_example("derived_average", logits, labels, temperature=temperature)
