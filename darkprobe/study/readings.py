"""Cells of readings: all that verdicts, tables and advice need to know of a replicate's teachers, as small numbers.

With them a study outlives its logits: students that are done and the readings of their teachers are enough to write
every output again, so that a long study can go on in another sitting with nothing but the JSON of its finished cells.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darkprobe import metrics, targets
from darkprobe.errors import DataError
from darkprobe.store import LogitStore
from darkprobe.study.best_temperature import temperature_of_most_distinct
from darkprobe.study.cells import Cell, Ledger, Result
from darkprobe.study.ladder import SHOWN, Ladder, affinity_with_largest, curves, own_metrics, read_ladder
from darkprobe.study.levels import knowledge_levels
from darkprobe.study.parts import load_part
from darkprobe.study.plan import Control, Study
from darkprobe.study.teachers import Stems, stems_of, teacher_cells

EDITION = 1
"""Part of every reading's address: raised whenever a number in it comes to mean something else."""

BASELINE_TEMPERATURE = 4.0
"""The temperature that is taken where nothing tells a better one."""

Values = npt.NDArray[np.float64]


def reading_cells(study: Study, stems: Stems) -> list[Cell]:
    """One cell a confirm replicate, of one member."""
    return [_reading_cell(study, replicate, stems) for replicate in study.confirm_replicates]


def _reading_cell(study: Study, replicate: int, stems: Stems) -> Cell:
    seed, control = study.replicate_seed(replicate), study.control_teacher
    roles = {"teacher": [stems["teacher", teacher, seed] for teacher in study.teachers]}
    if replicate in study.twin_replicates:
        roles["twin"] = [stems["twin", teacher, seed] for teacher in study.teachers]
    roles |= {recipe: [stems[recipe, control, seed]] for recipe in study.recipes}
    shared = {
        "data": study.data_of(replicate),
        "parts": study.parts,
        "seed": seed,
        "stems": roles,
        "edition": EDITION,
        "temperatures": curve_temperatures(study),
        "arm_temperatures": arm_temperatures(study),
        "fixed_temperature": study.fixed_temperature,
        "control": study.teachers.index(control) if study.controls else None,
        "doses": dose_factors(study),
    }
    return Cell(kind="readings", shared=shared, members=({},))


def curve_temperatures(study: Study) -> list[float]:
    """Temperatures of the curves."""
    return sorted({*study.curve_temperatures, study.fixed_temperature})


def arm_temperatures(study: Study) -> list[float]:
    """Temperatures at which teachers' calibration is read."""
    return sorted({*study.temperatures, BASELINE_TEMPERATURE})


def dose_factors(study: Study) -> list[float]:
    """The doses of the study's controls, in their order; 1 is the teacher as it is."""
    found = (dose_of(study, control) for control in study.controls)
    return [1.0, *(factor for factor in found if factor is not None)]


def dose_of(study: Study, control: Control) -> float | None:
    """By how much a control multiplies the wrong classes' logits, taught by the reference; None for other controls."""
    if control.edit == "scale-wrong" and control.method == study.reference.method:
        return float(control.edit_parameters["factor"])
    if control.edit == "none" and control.method == "cf-flatten":
        return float(control.parameters["factor"])
    return None


def logits_are_there(cell: Cell, directory: Path) -> bool:
    """Whether everything that the cell reads is still in the store."""
    dataset = load_part(cell.shared["data"], cell.shared["parts"]["train"], "train").dataset
    return all(
        (directory / "store" / dataset / split / f"{stem}.h5").exists()
        for role, stems in cell.shared["stems"].items()
        for split in (("train",) if role == "twin" else ("train", "test"))
        for stem in stems
    )


def read_teachers(cell: Cell, directory: Path) -> list[Result]:
    """Reads what the cell asks for from `directory`/store.

    Returns:
        One result: "parameters", "accuracy" (test) and "levels" (rung, level) of the ladder, "curves" (subset, metric,
        temperature, rung; null where no example counts), "affinity" (name -> rung; empty without twins), "ece" (rung,
        arm temperature), "doses" (dose: distinctness of the control teacher as a share of its own), "recipes" (name ->
        accuracy and levels), "most_distinct" (rung -> temperature, distinctness there, and the curve over
        `best_temperature.TEMPERATURES`), "input_shape" and "num_classes".
    """
    asked, store = cell.shared, LogitStore(directory / "store")
    stems, at = asked["stems"], asked["fixed_temperature"]

    def ladder(role: str, split: str) -> Ladder:
        dataset = load_part(asked["data"], asked["parts"][split], split).dataset
        return read_ladder(store, (dataset, split), stems[role])

    train, test = ladder("teacher", "train"), ladder("teacher", "test")
    best = [temperature_of_most_distinct(logits, train.labels) for logits in train.logits]
    affinity: Mapping[str, Values] = {}
    if "twin" in stems:
        affinity = affinity_with_largest(train, ladder("twin", "train"), temperature=at, seed=asked["seed"])
    recipes = {}
    for recipe in [role for role in stems if role not in ("teacher", "twin")]:
        recipes[recipe] = {
            "accuracy": float(_accuracy(ladder(recipe, "test"))[0]),
            "levels": _levels(ladder(recipe, "train"), at)[0].tolist(),
        }
    split = load_part(asked["data"], asked["parts"]["train"], "train")
    return [
        {
            "input_shape": list(split.input_shape),
            "num_classes": split.num_classes,
            "parameters": list(train.parameters),
            "accuracy": _accuracy(test).tolist(),
            "levels": _levels(train, at).tolist(),
            "curves": _or_null(curves(train, SHOWN, asked["temperatures"])),
            "affinity": {name: _or_null(values) for name, values in affinity.items()},
            "ece": [
                [float(metrics.ece(logits, test.labels, temperature=t)) for t in asked["arm_temperatures"]]
                for logits in test.logits
            ],
            "doses": _doses(train, asked["control"], asked["doses"], temperature=at),
            "recipes": recipes,
            "most_distinct": [
                {"temperature": b.temperature, "distinctness": b.distinctness, "curve": b.curve.tolist()} for b in best
            ],
        }
    ]


def own_curves(cell: Cell, directory: Path) -> Values | None:
    """Curves of the user's own metrics, (subset, metric, temperature, rung); None where the logits are gone. They are
    read from the logits every time, as nothing tells whether a user's function is still the one it was.
    """
    if not logits_are_there(cell, directory):
        return None
    dataset = load_part(cell.shared["data"], cell.shared["parts"]["train"], "train").dataset
    train = read_ladder(LogitStore(directory / "store"), (dataset, "train"), cell.shared["stems"]["teacher"])
    return curves(train, own_metrics(), cell.shared["temperatures"])


def _or_null(values: Values) -> Any:
    """Nested lists with null for what is no finite number, which JSON does not know."""
    return np.where(np.isfinite(values), values, np.array(None)).tolist()


def read_readings(study: Study, directory: Path, *, at_most: int) -> list[Result]:
    """The readings of a finished study's first confirm replicates; read from its store where none were kept.

    Raises:
        DataError: the cells of its teachers are gone.
    """
    ledger, cells = Ledger(directory), teacher_cells(study)
    if any(map(ledger.missing, cells)):
        raise DataError(
            f"read_readings: {str(directory / 'cells')!r} must hold the cells of all teachers of the study, got a part "
            "of them. Run its `darkprobe verify` again: it trains what is missing."
        )
    stems = stems_of(cells, [ledger.results(cell) for cell in cells])
    wanted = reading_cells(study, stems)[:at_most]
    return [(read_teachers(cell, directory) if ledger.missing(cell) else ledger.results(cell))[0] for cell in wanted]


def _accuracy(ladder: Ladder) -> Values:
    return np.asarray((ladder.logits.argmax(-1) == ladder.labels).mean(-1))


def _levels(ladder: Ladder, temperature: float) -> Values:
    return np.array([knowledge_levels(x, ladder.labels, temperature=temperature) for x in ladder.logits])


def _doses(ladder: Ladder, rung: int | None, factors: Sequence[float], *, temperature: float) -> list[float]:
    if rung is None:
        return []

    def sigma(factor: float) -> float:
        edited: Any = targets.scale_wrong(ladder.logits[rung], ladder.labels, factor=factor, temperature=temperature)
        values = metrics.distinctness_std(np.asarray(edited), ladder.labels, temperature=temperature)
        return float(np.asarray(values).mean())

    own = sigma(1.0)
    return [sigma(factor) / own for factor in factors]
