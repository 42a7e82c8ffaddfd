"""What is known of a study's teachers before any student: means over replicates of its readings."""

from dataclasses import dataclass

import numpy as np

from darkprobe.study.best_temperature import TEMPERATURES
from darkprobe.study.cells import Result
from darkprobe.study.outcomes import Outcome
from darkprobe.study.plan import Study
from darkprobe.study.readings import BASELINE_TEMPERATURE, arm_temperatures, read_readings
from darkprobe.zoo import build_module

MAX_REPLICATES = 8
"""Replicates whose teachers are looked at: their means over replicates hardly move with more."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A teacher's numbers before any student: means over replicates.

    Attributes:
        accuracy, ece: on held-out examples, fractions, at T = 1 and T = 4; NaN where unknown.
        distinctness: at T = 4.
        doublings: log2 of its parameters over the student's.
        parameters: how many.
        best_temperature: T* at which its wrong classes are most distinct, geometric mean.
        shares: distinctness at each of `TEMPERATURES` over that at T*.
    """

    accuracy: float
    ece: float
    distinctness: float
    doublings: float
    parameters: int
    best_temperature: float
    shares: tuple[float, ...]

    def share(self, temperature: float) -> float:
        """Distinctness at a temperature as a share of that at T*, interpolated in log T."""
        return float(np.interp(np.log2(temperature), np.log2(TEMPERATURES), self.shares))


def read_profiles(outcome: Outcome) -> dict[str, Profile]:
    """Every teacher's numbers, from the study's readings: plainly trained, of the first confirm replicates."""
    study = outcome.study
    readings = read_readings(study, outcome.directory, at_most=MAX_REPLICATES)
    shape, classes = readings[0]["input_shape"], readings[0]["num_classes"]
    module = build_module(study.student, input_shape=tuple(shape), num_classes=classes, seed=0)
    student = sum(p.numel() for p in module.parameters())
    return {
        teacher: _mean([_profile(study, reading, rung, student=student) for reading in readings])
        for rung, teacher in enumerate(study.teachers)
    }


def _profile(study: Study, reading: Result, rung: int, *, student: int) -> Profile:
    best, parameters = reading["most_distinct"][rung], reading["parameters"][rung]
    shares = np.array(best["curve"]) / best["distinctness"]
    return Profile(
        accuracy=reading["accuracy"][rung],
        ece=reading["ece"][rung][arm_temperatures(study).index(BASELINE_TEMPERATURE)],
        distinctness=float(np.interp(np.log2(BASELINE_TEMPERATURE), np.log2(TEMPERATURES), best["curve"])),
        doublings=float(np.log2(parameters / student)),
        parameters=parameters,
        best_temperature=best["temperature"],
        shares=tuple(shares.tolist()),
    )


def _mean(profiles: list[Profile]) -> Profile:
    return Profile(
        accuracy=float(np.mean([p.accuracy for p in profiles])),
        ece=float(np.mean([p.ece for p in profiles])),
        distinctness=float(np.mean([p.distinctness for p in profiles])),
        doublings=profiles[0].doublings,
        parameters=profiles[0].parameters,
        best_temperature=float(np.exp2(np.mean([np.log2(p.best_temperature) for p in profiles]))),
        shares=tuple(np.mean([p.shares for p in profiles], axis=0).tolist()),
    )
