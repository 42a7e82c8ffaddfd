"""The table `gap` of a study: is there a capacity mismatch at each temperature, and how much of it does a fix close?"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from darkprobe.study.arms import Arms
from darkprobe.study.choices import best_smaller_at
from darkprobe.study.hypotheses import own_row, simultaneous_rows
from darkprobe.study.plan import Parameters
from darkprobe.study.statistics import fieller_interval, mean_estimate

Values = npt.NDArray[np.float64]
Row = dict[str, Any]

TUNED = "tuned"
"""In the column `setting`: each teacher at its own temperature of the pilot."""

COLUMNS = ("setting", "temperature", "quantity", "method", "teacher", "against", "value", "low", "high", "n", "unit",
           "interval", "note")  # fmt: skip


def gap_table(arms: Arms, runs: pd.DataFrame) -> pd.DataFrame:
    """At every temperature of the reference, and at tuned ones: the gap, what each fix adds, and the share it closes.

    A row's `quantity` is "gap" (student test accuracy from the best smaller teacher minus from the largest, both by
    the reference at `setting`; which teacher that is was chosen on the pilot at the same setting), "fix" (a fix at the
    setting of the pilot minus the reference at `setting`, both from the largest teacher; tuning the temperature counts
    as a fix of a fixed one) or "share" (fix over gap, a fraction: 1 closes the gap, more than 1 overtakes the smaller
    teacher). A share has a meaning only where there is a gap to close, so it is left empty, and `note` says why,
    unless the interval of the gap lies above 0.

    Args:
        arms: of the confirm replicates.
        runs: the study's `runs.csv`, for the choices on the pilot.

    Returns:
        Rows with 95 % intervals over replicates: own t intervals of gaps, simultaneous ones of the fixes at one
        setting, Fieller's of shares.
    """
    study = arms.study
    pilot = runs[runs["phase"] == "pilot"]
    rows = list(_rows_at(arms, arms.choices.best_smaller, None))
    for setting in study.reference.grid:
        rows += _rows_at(arms, best_smaller_at(study, pilot, setting), setting)
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def _rows_at(arms: Arms, smaller: str, setting: Parameters | None) -> Iterator[Row]:
    kd, largest = arms.study.reference.method, arms.study.teachers[-1]

    def taught(teacher: str) -> Values:
        return arms.tuned(teacher, kd) if setting is None else arms.arm(teacher, kd, setting)

    base = taught(largest)
    gap = taught(smaller) - base
    fixes = {plan.name: arms.tuned(largest, plan.name) - base for plan in arms.study.fixes}
    place: Row = {"setting": TUNED, "temperature": None, "teacher": largest}
    if setting is not None:
        fixes = {f"{kd}, tuned T": arms.tuned(largest, kd) - base, **fixes}
        place |= {"setting": f"T = {setting['temperature']:g}", "temperature": setting["temperature"]}
    estimate = own_row("", mean_estimate(gap), "accuracy")
    yield {**place, "quantity": "gap", "method": kd, "teacher": smaller, "against": largest, **_numbers(estimate)}
    for row in simultaneous_rows(fixes):
        yield {**place, "quantity": "fix", "method": row["what"], "against": largest, **_numbers(row)}
    for method, added in fixes.items():
        yield {**place, "quantity": "share", "method": method, "against": smaller, **_share(added, gap)}


def _numbers(row: Row) -> Row:
    return {"value": row["effect"], **{name: row[name] for name in ("low", "high", "n", "unit", "interval")}}


def _share(added: Values, gap: Values) -> Row:
    low, high = mean_estimate(gap).interval()
    if low > 0:
        ratio, lower, upper = fieller_interval(added, gap)
        return {"value": ratio, "low": lower, "high": upper, "n": len(gap), "unit": "fraction", "interval": "Fieller"}
    why = "the largest teacher is the better one" if high < 0 else "its interval holds 0"
    return {"n": len(gap), "unit": "fraction", "interval": "Fieller", "note": f"no gap to close: {why}"}
