"""`measure_student`: how each teacher of a store rescales one student's gradients, and whether easy examples gain."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats

from darkprobe.checks import check_temperatures
from darkprobe.errors import InvalidValueError, UnknownNameError
from darkprobe.measure.intervals import LEVEL
from darkprobe.measure.one_pass import row_slices
from darkprobe.measure.records import Group, Records, groups_of, records_of
from darkprobe.measure.table import Row, tidy
from darkprobe.metrics import nll, rescaling_factor
from darkprobe.metrics._kinds import as_tensor
from darkprobe.types import Array, FloatArray


def measure_student(
    store: Records,
    student: str,
    *,
    temperatures: Sequence[float] = (1.0, 4.0),
    dataset: str | None = None,
    split: str | None = None,
) -> pd.DataFrame:
    """Table of the rescaling factor w of each other model as a teacher of `student`.

    `rescaling_factor_median`, `_lower_quartile` and `_upper_quartile` describe w over examples (its mean is not robust:
    w grows without bound where the student is sure); `rescaling_factor_difficulty` is its Spearman correlation with
    difficulty, the mean negative log-likelihood of the example over all models of the store: negative where easy
    examples gain weight.

    Args:
        store: a store or its path, or several records.
        student: its model id.
        temperatures: each > 0.
        dataset, split: which records.

    Returns:
        Columns as `measure` gives them; `model` is the teacher, `reference` the student. n counts the examples where w
        is finite. Quantiles have intervals from order statistics.

    Raises:
        UnknownNameError: no model of that id.
        InvalidValueError: it is the only model.

    References:
        Tang et al., arXiv 2002.03532 [recall]; this measure of difficulty is our choice [design].
    """
    scales = check_temperatures("measure_student", temperatures)
    rows: list[Row] = []
    with torch.no_grad():
        for group in groups_of("measure_student", records_of("measure_student", store, dataset=dataset, split=split)):
            rows.extend(_rows(group, student, scales))
    return tidy(rows)


def _rows(group: Group, student: str, temperatures: Sequence[float]) -> Iterator[Row]:
    names = [record.card.model_id for record in group.records]
    if student not in names:
        raise UnknownNameError("model", student, names)
    if len(names) < 2:
        raise InvalidValueError(
            f"measure_student: `store` must hold a teacher beside {student!r}, got none. Extract one more model."
        )
    own, scales = names.index(student), list(temperatures)
    difficulty, weights = np.zeros(len(group)), np.zeros((len(names), len(scales), len(group)))
    for rows in row_slices(group, own):
        logits, labels = [as_tensor(group.logits(model, rows)) for model in range(len(names))], group.labels[rows]
        difficulty[rows] = np.mean([_numbers(nll(values, labels)) for values in logits], axis=0)
        for model, teacher in enumerate(logits):
            for i, temperature in enumerate(scales if model != own else ()):
                factors = rescaling_factor(logits[own], teacher, labels, temperature=temperature)
                weights[model, i, rows] = _numbers(factors)
    for model, name in enumerate(names):
        for i, temperature in enumerate(scales if model != own else ()):
            yield from _summary(group, (name, student), temperature, weights=weights[model, i], difficulty=difficulty)


def _numbers(values: Array) -> FloatArray:
    """One number per example, where the host can sort them."""
    return np.asarray(as_tensor(values).cpu())


def _summary(
    group: Group, pair: tuple[str, str], temperature: float, *, weights: FloatArray, difficulty: FloatArray
) -> Iterator[Row]:
    finite = np.isfinite(weights)
    kept, n = weights[finite], int(finite.sum())
    rank = float(stats.spearmanr(kept, difficulty[finite]).statistic) if n > 3 and np.ptp(kept) > 0 else np.nan
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * np.sqrt((1 + rank**2 / 2) / max(n - 3, 1))  # Bonett and Wright
    numbers = {
        "rescaling_factor_lower_quartile": _quantile(kept, 0.25),
        "rescaling_factor_median": _quantile(kept, 0.5),
        "rescaling_factor_upper_quartile": _quantile(kept, 0.75),
        "rescaling_factor_difficulty": (rank, *(float(np.tanh(np.arctanh(rank) + side * half)) for side in (-1, 1))),
    }
    for metric, (value, lower, upper) in numbers.items():
        yield Row(
            model=pair[0],
            reference=pair[1],
            dataset=group.records[0].dataset,
            split=group.records[0].split,
            metric=metric,
            temperature=temperature,
            subset="all",
            value=value,
            low=lower,
            high=upper,
            n=n,
            unit="",
        )


def _quantile(values: FloatArray, share: float) -> tuple[float, float, float]:
    """A quantile with its distribution-free interval: order statistics at binomial quantiles."""
    if not len(values):
        return np.nan, np.nan, np.nan
    ordered = np.sort(values)
    tails = [float(stats.binom.ppf(end, len(ordered), share)) for end in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)]
    low, high = (ordered[int(np.clip(at, 0, len(ordered) - 1))] for at in (tails[0] - 1, tails[1]))
    return float(np.quantile(ordered, share)), float(low), float(high)
