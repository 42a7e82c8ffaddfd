"""What is known of a study's teachers before any student: means over replicates, read once from its store."""

from dataclasses import dataclass

import numpy as np

from darkprobe import metrics
from darkprobe.store import LogitStore
from darkprobe.study.best_temperature import TEMPERATURES, temperature_of_most_distinct
from darkprobe.study.outcomes import Outcome
from darkprobe.zoo import build_module

BASELINE_TEMPERATURE = 4.0
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
    """Every teacher's numbers, from the study's store: plainly trained, of the first confirm replicates."""
    store = LogitStore(outcome.directory / "store")
    found: dict[str, list[Profile]] = {teacher: [] for teacher in outcome.study.teachers}
    student = _student_parameters(outcome, store)
    for r, dataset in zip(outcome.study.confirm_replicates, outcome.datasets[:MAX_REPLICATES], strict=False):
        seed = outcome.study.replicate_seed(r)
        tests = {e.card.file_stem: e for e in store.entries(dataset, "test")}
        for entry in store.entries(dataset, "train"):
            of_ladder = entry.card.architecture in found and entry.card.recipe == "plain"
            if of_ladder and entry.card.seed == seed and entry.card.file_stem in tests:
                test = tests[entry.card.file_stem]
                logits, labels = np.array(test.logits), np.array(test.labels)
                best = temperature_of_most_distinct(entry.logits, np.asarray(entry.labels))
                profile = Profile(
                    accuracy=float((logits.argmax(-1) == labels).mean()),
                    ece=float(metrics.ece(logits, labels, temperature=BASELINE_TEMPERATURE)),
                    distinctness=best.distinctness * best.share(BASELINE_TEMPERATURE),
                    doublings=float(np.log2(entry.card.parameters / student)),
                    parameters=entry.card.parameters,
                    best_temperature=best.temperature,
                    shares=tuple((best.curve / best.distinctness).tolist()),
                )
                found[entry.card.architecture].append(profile)
    return {teacher: _mean(profiles) for teacher, profiles in found.items()}


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


def _student_parameters(outcome: Outcome, store: LogitStore) -> int:
    card = store.entries(outcome.datasets[0], "train")[0].card
    module = build_module(outcome.study.student, input_shape=card.input_shape, num_classes=card.num_classes, seed=0)
    return sum(p.numel() for p in module.parameters())
