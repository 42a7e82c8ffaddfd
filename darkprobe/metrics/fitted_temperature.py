"""The temperature that a likelihood fit on labelled examples would choose, and how sure it is."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from darkprobe.blocks import map_blocks
from darkprobe.metrics._kinds import LogitRows, in_kind_of, rows_per_block
from darkprobe.metrics._per_example import checked_rows
from darkprobe.metrics.estimate import Estimate
from darkprobe.types import Array, Labels, Logits


@dataclass(frozen=True, kw_only=True)
class _Slope:
    """Means over examples at one inverse temperature: of the loss's slope, its square, and the curvature."""

    first: float
    squared: float
    second: float


def fitted_temperature(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> Array:
    """Temperature at which the mean negative log-likelihood of the labels is smallest.

    argmin over T of mean(-log softmax(f / T)[y]), by Newton's method on 1 / T, where the loss is convex. Above 1 the
    model is over-confident, below 1 under-confident. `temperature` is not used: the fit is to the logits as they are.

    Args:
        logits: (..., example, cls), floating, finite; held-out examples, or the fit says nothing about calibration.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: ignored; every metric takes it.

    Returns:
        (...), float64, T in [0, inf]; 1 is best calibrated. 0 when every example is right by a margin (the likelihood
        grows without end), inf when the target's logit is on average below the mean logit. NaN without examples.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite or a label is out of range.

    References:
        Guo et al., ICML 2017, temperature scaling [recall].
    """
    rows, index = checked_rows("fitted_temperature", logits, labels)
    lead, examples = tuple(logits.shape[:-2]), logits.shape[-2]
    count = math.prod(lead)
    with torch.no_grad():
        found = [
            fit_temperature(rows[i * examples : (i + 1) * examples], index[i * examples : (i + 1) * examples]).value
            for i in range(count)
        ]
    return in_kind_of(torch.tensor(found, dtype=torch.float64, device=rows.device).reshape(lead), logits)


def fit_temperature(logits: LogitRows, labels: Tensor, temperature: float = 1.0) -> Estimate:
    """The fit and its standard error by the sandwich formula, for (example, cls) logits.

    `temperature` is ignored. A fit on at most 4,096 evenly spread rows starts Newton's method on all.
    """
    examples = len(logits)
    if examples == 0:
        return Estimate(value=math.nan, error=math.nan, examples=0)
    step = -(-examples // 4096) if examples > 8192 else 1
    start = 1.0
    if step > 1 and _end_of_range(logits[::step], labels[::step]) is None:
        start, _ = _newton(logits[::step], labels[::step], 1.0)
    else:
        end = _end_of_range(logits, labels)
        if end is not None:
            return Estimate(value=end, error=math.nan, examples=examples)
    inverse, slope = _newton(logits, labels, start)
    if inverse < 1e-9:
        return Estimate(value=math.inf, error=math.nan, examples=examples)
    error = math.sqrt(slope.squared / examples) / slope.second / inverse
    return Estimate(value=1 / inverse, error=error, examples=examples, scale="log")


def _end_of_range(logits: LogitRows, labels: Tensor) -> float | None:
    """0.0 or infinity when the loss has no minimum at a finite temperature, else None."""
    size = rows_per_block(logits)

    def looks(start: int) -> Tensor:
        block, own = logits[start : start + size], labels[start : start + size].unsqueeze(-1)
        target = block.gather(-1, own).squeeze(-1)
        above = (block.mean(-1, dtype=torch.float64) - target.double()).sum()
        return torch.stack([above, (target < block.amax(-1)).sum().double()])

    above, wrong = torch.stack(map_blocks(looks, range(0, len(logits), size))).sum(0).tolist()
    if above >= 0:
        return math.inf
    return 0.0 if not wrong else None


def _newton(logits: LogitRows, labels: Tensor, inverse: float) -> tuple[float, _Slope]:
    """Root of the slope in 1 / T by Newton's method inside a shrinking bracket, and the slope beside it."""
    low, high = 0.0, math.inf
    slope = _slope(logits, labels, inverse)
    for _ in range(60):
        if slope.first > 0:
            high = inverse
        else:
            low = inverse
        proposal = inverse - slope.first / max(slope.second, 1e-300)
        if not low < proposal < high or proposal > 4 * inverse:
            proposal = (low + high) / 2 if math.isfinite(high) else 2 * inverse
        step, inverse = abs(proposal - inverse), proposal
        if step <= 1e-3 * inverse or inverse < 1e-9:  # quadratic: what is left is of order 1e-6
            break
        slope = _slope(logits, labels, inverse)
    return inverse, slope


def _slope(logits: LogitRows, labels: Tensor, inverse: float) -> _Slope:
    size = rows_per_block(logits)

    def sums(start: int) -> Tensor:
        block, own = logits[start : start + size], labels[start : start + size].unsqueeze(-1)
        block = block if block.dtype in (torch.float32, torch.float64) else block.float()
        gaps = block - block.gather(-1, own)
        weighted = torch.softmax(gaps * inverse, dim=-1).mul_(gaps)
        mean = weighted.sum(-1).double()
        spread = weighted.mul_(gaps).sum(-1).double() - mean.square()
        return torch.stack([mean.sum(), mean.square().sum(), spread.sum()])

    first, squared, second = (torch.stack(map_blocks(sums, range(0, len(logits), size))).sum(0) / len(logits)).tolist()
    return _Slope(first=first, squared=squared, second=second)
