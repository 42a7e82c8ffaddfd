"""What the few most likely classes hold: top-k non-target mass and the secondary gap."""

from darkprobe.errors import InvalidValueError
from darkprobe.metrics._per_example import per_example
from darkprobe.types import Labels, Logits, PerExample


def _check_count(function: str, k: int, *, smallest: int) -> None:
    if k < smallest:
        raise InvalidValueError(
            f"{function}: `k` must be at least {smallest}, got {k}. Give the number of classes to take."
        )


def top_non_target_mass(logits: Logits, labels: Labels, *, temperature: float = 1.0, k: int = 5) -> PerExample:
    """Probability of the k most likely wrong classes together.

    Where it is close to 1 - p_y, few classes carry the dark knowledge.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.
        k: how many classes.

    Returns:
        (..., example), float64, a fraction in [0, 1 - p_y]; descriptive. All of 1 - p_y when k >= C - 1.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> top_non_target_mass(logits, np.array([0]), k=1).round(6)
        array([0.4])

    References:
        Our choice [design].
    """
    _check_count("top_non_target_mass", k, smallest=1)
    return per_example(
        "top_non_target_mass", logits, labels, temperature=temperature, read=lambda s: s.top_wrong(k).sum(-1)
    )


def secondary_gap(logits: Logits, labels: Labels, *, temperature: float = 1.0, k: int = 5) -> PerExample:
    """Largest probability minus the mean of the next k - 1: p_(1) - mean(p_(2), ..., p_(k)).

    Classes are ranked whatever the label; k counts the primary class too. The quantity that a tolerant teacher is
    trained to keep small. With fewer than k classes, all of them are taken.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.
        k: how many classes.

    Returns:
        (..., example), float64, in [0, 1]; descriptive; smaller = more tolerant.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.4, 0.1]]))
        >>> secondary_gap(logits, np.array([0]), k=3).round(6)
        array([0.25])

    References:
        Yang, Xie, Qiao and Yuille, AAAI 2019 (arXiv 1805.05551), top score difference [secondary]; k = 5 [recall-low].
    """
    _check_count("secondary_gap", k, smallest=2)
    return per_example("secondary_gap", logits, labels, temperature=temperature, read=lambda s: s.top_gap(k))


def primary_confidence(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Largest probability, of whichever class: the confidence of the primary class.

    max over c of p_c(T). Not to be confused with `target_confidence`, the label's.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); they do not enter.
        temperature: T > 0.

    Returns:
        (..., example), float64, a probability in [1 / C, 1]; descriptive.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    References:
        The pair that Yang, Xie, Qiao and Yuille, AAAI 2019 (arXiv 1805.05551) follow over generations [secondary]; the
        number of secondary classes, 4, is our choice [design].
    """
    return per_example("primary_confidence", logits, labels, temperature=temperature, read=lambda s: s.confidence)


def secondary_confidence(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """Mean probability of the second to fifth most likely class, whatever the label.

    mean(p_(2), ..., p_(5)); with fewer than five classes, of those there are. A tolerant teacher has a high one.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); they do not enter.
        temperature: T > 0.

    Returns:
        (..., example), float64, a probability in [0, 1 / 2]; descriptive.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    References:
        The pair that Yang, Xie, Qiao and Yuille, AAAI 2019 (arXiv 1805.05551) follow over generations [secondary]; the
        number of secondary classes, 4, is our choice [design].
    """
    return per_example("secondary_confidence", logits, labels, temperature=temperature)
