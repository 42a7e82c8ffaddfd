"""Methods at several learning rates of the student, from the studies of Hinton's KD and their faster twins."""

import pandas as pd
from findings_numbers import Number, StudyResults, paired
from findings_tables import markdown_table


def at_rates(studies: dict[str, StudyResults], name: str) -> list[StudyResults]:
    """A reference study and the same with students that learn faster: seeds, teachers and splits are shared."""
    return [studies[f"reference/{name}"], *(studies[f"rates/{name}-{rate}x"] for rate in (3, 10))]


def at_best_rate(studies: list[StudyResults], method: str) -> pd.Series:
    """Students of one method from the largest teacher at the rate that is best for it in the mean, in hindsight."""
    found = [s.students_of(method, "" if method == "none" else s.plan["teachers"][-1]) for s in studies]
    return max(found, key=lambda values: float(values.mean()))


def best_rate_gain(studies: dict[str, StudyResults], name: str, better: str, worse: str = "") -> Number:
    """One method minus another, each at its best learning rate of the student in hindsight, or minus itself at the
    rate of the other studies.
    """
    same = at_rates(studies, name)
    return paired(at_best_rate(same, better), at_best_rate(same, worse) if worse else at_best_rate(same[:1], better))


def rates_table(studies: dict[str, StudyResults]) -> str:
    """Hinton's KD beside KD and TTM, whose student stays at T = 1, at three learning rates of the student, and each at
    the best of them.
    """
    methods = ("none", "kd-hinton", "kd", "ttm")
    rows = []
    for name in (study.removeprefix("reference/") for study in studies if study.endswith("-hinton")):
        same = at_rates(studies, name)
        for study in same:
            largest, rate = study.plan["teachers"][-1], study.plan["student_training"]["learning_rate"]
            arms = [study.students_of(method, "" if method == "none" else largest) for method in methods]
            rows.append([f"`{study.title}`", f"{rate:g}", *_levels_and_gains(arms)])
        rows.append([f"{name}, best rate of each", "", *_levels_and_gains([at_best_rate(same, m) for m in methods])])
    head = ("study", "rate", "no teacher", "Hinton's KD", "KD, student at T = 1", "TTM", "KD - Hinton's",
            "TTM - Hinton's")  # fmt: skip
    return markdown_table(head, rows)


def _levels_and_gains(arms: list[pd.Series]) -> list[str]:
    """Accuracies without their intervals, and what the last two gain over the second."""
    return [f"{100 * arm.mean():.2f} %" for arm in arms] + [paired(a, arms[1]).difference() for a in arms[2:]]
