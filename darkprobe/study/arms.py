"""Student accuracies of the confirm replicates, by arm: what H3 and H4 are tested on, and the tables that show it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from darkprobe.study import hypotheses as h
from darkprobe.study.choices import Choices, plans_tried, setting_text
from darkprobe.study.further_hypotheses import CHAINS, chain
from darkprobe.study.plan import MethodPlan, Parameters, Study
from darkprobe.study.statistics import mean_estimate

Values = npt.NDArray[np.float64]


class Arms:
    """Student accuracies of the confirm replicates, by arm."""

    def __init__(self, study: Study, runs: pd.DataFrame, choices: Choices) -> None:
        self.study, self.choices = study, choices
        confirm = runs[runs["phase"] == "confirm"]
        keys = ["control", "teacher", "method", "parameters"]
        indexed = confirm.set_index([*keys, "replicate"]).sort_index()
        self._values, self._entropies = indexed["test_last"], indexed["test_entropy"]
        self.alone = self._values["", "", "none", "{}"].to_numpy(np.float64)

    def arm(self, teacher: str, method: str, parameters: Parameters) -> Values:
        """Test accuracy at the last epoch, (replicate,)."""
        return np.asarray(self._values["", teacher, method, setting_text(parameters)], dtype=np.float64)

    def tuned(self, teacher: str, method: str) -> Values:
        """The arm at the setting chosen on the pilot."""
        return self.arm(teacher, method, self.choices.settings[teacher, method])

    def _tuned(self, plans: Iterable[MethodPlan]) -> dict[str, Values]:
        """Accuracy from the largest teacher by name of the method, each at its own setting of the pilot."""
        return {plan.name: self.tuned(self.study.teachers[-1], plan.name) for plan in plans}

    def fixed(self, teacher: str) -> Values:
        """The reference at the fixed temperature."""
        return self.arm(teacher, self.study.reference.method, {"temperature": self.study.fixed_temperature})

    def h3(self) -> list[h.Finding]:
        """Mismatch at tuned and at fixed temperature."""
        study, kd, largest = self.study, self.study.reference.method, self.study.teachers[-1]
        tuned = {t: self.tuned(t, kd) for t in study.teachers}
        fixed = {t: self.fixed(t) for t in study.teachers}
        at_fixed = f"all at T = {study.fixed_temperature:g}"
        findings = [
            h.capacity_mismatch(key, accuracy=arms, best_smaller=best, largest=largest, delta=study.delta, how=how)
            for key, arms, best, how in (
                ("H3", tuned, self.choices.best_smaller, "each at its tuned T"),
                ("H3-fixed", fixed, self.choices.best_smaller_fixed, at_fixed),
            )
        ]
        for setting in study.reference.grid:  # shown, not tested: what another fixed temperature would have said
            arms = {t: self.arm(t, kd, dict(setting)) for t in study.teachers}
            best = self.choices.best_smaller_fixed
            what = f"{best} - {largest}, all at T = {setting['temperature']:g} (shown, not tested)"
            findings[1].detail.append(h.own_row(what, mean_estimate(arms[best] - arms[largest]), "accuracy"))
        return findings

    def h4(self) -> h.Finding:
        """Fixes at the largest teacher."""
        study, largest = self.study, self.study.teachers[-1]
        kd = study.reference.method
        tuned = self.tuned(largest, kd)
        gap = self.tuned(self.choices.best_smaller, kd) - tuned
        mismatch = mean_estimate(gap).interval()[0] > 0
        return h.fix_helps(
            fixes=self._tuned(study.fixes),
            tuned=tuned,
            fixed=self.fixed(largest),
            chosen=self.choices.fix,
            largest=largest,
            delta=study.delta,
            gap=gap if mismatch else None,
            reference="KD" if study.reference.method == "kd" else study.reference.method,
        )

    def h4_weight(self) -> h.Finding:
        """Fixes at the largest teacher against the reference with its weight tuned as well as its temperature."""
        study, largest = self.study, self.study.teachers[-1]
        return h.fix_beats_weight(
            fixes=self._tuned(study.fixes),
            weighed=self._tuned((study.reference, *study.weighed)),
            chosen=self.choices.fix,
            best=self.choices.weighed,
            largest=largest,
            delta=study.delta,
        )

    def reference_table(self) -> tuple[list[tuple[str, float]], Values]:
        """(teacher, temperature) of every arm of the reference, and their accuracies (replicate, arm)."""
        arms = [(teacher, t) for teacher in self.study.teachers for t in self.study.temperatures]
        kd = self.study.reference
        settings = dict(zip(self.study.temperatures, kd.grid, strict=True))
        return arms, np.stack([self.arm(teacher, kd.method, settings[t]) for teacher, t in arms], axis=1)

    def chains(self) -> list[h.Finding]:
        """H5 and H6 where their methods were tried."""
        study, largest = self.study, self.study.teachers[-1]
        tuned = self._tuned((study.reference, *study.fixes))
        keys = {m: ("", largest, m, setting_text(self.choices.settings[largest, m])) for m in tuned}
        entropy = {m: np.asarray(self._entropies[key], dtype=np.float64) for m, key in keys.items()}
        found = [
            chain(key, accuracy=tuned, largest=largest, delta=study.delta, reference=study.reference.method,
                  entropy=entropy)
            for key in CHAINS
        ]  # fmt: skip
        return [finding for finding in found if finding is not None]

    def control(self, label: str) -> Values:
        """Accuracies of one control over the confirm replicates, (replicate,)."""
        levels = self._values.xs(label, level="control").droplevel([0, 1, 2])
        return levels.sort_index().to_numpy(np.float64)

    def accuracy(self, parameters: dict[str, int]) -> pd.DataFrame:
        """Student test accuracy by teacher and method, and of the student alone."""
        rows = [self._accuracy_row("", 0, "none", self.alone)]
        kd = self.study.reference.method
        for teacher in self.study.teachers:
            size = parameters[teacher]
            rows.append(self._accuracy_row(teacher, size, f"{kd}, tuned T", self.tuned(teacher, kd)))
            for setting in self.study.reference.grid:
                label = f"{kd}, T = {setting['temperature']:g}"
                rows.append(self._accuracy_row(teacher, size, label, self.arm(teacher, kd, dict(setting))))
            for plan in plans_tried(self.study, teacher):
                rows.append(self._accuracy_row(teacher, size, plan.name, self.tuned(teacher, plan.name)))
        return pd.DataFrame(rows)

    @staticmethod
    def _accuracy_row(teacher: str, parameters: int, method: str, values: Values) -> dict[str, Any]:
        low, high = (estimate := mean_estimate(values)).interval()
        return {"teacher": teacher, "parameters": parameters, "method": method, "value": estimate.effect, "low": low,
                "high": high, "n": estimate.n, "unit": "accuracy"}  # fmt: skip

    def effects(self, found: dict[str, dict[str, Any]]) -> pd.DataFrame:
        """The simultaneous comparisons of H3, H4 and H4-weight."""
        groups = {"H3": "teachers against the largest, tuned T", "H3-fixed": "teachers against the largest, fixed T",
                  "H4": "fixes against KD at tuned T, largest teacher",
                  "H4-weight": "fixes against KD at tuned T and weight, largest teacher"}  # fmt: skip
        rows = [
            {"group": group, "label": d["what"], **{k: d[k] for k in ("effect", "low", "high", "n", "unit")}}
            for key, group in groups.items()
            if key in found
            for d in found[key]["detail"]
            if d["interval"] == "simultaneous"
        ]
        return pd.DataFrame(rows)

    def controls(self) -> pd.DataFrame:
        """Every control against the students of the clean teacher, paired by replicate, each with its own interval."""
        rows = []
        control_values = self._values[self._values.index.get_level_values("control") != ""]
        by_label = {
            label: g.droplevel([0, 1, 2, 3]).sort_index() for label, g in control_values.groupby(level="control")
        }
        for control in self.study.compared_controls:
            pair = pd.concat([by_label[control.label], by_label[control.against]], axis=1, join="inner")
            low, high = (e := mean_estimate((pair.iloc[:, 0] - pair.iloc[:, 1]).to_numpy(np.float64))).interval()
            came = "lower" if high < 0 else "higher" if low > 0 else "none"
            rows.append(
                {
                    "control": control.group,
                    "label": control.label,
                    "effect": e.effect,
                    "low": low,
                    "high": high,
                    "n": e.n,
                    "unit": "accuracy",
                    "expected": control.expected,
                    "found": came,
                    "as_expected": "" if control.expected == "open" else "yes" if came == control.expected else "no",
                }
            )
        return pd.DataFrame(rows)
