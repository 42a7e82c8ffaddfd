"""What a finished study found, by teacher and setting: what advice is learnt from and scored on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from darkprobe.errors import DataError
from darkprobe.files import read_json
from darkprobe.study.plan import Study
from darkprobe.study.status import read_plan

Values = npt.NDArray[np.float64]

ONE_TEMPERATURE = ("ttm", "wttm")
"""Fixes whose only setting is a temperature, gamma = 1/T."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Student test accuracies of a study's confirm replicates.

    Attributes:
        directory, study: which.
        datasets: of the confirm replicates, in order.
        kd: (teacher, temperature) -> (replicate,).
        tuned: (teacher, method) -> (replicate,), each at the setting chosen on validation data, KD included.
        tuned_temperature: teacher -> the temperature chosen on validation data.
    """

    directory: Path
    study: Study
    datasets: tuple[str, ...]
    kd: dict[tuple[str, float], Values]
    tuned: dict[tuple[str, str], Values]
    tuned_temperature: dict[str, float]

    def fix_gains(self) -> dict[str, Values]:
        """Tuned fix minus KD at its tuned T, from the largest teacher, (replicate,) by fix with one temperature."""
        largest, kd = self.study.teachers[-1], self.study.reference.method
        return {
            method: values - self.tuned[largest, kd]
            for (teacher, method), values in self.tuned.items()
            if teacher == largest and method in ONE_TEMPERATURE
        }


def read_outcome(directory: Path | str) -> Outcome:
    """The outcome of a finished study.

    Raises:
        DataError: there is no study, or it is not finished.
    """
    directory = Path(directory)
    study = read_plan(directory)
    choices = read_json(directory / "study.json", who="read_outcome").get("choices")
    if choices is None or not (directory / "runs.csv").is_file():
        raise DataError(
            f"read_outcome: the study in {str(directory)!r} must be finished, got one that is not. Run its `darkprobe "
            "verify` again: it goes on where it stopped."
        )
    runs = pd.read_csv(directory / "runs.csv", keep_default_na=False)
    runs = runs[(runs["phase"] == "confirm") & (runs["control"] == "") & (runs["teacher"] != "")]
    arms = {
        (str(teacher), str(method), str(setting)): g.sort_values("replicate")["test_last"].to_numpy(np.float64)
        for (teacher, method, setting), g in runs.groupby(["teacher", "method", "parameters"])
    }
    kd = study.reference.method
    settings = {(c["teacher"], c["method"]): json.dumps(c["parameters"], sort_keys=True) for c in choices["settings"]}
    return Outcome(
        directory=directory,
        study=study,
        datasets=tuple(runs.drop_duplicates("replicate").sort_values("replicate")["dataset"]),
        kd={(t, json.loads(s)["temperature"]): v for (t, m, s), v in arms.items() if m == kd},
        tuned={(t, m): arms[t, m, s] for (t, m), s in settings.items()},
        tuned_temperature={t: json.loads(s)["temperature"] for (t, m), s in settings.items() if m == kd},
    )


def best_method(outcomes: Sequence[Outcome]) -> tuple[str, float]:
    """The fix with one temperature that beat KD at its tuned T in every study, and by how much on average; else
    ("kd", 0).
    """
    gains = [{method: float(values.mean()) for method, values in one.fix_gains().items()} for one in outcomes]
    everywhere = set.intersection(*(set(g) for g in gains)) if gains else set()
    better = {m: float(np.mean([g[m] for g in gains])) for m in everywhere if min(g[m] for g in gains) > 0}
    return max(better.items(), key=lambda item: item[1]) if better else ("kd", 0.0)
