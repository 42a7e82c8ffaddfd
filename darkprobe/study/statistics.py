"""Inference over replicates: pure functions on arrays, one value a replicate.

A replicate is the unit: fresh data split, fresh teachers, fresh students. Effects are differences within a replicate,
so the axis to average over is always `replicate`, the first one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

from darkprobe.errors import InvalidValueError

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over replicates with its interval.

    Attributes:
        effect: point estimate, in the unit of the values.
        error: standard error of `effect`.
        degrees: degrees of freedom of its t distribution.
        n: number of replicates.
    """

    effect: float
    error: float
    degrees: int
    n: int

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Two-sided t interval; of zero width when all replicates agree exactly."""
        reach = float(stats.t.ppf(0.5 + confidence / 2, self.degrees)) * self.error
        return self.effect - reach, self.effect + reach

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p-value of `effect == null`."""
        if self.error == 0.0:
            return 1.0 if self.effect == null else 0.0
        return float(2 * stats.t.sf(abs(self.effect - null) / self.error, self.degrees))


def mean_estimate(values: Values) -> Estimate:
    """Mean over replicates with its t interval.

    Args:
        values: (replicate,), e.g. paired differences.

    Raises:
        InvalidValueError: fewer than two replicates.
    """
    n = len(values)
    if n < 2:
        raise InvalidValueError(f"mean_estimate: `values` must hold at least 2 replicates, got {n}. Run more.")
    error = float(np.std(values, ddof=1) / np.sqrt(n))
    return Estimate(effect=float(np.mean(values)), error=error, degrees=n - 1, n=n)


def jackknife_estimate(statistic: Callable[..., float], *columns: Values) -> Estimate:
    """Delete-one jackknife of a smooth function of column means, e.g. a ratio of mean correlations.

    Args:
        statistic: takes the column means, one float each, returns a float.
        columns: (replicate,) each, paired.

    References:
        Efron and Stein (1981), The jackknife estimate of variance.
    """
    n = len(columns[0])
    if n < 3:
        raise InvalidValueError(f"jackknife_estimate: `columns` must hold at least 3 replicates, got {n}. Run more.")
    full = statistic(*(float(np.mean(c)) for c in columns))
    totals = [np.sum(c) for c in columns]
    left_out = [[float((t - c[i]) / (n - 1)) for t, c in zip(totals, columns, strict=True)] for i in range(n)]
    pseudo = np.array([n * full - (n - 1) * statistic(*means) for means in left_out])
    error = float(np.std(pseudo, ddof=1) / np.sqrt(n))
    return Estimate(effect=float(np.mean(pseudo)), error=error, degrees=n - 1, n=n)


@dataclass(frozen=True, kw_only=True)
class Simultaneous:
    """Several comparisons with intervals that hold together.

    Attributes:
        effect, low, high: (comparison,), mean differences and 95 % simultaneous bounds.
        p_adjusted: (comparison,), two-sided, adjusted by the maximum statistic.
        n: number of replicates.
    """

    effect: Values
    low: Values
    high: Values
    p_adjusted: Values
    n: int


FEWEST_TO_FLIP = 8
"""Replicates: 128 patterns of signs, up to the sign of all."""


def simultaneous_intervals(
    differences: Values, *, confidence: float = 0.95, flips: int = 4999, seed: int = 0
) -> Simultaneous:
    """Simultaneous intervals of mean paired differences by the maximum |t| under sign flips over replicates.

    Signs are flipped for whole replicates of the centred differences, which keeps the dependence between comparisons.
    Of fewer than `FEWEST_TO_FLIP` replicates there are too few patterns of signs to find a quantile in: there the
    intervals are paired t with Bonferroni's correction, wider and without that dependence [design].

    Args:
        differences: (replicate, comparison), at least 2 replicates.
        confidence: joint coverage.
        flips: number of random sign patterns.
        seed: of the sign patterns.

    Returns:
        Effects with bounds in the unit of `differences`; a comparison without variance has bounds of zero width.

    References:
        Westfall and Young (1993), Resampling-based multiple testing. [recall]
    """
    n = len(differences)
    if n < 2:
        raise InvalidValueError(
            f"simultaneous_intervals: `differences` must hold 2 or more replicates, got {n}. Run more."
        )
    effect = differences.mean(0)
    error = differences.std(0, ddof=1) / np.sqrt(n)
    live = error > 1e-12 * np.maximum(1.0, np.abs(effect))
    observed = np.where(live, np.abs(effect) / np.where(live, error, 1.0), np.where(effect == 0, 0.0, np.inf))
    if n < FEWEST_TO_FLIP:
        count = max(1, int(live.sum()))
        critical = float(stats.t.ppf(1 - (1 - confidence) / (2 * count), n - 1))
        p_adjusted = np.minimum(1.0, 2 * count * stats.t.sf(observed, n - 1))
    else:
        largest = _largest_of_flips((differences - effect)[:, live], flips=flips, seed=seed)
        critical = float(np.quantile(largest, confidence)) if live.any() else 0.0
        p_adjusted = (1 + (largest[:, None] >= observed[None]).sum(0)) / (flips + 1)
    return Simultaneous(
        effect=effect, low=effect - critical * error, high=effect + critical * error, p_adjusted=p_adjusted, n=n
    )


def _largest_of_flips(centred: Values, *, flips: int, seed: int) -> Values:
    """The largest |t| over comparisons under each pattern of signs, (flip,), of centred differences."""
    n = len(centred)
    if not centred.shape[1]:
        return np.zeros(flips)
    sums = _signs(flips, n, seed) @ centred  # (flip, comparison)
    variance = (np.sum(centred**2, axis=0) - sums**2 / n) / (n - 1)
    return np.asarray((np.abs(sums / n) / np.sqrt(np.maximum(variance, 1e-300) / n)).max(1))


@lru_cache(maxsize=4)
def _signs(flips: int, n: int, seed: int) -> Values:
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(flips, n))


def holm(p_values: Values) -> Values:
    """Holm's step-down adjusted p-values, each at least its raw one and at most 1.

    Examples:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
        [0.03, 0.06, 0.06]

    References:
        Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def holm_multipliers(p_values: Values) -> Values:
    """Factor by which Holm's procedure tightens each test's level: its interval at confidence 1 - alpha / factor
    excludes the null exactly when the adjusted p-value is below alpha.
    """
    order = np.argsort(p_values)
    own = np.arange(len(p_values), 0, -1, dtype=np.float64)
    factors = np.empty_like(p_values)
    tiny = np.maximum(p_values[order], 1e-300)
    factors[order] = np.maximum.accumulate(tiny * own) / tiny
    return factors


def fieller_interval(numerator: Values, denominator: Values, *, confidence: float = 0.95) -> tuple[float, float, float]:
    """Ratio of two paired means with Fieller's interval.

    Args:
        numerator, denominator: (replicate,), paired.
        confidence: coverage.

    Returns:
        (ratio, low, high); the bounds are infinite where the denominator's mean does not differ from 0.

    References:
        Fieller (1954), Some problems in interval estimation.
    """
    n = len(numerator)
    a, b = float(numerator.mean()), float(denominator.mean())
    covariance = np.cov(numerator, denominator, ddof=1) / n
    t = float(stats.t.ppf(0.5 + confidence / 2, n - 1))
    g = t**2 * covariance[1, 1] / b**2 if b else np.inf
    if g >= 1:
        return (a / b if b else np.nan), -np.inf, np.inf
    ratio = a / b
    inner = covariance[0, 0] - 2 * ratio * covariance[0, 1] + ratio**2 * covariance[1, 1]
    inner -= g * (covariance[0, 0] - covariance[0, 1] ** 2 / covariance[1, 1]) if covariance[1, 1] else 0.0
    middle = ratio - g * covariance[0, 1] / covariance[1, 1] if covariance[1, 1] else ratio
    reach = t / abs(b) * np.sqrt(max(inner, 0.0))
    return ratio, float((middle - reach) / (1 - g)), float((middle + reach) / (1 - g))


def replicates_for(values: Values, *, half_width: float, confidence: float = 0.95) -> int:
    """Replicates at which the t interval of these values would have the given half width, at least 2.

    Examples:
        >>> replicates_for(np.array([0.0, 0.01, -0.01, 0.0]), half_width=0.005)
        13
    """
    deviation = float(np.std(values, ddof=1))

    def wide(n: int) -> bool:
        return bool(stats.t.ppf(0.5 + confidence / 2, n - 1) * deviation / np.sqrt(n) > half_width)

    low, high = 1, 2  # the half width falls with n: bracket, then halve
    while wide(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high
