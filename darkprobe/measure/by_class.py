"""`measure_by_class` and `compare_by_class`: per-example metrics apart for the examples of each class, in one pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from darkprobe.checks import check_temperatures
from darkprobe.errors import InvalidValueError
from darkprobe.measure.instance_level import class_pair_values
from darkprobe.measure.intervals import t_interval, wilson_interval
from darkprobe.measure.moments import Moments
from darkprobe.measure.one_pass import example_values, soft_label_blocks
from darkprobe.measure.plan import Value, row_of
from darkprobe.measure.records import Group, Records, groups_of, records_of
from darkprobe.measure.sparse import check_asked, known_of_pairs, says
from darkprobe.measure.table import Row, tidy
from darkprobe.measure.twins import pairs_of
from darkprobe.metrics import METRICS, Metric

OWN = (
    "accuracy",
    "non_target_mass",
    "inherent_std",
    "distinctness_std",
    "non_ground_truth_entropy",
)
OF_PAIRS = ("agreement", "spearman", "kl_from_reference")

Quantity = tuple[Metric, float | None]


def measure_by_class(
    store: Records,
    *,
    metrics: Sequence[str] = OWN,
    temperatures: Sequence[float] = (1.0, 4.0),
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Table of metrics of each model for the examples of each class, with 95 % intervals and n.

    Args:
        store: a store or its path, one record, or several.
        metrics: names of per_example metrics.
        temperatures: each > 0.
        dataset, split, models: which records; None for all.

    Returns:
        Columns as `measure` gives them; `subset` is "class NAME". Classes without examples, and what sparse records do
        not give, are left out.

    Raises:
        UnknownNameError: no such metric.
        InvalidValueError: a metric of another kind, or metrics none of which a sparse record gives.
    """
    scales, chosen = check_temperatures("measure_by_class", temperatures), _chosen("measure_by_class", metrics)
    records = records_of("measure_by_class", store, dataset=dataset, split=split, models=models)
    rows: list[Row] = []
    with torch.no_grad():
        for group in groups_of("measure_by_class", records):
            for model in range(len(group.records)):
                known = [(m, t) for m, t in _quantities(chosen, scales) if says(group, model, m, t)]
                if not known:  # an empty table would not say why
                    check_asked(group, chosen, scales, function="measure_by_class")
                rows.extend(_own_rows(group, model, known))
    return tidy(rows)


def compare_by_class(
    store: Records,
    *,
    metrics: Sequence[str] = OF_PAIRS,
    temperatures: Sequence[float] = (1.0, 4.0),
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Table of pairwise metrics of each pair of models for the examples of each class: where they disagree.

    Args:
        store: a store or its path, or several records.
        metrics: names of pairwise metrics with a value per example.
        temperatures: each > 0.
        dataset, split, models: which records; None for all.

    Returns:
        Columns as `compare` gives them; `subset` is "class NAME". Classes without examples, and what sparse records do
        not give, are left out.

    Raises:
        UnknownNameError: no such metric.
        InvalidValueError: a metric of another kind, metrics none of which sparse records give, or one model alone.
    """
    scales, chosen = check_temperatures("compare_by_class", temperatures), _chosen("compare_by_class", metrics)
    groups = list(
        groups_of(
            "compare_by_class", records_of("compare_by_class", store, dataset=dataset, split=split, models=models)
        )
    )
    if all(len(group.records) < 2 for group in groups):
        raise InvalidValueError(
            "compare_by_class: `store` must hold at least two models of one data set and split, got one. "
            "Extract another."
        )
    rows: list[Row] = []
    with torch.no_grad():
        for group in groups:
            if len(group.records) > 1:
                known = known_of_pairs(group, _quantities(chosen, scales))
                if not known:
                    check_asked(group, chosen, scales, function="compare_by_class")
                rows.extend(_pair_rows(group, known))
    return tidy(rows)


def _chosen(function: str, names: Sequence[str]) -> list[Metric]:
    wanted = "per_example" if function == "measure_by_class" else "pairwise"
    chosen = [METRICS[name] for name in dict.fromkeys(names)]
    for metric in chosen:
        if metric.kind != wanted or metric.class_level:
            raise InvalidValueError(
                f"{function}: `metrics` must be {wanted} with a value for each example, got {metric.name!r}. "
                "Choose others: see `darkprobe metrics list`."
            )
    return chosen


def _quantities(metrics: Sequence[Metric], temperatures: Sequence[float]) -> list[Quantity]:
    return [(m, t) for m in metrics for t in (temperatures if m.depends_on_temperature else (None,))]


def _own_rows(group: Group, model: int, quantities: Sequence[Quantity]) -> Iterator[Row]:
    sums = ClassMoments.empty(group.classes, len(quantities))
    for block in soft_label_blocks(group, model):
        values = torch.stack([example_values(block, metric, temperature) for metric, temperature in quantities])
        sums.add(values, block.labels)
    for own in range(group.classes):
        yield from _rows(group, (model, None), quantities, own=own, moments=sums.of(own))


def _pair_rows(group: Group, quantities: Sequence[Quantity]) -> Iterator[Row]:
    first, second = pairs_of(len(group.records))
    pairs = len(first)
    sums = ClassMoments.empty(group.classes, len(quantities) * pairs)
    for values, labels in class_pair_values(group, quantities):
        sums.add(values, labels)
    for own in range(group.classes):
        moments = sums.of(own)
        for pair in range(pairs):
            part = slice(pair, None, pairs)
            kept = Moments(moments.count[part], moments.mean[part], moments.squares[part])
            yield from _rows(group, (int(first[pair]), int(second[pair])), quantities, own=own, moments=kept)


@dataclass
class ClassMoments:
    """Moments of several quantities apart by class, filled block by block.

    Attributes:
        parts: one `Moments` per class.
    """

    parts: list[Moments]

    @classmethod
    def empty(cls, classes: int, quantities: int) -> "ClassMoments":
        """No examples yet."""
        return cls([Moments.empty(quantities) for _ in range(classes)])

    def add(self, values: Tensor, labels: Tensor) -> None:
        """Takes in (quantity, example) values with the labels of the examples."""
        for own in torch.unique(labels).tolist():
            self.parts[own] = self.parts[own].merge(Moments.of(values[:, labels == own]))

    def of(self, own: int) -> Moments:
        """Moments of one class."""
        return self.parts[own]


def _rows(
    group: Group, models: tuple[int, int | None], quantities: Sequence[Quantity], *, own: int, moments: Moments
) -> Iterator[Row]:
    mean = moments.mean_or_nan()
    ends = t_interval(mean, moments.standard_error(), moments.count)
    shares = wilson_interval(np.clip(mean, 0, 1), moments.count)
    name = group.records[models[0]].class_names[own]
    reference = None if models[1] is None else group.records[models[1]].card.model_id
    present = bool((group.labels == own).any())
    for i, (metric, temperature) in enumerate(quantities if present else ()):
        low, high = shares if metric.binary else ends
        yield row_of(
            group,
            models[0],
            metric.name,
            temperature=temperature,
            subset=f"class {name}",
            reference=reference,
            value=Value(value=mean[i], low=low[i], high=high[i], n=moments.count[i]),
            unit=metric.unit,
        )
