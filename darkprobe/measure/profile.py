"""`measure`: every metric of one model, for each model of a store, with intervals. One pass over the logits."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch

from darkprobe.checks import check_choice, check_temperatures
from darkprobe.errors import InvalidValueError
from darkprobe.measure.dataset_rows import dataset_rows
from darkprobe.measure.intervals import t_interval, wilson_interval
from darkprobe.measure.one_pass import one_pass
from darkprobe.measure.plan import Partial, Plan, Value, row_of
from darkprobe.measure.records import Group, Records, groups_of, records_of
from darkprobe.measure.sparse import check_asked, says
from darkprobe.measure.table import Row, tidy
from darkprobe.metrics import METRICS, Metric
from darkprobe.types import Subset

SUBSETS: tuple[Subset, ...] = ("all", "correct", "common")
FACTORS = {
    "distinctness_std": ("non_target_mass", "inherent_std"),
    "distinctness_variance": ("non_target_mass", "inherent_variance"),
}


def measure(
    store: Records,
    *,
    metrics: Sequence[str] | None = None,
    temperatures: Sequence[float] = (1.0, 4.0),
    subsets: Sequence[Subset] = SUBSETS,
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of metrics of each model, with 95 % intervals and n.

    Means of per-example metrics have Student's t interval (Wilson's for accuracy), dataset metrics a bootstrap
    stratified by class or a standard error in closed form. Distinctness always comes with its two factors. Of a sparse
    record (only the largest logits stored) the table has what these give exactly.

    Args:
        store: a store or its path, one record, or several (`SoftLabels` for plain arrays).
        metrics: names in the catalogue; None for all per_example and dataset metrics.
        temperatures: each > 0.
        subsets: "all" examples; "correct", those this model gets right (descriptive only: a selection effect between
            models); "common", those every model of the data set and split gets right. Scores against the label are
            given for "all" only.
        dataset, split, models: which records; None for all.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Columns model, reference (None), dataset, split, metric, temperature (NaN where it does not matter), subset,
        value, low, high, n, unit. n counts the examples on which the metric is defined.

    Raises:
        UnknownNameError: an unknown metric, subset, dataset, split or model.
        InvalidValueError: logits that are not finite, a temperature <= 0, labels out of range; a metric was asked for
            by name that a sparse record does not give.
        DataError: models of one split that hold other examples, labels or classes.

    Examples:
        >>> from darkprobe.measure import SoftLabels
        >>> rng = np.random.default_rng(0)
        >>> record = SoftLabels(model="a", logits=rng.normal(size=(50, 5)), labels=rng.integers(0, 5, 50))
        >>> measure(record, metrics=["entropy"], temperatures=[4.0], subsets=["all"])["n"].tolist()
        [50]
    """
    plan = Plan(
        metrics=_metrics(metrics),
        temperatures=check_temperatures("measure", temperatures),
        subsets=_subsets(subsets),
        resamples=resamples,
        seed=seed,
    )
    records = records_of("measure", store, dataset=dataset, split=split, models=models)
    rows: list[Row] = []
    with torch.no_grad():
        for group in groups_of("measure", records):
            if metrics is not None:
                check_asked(group, plan.metrics, plan.temperatures)
            rows.extend(_measure_group(group, plan))
    return tidy(rows)


def _metrics(names: Sequence[str] | None) -> tuple[Metric, ...]:
    if names is None:
        return tuple(metric for metric in METRICS.values() if metric.kind != "pairwise" and not metric.on_request)
    wanted = dict.fromkeys(n for name in names for n in (name, *FACTORS.get(name, ())))
    found = tuple(METRICS[name] for name in wanted)
    for metric in found:
        if metric.kind == "pairwise":
            raise InvalidValueError(
                f"measure: `metrics` must be of one model, got {metric.name!r}, which needs two. Use compare."
            )
    return found


def _subsets(names: Sequence[Subset]) -> tuple[Subset, ...]:
    for name in names:
        check_choice("subset", name, SUBSETS)
    return tuple(dict.fromkeys(names))


def _measure_group(group: Group, plan: Plan) -> Iterator[Row]:
    partials = one_pass(group, plan)
    for model, partial in enumerate(partials):
        yield from _mean_rows(group, plan, model, partial=partial)
    yield from dataset_rows(group, plan, partials)


def _mean_rows(group: Group, plan: Plan, model: int, *, partial: Partial) -> Iterator[Row]:
    for subset, moments in partial.moments.items():
        mean, count = moments.mean_or_nan(), moments.count
        ends = t_interval(mean, moments.standard_error(), count)
        shares = wilson_interval(np.clip(mean, 0, 1), count)
        for i, (metric, temperature) in enumerate(plan.quantities()):
            if (subset == "all" or metric.any_subset) and says(group, model, metric, temperature):
                low, high = shares if metric.binary else ends
                found = Value(value=mean[i], low=low[i], high=high[i], n=count[i])
                yield row_of(
                    group, model, metric.name, temperature=temperature, subset=subset, value=found, unit=metric.unit
                )
