"""Between-seed variance apart from between-example variance, for networks trained with several seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from scipy import stats

from darkprobe.checks import check_temperatures
from darkprobe.errors import InvalidValueError
from darkprobe.measure.intervals import LEVEL
from darkprobe.measure.moments import JointMoments
from darkprobe.measure.one_pass import blocks_side_by_side, example_values
from darkprobe.measure.records import Group, Records, groups_of, records_of
from darkprobe.measure.table import Row, tidy
from darkprobe.metrics import METRICS, Metric

SEED_METRICS = ("distinctness_std", "non_target_mass", "inherent_std", "entropy", "accuracy")


@dataclass(frozen=True, kw_only=True)
class SeedRow:
    """One metric of one network over its seeds.

    Attributes:
        family, parameters: the network.
        value: mean over seeds and examples.
        low, high: 95 % interval for other seeds on these examples; NaN for one seed.
        seeds, n: how many seeds and examples.
        between_seed_std: standard deviation between seeds on endless examples; NaN for one seed.
        std_low, std_high: its 95 % interval; NaN for one seed.
        example_error: standard error of `value` from the examples, which all seeds share.
    """

    family: str
    parameters: int
    dataset: str
    split: str
    metric: str
    temperature: float | None
    value: float
    low: float
    high: float
    seeds: int
    n: int
    between_seed_std: float
    std_low: float
    std_high: float
    example_error: float
    unit: str


def between_seeds(
    store: Records,
    *,
    metrics: Sequence[str] = SEED_METRICS,
    temperatures: Sequence[float] = (1.0, 4.0),
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Table with one row per network (same family and number of parameters), metric and temperature.

    Seeds and examples are crossed. With S the covariance matrix of the seeds' means over examples and V the variance of
    those means, mean(diagonal of S) - mean(off-diagonal of S) is what chance adds to V, so

        between_seed_std^2 = max(0, V - that),   example_error^2 = mean of all entries of S.

    The interval of between_seed_std takes V to be chi-squared with one degree of freedom less than there are seeds, and
    what chance adds to be known; with two seeds its upper end is some 32 times the value.

    Args:
        store: a store or its path, or several records with a family.
        metrics: names of per_example metrics.
        temperatures: each > 0.
        dataset, split, models: which records.

    Returns:
        Columns of `SeedRow`, all examples.

    Raises:
        UnknownNameError: no such metric.
        InvalidValueError: a metric of another kind.

    References:
        Variance components of a crossed two-way layout [derived]; the interval is the usual one of a normal variance.
    """
    scales = check_temperatures("between_seeds", temperatures)
    chosen = [METRICS[name] for name in metrics]
    for metric in chosen:
        if metric.kind != "per_example":
            raise InvalidValueError(
                f"between_seeds: `metrics` must be per_example, got {metric.name!r}. Choose others."
            )
    records = records_of("between_seeds", store, dataset=dataset, split=split, models=models)
    with torch.no_grad():
        groups = groups_of("between_seeds", records)
        rows = [asdict(row) for group in groups for row in _rows(group, chosen, scales)]
    return pd.DataFrame(rows, columns=list(SeedRow.__dataclass_fields__))


def _rows(group: Group, metrics: Sequence[Metric], temperatures: Sequence[float]) -> Iterator[SeedRow]:
    networks: dict[tuple[str, int], list[int]] = {}
    for model, record in enumerate(group.records):
        if record.card.family:
            networks.setdefault((record.card.family, record.card.parameters), []).append(model)
    quantities = [(m, t) for m in metrics for t in (temperatures if m.depends_on_temperature else (None,))]
    for network, seeds in networks.items():
        joint = [JointMoments.empty(len(seeds)) for _ in quantities]
        for blocks in blocks_side_by_side(group, seeds):
            for i, (metric, temperature) in enumerate(quantities):
                values = torch.stack([example_values(block, metric, temperature) for block in blocks])
                joint[i] = joint[i].merge(JointMoments.of(values))
        for (metric, temperature), moments in zip(quantities, joint, strict=True):
            yield _row(group, network, metric, temperature=temperature, moments=moments)


def _row(
    group: Group, network: tuple[str, int], metric: Metric, *, temperature: float | None, moments: JointMoments
) -> SeedRow:
    seeds, covariance = len(moments.mean), moments.covariance_of_means()
    value = float(moments.mean.mean()) if moments.count else np.nan
    variance = chance = half = np.nan
    ends = np.full(2, np.nan)
    if seeds > 1:
        variance = float(moments.mean.var(ddof=1))
        shared = (covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1))
        chance = float(np.trace(covariance) / seeds - shared)
        tails = stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], seeds - 1)
        ends = np.sqrt(np.maximum(0.0, variance * (seeds - 1) / tails - chance))
        half = float(stats.t.ppf((1 + LEVEL) / 2, seeds - 1)) * np.sqrt(variance / seeds)
    return SeedRow(
        family=network[0],
        parameters=network[1],
        dataset=group.records[0].dataset,
        split=group.records[0].split,
        metric=metric.name,
        temperature=temperature,
        value=value,
        low=value - half,
        high=value + half,
        seeds=seeds,
        n=moments.count,
        between_seed_std=float(np.sqrt(max(0.0, variance - chance))) if seeds > 1 else np.nan,
        std_low=float(ends[0]),
        std_high=float(ends[1]),
        example_error=float(np.sqrt(covariance.mean())),
        unit=metric.unit,
    )


def seed_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The networks with two or more seeds of a table of `between_seeds`, in the columns that `measure` gives.

    `model` is the network, "FAMILY, N parameters, K seeds"; `METRIC` has the mean over seeds with its interval for
    other seeds and n = seeds, `METRIC_between_seed_std` and `METRIC_example_error` its two kinds of error.
    """
    rows: list[Row] = []
    for row in table[table["seeds"] > 1].to_dict("records"):
        name = f"{row['family']}, {row['parameters']:,} parameters, {row['seeds']} seeds"
        numbers = {
            row["metric"]: (row["value"], row["low"], row["high"], row["seeds"]),
            f"{row['metric']}_between_seed_std": (
                row["between_seed_std"],
                row["std_low"],
                row["std_high"],
                row["seeds"],
            ),
            f"{row['metric']}_example_error": (row["example_error"], np.nan, np.nan, row["n"]),
        }
        for metric, (value, low, high, n) in numbers.items():
            rows.append(
                Row(
                    model=name,
                    dataset=row["dataset"],
                    split=row["split"],
                    metric=metric,
                    temperature=row["temperature"],
                    subset="all seeds",
                    value=value,
                    low=low,
                    high=high,
                    n=int(n),
                    unit=row["unit"],
                )
            )
    return tidy(rows)
