"""PTLoss: the KL divergence with the leading terms of its series changed, and how to choose the changes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from darkprobe.checks import check_positive
from darkprobe.distill.losses.door import check_pair, check_rows, fixed, wide
from darkprobe.distill.losses.matching import divergence
from darkprobe.errors import InvalidValueError


def perturbed(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float = 1.0,
    coefficients: Sequence[float] | Tensor,
) -> Tensor:
    """PTLoss, teacher term: `mean [ D(p || q) + sum_c p_c sum_{m=1..M} eps_cm (1 - q_c)^m ]`, p at T, q at 1.

    `-log q = sum_m (1 - q)^m / m`, so eps changes the first M terms of the series; the minimiser is no longer p but an
    implied proxy teacher.

    Args:
        student_logits: (..., example, cls), floating.
        teacher_logits: (..., example, cls) or (example, cls); gradients do not pass into it.
        labels: not used.
        temperature: T > 0, of the teacher.
        coefficients: eps, (order,) for all classes alike or (cls, order). All 0 is KD with the student at 1.

    Returns:
        (...); with negative eps it can be negative.

    Raises:
        InvalidValueError: `temperature` is not > 0, or shapes do not match.

    References:
        Zhang et al. (2023), Knowledge distillation with perturbed loss: abstract [text], formula [recall].
    """
    check_positive("perturbed", "temperature", temperature)
    check_pair("perturbed", student_logits, teacher_logits)
    z, f = wide(student_logits), fixed(teacher_logits) / temperature
    eps = torch.as_tensor(coefficients, dtype=z.dtype, device=z.device)
    if eps.ndim not in (1, 2) or (eps.ndim == 2 and len(eps) != z.shape[-1]):
        raise InvalidValueError(
            f"perturbed: `coefficients` must have shape (order,) or ({z.shape[-1]}, order), got {tuple(eps.shape)}. "
            "Give one number a term, or one a class and term."
        )
    extra = (f.softmax(-1) * _series(1 - z.softmax(-1), eps)).sum(-1)
    return (divergence(f, z) + extra).mean(-1)


def _series(rest: Tensor, eps: Tensor) -> Tensor:
    """`sum_m eps_m rest^m`, m from 1, by Horner's rule."""
    total = torch.zeros_like(rest)
    for column in reversed(range(eps.shape[-1])):
        total = (total + eps[..., column]) * rest
    return total


def proxy_teacher(teacher_probs: Tensor, coefficients: Tensor, *, steps: int = 60) -> Tensor:
    """The distribution that minimises PTLoss for each teacher distribution, found by exponentiated descent.

    Args:
        teacher_probs: (example, cls), rows sum to 1.
        coefficients: (order,) or (cls, order).
        steps: descent steps; with rate .5 the fixed point of eps = 0 is the teacher itself.

    Returns:
        (example, cls), rows sum to 1.

    References:
        Our choice of solver [design].
    """
    p = teacher_probs.detach()
    log_q = p.clamp_min(torch.finfo(p.dtype).tiny).log()
    order = torch.arange(1, coefficients.shape[-1] + 1, dtype=p.dtype, device=p.device)
    for _ in range(steps):
        q = log_q.exp()
        slope = _series(1 - q, coefficients * order) / (1 - q).clamp_min(1e-12)  # sum_m m eps_m (1 - q)^(m - 1)
        wanted = p * (1 + q * slope)  # at the optimum q_c is proportional to this
        log_q = 0.5 * log_q + 0.5 * wanted.clamp_min(torch.finfo(p.dtype).tiny).log()
        log_q = log_q.log_softmax(-1)
    return log_q.exp()


def search_coefficients(
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    order: int = 5,
    trials: int = 64,
    scale: float = 1.0,
    temperature: float = 1.0,
    seed: int = 0,
) -> tuple[float, ...]:
    """Coefficients whose proxy teacher is closest, in mean squared distance, to the labels of held-out examples.

    Random search over uniform numbers in [-scale, scale]; all zeros is always among the candidates, so the answer is
    never further from the labels than the teacher. Pass validation examples.

    Args:
        teacher_logits: (example, cls), floating.
        labels: (example,), integer in [0, cls).
        order: M, number of terms.
        trials: candidates beside zero.
        scale: above 0, half the width of the search.
        temperature: T > 0 of the teacher.
        seed: of the candidates.

    Returns:
        `order` numbers, for `perturbed`.

    Raises:
        InvalidValueError: a number is not > 0, or labels do not fit.

    References:
        Zhang et al. (2023): random search, L2 distance to labels on validation data [recall]; the range [design].
    """
    for name, value in (("order", order), ("trials", trials), ("scale", scale), ("temperature", temperature)):
        check_positive("search_coefficients", name, value)
    index = check_rows("search_coefficients", labels, teacher_logits)
    p = (fixed(teacher_logits) / temperature).softmax(-1)
    generator = torch.Generator().manual_seed(seed)
    candidates = scale * (2 * torch.rand(trials, order, generator=generator, dtype=torch.float64) - 1)
    best, closest = torch.zeros(order, dtype=torch.float64), math.inf
    for candidate in (best, *candidates):
        proxy = proxy_teacher(p.double(), candidate.to(p.device))
        label = proxy.gather(-1, index.unsqueeze(-1)).squeeze(-1)
        distance = float((proxy.square().sum(-1) - 2 * label + 1).mean())
        if distance < closest:
            best, closest = candidate, distance
    return tuple(best.tolist())
