"""Losses on relations between logits rather than on their values: DIST, ranking, standardised KD."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from darkprobe.checks import check_positive
from darkprobe.distill.losses.door import check_pair, fixed, wide
from darkprobe.distill.losses.matching import divergence

_SMALL = 1e-8
_PAIRS = 2**22
"""Pairs of classes, over all examples, that the ranking loss looks at in one go (16 MiB an array)."""


def dist(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float = 1.0,
    beta: float = 1.0,
    gamma: float = 1.0,
) -> Tensor:
    """DIST, teacher term: `T^2 (beta (1 - mean_i rho(q_i, p_i)) + gamma (1 - mean_c rho(q_:c, p_:c)))`.

    rho is Pearson's correlation of probabilities at T: over classes for each example, over the batch for each class.
    The second part couples the examples of a batch, so its value depends on the batch size.

    Args:
        student_logits: (..., example, cls), floating; at least 2 examples for the second part to say anything.
        teacher_logits: (..., example, cls) or (example, cls); gradients do not pass into it.
        labels: not used.
        temperature: T > 0, on both.
        beta: weight of the relation between classes, within examples.
        gamma: weight of the relation between examples, within classes.

    Returns:
        (...), in [0, 2 (beta + gamma) T^2]; lower is better.

    Raises:
        InvalidValueError: `temperature` is not > 0, or shapes do not match.

    References:
        Huang et al. (2022), DIST; T^2 and T as in the code of Zheng and Yang (2024) [code].
    """
    check_positive("dist", "temperature", temperature)
    check_pair("dist", student_logits, teacher_logits)
    q = (wide(student_logits) / temperature).softmax(-1)
    p = (fixed(teacher_logits) / temperature).softmax(-1).expand(q.shape)
    between = 1 - _pearson(q, p, axis=-1).mean(-1)
    within = 1 - _pearson(q, p, axis=-2).mean(-1)
    return temperature**2 * (beta * between + gamma * within)


def _pearson(one: Tensor, other: Tensor, *, axis: int) -> Tensor:
    """Correlation along `axis`; 0 where either is constant (a small number keeps the quotient finite)."""
    a, b = one - one.mean(axis, keepdim=True), other - other.mean(axis, keepdim=True)
    norms = torch.linalg.vector_norm(a, dim=axis) * torch.linalg.vector_norm(b, dim=axis)
    correlation: Tensor = (a * b).sum(axis) / (norms + _SMALL)
    return correlation


def ranking(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    teacher_scale: float = 1.0,
    student_scale: float = 1.0,
) -> Tensor:
    """Ranking loss: `mean over pairs i < j of -tanh((f_i - f_j)/s_t) tanh((z_i - z_j)/s_s)`, a smooth Kendall tau.

    As s_t goes to 0 it depends on the teacher's order of classes alone, so no increasing map of its logits (no
    temperature, no miscalibration) changes it. Time grows with C^2 an example, memory with C.

    Args:
        student_logits: (..., example, cls), floating.
        teacher_logits: (..., example, cls) or (example, cls); gradients do not pass into it.
        labels: not used.
        teacher_scale: s_t > 0, difference of logits that counts as clear.
        student_scale: s_s > 0.

    Returns:
        (...), in [-1, 1]; lower is better, -1 where all pairs are clearly in the teacher's order.

    Raises:
        InvalidValueError: a scale is not > 0, or shapes do not match.

    References:
        Our choice [design]; the idea of a calibration-insensitive ranking loss: Fan et al. (2024), ICML [secondary].
    """
    check_positive("ranking", "teacher_scale", teacher_scale)
    check_positive("ranking", "student_scale", student_scale)
    check_pair("ranking", student_logits, teacher_logits)
    classes = student_logits.shape[-1]
    student = wide(student_logits) / student_scale
    teacher = (fixed(teacher_logits) / teacher_scale).expand(student.shape)
    concordance: Tensor = _Concordance.apply(student, teacher)  # type: ignore[no-untyped-call]
    return -concordance.mean(-1) / (classes * (classes - 1))


class _Concordance(torch.autograd.Function):
    """(..., example): sum over pairs (i, j) of tanh(z_i - z_j) tanh(f_i - f_j), a few classes i at a time.

    The slope is found on the way, so that no array of pairs is kept for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor) -> Tensor:
        total, slopes = torch.zeros_like(student[..., 0]), []
        for start, stop in _spans(student):
            ours = _gaps(student, start, stop).tanh()
            theirs = _gaps(teacher, start, stop).tanh()
            total = total + (ours * theirs).sum((-2, -1))
            slopes.append(2 * (theirs * (1 - ours.square())).sum(-1))
        ctx.save_for_backward(torch.cat(slopes, -1))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0].unsqueeze(-1) * slope, None


def _spans(scores: Tensor) -> Iterator[tuple[int, int]]:
    """Ranges of classes whose pairs with all classes are few enough numbers to hold at once."""
    classes = scores.shape[-1]
    step = max(1, _PAIRS // max(1, scores.numel()))
    return ((start, min(start + step, classes)) for start in range(0, classes, step))


def _gaps(scores: Tensor, start: int, stop: int) -> Tensor:
    return scores[..., start:stop].unsqueeze(-1) - scores.unsqueeze(-2)


def list_mle(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor | None = None) -> Tensor:
    """Negative log-likelihood, in nats, of the teacher's order of classes under the student (Plackett-Luce).

    `mean over examples of -sum_k [ z_(k) - log sum_{j >= k} exp z_(j) ]`, (k) the teacher's k-th class. Depends on the
    teacher's order alone; equal teacher logits are taken in order of class index.

    Args:
        student_logits: (..., example, cls), floating.
        teacher_logits: (..., example, cls) or (example, cls); gradients do not pass into it.
        labels: not used.

    Returns:
        (...), >= 0; log(C!) for a student without preference.

    Raises:
        InvalidValueError: shapes do not match.

    References:
        Xia et al. (2008), ListMLE [recall]; its use here is our choice [design].
    """
    check_pair("list_mle", student_logits, teacher_logits)
    z = wide(student_logits)
    order = fixed(teacher_logits).argsort(dim=-1, descending=True, stable=True).expand(z.shape)
    ranked = z.gather(-1, order)
    remaining = ranked.flip(-1).logcumsumexp(-1).flip(-1)
    return (remaining - ranked).sum(-1).mean(-1)


def kd_standardised(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor | None = None, *, temperature: float = 2.0
) -> Tensor:
    """KD between standardised logits: `T^2 mean D(softmax(Z(f)/T) || softmax(Z(z)/T))`.

    `Z(f) = (f - mean f) / (std f + 1e-7)` per example, ddof 1, on teacher and student: only the shape is matched.

    Args:
        student_logits: (..., example, cls), floating.
        teacher_logits: (..., example, cls) or (example, cls); gradients do not pass into it.
        labels: not used.
        temperature: T > 0, on both.

    Returns:
        (...), >= 0, in nats times T^2.

    Raises:
        InvalidValueError: `temperature` is not > 0, or shapes do not match.

    References:
        Sun et al. (2024), Logit standardization in knowledge distillation, official code; weight 9 there [code].
    """
    check_positive("kd_standardised", "temperature", temperature)
    check_pair("kd_standardised", student_logits, teacher_logits)
    teacher, student = z_scores(fixed(teacher_logits)), z_scores(wide(student_logits))
    return temperature**2 * divergence(teacher / temperature, student / temperature).mean(-1)


def z_scores(scores: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 (ddof 1) over classes; 0 where all are equal, with a finite gradient."""
    centred = scores - scores.mean(-1, keepdim=True)
    deviation: Tensor = torch.linalg.vector_norm(centred, dim=-1, keepdim=True) / (scores.shape[-1] - 1) ** 0.5
    return centred / (deviation + 1e-7)
