"""What a finished study found, by teacher and setting: what advice is learnt from and scored on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from darkprobe.errors import DataError
from darkprobe.files import read_json
from darkprobe.study.plan import Study
from darkprobe.study.status import read_plan

Values = npt.NDArray[np.float64]

Arm = tuple[str, str, float]
"""(teacher, method, temperature)."""


def arm_temperature(method: str, parameters: Mapping[str, Any]) -> float | None:
    """The one temperature that a setting comes down to; None for settings with more to them.

    KD its T; TTM and WTTM 1 / gamma; ATS that of the label where the wrong classes have half of it; ISATS that of the
    label where it retains .9.
    """
    if method == "kd":
        return float(parameters["temperature"])
    if method in ("ttm", "wttm"):
        return 1 / float(parameters["gamma"])
    if method == "ats" and parameters["target_temperature"] == 2 * parameters["wrong_temperature"]:
        return float(parameters["target_temperature"])
    if method == "isats" and parameters["retain"] == 0.9:
        return float(parameters["target_temperature"])
    return None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Student test accuracies of a study's confirm replicates.

    Attributes:
        directory, study: which.
        datasets: of the confirm replicates, in order.
        arms: (teacher, method, temperature) -> (replicate,), of every setting that comes down to one temperature.
        tuned: (teacher, method) -> (replicate,), each at the setting chosen on validation data, KD included.
        tuned_temperature: teacher -> the temperature chosen on validation data.
    """

    directory: Path
    study: Study
    datasets: tuple[str, ...]
    arms: dict[Arm, Values]
    tuned: dict[tuple[str, str], Values]
    tuned_temperature: dict[str, float]

    @property
    def kd(self) -> dict[tuple[str, float], Values]:
        """(teacher, temperature) -> (replicate,), of the reference."""
        return {(teacher, t): values for (teacher, method, t), values in self.arms.items() if method == "kd"}


def read_outcome(directory: Path | str) -> Outcome:
    """The outcome of a finished study.

    Raises:
        DataError: there is no study, it is not finished, or its reference is another form of KD, whose temperatures
            are not those that the advice is about.
    """
    directory = Path(directory)
    study = read_plan(directory)
    if study.reference.method != "kd":
        raise DataError(
            f"read_outcome: the reference of the study in {str(directory)!r} must be 'kd', got "
            f"{study.reference.method!r}. Leave it out: advice is learnt from and scored on temperatures of 'kd'."
        )
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
    kd, known = study.reference.method, {plan.method for plan in (study.reference, *study.fixes)}
    settings = {(c["teacher"], c["method"]): json.dumps(c["parameters"], sort_keys=True) for c in choices["settings"]}
    settings = {(t, m): s for (t, m), s in settings.items() if m in known}  # no rule chooses the reference's weight
    return Outcome(
        directory=directory,
        study=study,
        datasets=tuple(runs.drop_duplicates("replicate").sort_values("replicate")["dataset"]),
        arms={(t, m, at): v for (t, m, s), v in arms.items() if (at := arm_temperature(m, json.loads(s))) is not None},
        tuned={(t, m): arms[t, m, s] for (t, m), s in settings.items()},
        tuned_temperature={t: json.loads(s)["temperature"] for (t, m), s in settings.items() if m == kd},
    )
