"""What the study's teachers look like: soft-label numbers per replicate and rung, read from the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from darkprobe import metrics, targets
from darkprobe.measure.one_pass import example_values
from darkprobe.metrics.soft_label_statistics import SoftLabelBlock
from darkprobe.store import LogitStore
from darkprobe.study import hypotheses as h
from darkprobe.study.affinity_table import affinity_table
from darkprobe.study.levels import knowledge_levels, levels_table
from darkprobe.study.parts import study_split
from darkprobe.study.plan import Study
from darkprobe.study.statistics import mean_estimate
from darkprobe.study.teachers import Stems

SHOWN = ("distinctness_std", "non_target_mass", "inherent_std", "non_ground_truth_entropy")
"""Metrics of the curves: distinctness with its two factors, and the entropy of the shape."""

SUBSETS = ("all", "common")


def shown_metrics() -> tuple[str, ...]:
    """The metrics of the curves, and those of one value per example that the user registered."""
    built_in = {metric.name for metric in metrics.BUILT_IN}
    own = [m.name for m in metrics.METRICS.values() if m.kind == "per_example" and m.name not in built_in]
    return (*SHOWN, *own)


Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Logits of one replicate's teachers on one split, smallest first.

    Attributes:
        logits: (rung, example, cls).
        labels: (example,).
        parameters: (rung,), number of trained parameters.
    """

    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    parameters: tuple[int, ...]


def read_ladder(store: LogitStore, place: tuple[str, str], stems: Sequence[str]) -> Ladder:
    """The logits of the models with these file stems, in the order given; `place` is (data set, split)."""
    entries = {entry.card.file_stem: entry for entry in store.entries(*place)}
    found = [entries[stem] for stem in stems]
    return Ladder(
        logits=np.stack([np.array(e.logits) for e in found]),
        labels=np.array(found[0].labels),
        parameters=tuple(e.card.parameters for e in found),
    )


def curves(ladder: Ladder, temperatures: Sequence[float]) -> Values:
    """Means over examples of the shown metrics, (subset, metric, temperature, rung)."""
    rungs, examples, classes = ladder.logits.shape
    labels = torch.from_numpy(ladder.labels)
    block = SoftLabelBlock(torch.from_numpy(ladder.logits).reshape(-1, classes), labels.repeat(rungs))
    common = (ladder.logits.argmax(-1) == ladder.labels).all(0)
    shown = [metrics.METRICS[name] for name in shown_metrics()]
    out = np.empty((len(SUBSETS), len(shown), len(temperatures), rungs))
    for t, temperature in enumerate(temperatures):
        for m, metric in enumerate(shown):
            values = example_values(block, metric, temperature).double().reshape(rungs, examples).numpy()
            out[0, m, t] = values.mean(-1)
            out[1, m, t] = values[:, common].mean(-1) if common.any() else np.nan  # no example is right everywhere
    return out


def affinity_with_largest(ladder: Ladder, twins: Ladder, *, temperature: float, seed: int) -> Mapping[str, Values]:
    """Rank correlations that consistency is made of, (rung,) each.

    Returns:
        "class": class-level Spearman of each rung with the largest teacher; "class_reliability": of each rung with its
        twin; "class_floor": with the largest after its wrong classes were permuted; and the same at instance level
        with the prefix "instance".
    """
    largest = ladder.logits[-1:]
    permuted = np.asarray(metrics.permuted_wrong_classes(largest[0], ladder.labels, seed=seed))[None]
    pairs = {
        "": (ladder.logits, largest),
        "_reliability": (ladder.logits, twins.logits),
        "_floor": (ladder.logits, permuted),
    }
    out: dict[str, Values] = {}
    for name, (first, second) in pairs.items():
        matrices = [metrics.class_affinity_matrix(x, ladder.labels, temperature=temperature) for x in (first, second)]
        rungs = len(ladder.logits)
        other = np.broadcast_to(np.asarray(matrices[1]), (rungs, *np.shape(matrices[0])[1:])).copy()
        out[f"class{name}"] = np.asarray(metrics.class_affinity_correlation(np.asarray(matrices[0]), other))
        wide = np.broadcast_to(second, first.shape).copy()
        out[f"instance{name}"] = np.asarray(metrics.affinity(first, wide, ladder.labels, method="spearman")).mean(-1)
    return out


class SoftLabels:
    """The teachers' soft labels over the confirm replicates."""

    def __init__(self, study: Study, store: LogitStore, stems: Stems) -> None:
        self.study = study
        self.temperatures = sorted({*study.curve_temperatures, study.fixed_temperature})
        self._store, self._stems = store, stems
        ladders = {r: self._ladder("teacher", r, "train") for r in study.confirm_replicates}
        tests = [self._ladder("teacher", r, "test") for r in study.confirm_replicates]
        self.parameters = dict(zip(study.teachers, tests[0].parameters, strict=True))
        self.test_accuracy = np.stack([(t.logits.argmax(-1) == t.labels).mean(-1) for t in tests])
        self.curves = np.stack([curves(ladder, self.temperatures) for ladder in ladders.values()])
        at = study.fixed_temperature
        found = [
            affinity_with_largest(
                ladders[r], self._ladder("twin", r, "train"), temperature=at, seed=study.replicate_seed(r)
            )
            for r in study.twin_replicates
        ]
        self._ladders, self._tests = ladders, dict(zip(study.confirm_replicates, tests, strict=True))
        self.affinity = {name: np.stack([f[name] for f in found]) for name in (found[0] if found else {})}

    def _ladder(self, role: str, replicate: int, split: str) -> Ladder:
        seed = self.study.replicate_seed(replicate)
        stems = [self._stems[role, teacher, seed] for teacher in self.study.teachers]
        return read_ladder(self._store, (study_split(self.study, replicate, split).dataset, split), stems)

    def _of_recipe(self, recipe: str, replicate: int, split: str) -> Ladder:
        """The control teacher's architecture trained by a recipe ("teacher": plainly), a ladder of one."""
        stem = self._stems[recipe, self.study.control_teacher, self.study.replicate_seed(replicate)]
        return read_ladder(self._store, (study_split(self.study, replicate, split).dataset, split), [stem])

    def recipe_accuracy(self, recipe: str) -> Values:
        """Test accuracy of the teachers of a recipe, (replicate,)."""
        tests = [self._of_recipe(recipe, r, "test") for r in self.study.confirm_replicates]
        return np.array([(t.logits[0].argmax(-1) == t.labels).mean() for t in tests])

    def recipe_levels(self, recipe: str) -> Values:
        """Levels of knowledge of the teachers of a recipe, (replicate, level)."""
        at = self.study.fixed_temperature
        found = [self._of_recipe(recipe, r, "train") for r in self.study.confirm_replicates]
        return np.array([knowledge_levels(one.logits[0], one.labels, temperature=at) for one in found])

    def ladder_levels(self) -> Values:
        """Levels of knowledge of the ladder, (replicate, teacher, level)."""
        at = self.study.fixed_temperature
        return np.array(
            [[knowledge_levels(x, one.labels, temperature=at) for x in one.logits] for one in self._ladders.values()]
        )

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
        rungs = {teacher: rung for rung, teacher in enumerate(self.study.teachers)}
        return np.array(
            [
                [float(metrics.ece(test.logits[rungs[t]], test.labels, temperature=at)) for t, at in arms]
                for test in self._tests.values()
            ]
        )

    def doses(self, factors: Sequence[float]) -> Values:
        """Distinctness of the control teacher, edited so far, as a share of its own, (replicate, factor)."""
        at, rung = self.study.fixed_temperature, self.study.teachers.index(self.study.control_teacher)

        def sigma(ladder: Ladder, factor: float) -> float:
            edited = targets.scale_wrong(ladder.logits[rung], ladder.labels, factor=factor, temperature=at)
            return float(np.asarray(metrics.distinctness_std(np.asarray(edited), ladder.labels, temperature=at)).mean())

        return np.array([[sigma(one, f) / sigma(one, 1.0) for f in factors] for one in self._ladders.values()])

    def levels(self) -> pd.DataFrame:
        """The levels of knowledge of every teacher, at the fixed temperature."""
        names, found = list(self.study.teachers), self.ladder_levels()
        for recipe in self.study.recipes:
            names.append(f"{self.study.control_teacher}, {recipe}")
            found = np.concatenate([found, self.recipe_levels(recipe)[:, None]], axis=1)
        return levels_table(names, found, temperature=self.study.fixed_temperature)

    def profile(self) -> pd.DataFrame:
        """Means of the shown metrics over replicates, tidy, with t intervals over replicates."""
        rows, shown = [], [metrics.METRICS[name] for name in shown_metrics()]
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
