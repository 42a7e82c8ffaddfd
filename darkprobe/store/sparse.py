"""What a sparse file still says exactly, what it bounds, and what it refuses.

A sparse row keeps the k largest logits z, the logit of the label, and for declared temperatures T the log-sum-exp
f(1/T) of the other classes' z / T. Therefore, for every T: ratios among kept classes are exact. At a declared T:
probabilities of kept classes and of the label are exact. At any other T: f is convex in 1/T, f(0) is the logarithm of
the number of left-out classes, and no slope exceeds the smallest kept logit, which bounds f from both sides. [derived]
All of it up to the rounding of the number format: float16 keeps 11 bits of a kept logit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from darkprobe.checks import check_positive
from darkprobe.errors import InvalidValueError, StoreError
from darkprobe.store.logit_file import LogitFile
from darkprobe.types import FloatArray

Rule = Literal[
    "exact", "exact at declared T", "exact where T and T/2 are declared", "exact where T and 1 are declared", "refused"
]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a sparse file must hold for a metric to be exact at T.

    Attributes:
        rule: in words.
        at: the temperatures that must be declared, given T.
        k: how many classes must be kept.
    """

    rule: Rule
    at: Callable[[float], tuple[float, ...]]
    k: int = 2


_EXACT = Needs(rule="exact", at=lambda t: ())
_AT_T = Needs(rule="exact at declared T", at=lambda t: (t,))
_SQUARES = Needs(rule="exact where T and T/2 are declared", at=lambda t: (t, t / 2))
_POWERS = Needs(rule="exact where T and 1 are declared", at=lambda t: (t, 1.0))

NEEDS: dict[str, Needs] = {
    "accuracy": _EXACT,
    "agreement": _EXACT,
    **{f"top{count}_overlap": replace(_EXACT, k=count + 1) for count in (1, 3, 5)},
    **dict.fromkeys(("target_confidence", "non_target_mass", "derived_average", "nll", "primary_confidence"), _AT_T),
    **dict.fromkeys(("ece", "ece_equal_mass", "ece_debiased", "top_1_percent_share", "top_10_percent_share"), _AT_T),
    **dict.fromkeys(("secondary_confidence", "secondary_gap"), replace(_AT_T, k=5)),
    "top5_non_target_mass": replace(_AT_T, k=6),
    **dict.fromkeys(("brier", "distinctness_variance", "distinctness_std"), _SQUARES),
    **dict.fromkeys(("inherent_variance", "inherent_std"), _SQUARES),
    "power_sum": _POWERS,
}
"""By metric; what is not listed needs every class and is refused. "At declared T" metrics are bounded elsewhere."""

RULES: dict[str, Rule] = {name: needs.rule for name, needs in NEEDS.items()}


def rule_of(metric: str) -> Rule:
    """What a sparse file can say about a metric of the catalogue."""
    return RULES.get(metric, "refused")


def is_exact(metric: str, *, temperature: float, declared: Sequence[float], k: int) -> bool:
    """Whether a file with these declared temperatures and k kept classes gives a metric exactly at a temperature."""
    needs = NEEDS.get(metric)
    return needs is not None and k >= needs.k and set(needs.at(temperature)) <= set(declared)


def why_not(metric: str, *, declared: Sequence[float], k: int) -> str:
    """Why a file does not give a metric, in a few words."""
    needs = NEEDS.get(metric)
    if needs is None:
        return "it needs every class"
    if k < needs.k:
        return f"it needs {needs.k} kept classes, and {k} are kept"
    return f"it is {needs.rule}, and {', '.join(f'{t:g}' for t in declared)} are"


def tail_log_sum_exp(entry: LogitFile, temperature: float) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bound of the log-sum-exp of the left-out classes' z / T, (..., example); equal at a declared T.

    Args:
        entry: a sparse file.
        temperature: above 0.

    Raises:
        StoreError: the file is not sparse.
    """
    check_positive("tail_log_sum_exp", "temperature", temperature)
    if not entry.is_sparse:
        raise StoreError(f"{entry.path} holds all logits, not a top-k. Use `logits`.")
    declared = np.asarray(entry.array("tail_temperatures"), np.float64)
    values = np.asarray(entry.array("tail_lse"), np.float64)
    hit = np.flatnonzero(declared == temperature)
    if len(hit):
        return values[..., hit[0]], values[..., hit[0]]
    beta = np.concatenate([[0.0], 1 / declared])
    left_out = int(entry.header["classes"]) - entry.array("topk_logits").shape[-1]
    known = np.concatenate([np.full((*values.shape[:-1], 1), np.log(left_out)), values], -1)
    order = np.argsort(beta)
    smallest = np.asarray(entry.array("topk_logits")).min(-1)
    slope = np.nextafter(smallest, smallest.dtype.type(np.inf)).astype(np.float64)  # rounded when it was stored
    return _convex_bounds(beta[order], known[..., order], at=1 / temperature, slope=slope)


def _convex_bounds(
    beta: FloatArray, values: FloatArray, *, at: float, slope: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Bounds at one point of convex functions known at some points: chords from above, longer chords from below."""
    right = int(np.searchsorted(beta, at))
    left = right - 1

    def chord(i: int, j: int) -> FloatArray:
        share = (at - beta[i]) / (beta[j] - beta[i])
        line: FloatArray = values[..., i] * (1 - share) + values[..., j] * share
        return line

    if right == len(beta):
        upper = values[..., left] + (at - beta[left]) * slope
    else:
        upper = chord(left, right)
    lines = [chord(left - 1, left)] if left >= 1 else []
    lines += [chord(right, right + 1)] if right + 1 < len(beta) else []
    lower = np.max(lines, axis=0) if lines else np.full(values.shape[:-1], -np.inf)
    return np.minimum(lower, upper), upper


def label_log_prob(entry: LogitFile, temperature: float, *, bounds: bool = False) -> FloatArray:
    """Log-probability of the label, (..., example), exact at a declared T; with `bounds`, (2, ..., example): low, high.

    Args:
        entry: a sparse file.
        temperature: above 0.
        bounds: return bounds at any temperature.

    Raises:
        InvalidValueError: the temperature is not declared and no bounds are asked for.
    """
    label = np.asarray(entry.array("label_logits"), np.float64) / temperature
    low, high = (label - total for total in reversed(_log_totals(entry, temperature, bounds=bounds)))
    return np.stack([low, high]) if bounds else low


def kept_log_probs(entry: LogitFile, temperature: float, *, bounds: bool = False) -> FloatArray:
    """Log-probabilities of the kept classes, (..., example, k), exact at a declared T; with `bounds`, low and high."""
    kept = np.asarray(entry.array("topk_logits"), np.float64) / temperature
    low, high = (kept - total[..., None] for total in reversed(_log_totals(entry, temperature, bounds=bounds)))
    return np.stack([low, high]) if bounds else low


def _log_totals(entry: LogitFile, temperature: float, *, bounds: bool) -> tuple[FloatArray, FloatArray]:
    """Lower and upper log-sum-exp over all classes."""
    low, high = tail_log_sum_exp(entry, temperature)
    declared = np.asarray(entry.array("tail_temperatures"))
    if not bounds and temperature not in declared:
        listed = ", ".join(f"{t:g}" for t in declared)
        raise InvalidValueError(
            f"sparse: `temperature` must be one of {listed}, which {entry.path.name} was made for, got "
            f"{temperature:g}. Ask for bounds, or extract again with that temperature."
        )
    kept = np.asarray(entry.array("topk_logits"), np.float64) / temperature
    top = kept.max(-1)
    inside = np.log(np.exp(kept - top[..., None]).sum(-1)) + top
    return np.logaddexp(inside, low), np.logaddexp(inside, high)
