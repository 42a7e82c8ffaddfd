"""H7 and the paper's other claims as estimates over replicates. Pure functions on arrays."""

from collections.abc import Mapping

import numpy as np

from darkprobe.study.generations.plan import STRICT, TOLERANT
from darkprobe.study.hypotheses import Finding, Values, own_row
from darkprobe.study.statistics import Estimate, mean_estimate, replicates_for

Measured = Mapping[str, Mapping[str, Values]]
"""Chain -> measure -> (replicate, generation)."""


def tolerance_over_generations(measured: Measured, *, delta: float) -> list[Finding]:
    """H7, and H7 of each generation of students: "H7.1", "H7.2", ...

    The claim has two halves: the strict first teacher is more accurate than the tolerant one, and the student of the
    tolerant chain is better. In one generation both must hold; H7 holds when the claim holds in every generation. What
    is tested is therefore the weakest part (intersection-union).

    Args:
        measured: "test_accuracy" of the strict and of the tolerant chain.
        delta: smallest accuracy difference of interest.
    """
    strict, tolerant = (measured[name]["test_accuracy"] for name in (STRICT, TOLERANT))
    teacher = {"generation 0, strict - tolerant": strict[:, 0] - tolerant[:, 0]}
    students = {f"generation {m}, tolerant - strict": tolerant[:, m] - strict[:, m] for m in range(1, strict.shape[1])}
    everywhere = _weakest("H7", "in each of the first generations", teacher | students, delta)
    each = [
        _weakest(f"H7.{m}", f"in generation {m}", teacher | {what: values}, delta)
        for m, (what, values) in enumerate(students.items(), start=1)
    ]
    return [everywhere, *each]


def _weakest(key: str, where: str, parts: Mapping[str, Values], delta: float) -> Finding:
    estimates = {what: mean_estimate(values) for what, values in parts.items()}
    weakest = min(estimates, key=lambda what: _t_value(estimates[what]))
    return Finding(
        key=key,
        claim=f"The strict first teacher is more accurate, and the tolerant chain's student is better, {where}.",
        quantity=f"test accuracy, {weakest} (the weakest part)",
        unit="accuracy",
        estimate=estimates[weakest],
        direction=1,
        refuted_beyond=delta,
        test="intersection-union over the parts, paired t over replicates",
        more_seeds=replicates_for(parts[weakest], half_width=delta),
        detail=[own_row(what, estimate, "accuracy") for what, estimate in estimates.items()],
    )


def _t_value(estimate: Estimate) -> float:
    return estimate.effect / max(estimate.error, 1e-12)


def other_claims(measured: Measured, *, delta: float) -> list[Finding]:
    """What the paper says of generations besides, each a paired difference of the tolerant chain.

    GROWTH: its last student is better than its first. DRIFT: its last network is stricter than its first teacher, by
    the top score difference on training examples. ENSEMBLE and TRANSFER: better than the strict chain's, all
    generations together, and the students' features, averaged over generations. TEMPERATURE, our own control: its
    students are better than those of a strict teacher at the temperature chosen for it, averaged over generations.
    """
    strict, own = measured[STRICT], measured[TOLERANT]
    found = [
        _difference("GROWTH", "Students of the tolerant chain grow better from generation to generation.",
                    "test accuracy, last minus first student of the tolerant chain",
                    own["test_accuracy"][:, -1] - own["test_accuracy"][:, 1], delta),
        _difference("DRIFT", "The tolerant chain drifts back to strictness.",
                    "top score difference (K = 5, training examples), last generation minus first",
                    own["train_secondary_gap"][:, -1] - own["train_secondary_gap"][:, 0], None),
        _difference("ENSEMBLE", "An ensemble of a tolerant chain's generations is better than one of a strict chain's.",
                    "test accuracy of the ensemble of all generations, tolerant minus strict",
                    own["ensemble_accuracy"][:, -1] - strict["ensemble_accuracy"][:, -1], delta),
        _difference("TRANSFER", "Features of the tolerant chain's students transfer better.",
                    "test accuracy on the other data from frozen features, tolerant minus strict, mean over students",
                    _students(own["transfer_accuracy"]) - _students(strict["transfer_accuracy"]), delta),
    ]  # fmt: skip
    tuned = [name for name in measured if name.startswith(f"{STRICT}, ")]
    if tuned:
        difference = _students(own["test_accuracy"]) - _students(measured[tuned[0]]["test_accuracy"])
        claim = "A tolerant first teacher does more than a strict one at a temperature chosen for it."
        what = f"test accuracy, tolerant minus {tuned[0]}, mean over students"
        found.append(_difference("TEMPERATURE", claim, what, difference, delta))
    return found


def _students(values: Values) -> Values:
    """Mean over generations 1 and on, (replicate,)."""
    return np.asarray(values[:, 1:].mean(1))


def _difference(key: str, claim: str, quantity: str, values: Values, delta: float | None) -> Finding:
    return Finding(
        key=key,
        claim=claim,
        quantity=quantity,
        unit="probability" if delta is None else "accuracy",
        estimate=mean_estimate(values),
        direction=1,
        refuted_beyond=delta or 0.0,
        more_seeds=None if delta is None else replicates_for(values, half_width=delta),
    )
