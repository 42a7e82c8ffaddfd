"""Intervals: analytic for means and shares, a bootstrap stratified by class for what is not a mean. 95 % throughout."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from darkprobe.blocks import map_blocks
from darkprobe.types import IntArray

LEVEL = 0.95


def t_interval(mean: np.ndarray, error: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Student's t interval of means; NaN for fewer than two examples."""
    quantile = stats.t.ppf((1 + LEVEL) / 2, np.maximum(count - 1, 1))
    half = np.where(count > 1, quantile * error, np.nan)
    return mean - half, mean + half


def wilson_interval(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Wilson's interval of a share of `count` examples; inside [0, 1], and not empty at 0 and 1."""
    z2 = stats.norm.ppf((1 + LEVEL) / 2) ** 2
    n = np.where(count > 0, count, np.nan)
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)


def log_interval(value: float, log_error: float) -> tuple[float, float]:
    """Ends of the normal interval of a positive value on the scale of its logarithm."""
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    return value * float(np.exp(-z * log_error)), value * float(np.exp(z * log_error))


def normal_interval(value: float, error: float) -> tuple[float, float]:
    """Ends of the normal interval of a value with its standard error."""
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    return value - z * error, value + z * error


def basic_interval(value: float, resampled: np.ndarray, bounds: tuple[float, float]) -> tuple[float, float]:
    """Ends of the basic bootstrap interval, 2 value - quantiles, inside `bounds`.

    It mirrors the resampled values at the estimate, so that a bias which resampling adds once more (as in a binned
    calibration error) moves the interval the right way.
    """
    kept = resampled[np.isfinite(resampled)]
    if len(kept) < 2:
        return np.nan, np.nan
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(np.clip(2 * value - high, *bounds)), float(np.clip(2 * value - low, *bounds))


def spread_interval(value: float, resampled: np.ndarray, bounds: tuple[float, float]) -> tuple[float, float]:
    """Ends of the normal interval with the resamples' standard deviation, inside `bounds`.

    For correlations: resampling adds noise and so lowers them; their spread is right, their level is not.
    """
    kept = resampled[np.isfinite(resampled)]
    if len(kept) < 2:
        return np.nan, np.nan
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * float(kept.std(ddof=1))
    return float(np.clip(value - half, *bounds)), float(np.clip(value + half, *bounds))


def covering_interval(value: float, resampled: np.ndarray, bounds: tuple[float, float]) -> tuple[float, float]:
    """Ends of the smallest interval that holds both `basic_interval` and `spread_interval`.

    For debiased calibration errors: the one is too short away from 0, the other near 0, where the truth is at the
    bound.
    """
    basic, spread = (ends(value, resampled, bounds) for ends in (basic_interval, spread_interval))
    return min(basic[0], spread[0]), max(basic[1], spread[1])


_DRAWN_AT_ONCE = 2**17
"""Examples drawn in one go: their numbers stay in a core's cache, which halves the time."""


@dataclass(frozen=True, kw_only=True)
class ClassBootstrap:
    """Resampling of examples with replacement inside each class, so that class sizes stay as they are.

    Attributes:
        labels: (example,), the strata.
        resamples: how many.
        seed: decides them.
    """

    labels: IntArray
    resamples: int = 1000
    seed: int = 0

    @cached_property
    def order(self) -> IntArray:
        """Examples sorted by class: the columns of `weights`."""
        return np.argsort(self.labels, kind="stable")

    def weights(self) -> Iterator[np.ndarray]:
        """How often each example of `order` was drawn, (resample, example) int64, a few resamples at a time."""
        return (self._drawn(chunk, np.int64) for chunk in self._chunks())

    def _chunks(self) -> list[tuple[int, int]]:
        """Number and resamples of each chunk; a chunk's draws depend on its number alone."""
        at_once = max(1, 2**20 // max(1, len(self.labels)))
        sizes = [min(at_once, self.resamples - done) for done in range(0, self.resamples, at_once)]
        return list(enumerate(sizes))

    @cached_property
    def _strata(self) -> tuple[np.ndarray, np.ndarray]:
        """First place and size of the class of each example of `order`, int32."""
        _, first, size = np.unique(self.labels[self.order], return_index=True, return_counts=True)
        return np.repeat(first, size).astype(np.int32), np.repeat(size, size).astype(np.int32)

    def _drawn(self, chunk: tuple[int, int], dtype: type[np.generic]) -> np.ndarray:
        (number, rows), n, (start, count) = chunk, len(self.labels), self._strata
        rng = np.random.Generator(np.random.SFC64([self.seed, number]))
        sizes, last = count.astype(np.float32), count - 1
        weights = np.empty((rows, n), dtype)
        at_once = max(1, _DRAWN_AT_ONCE // max(1, n))
        places = start + (np.arange(min(at_once, rows), dtype=np.int32) * n)[:, None]
        for begin in range(0, rows, at_once):
            part = weights[begin : begin + at_once]
            drawn = (rng.random(part.shape, dtype=np.float32) * sizes).astype(np.int32)
            np.minimum(drawn, last, out=drawn)  # rounding may reach the upper end
            drawn += places[: len(part)]
            part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
        return weights

    def totals(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Sums of each (example, feature) tensor over each resample, (resample, feature), float64."""
        device = features[0].device
        together = torch.cat([values.float() for values in features], dim=-1)[torch.from_numpy(self.order).to(device)]

        def sums(chunk: tuple[int, int]) -> Tensor:
            return torch.from_numpy(self._drawn(chunk, np.float32)).to(device) @ together

        empty = together.new_zeros((0, together.shape[-1]))
        resampled = torch.cat([empty, *map_blocks(sums, self._chunks())]).double()
        return list(torch.split(resampled, [values.shape[-1] for values in features], dim=-1))

    def rows(self) -> Iterator[np.ndarray]:
        """The drawn examples themselves, (example,) int64, one resample at a time, for metrics of any form."""
        for weights in self.weights():
            for row in weights:
                yield self.order[np.repeat(np.arange(len(row)), row)]
