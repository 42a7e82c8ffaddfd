"""What `darkprobe profile` measures beside the metrics of the catalogue: only what an option asks for, and seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Choice:
    """Which part of a store is profiled, and at which temperatures."""

    store: Path
    temperatures: tuple[float, ...]
    dataset: str | None = None
    split: str | None = None
    models: list[str] | None = None

    def options(self, *, temperatures: bool = True) -> dict[str, Any]:
        """Keywords of the functions that measure."""
        where = {"dataset": self.dataset, "split": self.split, "models": self.models}
        return {**where, "temperatures": self.temperatures} if temperatures else where


def asked_for(
    chosen: Choice,
    *,
    levels: bool,
    student: str | None,
    human: Path | None,
    features: bool,
    layer: str | None,
    hierarchy: str | None,
) -> Iterator["pd.DataFrame"]:
    """A table for each option that was given."""
    from darkprobe.measure import (
        measure,
        measure_features,
        measure_hierarchy,
        measure_people,
        measure_student,
        read_votes,
    )
    from darkprobe.metrics.levels import LEVELS

    if levels:
        yield measure(chosen.store, metrics=LEVELS, subsets=("all",), **chosen.options())
    if student is not None:
        wanted = chosen.options()
        wanted.pop("models")  # the student among them
        yield measure_student(chosen.store, student, **wanted)
    if human is not None:
        votes, counts = read_votes(human)
        yield measure_people(chosen.store, votes, counts=counts, **chosen.options())
    if features:
        yield measure_features(chosen.store, layers=layer, **chosen.options(temperatures=False))
    if hierarchy is not None:
        yield measure_hierarchy(chosen.store, hierarchy, **chosen.options())


def seeds_of(chosen: Choice, metrics: list[str]) -> "pd.DataFrame | None":
    """Rows of networks with two or more seeds; None, without a pass over the logits, where there are none."""
    from darkprobe.measure import between_seeds, seed_rows
    from darkprobe.measure.records import records_of
    from darkprobe.measure.seeds import SEED_METRICS
    from darkprobe.metrics import METRICS

    records = records_of("profile", chosen.store, **chosen.options(temperatures=False))
    networks = [(r.card.family, r.card.parameters, r.dataset, r.split) for r in records if r.card.family]
    wanted = [name for name in metrics or SEED_METRICS if METRICS[name].kind == "per_example"]
    if len(set(networks)) == len(networks) or not wanted:
        return None
    return seed_rows(between_seeds(chosen.store, metrics=wanted, **chosen.options()))
