"""What a coarser pass or number format does to every metric of the catalogue, measured on a sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from darkprobe.metrics import METRICS, Metric
from darkprobe.metrics.sparse_block import SparseLabelBlock
from darkprobe.metrics.totals import value_of
from darkprobe.store.sparse import is_exact
from darkprobe.types import FloatArray, IntArray

TEMPERATURES = (1.0, 4.0)


def sample_size(examples: int) -> int:
    """How many examples effects are measured on: one in 400, so that it takes about a hundredth of the extraction
    (a float32 pass can be four times slower than the one that was asked for), but at least 32 and at most 512."""
    return min(examples, max(32, min(512, examples // 400)))


def measure_effects(
    exact: FloatArray, stored: FloatArray, labels: IntArray, *, temperatures: Sequence[float] = TEMPERATURES
) -> list[dict[str, Any]]:
    """One row per metric and temperature: its value from float32 logits, from the stored ones, and the largest change.

    Of metrics with one value per example, `exact` and `stored` are means over the sample and `largest` is the largest
    change of one example. Of metrics between two models, `stored` compares the stored logits with the exact ones and
    `exact` compares the exact ones with themselves.

    Args:
        exact: (example, cls), float32, of a float32 pass.
        stored: (example, cls), as they come out of the store.
        labels: (example,).
        temperatures: at which.
    """
    exact, stored = np.asarray(exact, np.float32), np.asarray(stored, np.float32)
    rows = []
    for name in METRICS:
        metric = METRICS[name]
        for temperature in temperatures if metric.depends_on_temperature else (1.0,):
            before, after = (_values(metric, z, labels, exact=exact, temperature=temperature) for z in (exact, stored))
            with np.errstate(invalid="ignore"):  # a fitted temperature can be infinite in both
                change = np.abs(after - before)
            rows.append(
                {
                    "metric": name,
                    "temperature": temperature,
                    "n": len(labels),
                    "exact": _mean(before),
                    "stored": _mean(after),
                    "largest": _number(change[np.isfinite(change)].max(initial=0.0)),
                }
            )
    return rows


def measure_sparse_effects(
    exact: FloatArray, stored: dict[str, np.ndarray], labels: IntArray, *, temperatures: Sequence[float]
) -> list[dict[str, Any]]:
    """As `measure_effects` for the sparse form: `stored` and `largest` are None where it does not give a metric.

    Args:
        exact: (example, cls), float32, of a float32 pass.
        stored: the arrays that `Encoding.encode` made of the pass that was asked for.
        labels: (example,).
        temperatures: the declared ones.
    """
    exact = np.asarray(exact, np.float32)
    kept = torch.from_numpy(stored["topk_logits"])
    block = SparseLabelBlock(
        kept,
        torch.from_numpy(stored["topk_indices"].astype(np.int64)),
        torch.from_numpy(stored["tail_lse"]),
        temperatures=tuple(temperatures),
        label_logits=torch.from_numpy(stored["label_logits"]),
        labels=torch.from_numpy(labels),
        classes=exact.shape[-1],
    )
    rows = []
    for name in METRICS:
        metric = METRICS[name]
        for temperature in temperatures if metric.depends_on_temperature else (1.0,):
            before = _values(metric, exact, labels, exact=exact, temperature=temperature)
            after = None
            if is_exact(name, temperature=temperature, declared=temperatures, k=kept.shape[-1]):
                after = _sparse_values(metric, block, exact, labels, temperature=temperature)
            change = None if after is None else np.abs(after - before)
            rows.append(
                {
                    "metric": name,
                    "temperature": temperature,
                    "n": len(labels),
                    "exact": _mean(before),
                    "stored": None if after is None else _mean(after),
                    "largest": None if change is None else _number(change[np.isfinite(change)].max(initial=0.0)),
                }
            )
    return rows


def _sparse_values(
    metric: Metric, block: SparseLabelBlock, exact: FloatArray, labels: IntArray, *, temperature: float
) -> FloatArray:
    """A metric of the sparse form; between models, of it and the exact logits."""
    if metric.read is not None:
        values: FloatArray = metric.read(block.at(temperature)).numpy()
        return values
    if metric.totals is not None:
        features = metric.totals.features(metric.totals.columns(block.at(temperature)))
        total: FloatArray = value_of(features).reshape(1).numpy()
        return total
    return _values(metric, block.ranks.numpy(), labels, exact=exact, temperature=temperature)


def _values(
    metric: Metric, logits: FloatArray, labels: IntArray, *, exact: FloatArray, temperature: float
) -> FloatArray:
    arguments = (logits, exact, labels) if metric.kind == "pairwise" else (logits, labels)
    return np.atleast_1d(np.asarray(metric.function(*arguments, temperature=temperature), np.float64))


def _mean(values: FloatArray) -> float | None:
    """The mean where the metric is defined, or None where it is nowhere."""
    finite = values[np.isfinite(values)]
    return _number(finite.mean()) if finite.size else None


def _number(value: float | np.floating[Any]) -> float:
    return float(f"{value:.6g}")
