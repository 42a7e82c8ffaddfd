"""`measure_hierarchy`: whether class relations, in outputs and in the last layer's weights, fit a hierarchy."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from darkprobe.checks import check_room, check_temperatures
from darkprobe.measure.hierarchies import class_paths
from darkprobe.measure.intervals import ClassBootstrap, spread_interval
from darkprobe.measure.one_pass import row_slices
from darkprobe.measure.plan import Value, row_of
from darkprobe.measure.records import Group, Records, groups_of, records_of
from darkprobe.measure.table import Row, tidy
from darkprobe.metrics._kinds import as_tensor
from darkprobe.metrics.hierarchy import (
    block_structure,
    cophenetic_correlation,
    path_distances,
    superclasses_of,
)
from darkprobe.metrics.weight_relations import weight_cosines, weight_similarities
from darkprobe.types import FloatArray

MATRIX_ENTRIES = 20_000_000
"""Entries of all resampled matrices together: above 400 classes there are fewer resamples."""

Score = Callable[[FloatArray], float]


def measure_hierarchy(
    store: Records,
    hierarchy: str,
    *,
    temperatures: Sequence[float] = (1.0, 4.0),
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
    resamples: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of how well each model's class relations fit a given hierarchy, with 95 % intervals and n.

    `cophenetic_correlation` of the affinity tree with the hierarchy, `block_structure` of the superclasses (0.5 = none,
    1 = perfect), both from mean soft labels at each temperature; and, where the last layer's weights are stored,
    `weight_cophenetic_correlation` and `weight_block_structure` from the cosines of the class weights, which no example
    enters and which have no interval.

    Args:
        store: a store or its path, one record, or several.
        hierarchy: "cifar10", "cifar100", "wordnet" or a CSV file (see `class_paths`).
        temperatures: each > 0.
        dataset, split, models: which records; None for all.
        resamples: of the bootstrap, stratified by class; fewer above 400 classes.
        seed: of the bootstrap.

    Returns:
        Columns as `measure` gives them; n counts examples, or classes for what is read off the weights. Models of which
        some class has no example are NaN.

    Raises:
        UnknownNameError: no such hierarchy, or it lacks a class of the data.
    """
    scales = check_temperatures("measure_hierarchy", temperatures)
    records = records_of("measure_hierarchy", store, dataset=dataset, split=split, models=models)
    rows: list[Row] = []
    with torch.no_grad():
        for group in groups_of("measure_hierarchy", records):
            rows.extend(_rows(group, hierarchy, scales, resamples=resamples, seed=seed))
    return tidy(rows)


def _rows(group: Group, hierarchy: str, temperatures: Sequence[float], *, resamples: int, seed: int) -> Iterator[Row]:
    paths = class_paths(hierarchy, group.records[0].class_names)
    distances, groups = path_distances(paths), superclasses_of(paths)
    scores: dict[str, Score] = {
        "cophenetic_correlation": lambda matrix: cophenetic_correlation(matrix, distances),
        "block_structure": lambda matrix: block_structure(matrix, groups),
    }
    for model in range(len(group.records)):
        for temperature in temperatures:
            matrices = class_mean_resamples(group, model, temperature, resamples=resamples, seed=seed)
            for name, score in scores.items():
                values = np.array([score(m) if np.isfinite(m).all() else np.nan for m in matrices])
                low, high = spread_interval(float(values[0]), values[1:], _BOUNDS[name])
                found = Value(value=values[0], low=low, high=high, n=len(group))
                yield row_of(group, model, name, temperature=temperature, value=found)
        weight = getattr(group.records[model], "head_weight", None)
        if weight is not None:
            similar = weight_similarities(weight_cosines(np.asarray(weight)))
            for name, score in scores.items():
                found = Value(value=score(similar), low=np.nan, high=np.nan, n=group.classes)
                yield row_of(group, model, f"weight_{name}", value=found)


_BOUNDS = {"cophenetic_correlation": (-1.0, 1.0), "block_structure": (0.0, 1.0)}


def class_mean_resamples(group: Group, model: int, temperature: float, *, resamples: int, seed: int) -> FloatArray:
    """(1 + resample, cls, cls) mean soft labels by class: of the sample, then of bootstrap samples inside each class.

    One pass in blocks: each block adds its soft labels, times how often each example was drawn, to the sums.
    """
    weights = example_weights(group, resamples=resample_count(group, resamples), seed=seed)
    counts = np.bincount(group.labels, minlength=group.classes).astype(float)
    needed = 8 * len(weights) * group.classes**2
    check_room("class_mean_resamples", "a matrix of classes a resample", classes=group.classes, needed=needed)
    sums = torch.zeros((len(weights), group.classes, group.classes), dtype=torch.float64)
    for block in row_slices(group, model):
        probs = torch.softmax(as_tensor(group.logits(model, block)).double() / temperature, dim=-1)
        sums, labels = sums.to(probs.device), group.labels[block]
        for own in np.unique(labels):
            rows = np.flatnonzero(labels == own)
            drawn = torch.from_numpy(weights[:, block][:, rows]).to(probs.device, torch.float64)
            sums[:, own] += drawn @ probs[torch.from_numpy(rows).to(probs.device)]
    with np.errstate(invalid="ignore"):
        return np.asarray(sums.cpu().numpy() / np.where(counts > 0, counts, np.nan)[:, None])


def resample_count(group: Group, resamples: int) -> int:
    """As many resamples as asked for, unless their matrices would take too much room."""
    return min(resamples, MATRIX_ENTRIES // group.classes**2)


def example_weights(group: Group, *, resamples: int, seed: int) -> npt.NDArray[np.uint8]:
    """(1 + resample, example): ones, then how often each example was drawn inside its class."""
    bootstrap = ClassBootstrap(labels=group.labels, resamples=resamples, seed=seed)
    weights = np.ones((1 + resamples, len(group)), dtype=np.uint8)
    start = 1
    for drawn in bootstrap.weights():
        weights[start : start + len(drawn), bootstrap.order] = drawn
        start += len(drawn)
    return weights
