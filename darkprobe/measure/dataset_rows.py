"""Rows of the dataset metrics: functions of totals with a bootstrap, closed-form estimates, and any other function."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from darkprobe.blocks import map_blocks
from darkprobe.measure.intervals import (
    ClassBootstrap,
    basic_interval,
    covering_interval,
    log_interval,
    normal_interval,
    spread_interval,
)
from darkprobe.measure.one_pass import GroupRows
from darkprobe.measure.plan import Partial, Plan, Value, row_of
from darkprobe.measure.records import Group
from darkprobe.measure.sparse import says
from darkprobe.measure.table import Row
from darkprobe.metrics import Metric
from darkprobe.metrics.totals import Features, value_of
from darkprobe.types import Logits

PLAIN_RESAMPLES = 200
"""Resamples of metrics that have to be computed anew on each."""


def dataset_rows(group: Group, plan: Plan, partials: list[Partial]) -> Iterator[Row]:
    """One row per model, dataset metric and temperature, on all examples."""
    yield from _totals_rows(group, plan, partials)
    for metric in plan.metrics:
        if metric.kind == "dataset" and metric.totals is None:
            for model in range(len(group.records)):
                for temperature in plan.temperatures_of(metric):
                    if not says(group, model, metric, temperature):
                        continue
                    value = _plain_value(group, plan, model, metric=metric, temperature=temperature)
                    yield row_of(group, model, metric.name, temperature=temperature, value=value, unit=metric.unit)


def _totals_rows(group: Group, plan: Plan, partials: list[Partial]) -> Iterator[Row]:
    """Metrics that share features share their totals; all features of a model are resampled together."""
    wanted = [(m, m.totals, t) for m in plan.metrics if m.totals is not None for t in plan.temperatures_of(m)]
    if not wanted or not len(group):
        return
    bootstrap = ClassBootstrap(labels=group.labels, resamples=plan.resamples, seed=plan.seed)
    everything = wanted
    for model, partial in enumerate(partials):
        wanted = [(metric, form, t) for metric, form, t in everything if says(group, model, metric, t)]
        if not wanted:
            continue
        columns = [(form, partial.columns[form.columns, temperature or 1.0]) for _, form, temperature in wanted]
        features = map_blocks(lambda item: item[0].features(item[1]), columns)
        keys = [(form.shares, temperature) for _, form, temperature in wanted]
        totals = _resampled(bootstrap, {key: found.values for key, found in zip(keys, features, strict=True)})
        for (metric, _, temperature), key, found in zip(wanted, keys, features, strict=True):
            value = float(value_of(found))
            if found.debiased is None:
                low, high = basic_interval(value, found.value(totals[key]).cpu().numpy(), metric.bounds)
            else:
                low, high = _debiased_ends(found, totals[key], value, metric.bounds)
            number = Value(value=value, low=low, high=high, n=len(group))
            yield row_of(group, model, metric.name, temperature=temperature, value=number, unit=metric.unit)


def _debiased_ends(found: Features, totals: Tensor, value: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """Ends around the debiased value that also hold the value as it is, and its own spread upwards.

    The basic bootstrap alone is too short for calibration errors; `tests/test_measure.py` counts on simulated networks
    how often these hold the truth, which is hardest where it is 0: every estimate then lies above it.
    """
    debiased = found.debiased or found.value
    centre = float(debiased(found.values.sum(0, dtype=torch.float64)))
    low, high = covering_interval(centre, debiased(totals).cpu().numpy(), bounds)
    above = spread_interval(value, found.value(totals).cpu().numpy(), bounds)[1]
    return min(low, value), max(high, above)


def _resampled(bootstrap: ClassBootstrap, features: dict[tuple[str, float | None], Tensor]) -> dict[object, Tensor]:
    """Totals of each feature over each resample, (resample, feature); features that are zero everywhere stay so."""
    columns = map_blocks(lambda values: torch.nonzero(values.any(0)).squeeze(-1), list(features.values()))
    used = dict(zip(features, columns, strict=True))
    together = bootstrap.totals([values[:, used[key]] for key, values in features.items()])
    found: dict[object, Tensor] = {}
    for (key, values), part in zip(features.items(), together, strict=True):
        totals = torch.zeros((len(part), values.shape[1]), dtype=torch.float64, device=part.device)
        found[key] = totals.index_copy(1, used[key], part)
    return found


def _plain_value(group: Group, plan: Plan, model: int, *, metric: Metric, temperature: float | None) -> Value:
    if metric.estimate is not None:
        rows = GroupRows(group=group, model=model)
        labels = torch.from_numpy(group.labels)
        estimate = metric.estimate(rows, labels.to(rows.device) if len(rows) else labels, temperature or 1.0)
        ends = log_interval if estimate.scale == "log" else normal_interval
        low, high = ends(estimate.value, estimate.error)
        return Value(value=estimate.value, low=low, high=high, n=estimate.examples)

    logits = group.logits(model, slice(None))  # a function of one's own takes all examples at once

    def evaluate(rows: "np.ndarray | slice") -> float:
        chosen: Logits = logits[rows]
        return float(np.asarray(metric.function(chosen, group.labels[rows], temperature=temperature or 1.0)))

    value = evaluate(slice(None))
    bootstrap = ClassBootstrap(labels=group.labels, resamples=min(plan.resamples, PLAIN_RESAMPLES), seed=plan.seed)
    resampled = np.array([evaluate(rows) for rows in bootstrap.rows()])
    low, high = basic_interval(value, resampled, metric.bounds)
    return Value(value=value, low=low, high=high, n=len(group))
