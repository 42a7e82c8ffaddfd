"""The factor by which a teacher rescales each example's gradient: knowledge at the level of the instance."""

import torch

from darkprobe.checks import check_labels, check_logits, check_positive
from darkprobe.errors import InvalidValueError
from darkprobe.metrics._kinds import as_label_tensor, as_tensor, in_kind_of
from darkprobe.metrics.soft_label_statistics import SoftLabelBlock
from darkprobe.types import Labels, Logits, PerExample

ALPHA = 0.9
"""Weight of the teacher's term, as in most published settings."""


def rescaling_factor(
    logits: Logits, reference_logits: Logits, labels: Labels, *, temperature: float = 1.0, alpha: float = ALPHA
) -> PerExample:
    """Gradient of the distillation loss by the target's logit over that of the plain cross-entropy.

    w = (1 - alpha) + (alpha / T) (p_y(T) - q_y(T)) / (1 - q_y(1)), teacher p, student q, for the loss
    (1 - alpha) CE + alpha CE(p_T, q_T) without the factor T^2. Above 1 - alpha where the teacher is surer than the
    student. A teacher whose wrong classes are evened out has the same w.

    Args:
        logits: (..., example, cls), floating, finite: the student.
        reference_logits: the teacher's, of the same shape.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.
        alpha: weight of the teacher's term, in [0, 1].

    Returns:
        (..., example), float64; descriptive. Large in size where the student is nearly sure of the target, NaN where
        that size is no float.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    References:
        Tang et al., arXiv 2002.03532 [recall]; the identity is [derived].
    """
    function = "rescaling_factor"
    check_positive(function, "temperature", temperature)
    check_logits(function, logits, ndim=None)
    check_logits(function, reference_logits, name="reference_logits", ndim=None)
    if tuple(logits.shape) != tuple(reference_logits.shape):
        raise InvalidValueError(
            f"{function}: `reference_logits` must have the shape of `logits`, {tuple(logits.shape)}, got "
            f"{tuple(reference_logits.shape)}. Pair the models by example ids first."
        )
    shape, classes = tuple(logits.shape[:-1]), logits.shape[-1]
    check_labels(function, labels, shape[len(shape) - labels.ndim :], classes)
    student, teacher = as_tensor(logits), as_tensor(reference_logits)
    index = as_label_tensor(labels, student).expand(shape).reshape(-1)
    with torch.no_grad():
        q = SoftLabelBlock(student.reshape(-1, classes), index)
        p = SoftLabelBlock(teacher.reshape(-1, classes), index)
        gap = q.at(temperature).non_target_mass - p.at(temperature).non_target_mass  # p_y - q_y
        weight = (1 - alpha) + alpha / temperature * gap / q.at(1.0).non_target_mass
        weight = weight.masked_fill(weight.isinf(), torch.nan)  # beyond 1.8e308, where one value would be the mean
    return in_kind_of(weight.reshape(shape), logits)
