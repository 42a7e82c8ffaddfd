"""Targets by temperature: one for all classes, or one for the label and one for the wrong classes (ATS)."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from darkprobe.checks import check_choice, check_positive
from darkprobe.errors import InvalidValueError
from darkprobe.targets.door import Target, enter, leave
from darkprobe.targets.wrong import label_mask
from darkprobe.types import Labels, Logits

Center: TypeAlias = Literal["none", "mean"]
"""Whether the mean over classes is taken off each example's logits before two temperatures are applied."""

Values: TypeAlias = Literal["logits", "log_probs"]
"""What the numbers are: equal to a softmax up to a constant per example, not equal to ATS-type targets."""


def centred(function: str, logits: Tensor, *, center: Center, values: Values) -> Tensor:
    """Logits ready for two temperatures.

    Raises:
        InvalidValueError: `center="none"` on log-probabilities, whose constant per example is not the network's.
    """
    check_choice("center", center, ("none", "mean"))
    check_choice("values", values, ("logits", "log_probs"))
    if center == "mean":
        return logits - logits.mean(-1, keepdim=True)
    if values == "log_probs":
        raise InvalidValueError(
            f'{function}: `center` must be "mean" for log-probabilities, got "none". Two temperatures make the target '
            'depend on the constant that log_softmax took away: pass center="mean", or extract raw logits.'
        )
    return logits


def two_temperatures(logits: Tensor, at_label: Tensor, *, target: Tensor | float, wrong: Tensor | float) -> Tensor:
    """(..., example, cls): logits divided by `target` at the label and by `wrong` elsewhere."""
    return torch.where(at_label, logits / target, logits / wrong)


def temperature_scaling(logits: Logits, *, temperature: float) -> Target:
    """The teacher's distribution softened: `p_c = softmax(f / T)_c`.

    Args:
        logits: (..., example, cls), floating, finite.
        temperature: T > 0; above 1 softens, below 1 sharpens. The order of classes is kept.

    Returns:
        `Target` with probs of shape (..., example, cls); its report is empty.

    Raises:
        InvalidValueError: `temperature` is not a finite number > 0.

    Examples:
        >>> import numpy as np
        >>> temperature_scaling(np.log([[8.0, 4.0, 4.0]]), temperature=1.0).probs
        array([[0.5 , 0.25, 0.25]])

    References:
        Hinton, Vinyals, Dean (2015), arXiv 1503.02531 [recall].
    """
    check_positive("temperature_scaling", "temperature", temperature)
    scores, _ = enter("temperature_scaling", logits)
    return leave(logits, (scores / temperature).softmax(-1))


def ats(
    logits: Logits,
    labels: Labels,
    *,
    target_temperature: float,
    wrong_temperature: float,
    center: Center = "none",
    values: Values = "logits",
) -> Target:
    """The teacher's distribution under two temperatures (asymmetric temperature scaling).

    `p_c = softmax(f_c / tau_c)` with tau_c = `target_temperature` at the label, `wrong_temperature` elsewhere. A
    larger one at the label frees mass for the wrong classes, a smaller one elsewhere keeps them apart. With both
    equal it is `temperature_scaling`. Adding a constant to an example's logits changes the target unless they are
    centred: with C = 100 and 4/2 the mean p_y of one teacher was .28 on centred logits and .94 on log-probabilities.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example) or (example,), integer in [0, cls).
        target_temperature: above 0, for the label.
        wrong_temperature: above 0, for the other classes; smaller than the first in the authors' use.
        center: "none" is the official form; "mean" takes the mean over classes off first (our choice), which makes
            the target independent of a constant added to the logits.
        values: "log_probs" when the numbers are log-probabilities; then `center="none"` is refused.

    Returns:
        `Target`; report: "flipped", the share of examples whose label was the largest class at one shared
        temperature and no longer is.

    Raises:
        InvalidValueError: a temperature is not > 0, or log-probabilities are not centred.

    References:
        Li, Fan et al. (2022), Asymmetric Temperature Scaling, official code [code]; `center` is our choice [design].
    """
    check_positive("ats", "target_temperature", target_temperature)
    check_positive("ats", "wrong_temperature", wrong_temperature)
    scores, index = enter("ats", logits, labels)
    scores = centred("ats", scores, center=center, values=values)
    probs = two_temperatures(
        scores, label_mask(scores, index), target=target_temperature, wrong=wrong_temperature
    ).softmax(-1)
    return leave(logits, probs, report={"flipped": flipped(scores, probs, index)})


def flipped(logits: Tensor, probs: Tensor, labels: Tensor) -> Tensor:
    """(..., example), bool: the label was the largest class of `logits` and is not of `probs`."""
    return (logits.argmax(-1) == labels) & (probs.argmax(-1) != labels)
