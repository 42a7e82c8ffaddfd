"""What the pilot decides, on validation accuracy alone: temperatures, settings, the best smaller teacher, the fix."""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from darkprobe.study.plan import MethodPlan, Parameters, Study


def setting_text(parameters: Parameters) -> str:
    """Parameters as canonical text: the `parameters` column of tables."""
    return json.dumps(dict(parameters), sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Settings chosen on the pilot.

    Attributes:
        settings: (teacher, method) -> parameters with the highest mean validation accuracy.
        best_smaller: the best teacher below the largest, each at its tuned temperature.
        best_smaller_fixed: the same with every teacher at the study's fixed temperature.
        fix: the fix with the highest mean validation accuracy at the largest teacher.
        weighed: the reference at the teacher weight with the highest one there, its temperature tuned at each weight.
        trials: number of settings tried per method and teacher.
    """

    settings: dict[tuple[str, str], dict[str, Any]]
    best_smaller: str
    best_smaller_fixed: str
    fix: str
    weighed: str
    trials: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "settings": [
                {"teacher": teacher, "method": method, "parameters": parameters}
                for (teacher, method), parameters in self.settings.items()
            ],
            "best_smaller": self.best_smaller,
            "best_smaller_fixed": self.best_smaller_fixed,
            "fix": self.fix,
            "weighed": self.weighed,
            "trials": self.trials,
        }


def choose(study: Study, pilot: pd.DataFrame) -> Choices:
    """Choices from the pilot's rows (columns teacher, method, parameters, val_last; one row a student).

    Ties go to the setting that stands first in the grid: the order of the plan, not chance.
    """
    means = pilot.groupby(["teacher", "method", "parameters"])["val_last"].mean()

    def best(teacher: str, plan: MethodPlan) -> dict[str, Any]:
        scores = [float(means[teacher, plan.name, setting_text(setting)]) for setting in plan.grid]
        return dict(plan.grid[scores.index(max(scores))])

    largest = study.teachers[-1]
    kd = study.reference
    settings = {(teacher, kd.name): best(teacher, kd) for teacher in study.teachers}
    settings |= {(t, plan.name): best(t, plan) for t in study.teachers for plan in plans_tried(study, t)}

    def score(teacher: str, method: str) -> float:
        return float(means[teacher, method, setting_text(settings[teacher, method])])

    return Choices(
        settings=settings,
        best_smaller=max(study.teachers[:-1], key=lambda teacher: score(teacher, kd.name)),
        best_smaller_fixed=best_smaller_at(study, pilot, {"temperature": study.fixed_temperature}),
        fix=max((plan.name for plan in study.fixes), key=lambda name: score(largest, name)),
        weighed=max((plan.name for plan in (kd, *study.weighed)), key=lambda name: score(largest, name)),
        trials=len(kd.grid),
    )


def best_smaller_at(study: Study, pilot: pd.DataFrame, setting: Parameters) -> str:
    """The teacher below the largest whose students by the reference at one setting were best on the pilot."""
    of_method = pilot[(pilot["method"] == study.reference.method) & (pilot["parameters"] == setting_text(setting))]
    means = of_method.groupby("teacher")["val_last"].mean()
    return max(study.teachers[:-1], key=lambda teacher: float(means[teacher]))


def fix_teachers(study: Study) -> list[str]:
    """Teachers on which fixes are tried, in the order of the ladder; the largest is always among them."""
    return [t for t in study.teachers if t in study.fix_teachers or t == study.teachers[-1]]


def plans_tried(study: Study, teacher: str) -> list[MethodPlan]:
    """What is compared with the reference on one teacher: fixes, and on the largest the reference at other weights."""
    fixes = study.fixes if teacher in fix_teachers(study) else ()
    return [*fixes, *(study.weighed if teacher == study.teachers[-1] else ())]
