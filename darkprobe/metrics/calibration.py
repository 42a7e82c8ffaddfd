"""Calibration: does the largest probability say how often the model is right?

Three estimates of the expected calibration error in 15 bins. Each uses the top label: confidence = max_c p_c,
correct = the label's logit is above all others. The binned estimate is biased upwards by noise in the bins;
`ece_debiased` takes the expected excess off.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from darkprobe.metrics.soft_label_statistics import SoftLabelStatistics
from darkprobe.metrics.totals import Features, TotalsForm, evaluate_totals
from darkprobe.types import Array, Labels, Logits

BINS = 15


def _confidence_and_correctness(statistics: SoftLabelStatistics) -> Tensor:
    return torch.stack([statistics.confidence, statistics.accuracy], dim=-1)


def _equal_width_bins(confidence: Tensor) -> Tensor:
    """Bin numbers for [0, 1/n), ..., [(n - 1)/n, 1]: a confidence of exactly 1 is in the last bin."""
    return (confidence * BINS).long().clamp(max=BINS - 1)


def _equal_mass_bins(confidence: Tensor) -> Tensor:
    """Bin numbers by rank, bins as equally filled as can be; equal confidences share the bin of their lowest rank."""
    confidence = confidence.contiguous()
    ordered = confidence.sort().values
    rank = torch.searchsorted(ordered, confidence, right=False)
    return (rank * BINS // max(1, len(confidence))).clamp(max=BINS - 1)


def _gap(columns: Tensor) -> Tensor:
    return columns[:, 1] - columns[:, 0]


def _in_its_bin(values: Tensor, bins: Tensor) -> Tensor:
    """Each value in the column of its example's bin, (example, bin), float32: most of it is zeros."""
    spread = torch.zeros((len(values), BINS), dtype=torch.float32, device=values.device)
    return spread.scatter_(1, bins.unsqueeze(-1), values.float().unsqueeze(-1))


def _sum_of_absolute_gaps(columns: Tensor, bins: Tensor) -> Features:
    examples = len(columns)
    return Features(
        values=_in_its_bin(_gap(columns), bins),
        value=lambda totals: totals.abs().sum(-1) / max(1, examples),
        debiased=_without_bias(_gap(columns), bins),
    )


def _equal_width(columns: Tensor) -> Features:
    return _sum_of_absolute_gaps(columns, _equal_width_bins(columns[:, 0]))


def _equal_mass(columns: Tensor) -> Features:
    return _sum_of_absolute_gaps(columns, _equal_mass_bins(columns[:, 0]))


def _debiased(columns: Tensor) -> Features:
    bins = _equal_width_bins(columns[:, 0])
    value = _without_bias(_gap(columns), bins)
    return Features(values=_in_its_bin(_gap(columns), bins), value=value, debiased=value)


def _without_bias(gap: Tensor, bins: Tensor) -> Callable[[Tensor], Tensor]:
    """Totals of bins to the error without the bias by noise; the noise is that of the sample, also in resamples."""
    examples = len(gap)
    zero = torch.zeros(BINS, dtype=torch.float64, device=gap.device)
    count = zero.index_add(0, bins, torch.ones_like(gap))
    mean = zero.index_add(0, bins, gap) / count.clamp(min=1)
    variance = zero.index_add(0, bins, (gap - mean[bins]).square()) / (count - 1).clamp(min=1)
    error = (variance * count).sqrt().clamp(min=1e-300)  # of the bin's total

    def value(totals: Tensor) -> Tensor:
        size = totals.abs()
        z = size / error
        folded = error * (2 / torch.pi) ** 0.5 * torch.exp(-z.square() / 2) + size * torch.erf(z / 2**0.5)
        corrected: Tensor = (2 * size - folded).sum(-1)
        return corrected.clamp(min=0) / max(1, examples)

    return value


ECE = TotalsForm(columns=_confidence_and_correctness, features=_equal_width, shares="gaps in bins of equal width")
ECE_EQUAL_MASS = TotalsForm(
    columns=_confidence_and_correctness, features=_equal_mass, shares="gaps in bins of equal mass"
)
ECE_DEBIASED = TotalsForm(columns=_confidence_and_correctness, features=_debiased, shares="gaps in bins of equal width")


def ece(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> Array:
    """Expected calibration error, 15 bins of equal width.

    sum over bins of (n_b / n) |accuracy_b - mean confidence_b|; the last bin holds a confidence of exactly 1.
    Not to be confused with the class-wise error, which looks at every class's probability.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (...), float64, a fraction in [0, 1]; lower is better. Biased upwards for few examples. NaN without examples.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    References:
        Guo et al., ICML 2017 [recall].
    """
    return evaluate_totals("ece", ECE, logits, labels, temperature=temperature)


def ece_equal_mass(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> Array:
    """Expected calibration error, 15 bins with the same number of examples each.

    As `ece`, with bins cut at ranks of the confidence instead of at fixed values; equal confidences stay together.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (...), float64, a fraction in [0, 1]; lower is better. NaN without examples.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    References:
        Adaptive binning, Nguyen and O'Connor, 2015 [recall].
    """
    return evaluate_totals("ece_equal_mass", ECE_EQUAL_MASS, logits, labels, temperature=temperature)


def ece_debiased(logits: Logits, labels: Labels, *, temperature: float = 1.0) -> Array:
    """Expected calibration error, 15 bins of equal width, with its upward bias by noise taken off.

    sum over bins of (n_b / n) (2 |d_b| - E|N(d_b, s_b^2 / n_b)|), d_b the mean of correct - confidence in the bin and
    s_b its standard deviation; not below 0.

    Args:
        logits: (..., example, cls), floating, finite.
        labels: (..., example), integers in [0, cls); leading axes that are missing are shared.
        temperature: T > 0.

    Returns:
        (...), float64, a fraction in [0, 1]; lower is better. NaN without examples.

    Raises:
        InvalidValueError: shapes do not fit, a logit is not finite, a label or the temperature is out of range.

    References:
        The idea of Kumar, Liang and Ma, NeurIPS 2019 [recall]; this form, by folded normals, is our choice [design].
    """
    return evaluate_totals("ece_debiased", ECE_DEBIASED, logits, labels, temperature=temperature)
