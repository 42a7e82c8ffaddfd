"""`compare`: every pair of models of a store, example by example and class by class."""

from collections.abc import Iterator, Sequence

import pandas as pd
import torch

from darkprobe.checks import check_choice, check_temperatures
from darkprobe.errors import InvalidValueError
from darkprobe.measure.class_level import class_level_values
from darkprobe.measure.instance_level import PairValue, Quantity, instance_values
from darkprobe.measure.plan import row_of
from darkprobe.measure.records import Group, Records, groups_of, records_of
from darkprobe.measure.sparse import check_asked, known_of_pairs
from darkprobe.measure.table import Row, tidy
from darkprobe.measure.twins import pairs_of
from darkprobe.metrics import METRICS, Metric
from darkprobe.types import Subset

SUBSETS: tuple[Subset, ...] = ("all", "common")


def compare(
    store: Records,
    *,
    metrics: Sequence[str] | None = None,
    temperatures: Sequence[float] = (1.0, 4.0),
    subsets: Sequence[Subset] = SUBSETS,
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of affinity, agreement and divergence of each pair of models, with 95 % intervals and n.

    Rank correlations come with two floors: `NAME_floor_permuted`, each example's wrong classes in random order (what
    chance gives), and `NAME_floor_within_class`, examples shuffled among those of their class (what the class alone
    gives). Where both models have a twin in the store, the same network with another seed (same family and number of
    parameters), `NAME_ceiling` is sqrt(r_AA' r_BB') and `NAME_consistency` the correlation on the scale from floor to
    ceiling.

    Of sparse records, which hold the largest logits only, agreement and top-k overlap are known; the rest is left out.

    Args:
        store: a store or its path, or several records (`SoftLabels` for plain arrays).
        metrics: names of pairwise metrics in the catalogue; None for all.
        temperatures: each > 0, for the metrics that depend on it.
        subsets: "all" examples; "common", those that every compared model gets right.
        dataset, split, models: which records; None for all.
        resamples: of the bootstrap of class-level affinity.
        seed: of floors and bootstrap.

    Returns:
        Columns as `measure` gives them, one row per pair; `reference` is the second model of the pair.

    Raises:
        UnknownNameError: an unknown metric, subset, dataset, split or model.
        InvalidValueError: fewer than two models, logits that are not finite, a temperature <= 0, or a metric asked for
            by name that sparse records do not give.
        DataError: models that hold other examples, labels or classes.

    Examples:
        >>> import numpy as np
        >>> from darkprobe.measure import SoftLabels
        >>> rng = np.random.default_rng(0)
        >>> logits, labels = rng.normal(size=(50, 5)), rng.integers(0, 5, 50)
        >>> records = [SoftLabels(model=f"{size}", logits=logits * size, labels=labels) for size in (1.0, 2.0)]
        >>> compare(records, metrics=["spearman"], subsets=["all"])["value"].round(6).tolist()[0]
        1.0
    """
    chosen = _metrics(metrics)
    scales = check_temperatures("compare", temperatures)
    for name in subsets:
        check_choice("subset", name, SUBSETS)
    groups = list(groups_of("compare", records_of("compare", store, dataset=dataset, split=split, models=models)))
    if all(len(group.records) < 2 for group in groups):
        raise InvalidValueError(
            "compare: `store` must hold at least two models of one data set and split, got one. Extract another."
        )
    rows: list[Row] = []
    with torch.no_grad():
        for group in groups:
            quantities = [(m, t) for m in chosen for t in (scales if m.depends_on_temperature else (None,))]
            if metrics is not None:
                check_asked(group, chosen, scales, function="compare")
            rows.extend(_rows(group, known_of_pairs(group, quantities), subsets, resamples=resamples, seed=seed))
    return tidy(rows)


def _metrics(names: Sequence[str] | None) -> tuple[Metric, ...]:
    if names is None:
        return tuple(metric for metric in METRICS.values() if metric.kind == "pairwise" and not metric.on_request)
    for name in names:
        if METRICS[name].kind != "pairwise":
            raise InvalidValueError(
                f"compare: `metrics` must be of pairs of models, got {name!r}, which is of one. Use measure."
            )
    return tuple(METRICS[name] for name in dict.fromkeys(names))


def _rows(
    group: Group, quantities: Sequence[Quantity], subsets: Sequence[Subset], *, resamples: int, seed: int
) -> Iterator[Row]:
    if len(group.records) < 2:
        return
    by_example = [quantity for quantity in quantities if not quantity[0].class_level]
    for quantity, value in instance_values(group, by_example, subsets, seed=seed):
        yield _row(group, quantity, value)
    for metric, temperature in quantities:
        if metric.class_level:
            for subset in subsets:
                scale = 1.0 if temperature is None else temperature
                for value in class_level_values(
                    group, temperature=scale, subset=subset, resamples=resamples, seed=seed
                ):
                    yield _row(group, (metric, temperature), value)


def _row(group: Group, quantity: Quantity, found: PairValue) -> Row:
    (metric, temperature), (pair, suffix, subset, number) = quantity, found
    first, second = pairs_of(len(group.records))
    return row_of(
        group,
        int(first[pair]),
        metric.name + suffix,
        temperature=temperature,
        subset=subset,
        reference=group.records[int(second[pair])].card.model_id,
        value=number,
        unit=metric.unit,
    )
