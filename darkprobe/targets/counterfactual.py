"""Counterfactual teachers: logits in, logits out, one property changed and the rest held fixed.

A counterfactual teacher is a teacher: any target, loss or metric may follow. "At fixed p_y" means that
`p_y = softmax(f / T)_y` is what it was at the temperature given (it can be held at one temperature only, unless the
wrong classes merely change places). These make causal claims testable: what happens to the student when only the
spread of the wrong classes changes, only their order, or only the teacher's confidence.
"""

import math

import torch
from torch import Tensor

from darkprobe.checks import check_choice, check_positive
from darkprobe.errors import InvalidValueError
from darkprobe.targets.door import alike, enter
from darkprobe.targets.solve import solve_increasing
from darkprobe.targets.wrong import label_mask, parts, together, wrong_std
from darkprobe.types import Array, Labels, Logits

_WIDEST = 1e4
"""Largest factor by which a solved sharpening may multiply wrong-class logits."""


def scale_wrong(logits: Logits, labels: Labels, *, factor: float, temperature: float) -> Logits:
    """Logits whose wrong classes are `factor` times as far apart, p_y(T) held.

    `f'_c = factor * f_c + b` for wrong c, with b such that p_y(T) stays. Below 1 flattens, above 1 sharpens, 0 makes
    all wrong classes alike; the order is kept. The wrong-class distribution at T becomes softmax(factor * f_W / T).

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example) or (example,), integer in [0, cls).
        factor: at least 0, finite.
        temperature: T > 0 at which p_y is held.

    Returns:
        Logits of the same shape and kind.

    Raises:
        InvalidValueError: `factor` is negative or not finite, `temperature` is not > 0.

    References:
        Our choice [design].
    """
    if not (math.isfinite(factor) and factor >= 0):
        raise InvalidValueError(
            f"scale_wrong: `factor` must be a finite number >= 0, got {factor}. "
            "Give 0 to make all wrong classes alike, 1 to change nothing."
        )
    check_positive("scale_wrong", "temperature", temperature)
    scores, index = enter("scale_wrong", logits, labels)
    return alike(logits, _with_wrong(scores, index, factor * scores, temperature=temperature))


def permute_wrong(logits: Logits, labels: Labels, *, seed: int, unit: str = "example") -> Logits:
    """Logits whose wrong classes have changed places: same values, same p_y at every temperature, no affinity left.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example) or (example,), integer in [0, cls).
        seed: of the permutation. Leading axes share it: row i is permuted alike in every member of a stack.
        unit: "example": each example has its own permutation. "class": all examples of one class share one, which
            keeps what is consistent within a class but puts it on the wrong classes.

    Returns:
        Logits of the same shape and kind; each example's sorted wrong logits are unchanged.

    Raises:
        UnknownNameError: `unit` is neither.

    References:
        Our choice [design].
    """
    check_choice("unit", unit, ("example", "class"))
    scores, index = enter("permute_wrong", logits, labels)
    rows, classes = scores.shape[-2:]
    generator = torch.Generator().manual_seed(seed)
    keys = torch.rand(rows if unit == "example" else classes, classes - 1, generator=generator)
    order = keys.argsort(-1).to(scores.device)
    order = order.expand(*scores.shape[:-1], classes - 1) if unit == "example" else order[index]
    places = torch.arange(classes - 1, device=scores.device)
    wrong = places + (places >= index.unsqueeze(-1))  # the wrong classes of each example, ascending
    moved = scores.gather(-1, wrong).gather(-1, order)
    return alike(logits, scores.scatter(-1, wrong, moved))


def raise_label(logits: Logits, labels: Labels, *, amount: float) -> Logits:
    """Logits with `amount` added at the label: a teacher more confident (or less) with the same wrong classes.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example) or (example,), integer in [0, cls).
        amount: any finite number.

    Returns:
        Logits of the same shape and kind; the wrong-class distribution is unchanged at every temperature.

    References:
        Our choice [design].
    """
    scores, index = enter("raise_label", logits, labels)
    return alike(logits, torch.where(label_mask(scores, index), scores + amount, scores))


def scale_all(logits: Logits, *, factor: float) -> Logits:
    """Logits multiplied by `factor`: confident (> 1) or unsure (< 1) by scale alone, undone by T = factor.

    Args:
        logits: (..., example, cls), floating, finite.
        factor: above 0.

    Returns:
        Logits of the same shape and kind.

    Raises:
        InvalidValueError: `factor` is not > 0.

    References:
        Our choice [design].
    """
    check_positive("scale_all", "factor", factor)
    scores, _ = enter("scale_all", logits)
    return alike(logits, scores * factor)


def shift_examples(logits: Logits, *, scale: float, seed: int) -> Logits:
    """Logits plus one normal random number per example: a softmax does not see it (negative control).

    Targets with two temperatures do see it unless the logits are centred.

    Args:
        logits: (..., example, cls), floating, finite.
        scale: standard deviation of the shift, > 0.
        seed: of the shift; leading axes share it.

    Returns:
        Logits of the same shape and kind.

    Raises:
        InvalidValueError: `scale` is not > 0.

    References:
        Our choice [design].
    """
    check_positive("shift_examples", "scale", scale)
    scores, _ = enter("shift_examples", logits)
    shift = torch.randn(scores.shape[-2], 1, generator=torch.Generator().manual_seed(seed))
    return alike(logits, scores + scale * shift.to(scores))


def swap_wrong(logits: Logits, labels: Labels, *, other: Logits, temperature: float) -> Logits:
    """Logits with this teacher's p_y and another teacher's wrong classes, both at T.

    Args:
        logits: (..., example, cls), floating, finite: whose p_y(T) is kept.
        labels: (..., example) or (example,), integer in [0, cls).
        other: same shape: whose wrong-class distribution softmax(f_W / T) is taken.
        temperature: T > 0.

    Returns:
        Logits of the same shape and kind as `logits`.

    Raises:
        InvalidValueError: `temperature` is not > 0, or the shapes differ.

    References:
        Our choice [design].
    """
    check_positive("swap_wrong", "temperature", temperature)
    scores, index = enter("swap_wrong", logits, labels)
    foreign, _ = enter("swap_wrong", other)
    if foreign.shape != scores.shape:
        raise InvalidValueError(
            f"swap_wrong: `other` must have the shape of `logits`, {tuple(scores.shape)}, got {tuple(foreign.shape)}. "
            "Pair the same examples and classes."
        )
    return alike(logits, _with_wrong(scores, index, foreign.to(scores), temperature=temperature))


def match_std(logits: Logits, labels: Labels, *, std: float, temperature: float) -> tuple[Logits, Array]:
    """Logits whose mean std over wrong classes at T is `std`, p_y(T) held; and the factor that made it so.

    One factor g for all examples: `mean std_W(p) = mean (1 - p_y) std(softmax(g f_W / T)) = std`, solved for g. Use it
    to give teachers of different capacity one distinctness.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example) or (example,), integer in [0, cls).
        std: wanted mean over examples of the wrong classes' std (ddof 0), > 0.
        temperature: T > 0 at which p_y and the std are taken.

    Returns:
        Logits of the same shape and kind, and g of shape (...), one a teacher.

    Raises:
        InvalidValueError: `std` cannot be reached with this teacher's p_y: it must lie between 0 and the largest mean
            std, which all wrong mass on one class would give.

    References:
        Our choice [design].
    """
    check_positive("match_std", "std", std)
    check_positive("match_std", "temperature", temperature)
    scores, index = enter("match_std", logits, labels)
    split = parts(scores / temperature, index)

    def mean_std(factor: Tensor) -> Tensor:
        log_wrong = (factor[..., None, None] * split.log_wrong).log_softmax(-1)
        return wrong_std(together(split._replace(log_wrong=log_wrong)), split.at_label).mean(-1)

    goal = torch.full(scores.shape[:-2], std, dtype=scores.dtype, device=scores.device)
    low, high = torch.full_like(goal, 1 / _WIDEST), torch.full_like(goal, _WIDEST)
    least, most = mean_std(low), mean_std(high)
    if bool(((goal < least) | (goal > most)).any()):
        raise InvalidValueError(
            f"match_std: `std` must lie within [{float(least.max()):.4g}, {float(most.min()):.4g}], what this p_y "
            f"allows at T = {temperature}, got {std}. Choose a std in that range, or change p_y first."
        )
    factor = solve_increasing(mean_std, goal, low=low, high=high)
    scaled = _with_wrong(scores, index, factor[..., None, None] * scores, temperature=temperature)
    return alike(logits, scaled), alike(logits, factor)


def _with_wrong(scores: Tensor, labels: Tensor, wrong_scores: Tensor, *, temperature: float) -> Tensor:
    """`scores` at the label; elsewhere `wrong_scores`, moved by a constant per example so that p_y(T) stays."""
    at_label = label_mask(scores, labels)
    before = (scores.masked_fill(at_label, -torch.inf) / temperature).logsumexp(-1, keepdim=True)
    after = (wrong_scores.masked_fill(at_label, -torch.inf) / temperature).logsumexp(-1, keepdim=True)
    return torch.where(at_label, scores, wrong_scores + temperature * (before - after))
