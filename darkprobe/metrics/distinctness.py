"""How different the wrong classes are from each other: raw, and with the confidence factor divided out."""

from darkprobe.metrics._per_example import per_example
from darkprobe.types import Labels, Logits, PerExample


def distinctness_std(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Standard deviation of the wrong classes' probabilities, std over W of p(T), ddof = 0.

    sigma = (1 - p_y) * std over W of pt: confidence times shape. A difference between two models may come from either
    factor, and its sign may differ from that of the variance's mean: report both factors.
    Not to be confused with `distinctness_variance`, which the axis of the published figures names.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, in [0, sqrt(C - 2) / (C - 1)]; descriptive. 0 for two classes or equal wrong logits.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> distinctness_std(logits, np.array([0])).round(6)
        array([0.15])

    References:
        Asymmetric temperature scaling (NeurIPS 2022), official figure code [code]; factorisation [derived].
    """
    return per_example("distinctness_std", logits, labels, temperature=temperature)


def distinctness_variance(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Variance of the wrong classes' probabilities, var over W of p(T), ddof = 0.

    v = (1 - p_y)^2 * var over W of pt. Its mean weighs examples with little confidence more than the mean of the
    standard deviation does, so the two can order models differently.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, in [0, (C - 2) / (C - 1)^2]; descriptive. 0 for two classes or equal wrong logits.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> distinctness_variance(logits, np.array([0])).round(6)
        array([0.0225])

    References:
        Asymmetric temperature scaling (NeurIPS 2022), derived variance [recall]; factorisation [derived].
    """
    return per_example("distinctness_variance", logits, labels, temperature=temperature)


def inherent_std(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Standard deviation of the renormalised wrong classes, std over W of pt, ddof = 0.

    pt = p_W / (1 - p_y), the shape factor of distinctness: how uneven the wrong classes are, whatever they share.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, in [0, sqrt(C - 2) / (C - 1)]; descriptive.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> inherent_std(logits, np.array([0])).round(6)
        array([0.3])

    References:
        Asymmetric temperature scaling (NeurIPS 2022) names the inherent variance [recall]; algebra [derived].
    """
    return per_example("inherent_std", logits, labels, temperature=temperature)


def inherent_variance(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Variance of the renormalised wrong classes, var over W of pt, ddof = 0.

    The square of `inherent_std` for one example; means over examples are not each other's squares.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., example), float64, in [0, (C - 2) / (C - 1)^2]; descriptive.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> inherent_variance(logits, np.array([0])).round(6)
        array([0.09])

    References:
        Asymmetric temperature scaling (NeurIPS 2022), inherent variance [recall]; algebra [derived].
    """
    return per_example("inherent_variance", logits, labels, temperature=temperature)
