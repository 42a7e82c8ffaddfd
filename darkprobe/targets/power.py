"""Targets by power transform, and the weight that WTTM gives an example."""

from darkprobe.checks import check_positive
from darkprobe.targets.door import Target, alike, enter, leave
from darkprobe.types import Logits, PerExample


def power_transform(logits: Logits, *, gamma: float) -> Target:
    """The teacher's distribution raised to a power and renormalised: `p_c^g / sum_j p_j^g`.

    Equal to temperature scaling at T = 1/gamma; computed as softmax(gamma * f), so nothing underflows.

    Args:
        logits: (..., example, cls), floating, finite.
        gamma: above 0; below 1 softens.

    Returns:
        `Target` with an empty report.

    Raises:
        InvalidValueError: `gamma` is not a finite number > 0.

    References:
        Zheng and Yang (2024), TTM, arXiv 2402.11148, section 3 [text].
    """
    check_positive("power_transform", "gamma", gamma)
    scores, _ = enter("power_transform", logits)
    return leave(logits, (scores * gamma).softmax(-1))


def power_sum(logits: Logits, *, gamma: float) -> PerExample:
    """How spread out the teacher is, per example: `U_g(p) = sum_c p_c^g` of the unscaled p = softmax(f).

    Args:
        logits: (..., example, cls), floating, finite.
        gamma: in (0, 1] for the reading as spread.

    Returns:
        (..., example), in [1, C^(1-g)]: 1 for a one-hot teacher, the upper end for a uniform one. WTTM's weight.

    Raises:
        InvalidValueError: `gamma` is not a finite number > 0.

    References:
        Zheng and Yang (2024), WTTM, arXiv 2402.11148, section 3 [text].
    """
    check_positive("power_sum", "gamma", gamma)
    scores, _ = enter("power_sum", logits)
    return alike(logits, (scores.log_softmax(-1) * gamma).logsumexp(-1).exp())
