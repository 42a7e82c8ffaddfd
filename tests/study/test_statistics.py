"""Inference over replicates against SciPy, closed forms and simulation."""

import numpy as np
import pytest
from scipy import stats

from darkprobe.errors import InvalidValueError
from darkprobe.study.statistics import (
    fieller_interval,
    holm,
    holm_multipliers,
    jackknife_estimate,
    mean_estimate,
    replicates_for,
    simultaneous_intervals,
)


def test_mean_estimate_is_scipys_paired_t() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 15))
    estimate = mean_estimate(a - b)
    reference = stats.ttest_rel(a, b)
    assert estimate.p_value() == pytest.approx(reference.pvalue, rel=1e-12)
    assert estimate.interval() == pytest.approx(tuple(reference.confidence_interval(0.95)), rel=1e-12)
    assert estimate.p_value(0.3) == pytest.approx(stats.ttest_1samp(a - b, 0.3).pvalue, rel=1e-12)


def test_mean_estimate_without_variance() -> None:
    estimate = mean_estimate(np.full(5, 0.25))
    assert estimate.interval() == (0.25, 0.25)
    assert estimate.p_value() == 0.0
    assert mean_estimate(np.zeros(5)).p_value() == 1.0


def test_mean_estimate_refuses_one_replicate() -> None:
    with pytest.raises(InvalidValueError, match="at least 2 replicates, got 1"):
        mean_estimate(np.ones(1))


def test_jackknife_of_a_mean_is_the_t_interval() -> None:
    values = np.random.default_rng(1).normal(size=20)
    jackknife = jackknife_estimate(lambda mean: mean, values)
    assert jackknife.interval() == pytest.approx(mean_estimate(values).interval(), rel=1e-9)


def test_jackknife_covers_a_ratio_of_means() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        x = rng.normal(2.0, 0.4, 25)
        y = 0.5 * x + rng.normal(0.0, 0.2, 25)
        low, high = jackknife_estimate(lambda a, b: a / b, y, x).interval()
        covered += low <= 0.5 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_holm_by_hand_and_monotone() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.5, 0.9])).max() == 1.0


def test_holm_multipliers_agree_with_adjusted_p_values() -> None:
    p = np.random.default_rng(3).uniform(0, 0.05, size=(200, 4))
    for row in p:
        assert ((row * holm_multipliers(row) < 0.05) == (holm(row) < 0.05)).all()


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_simultaneous_intervals_cover_jointly(correlation: float) -> None:
    rng = np.random.default_rng(4)
    mixing = np.linalg.cholesky(np.full((4, 4), correlation) + (1 - correlation) * np.eye(4))
    covered = 0
    for trial in range(300):
        found = simultaneous_intervals(rng.normal(size=(24, 4)) @ mixing.T, flips=999, seed=trial)
        covered += bool(((found.low <= 0) & (found.high >= 0)).all())
    assert 0.91 <= covered / 300 <= 0.985


@pytest.mark.parametrize("n", [2, 4, 8])
def test_simultaneous_intervals_of_few_replicates_are_finite_and_cover(n: int) -> None:
    rng, covered = np.random.default_rng(n), 0
    for _ in range(400):
        found = simultaneous_intervals(rng.normal(size=(n, 3)), flips=499)
        assert np.isfinite([found.low, found.high]).all()
        covered += bool(((found.low <= 0) & (found.high >= 0)).all())
    assert covered / 400 >= 0.92


def test_simultaneous_intervals_of_few_replicates_are_bonferronis() -> None:
    values = np.array([[0.1, 0.4, 2.0], [0.3, -0.2, 2.0], [0.2, 0.1, 2.0], [0.25, 0.0, 2.0]])
    found = simultaneous_intervals(values)
    reference = stats.ttest_1samp(values[:, :2], 0.0)
    assert found.p_adjusted[:2] == pytest.approx(np.minimum(1, 2 * reference.pvalue))
    ends = reference.confidence_interval(0.975)
    assert found.low[:2] == pytest.approx(ends.low) and found.high[:2] == pytest.approx(ends.high)
    assert found.low[2] == found.high[2] == 2.0 and found.p_adjusted[2] == 0.0


def test_one_comparison_is_close_to_the_t_interval() -> None:
    values = np.random.default_rng(5).normal(0.3, 1, size=(40, 1))
    found = simultaneous_intervals(values, flips=9999)
    low, high = mean_estimate(values[:, 0]).interval()
    assert (found.high - found.low)[0] == pytest.approx(high - low, rel=0.05)


def test_a_comparison_without_variance_does_not_break_the_others() -> None:
    values = np.zeros((10, 2))
    values[:, 1] = np.random.default_rng(6).normal(size=10)
    found = simultaneous_intervals(values)
    assert found.low[0] == found.high[0] == 0.0
    assert found.p_adjusted[0] == 1.0
    assert found.low[1] < found.high[1]


def test_fieller_covers_the_ratio() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        denominator = rng.normal(1.0, 0.5, 20)
        numerator = 0.4 * denominator + rng.normal(0, 0.3, 20)
        _, low, high = fieller_interval(numerator, denominator)
        covered += low <= 0.4 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_fieller_is_unbounded_when_the_gap_may_be_zero() -> None:
    noise = np.random.default_rng(8).normal(0, 1, 10)
    assert fieller_interval(noise, noise[::-1].copy())[1:] == (-np.inf, np.inf)


def test_replicates_for_gives_the_promised_half_width() -> None:
    values = np.random.default_rng(9).normal(0, 0.02, 50)
    n = replicates_for(values, half_width=0.005)
    deviation = values.std(ddof=1)
    assert stats.t.ppf(0.975, n - 1) * deviation / np.sqrt(n) <= 0.005
    assert stats.t.ppf(0.975, n - 2) * deviation / np.sqrt(n - 1) > 0.005
