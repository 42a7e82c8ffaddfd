"""Agreement of two models' predictions, and how far one's soft labels are from the other's."""

import torch
from torch import Tensor

from darkprobe.checks import check_labels, check_logits, check_positive
from darkprobe.errors import InvalidValueError
from darkprobe.metrics._kinds import as_tensor, in_kind_of, rows_per_block
from darkprobe.types import Labels, Logits, PerExample


def agreement(logits: Logits, reference_logits: Logits, labels: Labels, *, temperature: float = 1.0) -> PerExample:
    """1 where two models predict the same class, else 0.

    A model's prediction is its largest logit, the lower class number where several are. Also called fidelity when one
    model is the other's student.

    Args:
        logits: (..., example, cls), floating, finite.
        reference_logits: the other model's, of the same shape.
        labels: (..., example), integers in [0, cls); they do not enter.
        temperature: ignored; every metric takes it.

    Returns:
        (..., example), float64, 0 or 1; 1 = same prediction, right or wrong.

    Raises:
        InvalidValueError: shapes do not fit, or a logit is not finite.

    References:
        Fidelity: Stanton et al., NeurIPS 2021 [recall].
    """
    first, second = _pair("agreement", logits, reference_logits, labels)
    same = (first.argmax(-1) == second.argmax(-1)).double()
    return in_kind_of(same, logits)


def kl_from_reference(
    logits: Logits, reference_logits: Logits, labels: Labels, *, temperature: float = 1.0
) -> PerExample:
    """Divergence D(q || p) of the soft label p from the reference's q, in nats; the loss that distillation lowers.

    sum_c q_c (log q_c - log p_c), q = softmax(reference / T), p = softmax(f / T). Not symmetric: the reference comes
    first, as a teacher does.

    Args:
        logits: (..., example, cls), floating, finite: the model, or student.
        reference_logits: the reference, or teacher, of the same shape.
        labels: (..., example), integers in [0, cls); they do not enter.
        temperature: T > 0, of both.

    Returns:
        (..., example), float64, nats in [0, inf); 0 = the same soft label.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, or the temperature is not > 0.

    Examples:
        >>> import numpy as np
        >>> p, q = np.log(np.array([[0.5, 0.5]])), np.log(np.array([[0.25, 0.75]]))
        >>> kl_from_reference(p, q, np.array([0])).round(6)
        array([0.130812])

    References:
        Standard.
    """
    check_positive("kl_from_reference", "temperature", temperature)
    first, second = _pair("kl_from_reference", logits, reference_logits, labels)
    shape, classes = first.shape[:-1], first.shape[-1]
    first, second = first.reshape(-1, classes), second.reshape(-1, classes)
    result = torch.empty(len(first), dtype=torch.float64, device=first.device)
    size = rows_per_block(first)
    with torch.no_grad():
        for start in range(0, len(first), size):
            rows = slice(start, start + size)
            log_p = torch.log_softmax(first[rows].double() / temperature, dim=-1)
            log_q = torch.log_softmax(second[rows].double() / temperature, dim=-1)
            result[rows] = (log_q.exp() * (log_q - log_p)).sum(-1).clamp(min=0)
    return in_kind_of(result.reshape(shape), logits)


def _pair(function: str, logits: Logits, reference_logits: Logits, labels: Labels) -> tuple[Tensor, Tensor]:
    check_logits(function, logits, ndim=None)
    check_logits(function, reference_logits, name="reference_logits", ndim=None)
    if tuple(logits.shape) != tuple(reference_logits.shape):
        raise InvalidValueError(
            f"{function}: `reference_logits` must have the shape of `logits`, {tuple(logits.shape)}, got "
            f"{tuple(reference_logits.shape)}. Pair the models by example ids first."
        )
    check_labels(function, labels, tuple(logits.shape[-1 - labels.ndim : -1]), logits.shape[-1])
    return as_tensor(logits), as_tensor(reference_logits)
