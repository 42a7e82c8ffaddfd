"""What the study's teachers look like over the confirm replicates: findings and tables from their readings."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from darkprobe import metrics
from darkprobe.study import hypotheses as h
from darkprobe.study.affinity_table import affinity_table
from darkprobe.study.cells import Result
from darkprobe.study.ladder import SHOWN, SUBSETS, own_metrics
from darkprobe.study.levels import levels_table
from darkprobe.study.plan import Study
from darkprobe.study.readings import arm_temperatures, curve_temperatures
from darkprobe.study.statistics import mean_estimate

Values = npt.NDArray[np.float64]


class SoftLabels:
    """The teachers' soft labels over the confirm replicates.

    Args:
        study: the plan.
        readings: one a confirm replicate, in order, as `readings.read_teachers` returns it.
        own: (replicate, subset, metric, temperature, rung), curves of the user's own metrics; None where the logits of
            some replicate are gone, and then these metrics are left out.
    """

    def __init__(self, study: Study, readings: Sequence[Result], own: Values | None = None) -> None:
        self.study = study
        self.temperatures = curve_temperatures(study)
        self._readings = list(readings)
        self.parameters = dict(zip(study.teachers, readings[0]["parameters"], strict=True))
        self.test_accuracy = self._stacked("accuracy")
        self.metrics = SHOWN if own is None else (*SHOWN, *own_metrics())
        self.curves = self._stacked("curves") if own is None else np.concatenate([self._stacked("curves"), own], axis=2)
        twins = [reading["affinity"] for reading in readings if reading["affinity"]]
        self.affinity = {name: np.array([found[name] for found in twins]) for name in (twins[0] if twins else {})}

    def _stacked(self, name: str) -> Values:
        return np.array([reading[name] for reading in self._readings], dtype=np.float64)

    @property
    def _control(self) -> int:
        return self.study.teachers.index(self.study.control_teacher)

    def recipe_accuracy(self, recipe: str) -> Values:
        """Test accuracy of the control teacher's architecture trained by a recipe ("plain" too), (replicate,)."""
        if recipe == "plain":
            return np.asarray(self.test_accuracy[:, self._control])
        return np.array([reading["recipes"][recipe]["accuracy"] for reading in self._readings])

    def recipe_levels(self, recipe: str) -> Values:
        """Levels of knowledge of the control teacher's architecture trained by a recipe, (replicate, level)."""
        if recipe == "plain":
            return np.asarray(self.ladder_levels()[:, self._control])
        return np.array([reading["recipes"][recipe]["levels"] for reading in self._readings])

    def ladder_levels(self) -> Values:
        """Levels of knowledge of the ladder, (replicate, teacher, level)."""
        return self._stacked("levels")

    def h1(self) -> h.Finding:
        """Distinctness against capacity, at the fixed temperature, all training examples."""
        at = self.curves[:, 0, :, self.temperatures.index(self.study.fixed_temperature)]  # (replicate, metric, rung)
        return h.distinctness_falls(
            np.array([self.parameters[t] for t in self.study.teachers], dtype=np.float64),
            sigma=at[:, SHOWN.index("distinctness_std")],
            mass=at[:, SHOWN.index("non_target_mass")],
            shape=at[:, SHOWN.index("inherent_std")],
            temperature=self.study.fixed_temperature,
        )

    def h2(self) -> h.Finding:
        """Affinity with the largest teacher, between chance and seed noise."""
        a = self.affinity
        level = {
            name: {"with_largest": a[name], "reliability": a[f"{name}_reliability"], "floor": a[f"{name}_floor"]}
            for name in ("class", "instance")
        }
        return h.affinity_agrees(list(self.study.teachers), level=level)

    def affinity_table(self) -> pd.DataFrame:
        """The numbers of H2, for every teacher; needs twins."""
        return affinity_table(self.study, self.affinity, self.parameters)

    def ece(self, arms: list[tuple[str, float]]) -> Values:
        """Calibration error on the test split of each (teacher, temperature), (replicate, arm)."""
        rungs = [self.study.teachers.index(teacher) for teacher, _ in arms]
        known = arm_temperatures(self.study)
        return np.asarray(self._stacked("ece")[:, rungs, [known.index(at) for _, at in arms]])

    def doses(self) -> Values:
        """Distinctness of the control teacher, edited so far, as a share of its own, (replicate, dose)."""
        return self._stacked("doses")

    def levels(self) -> pd.DataFrame:
        """The levels of knowledge of every teacher, at the fixed temperature."""
        names, found = list(self.study.teachers), self.ladder_levels()
        for recipe in self.study.recipes:
            names.append(f"{self.study.control_teacher}, {recipe}")
            found = np.concatenate([found, self.recipe_levels(recipe)[:, None]], axis=1)
        return levels_table(names, found, temperature=self.study.fixed_temperature)

    def profile(self) -> pd.DataFrame:
        """Means of the shown metrics over replicates, tidy, with t intervals over replicates."""
        rows, shown = [], [metrics.METRICS[name] for name in self.metrics]
        for (s, m, t, r), _ in np.ndenumerate(self.curves[0]):
            estimate = mean_estimate(self.curves[:, s, m, t, r])
            low, high = estimate.interval()
            rows.append(
                {
                    "model": self.study.teachers[r],
                    "reference": None,
                    "dataset": self.study.name,
                    "split": "train",
                    "metric": shown[m].name,
                    "temperature": self.temperatures[t],
                    "subset": SUBSETS[s],
                    "value": estimate.effect,
                    "low": low,
                    "high": high,
                    "n": estimate.n,
                    "unit": shown[m].unit,
                    "parameters": self.parameters[self.study.teachers[r]],
                    "family": "teachers",
                }
            )
        return pd.DataFrame(rows)

    def accuracy(self) -> pd.DataFrame:
        """Teachers' own test accuracy over confirm replicates."""
        rows = []
        for rung, teacher in enumerate(self.study.teachers):
            low, high = (estimate := mean_estimate(self.test_accuracy[:, rung])).interval()
            rows.append(
                {
                    "teacher": teacher,
                    "parameters": self.parameters[teacher],
                    "test_accuracy": estimate.effect,
                    "low": low,
                    "high": high,
                    "n": estimate.n,
                    "unit": "accuracy",
                }
            )
        return pd.DataFrame(rows)
