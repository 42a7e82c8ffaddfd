"""H1 to H4 as numbers: each an estimate over replicates, with what it counts, before any verdict is spoken."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from darkprobe.study.statistics import (
    Estimate,
    fieller_interval,
    jackknife_estimate,
    mean_estimate,
    replicates_for,
    simultaneous_intervals,
)

Values = npt.NDArray[np.float64]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One hypothesis, estimated.

    Attributes:
        key: "H1" ...
        claim: what is claimed, one sentence.
        quantity, unit: what `estimate` is.
        estimate: effect with its standard error over replicates.
        direction: sign of the claimed effect relative to `null`.
        null: value that the interval must lie beyond to confirm.
        refuted_beyond: value on the far side of which the whole interval must lie to refute.
        test: name of the test.
        more_seeds: replicates for an interval of half width delta, or None where delta does not apply.
        reading: sentences to add to the verdict, on what carries the effect.
        detail: rows of further numbers.
    """

    key: str
    claim: str
    quantity: str
    unit: str
    estimate: Estimate
    direction: Literal[-1, 1]
    null: float = 0.0
    refuted_beyond: float = 0.0
    test: str = "paired t over replicates"
    more_seeds: int | None = None
    reading: str = ""
    detail: list[Row] = field(default_factory=list)


def distinctness_falls(
    parameters: Values, *, sigma: Values, mass: Values, shape: Values, temperature: float
) -> Finding:
    """H1 from means over training examples, (replicate, rung) each: sigma, 1 - p_y and inherent std."""
    doublings = np.log2(parameters)
    slopes = {name: _slopes(doublings, np.log(v)) for name, v in (("sigma", sigma), ("mass", mass), ("shape", shape))}
    means = {name: mean_estimate(values) for name, values in slopes.items()}
    carries = (
        "confidence (1 - p_y)" if abs(means["mass"].effect) >= abs(means["shape"].effect) else "shape (inherent std)"
    )
    shape_word = (
        "flatter"
        if means["shape"].interval()[1] < 0
        else "sharper"
        if means["shape"].interval()[0] > 0
        else "neither flatter nor sharper"
    )
    labels = {"sigma": "log distinctness (std)", "mass": "log (1 - p_y)", "shape": "log inherent std"}
    return Finding(
        key="H1",
        claim="Distinctness falls with capacity.",
        quantity=f"slope of log distinctness (std over wrong classes, T = {temperature:g}, training images)",
        unit="per doubling",
        estimate=means["sigma"],
        direction=-1,
        test="t over per-replicate slopes",
        reading=f"The change is carried by {carries}; with capacity the wrong-class distribution becomes {shape_word}.",
        detail=[own_row(f"slope of {labels[name]}", estimate, "per doubling") for name, estimate in means.items()],
    )


def _slopes(x: Values, y: Values) -> Values:
    centred = x - x.mean()
    return np.asarray((y - y.mean(1, keepdims=True)) @ centred / (centred**2).sum())


def affinity_agrees(rungs: list[str], *, level: dict[str, dict[str, Values]], bound: float = 0.9) -> Finding:
    """H2 from correlations (replicate, rung) with the largest teacher, with the twin, and of the floor."""
    detail: list[Row] = []
    found: dict[str, list[Estimate]] = {}
    for name, values in level.items():
        for rung in range(len(rungs) - 1):
            columns = (
                values["with_largest"][:, rung],
                values["reliability"][:, rung],
                values["reliability"][:, -1],
                values["floor"][:, rung],
            )
            estimate = jackknife_estimate(scaled_between, *columns)
            found.setdefault(name, []).append(estimate)
            detail.append(
                own_row(f"{name}-level consistency of {rungs[rung]} with {rungs[-1]}", estimate, "consistency")
            )
            detail.append(
                own_row(
                    f"{name}-level Spearman, {rungs[rung]} with {rungs[-1]}", mean_estimate(columns[0]), "correlation"
                )
            )
    weakest = min(found["class"], key=lambda e: (e.effect - bound) / max(e.error, 1e-12))
    return Finding(
        key="H2",
        claim="Teachers of different capacity agree on which classes are alike.",
        quantity="class-level rank correlation with the largest teacher (0 chance, 1 seed noise), weakest rung",
        unit="consistency",
        estimate=weakest,
        direction=1,
        null=bound,
        refuted_beyond=bound,
        test="intersection-union over rungs, jackknife over replicates",
        reading=f"Instance-level consistency at its weakest rung is {min(e.effect for e in found['instance']):.2f}.",
        detail=detail,
    )


def scaled_between(with_largest: float, own: float, largest: float, floor: float) -> float:
    """A correlation between chance (0) and what seeds alone allow (1): the geometric mean of both reliabilities."""
    return float((with_largest - floor) / (np.sqrt(max(own * largest, 1e-12)) - floor))


def capacity_mismatch(
    key: str, *, accuracy: dict[str, Values], best_smaller: str, largest: str, delta: float, how: str
) -> Finding:
    """H3 from student test accuracies (replicate,) per teacher: best smaller teacher of the pilot minus the largest."""
    difference = accuracy[best_smaller] - accuracy[largest]
    others = {f"{name} - {largest}": accuracy[name] - accuracy[largest] for name in accuracy if name != largest}
    return Finding(
        key=key,
        claim=f"A smaller teacher teaches better than the largest, {how}.",
        quantity=f"student test accuracy from {best_smaller} (best smaller on the pilot) minus from {largest}, {how}",
        unit="accuracy",
        estimate=mean_estimate(difference),
        direction=1,
        refuted_beyond=delta,
        more_seeds=replicates_for(difference, half_width=delta),
        detail=simultaneous_rows(others),
    )


def fix_helps(
    *,
    fixes: dict[str, Values],
    tuned: Values,
    fixed: Values,
    chosen: str,
    largest: str,
    delta: float,
    gap: Values | None,
    reference: str = "KD",
) -> Finding:
    """H4 from student test accuracies (replicate,) with the largest teacher.

    Args:
        fixes: accuracy by fix, at settings from the pilot.
        tuned, fixed: accuracy of the reference at its tuned and at the fixed temperature.
        chosen: the fix that was best on the pilot.
        largest: name of the teacher.
        delta: smallest difference of interest.
        gap: best smaller minus largest teacher, where the mismatch is confirmed; else None.
        reference: what the reference is called.
    """
    difference = fixes[chosen] - tuned
    detail = simultaneous_rows({f"{name} - KD at tuned T": values - tuned for name, values in fixes.items()})
    detail.append(own_row(f"{chosen} - KD at the fixed T", mean_estimate(fixes[chosen] - fixed), "accuracy"))
    reading = ""
    if gap is not None:
        ratio, low, high = fieller_interval(difference, gap)
        reading = (
            f"It closes {ratio:.0%} of the gap to the best smaller teacher (Fieller interval {low:.0%} to {high:.0%})."
        )
        detail.append(
            {
                "what": "share of the gap closed",
                "effect": ratio,
                "low": low,
                "high": high,
                "n": len(gap),
                "unit": "fraction",
                "interval": "Fieller",
            }
        )
    return Finding(
        key="H4",
        claim="A fix helps students of the largest teacher.",
        quantity=f"student test accuracy with {chosen} (best fix on the pilot) minus {reference} at its tuned T, from "
        f"{largest}",
        unit="accuracy",
        estimate=mean_estimate(difference),
        direction=1,
        refuted_beyond=delta,
        more_seeds=replicates_for(difference, half_width=delta),
        reading=reading,
        detail=detail,
    )


def fix_beats_weight(
    *,
    fixes: dict[str, Values],
    weighed: dict[str, Values],
    chosen: str,
    best: str,
    largest: str,
    delta: float,
) -> Finding:
    """H4-weight from student test accuracies (replicate,) with the largest teacher; our choice, no paper asks it.

    Methods weigh labels and teacher differently, so that a fix may win or lose against distillation by its weight
    alone. Here distillation has its weight tuned too, with more settings than any one fix; the fix is still the best
    of several.

    Args:
        fixes: accuracy by fix, at settings from the pilot.
        weighed: accuracy of the reference by what it is called, its own weight first, each at its tuned temperature.
        chosen: the fix that was best on the pilot.
        best: the reference's weight that was best on the pilot, as a key of `weighed`.
        largest: name of the teacher.
        delta: smallest difference of interest.
    """
    difference = fixes[chosen] - weighed[best]
    own, *others = weighed
    detail = simultaneous_rows({f"{name} - {best}": values - weighed[best] for name, values in fixes.items()})
    detail += [own_row(f"{name} - {own}", mean_estimate(weighed[name] - weighed[own]), "accuracy") for name in others]
    reading = "The pilot chose the reference's own weight, so that this is H4 again." if best == own else ""
    pair = f"{chosen} (best fix on the pilot) minus {best} (best weight on the pilot)"
    return Finding(
        key="H4-weight",
        claim="A fix helps students of the largest teacher more than another weight of the teacher term does.",
        quantity=f"student test accuracy with {pair}, from {largest}",
        unit="accuracy",
        estimate=mean_estimate(difference),
        direction=1,
        refuted_beyond=delta,
        more_seeds=replicates_for(difference, half_width=delta),
        reading=reading,
        detail=detail,
    )


def simultaneous_rows(differences: dict[str, Values]) -> list[Row]:
    """Rows of detail for differences in accuracy (replicate,) by what they are, in simultaneous 95 % intervals."""
    joint = simultaneous_intervals(np.stack(list(differences.values()), axis=1))
    columns = zip(*(x.tolist() for x in (joint.effect, joint.low, joint.high, joint.p_adjusted)), strict=True)
    return [
        {
            "what": what,
            "effect": effect,
            "low": low,
            "high": high,
            "p_adjusted": p,
            "n": joint.n,
            "unit": "accuracy",
            "interval": "simultaneous",
        }
        for what, (effect, low, high, p) in zip(differences, columns, strict=True)
    ]


def own_row(what: str, estimate: Estimate, unit: str) -> Row:
    """A row of detail with its own 95 % interval."""
    low, high = estimate.interval()
    return {
        "what": what,
        "effect": estimate.effect,
        "low": low,
        "high": high,
        "n": estimate.n,
        "unit": unit,
        "interval": "own",
    }
