"""`measure_people`: every model of a store against human votes, example by example and class by class."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from darkprobe.checks import check_temperatures
from darkprobe.errors import DataError, InvalidValueError
from darkprobe.measure.class_relations import class_mean_resamples, example_weights, resample_count
from darkprobe.measure.intervals import spread_interval, t_interval
from darkprobe.measure.moments import Moments
from darkprobe.measure.one_pass import row_slices
from darkprobe.measure.plan import Value, row_of
from darkprobe.measure.records import Group, Records, groups_of, records_of
from darkprobe.measure.table import Row, tidy
from darkprobe.metrics.class_affinity import class_affinity_correlation
from darkprobe.metrics.human import METHODS, ceiling_from_halves, halves, human_alignment, split_half_alignment
from darkprobe.types import FloatArray, IntArray

REFERENCE = "people"
SPLITS = 20


def measure_people(
    store: Records,
    votes: FloatArray | IntArray,
    *,
    counts: IntArray | None = None,
    temperatures: Sequence[float] = (1.0, 4.0),
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of each model's alignment with people, with 95 % intervals, n, and the ceiling that their number sets.

    Examples on which nobody chose a wrong class have no order of wrong classes; they are left out of the example
    level and n counts the rest. `NAME_ceiling` is the highest value a noiseless model could have, from split halves
    of the votes; it needs counts.

    Args:
        store: a store or its path, one record, or several.
        votes: (example, cls), shares or counts, in the order of the store's examples.
        counts: (example, cls), whole numbers, for the ceiling; `votes` where those are counts.
        temperatures: each > 0, for `human_pearson` and `human_class_affinity`.
        dataset, split, models: which records; one data set and split in the end.
        resamples: of the bootstrap of the class level.
        seed: of bootstrap and halves.

    Returns:
        Columns as `measure` gives them, `reference` is "people".

    Raises:
        DataError: votes of other examples than the store's (most frequent vote and label hardly agree), or records of
            several data sets or splits.
        InvalidValueError: shapes do not fit.
    """
    scales = check_temperatures("measure_people", temperatures)
    records = records_of("measure_people", store, dataset=dataset, split=split, models=models)
    groups = list(groups_of("measure_people", records))
    if len(groups) != 1:
        raise DataError(f"measure_people: `store` must give one data set and split, got {len(groups)}. Choose by name.")
    group = groups[0]
    _check_people(group, votes)
    if counts is None and np.issubdtype(np.asarray(votes).dtype, np.integer):
        counts = np.asarray(votes)
    rows: list[Row] = []
    with torch.no_grad():
        ceilings = _ceilings(group, counts, resamples=resamples, seed=seed)
        for model in range(len(group.records)):
            for (metric, temperature), value in _values(group, model, votes, scales, resamples=resamples, seed=seed):
                rows.append(row_of(group, model, metric, temperature=temperature, reference=REFERENCE, value=value))
                if metric in ceilings:
                    ceiling = f"{metric}_ceiling"
                    rows.append(
                        row_of(
                            group, model, ceiling, temperature=temperature, reference=REFERENCE, value=ceilings[metric]
                        )
                    )
    return tidy(rows)


def read_votes(path: Path) -> tuple[FloatArray, IntArray | None]:
    """Votes from a .npy file, and the counts: itself, or for `...probs.npy` the `...counts.npy` beside it.

    Raises:
        DataError: the file cannot be read.
        InvalidValueError: it holds no array of numbers with two axes.
    """
    from darkprobe.store.arrays_in import read_arrays  # only a file needs the store

    votes = read_arrays(path).get("values", np.empty(0))
    if votes.ndim != 2 or votes.dtype.kind not in "iuf":
        raise InvalidValueError(
            f"read_votes: {path} must hold numbers of shape (example, cls), got {votes.dtype} {votes.shape}. "
            "Give human probabilities or counts."
        )
    if votes.dtype.kind in "iu":
        return votes, votes
    beside = path.with_name(path.name.replace("probs", "counts"))
    return votes, read_arrays(beside)["values"] if beside != path and beside.exists() else None


def _check_people(group: Group, votes: FloatArray | IntArray) -> None:
    if votes.shape != (len(group), group.classes):
        raise InvalidValueError(
            f"measure_people: `votes` must have shape {(len(group), group.classes)} got {votes.shape}. "
            "Measure the split that people saw."
        )
    agree = float((votes.argmax(1) == group.labels).mean()) if len(group) else 1.0
    if agree < 0.5:
        raise DataError(
            f"measure_people: the most frequent vote and the label agree on {agree:.0%} of the examples, so the "
            "rows do not belong together. Bring votes into the order of the store."
        )


def _values(
    group: Group,
    model: int,
    votes: FloatArray | IntArray,
    temperatures: Sequence[float],
    *,
    resamples: int,
    seed: int,
) -> Iterator[tuple[tuple[str, float | None], Value]]:
    quantities = [(m, t) for m in METHODS for t in (temperatures if m == "pearson" else (None,))]
    moments = Moments.empty(len(quantities))
    for rows in row_slices(group, model):
        logits = group.logits(model, rows)
        aligned = [
            human_alignment(logits, votes[rows], group.labels[rows], method=method, temperature=temperature or 1.0)
            for method, temperature in quantities
        ]
        moments = moments.merge(Moments.of(torch.from_numpy(np.stack(aligned))))
    for i, (method, temperature) in enumerate(quantities):
        part = slice(i, i + 1)
        yield (
            (f"human_{method}", temperature),
            _mean(Moments(moments.count[part], moments.mean[part], moments.squares[part])),
        )
    people = _people_by_class(group, votes, resamples=resamples, seed=seed)
    for temperature in temperatures:
        own = class_mean_resamples(group, model, temperature, resamples=resamples, seed=seed)
        found = [float(class_affinity_correlation(a, b)) for a, b in zip(own, people, strict=True)]
        low, high = spread_interval(found[0], np.array(found[1:]), (-1, 1))
        yield ("human_class_affinity", temperature), Value(value=found[0], low=low, high=high, n=len(group))


def _people_by_class(group: Group, votes: FloatArray | IntArray, *, resamples: int, seed: int) -> FloatArray:
    """(1 + resample, cls, cls) mean shares of votes by class, of the same draws as `class_mean_resamples`."""
    weights = example_weights(group, resamples=resample_count(group, resamples), seed=seed)
    shares = votes / votes.sum(1, keepdims=True)
    counts = np.bincount(group.labels, minlength=group.classes).astype(float)
    sums = np.zeros((len(weights), group.classes, group.classes))
    for own in np.unique(group.labels):
        rows = np.flatnonzero(group.labels == own)
        sums[:, own] = weights[:, rows] @ shares[rows]
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / np.where(counts > 0, counts, np.nan)[:, None])


def _mean(moments: Moments) -> Value:
    low, high = t_interval(moments.mean_or_nan(), moments.standard_error(), moments.count)
    return Value(value=moments.mean_or_nan()[0], low=low[0], high=high[0], n=moments.count[0])


def _ceilings(group: Group, counts: IntArray | None, *, resamples: int, seed: int) -> dict[str, Value]:
    if counts is None:
        return {}
    _check_people(group, counts)
    found = {}
    for method in METHODS:
        halved = split_half_alignment(counts, group.labels, method=method, splits=SPLITS, seed=seed)
        mean = _mean(Moments.of(torch.from_numpy(halved[None])))
        ends = [ceiling_from_halves(end) for end in (mean.value, mean.low, mean.high)]
        found[f"human_{method}"] = Value(value=ends[0], low=ends[1], high=ends[2], n=mean.n)
    found["human_class_affinity"] = _class_ceiling(group, counts, resamples=resamples, seed=seed)
    return found


def _class_ceiling(group: Group, counts: IntArray, *, resamples: int, seed: int) -> Value:
    """The ceiling of the class level, from all splits; its interval from resamples of examples, a split for each."""
    splits = halves(counts, splits=SPLITS, seed=seed)
    whole = [_half_correlations(group, half, counts - half, resamples=0, seed=seed)[0] for half in splits]
    value = ceiling_from_halves(float(np.mean(whole)))
    # A resample of one split varies with the examples and with the split; the ceiling is a mean over splits.
    spread = _half_correlations(group, splits[0], counts - splits[0], resamples=resamples, seed=seed)[1:]
    low, high = spread_interval(value, np.array([ceiling_from_halves(r) for r in spread]), (0, 1))
    return Value(value=value, low=low, high=high, n=len(group))


def _half_correlations(group: Group, half: IntArray, rest: IntArray, *, resamples: int, seed: int) -> list[float]:
    first, second = (_people_by_class(group, part, resamples=resamples, seed=seed) for part in (half, rest))
    return [float(class_affinity_correlation(a, b)) for a, b in zip(first, second, strict=True)]
