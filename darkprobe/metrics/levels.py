"""Levels of teacher knowledge: what a soft label says beyond the uniform one, split exactly into four parts.

With p_y the target's probability, pt the renormalised wrong classes, P = E p_y, and m_k the mean of pt over the
examples of class k with weights 1 - p_y:

    log C - E H(p) =  log C - H_b(P) - (1 - P) log(C - 1)        label smoothing with the same mean confidence
                    + H_b(P) - E H_b(p_y)                          confidence of the instance
                    + E (1 - p_y) (log(C - 1) - H(m_y))            relations of the class
                    + E (1 - p_y) KL(pt || m_y)                    detail of the instance

Each part is a Kullback-Leibler projection and not negative. The names of the levels are Tang et al.'s (arXiv
2002.03532 [text]); this additive form is our choice [design].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from darkprobe.blocks import map_blocks
from darkprobe.checks import check_positive, check_room
from darkprobe.metrics._kinds import LogitRows, in_kind_of, rows_per_block
from darkprobe.metrics._per_example import checked_rows
from darkprobe.metrics.estimate import Estimate
from darkprobe.types import Array, Labels, Logits

LEVELS = ("level_label_smoothing", "level_instance_confidence", "level_class_relations", "level_instance_detail")


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Values of the four levels and their standard errors, both (4,), float64, in nats, in the order of `LEVELS`."""

    values: Tensor
    errors: Tensor
    examples: int


def knowledge_levels(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> Array:
    """The four levels of knowledge in soft labels; they add up to log C - mean entropy.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (..., 4), float64, nats >= 0: label smoothing, instance confidence, class relations, instance detail;
        descriptive. With few examples per class part of the detail is counted as relations, because the class mean is
        estimated from the same examples. NaN without examples.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1]]))  # label smoothing alone
        >>> knowledge_levels(logits, np.array([0, 0])).round(5).tolist()
        [0.45958, 0.0, 0.0, 0.0]

    References:
        Levels: Tang et al., arXiv 2002.03532 [text]; the additive split is our choice [design].
    """
    function = "knowledge_levels"
    check_positive(function, "temperature", temperature)
    rows, index = checked_rows(function, logits, labels)
    lead, examples = tuple(logits.shape[:-2]), logits.shape[-2]
    found = [
        levels_of(rows[i * examples : (i + 1) * examples], index[i * examples : (i + 1) * examples], temperature).values
        for i in range(math.prod(lead))
    ]
    result = torch.stack(found) if found else torch.empty(0, 4, dtype=torch.float64)
    return in_kind_of(result.reshape(*lead, 4), logits)


def levels_of(logits: LogitRows, labels: Tensor, temperature: float) -> Levels:
    """The levels in two passes over blocks: class means, then each example against the mean of its class."""
    examples, classes = logits.shape
    if examples == 0:
        missing = torch.full((4,), torch.nan, dtype=torch.float64)
        return Levels(values=missing, errors=missing, examples=0)
    size = rows_per_block(logits)
    blocks = [slice(start, start + size) for start in range(0, examples, size)]
    matrices = 2 + min(len(blocks), 16)  # sums, their logarithms, those of some blocks
    check_room("levels_of", "a matrix of classes", classes=classes, needed=8 * matrices * classes**2)

    def wrong_sums(rows: slice) -> Tensor:
        wrong = _wrong_probabilities(logits[rows], labels[rows], temperature)[1]
        return torch.zeros_like(total).index_add_(0, labels[rows], wrong)

    total = torch.zeros(classes, classes, dtype=torch.float64, device=logits.device)
    # A few blocks at a time: with many classes their sums take more room than the logits of a block.
    for start in range(0, len(blocks), 16):
        total += torch.stack(map_blocks(wrong_sums, blocks[start : start + 16])).sum(0)
    log_mean = (total / total.sum(-1, keepdim=True)).log().nan_to_num(nan=0.0, neginf=0.0)  # 0 log 0 adds nothing

    def contributions(rows: slice) -> Tensor:
        target_log, wrong, log_wrong = _wrong_probabilities(logits[rows], labels[rows], temperature)
        mass = wrong.sum(-1)
        relations = mass * math.log(classes - 1) + (wrong * log_mean[labels[rows]]).sum(-1)
        detail = (wrong * (log_wrong - log_mean[labels[rows]])).sum(-1) - torch.xlogy(mass, mass)
        return torch.stack([target_log.exp(), _binary_entropy(mass), relations, detail])

    target, binary, relations, detail = torch.cat(map_blocks(contributions, blocks), dim=1)
    return _assembled(target, binary, relations, detail, classes=classes)


def _wrong_probabilities(logits: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """log p_y (example), and p and log p with the target's entry set to 0, (example, cls), float64."""
    log_probs = torch.log_softmax(logits.double() / temperature, dim=-1)
    own = labels.unsqueeze(-1)
    target_log = log_probs.gather(-1, own).squeeze(-1)
    wrong = log_probs.exp().scatter_(-1, own, 0.0)
    return target_log, wrong, log_probs.scatter_(-1, own, 0.0)


def _binary_entropy(share: Tensor) -> Tensor:
    return -torch.xlogy(share, share) - torch.xlogy(1 - share, 1 - share)


def _assembled(target: Tensor, binary: Tensor, relations: Tensor, detail: Tensor, *, classes: int) -> Levels:
    """Means, and errors from each example's influence; the class means' own error cancels to first order."""
    n = len(target)
    mean = 1 - (1 - target).mean()  # the same rounding as the masses
    smoothing = math.log(classes) - _binary_entropy(1 - mean) - (1 - mean) * math.log(classes - 1)
    slope = torch.log(mean / (1 - mean).clamp(min=1e-300))  # minus the derivative of the binary entropy
    moved = target - mean
    influences = torch.stack(
        [(slope + math.log(classes - 1)) * moved, -slope * moved - (binary - binary.mean()), relations, detail]
    )
    values = torch.stack([smoothing, _binary_entropy(mean) - binary.mean(), relations.mean(), detail.mean()])
    errors = influences.std(-1) / math.sqrt(n) if n > 1 else torch.full_like(values, torch.nan)
    return Levels(values=values.clamp(min=0), errors=errors, examples=n)


def level_function(level: int) -> Callable[..., Array]:
    """The metric function that gives one of the levels."""

    def function(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> Array:
        return knowledge_levels(logits, labels, temperature=temperature)[..., level]

    function.__name__ = LEVELS[level]
    return function


def level_estimate(level: int) -> Callable[[LogitRows, Tensor, float], Estimate]:
    """The estimate with standard error of one of the levels."""

    def estimate(logits: LogitRows, labels: Tensor, temperature: float) -> Estimate:
        found = levels_of(logits, labels, temperature)
        return Estimate(value=float(found.values[level]), error=float(found.errors[level]), examples=found.examples)

    return estimate
