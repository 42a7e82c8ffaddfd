"""Simultaneous bands for curves over temperature and over capacity: the whole curve lies inside with 95 %."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from darkprobe.checks import check_choice, check_temperatures
from darkprobe.errors import InvalidValueError
from darkprobe.measure.intervals import LEVEL
from darkprobe.measure.moments import JointMoments, all_true
from darkprobe.measure.one_pass import blocks_side_by_side, example_values
from darkprobe.measure.plan import Value, row_of
from darkprobe.measure.records import Group, Records, groups_of, records_of
from darkprobe.measure.sparse import check_asked, says
from darkprobe.measure.table import Row, tidy
from darkprobe.metrics import METRICS, Metric
from darkprobe.metrics.soft_label_statistics import SoftLabelBlock
from darkprobe.types import Subset

DRAWS = 20_000
SUBSETS: tuple[Subset, ...] = ("all", "correct", "common")


def temperature_bands(
    store: Records,
    metric: str,
    *,
    temperatures: Sequence[float],
    subset: Subset = "all",
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of one metric at many temperatures; `low` and `high` hold for all of them at once, model by model.

    The half-width is c times the standard error at each T, c the 95 % point of the largest absolute value of a normal
    vector with the correlations of the curve's points (max-t).

    Args:
        store: a store or its path, one record, or several.
        metric: name of a per_example metric.
        temperatures: each > 0.
        subset: "all" examples, "correct" of each model, or "common": those that every model gets right.
        dataset, split, models: which records; None for all.
        seed: of the normal vectors.

    Returns:
        Columns as `measure` gives them; the examples where the metric is defined at every temperature. Temperatures at
        which a sparse record does not give the metric are left out.

    Raises:
        UnknownNameError: no such metric or subset.
        InvalidValueError: a metric of another kind, or one that a sparse record gives at none of the temperatures.

    References:
        Max-t bands; the use here is our choice [design].
    """
    scales = check_temperatures("temperature_bands", temperatures)
    chosen = _checked("temperature_bands", metric)
    check_choice("subset", subset, SUBSETS)
    records = records_of("temperature_bands", store, dataset=dataset, split=split, models=models)
    rows: list[Row] = []
    with torch.no_grad():
        for group in groups_of("temperature_bands", records):
            check_asked(group, [chosen], scales, function="temperature_bands")
            known = [[t for t in scales if says(group, model, chosen, t)] for model in range(len(group.records))]
            curves = [JointMoments.empty(len(own)) for own in known]
            for blocks, masks in _side_by_side(group, subset):
                for model, (block, mask) in enumerate(zip(blocks, masks, strict=True)):
                    values = torch.stack([example_values(block, chosen, t) for t in known[model]])[:, mask]
                    curves[model] = curves[model].merge(JointMoments.of(values))
            for model, joint in enumerate(curves):
                points = [(model, t) for t in known[model]]
                rows.extend(_rows(group, chosen, points, subset=subset, joint=joint, seed=seed))
    return tidy(rows)


def capacity_bands(
    store: Records,
    metric: str,
    *,
    temperature: float = 4.0,
    subset: Subset = "all",
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of one metric of every model at one temperature; `low` and `high` hold for all models at once.

    The models share their examples, so the points of the curve over capacity are correlated; the half-width is as in
    `temperature_bands`. The bands are about other examples, not about other seeds: see `between_seeds`.

    Args:
        store: a store or its path, or several records.
        metric: name of a per_example metric.
        temperature: T > 0.
        subset: "all" examples, or "common": those that every model gets right.
        dataset, split, models: which records; None for all.
        seed: of the normal vectors.

    Returns:
        Columns as `measure` gives them; the examples where the metric is defined for every model.

    Raises:
        UnknownNameError: no such metric or subset.
        InvalidValueError: a metric of another kind or one that a sparse record does not give; or "correct", on which
            models share no examples.

    References:
        Max-t bands; the use here is our choice [design].
    """
    (scale,) = check_temperatures("capacity_bands", [temperature])
    chosen = _checked("capacity_bands", metric)
    check_choice("subset", subset, ("all", "common"))
    records = records_of("capacity_bands", store, dataset=dataset, split=split, models=models)
    rows: list[Row] = []
    with torch.no_grad():
        for group in groups_of("capacity_bands", records):
            check_asked(group, [chosen], [scale], function="capacity_bands")
            joint = JointMoments.empty(len(group.records))
            for blocks, masks in _side_by_side(group, subset):
                values = torch.stack([example_values(block, chosen, scale) for block in blocks])
                joint = joint.merge(JointMoments.of(values[:, masks[0]]))
            at = scale if chosen.depends_on_temperature else None
            points = [(model, at) for model in range(len(group.records))]
            rows.extend(_rows(group, chosen, points, subset=subset, joint=joint, seed=seed))
    return tidy(rows)


def _checked(function: str, metric: str) -> Metric:
    found = METRICS[metric]
    if found.kind != "per_example":
        raise InvalidValueError(f"{function}: `metric` must be per_example, got {metric!r}. Use measure.")
    return found


def _side_by_side(group: Group, subset: Subset) -> Iterator[tuple[tuple[SoftLabelBlock, ...], list[Tensor]]]:
    """Blocks of the same rows of every model, and which of these rows count for each."""
    for blocks in blocks_side_by_side(group, range(len(group.records))):
        right = [block.margin > 0 for block in blocks]
        everything = torch.ones_like(right[0])
        shared = all_true(right)
        yield blocks, right if subset == "correct" else [shared if subset == "common" else everything] * len(blocks)


def _rows(
    group: Group,
    metric: Metric,
    points: Sequence[tuple[int, float | None]],
    *,
    subset: Subset,
    joint: JointMoments,
    seed: int,
) -> Iterator[Row]:
    half = _critical_value(joint, seed=seed) * np.sqrt(np.diag(joint.covariance_of_means()))
    for i, (model, temperature) in enumerate(points):
        mean = joint.mean[i] if joint.count else np.nan
        found = Value(value=mean, low=joint.mean[i] - half[i], high=joint.mean[i] + half[i], n=joint.count)
        yield row_of(group, model, metric.name, temperature=temperature, subset=subset, value=found, unit=metric.unit)


def _critical_value(joint: JointMoments, *, seed: int) -> float:
    """95 % point of the largest |z| of a normal vector with the correlations of the means."""
    covariance = joint.covariance_of_means()
    if not np.isfinite(covariance).all():
        return float("nan")
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.where(scale > 0, np.outer(scale, scale), 1)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    draws = np.random.default_rng(seed).normal(size=(DRAWS, len(scale))) @ root.T
    return float(np.quantile(np.abs(draws).max(1), LEVEL))
