"""`measure_features`: how tight and how alike the stored features of models are, with a bootstrap."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from darkprobe.errors import DataError
from darkprobe.measure.intervals import ClassBootstrap, spread_interval
from darkprobe.measure.plan import Value, row_of
from darkprobe.measure.records import Group, Records, groups_of, records_of
from darkprobe.measure.table import Row, tidy
from darkprobe.measure.twins import pairs_of
from darkprobe.metrics import centre_cosine_spread, feature_compactness, linear_cka, weight_alignment
from darkprobe.types import FloatArray, IntArray

BOUNDS = {
    "feature_compactness": (0.0, np.inf),
    "centre_cosine_spread": (0.0, 1.0),
    "weight_alignment": (-1.0, 1.0),
    "linear_cka": (0.0, 1.0),
}

POOLED_ROWS = 1024
"""Examples whose feature maps are in memory at once; of the rest there are only the pooled features."""

Statistic = Callable[[IntArray], float]


def measure_features(
    store: Records,
    *,
    layers: Mapping[str, str] | str | None = None,
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
    resamples: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of feature geometry of each model with stored features, and of CKA between each pair.

    `feature_compactness` (within-class over between-class variance), `centre_cosine_spread` (how unlike the distances
    between class centres are), `weight_alignment` (cosine of class weights with class centres, where the last layer's
    weights are stored and fit), `linear_cka` for pairs. Features with further axes are averaged over them (global
    pooling).

    Args:
        store: a store or its path, or records with `features` (layer to array) and `head_weight`.
        layers: the layer to take: one name for all, by model id, or None for the last one stored.
        dataset, split, models: which records; None for all. Models without features are left out.
        resamples: of the bootstrap, stratified by class.
        seed: of the bootstrap.

    Returns:
        Columns as `measure` gives them; `reference` is the second model for CKA.

    Raises:
        DataError: no model has features, or not the layer asked for.
    """
    rows: list[Row] = []
    records = records_of("measure_features", store, dataset=dataset, split=split, models=models)
    kept = [record for record in records if len(getattr(record, "features", {}) or {})]
    if not kept:
        raise DataError(
            "measure_features: `store` must hold features, got none. Extract again with --features LAYER, e.g. avgpool."
        )
    for group in groups_of("measure_features", kept):
        rows.extend(_rows(group, layers, resamples=resamples, seed=seed))
    return tidy(rows)


def _rows(group: Group, layers: Mapping[str, str] | str | None, *, resamples: int, seed: int) -> Iterator[Row]:
    features = [pooled_features(group, model, layers) for model in range(len(group.records))]
    draws = list(ClassBootstrap(labels=group.labels, resamples=resamples, seed=seed).rows())
    for model, own in enumerate(features):
        yield _row(group, model, None, "feature_compactness", _compactness(own, group.labels), draws)
        yield _row(group, model, None, "centre_cosine_spread", _spread(own, group.labels), draws)
        weight = getattr(group.records[model], "head_weight", None)
        if weight is not None and weight.shape[1] == own.shape[1]:
            yield _row(group, model, None, "weight_alignment", _alignment(own, group.labels, weight), draws)
    for first, second in zip(*pairs_of(len(features)), strict=True):
        cka = _cka(features[int(first)], features[int(second)])
        yield _row(group, int(first), int(second), "linear_cka", cka, draws)


def _compactness(features: FloatArray, labels: IntArray) -> Statistic:
    return lambda rows: feature_compactness(features[rows], labels[rows])


def _spread(features: FloatArray, labels: IntArray) -> Statistic:
    return lambda rows: centre_cosine_spread(features[rows], labels[rows])


def _alignment(features: FloatArray, labels: IntArray, weight: FloatArray) -> Statistic:
    return lambda rows: weight_alignment(features[rows], labels[rows], weight)


def _cka(first: FloatArray, second: FloatArray) -> Statistic:
    return lambda rows: linear_cka(first[rows], second[rows])


def pooled_features(group: Group, model: int, layers: Mapping[str, str] | str | None) -> FloatArray:
    """(example, feature) float64 stored features of one model, averaged over further axes, in the group's order."""
    record: Any = group.records[model]
    name = record.card.model_id
    wanted = layers.get(name) if isinstance(layers, Mapping) else layers
    layer = wanted if wanted is not None else list(record.features)[-1]
    if layer not in record.features:
        raise DataError(
            f"measure_features: {name!r} must hold features of layer {layer!r}, got {', '.join(record.features)}. "
            "Choose one of these, or extract again."
        )
    stored, order = record.features[layer], group.order[model]
    rows = [np.asarray(stored[start : start + POOLED_ROWS]) for start in range(0, len(stored), POOLED_ROWS)]
    pooled = [block.reshape(*block.shape[:2], -1).mean(-1, dtype=np.float64) for block in rows]
    values: FloatArray = np.concatenate(pooled)
    return values if order is None else values[order]


def _row(
    group: Group, model: int, reference: int | None, metric: str, statistic: Statistic, draws: Sequence[IntArray]
) -> Row:
    n = len(group)
    value = statistic(np.arange(n))
    low, high = spread_interval(value, np.array([statistic(rows) for rows in draws]), BOUNDS[metric])
    other = None if reference is None else group.records[reference].card.model_id
    return row_of(group, model, metric, reference=other, value=Value(value=value, low=low, high=high, n=n))
