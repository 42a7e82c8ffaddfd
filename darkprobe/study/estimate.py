"""What a study will take, before it is run: cells, time from a few steps on this machine, disk."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from darkprobe.data import Split
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.loop import fit
from darkprobe.distill.stack import Solo, Stack, can_stack
from darkprobe.study.assistants import assistant_cells, assistant_key, assistants
from darkprobe.study.choices import Choices, plans_tried
from darkprobe.study.parts import study_split
from darkprobe.study.plan import Study
from darkprobe.study.roster import confirm_students, pilot_students
from darkprobe.study.students import student_cells
from darkprobe.study.teachers import is_stacked, teacher_cells
from darkprobe.zoo import build_module, find_architecture, preprocess
from darkprobe.zoo.architectures import preprocessing_for

_STEPS = (4, 24)
"""Optimiser steps of the two runs that calibrate: their difference leaves out what is done once."""

_STEPS_ALONE = (1, 4)
"""The same for networks that train alone, whose steps take long."""

_STUDENT_BYTES = 700
"""A student's record in `cells/` and row in `runs.csv` together, measured on the built-in studies."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a study will take.

    Attributes:
        cells: number by kind: "teachers", "assistants" (where there are any), "pilot students", "confirm students".
        members: number of networks by the same kinds.
        seconds: of one core, by the same kinds.
        bytes: on disk.
    """

    cells: dict[str, int]
    members: dict[str, int]
    seconds: dict[str, float]
    bytes: int

    def wall_seconds(self, workers: int) -> float:
        """Seconds on so many workers, without what is read and drawn at the end."""
        return sum(self.seconds.values()) / workers


class _AnyStem(dict[tuple[str, str, int], str]):
    """A stem of its own for every teacher, before there are any."""

    def __missing__(self, key: tuple[str, str, int]) -> str:
        return "-".join(map(str, key))


def count_cells(study: Study) -> tuple[dict[str, int], dict[str, int]]:
    """Number of cells and of networks by kind, those that the study has, without running anything; a network that
    stands in two roles is trained once.
    """
    stems = _AnyStem()
    any_choice = Choices(
        settings={(t, plan.name): dict(plan.grid[0]) for t in study.teachers for plan in plans_tried(study, t)},
        best_smaller=study.teachers[0],
        best_smaller_fixed=study.teachers[0],
        fix="",
        weighed="",
        trials=len(study.reference.grid),
    )
    pilot = {r: pilot_students(study, r, stems) for r in study.pilot_replicates}
    confirm = {r: confirm_students(study, r, stems, choices=any_choice) for r in study.confirm_replicates}
    found = {
        "teachers": teacher_cells(study),
        "assistants": list(assistant_cells(study, stems).values()),
        "pilot students": [c for r in pilot for c in student_cells(study, r, pilot[r], read_test=False)],
        "confirm students": [c for r in confirm for c in student_cells(study, r, confirm[r], read_test=True)],
    }
    found = {kind: cells for kind, cells in found.items() if cells}
    networks = {kind: len({address for cell in cells for address in cell.addresses}) for kind, cells in found.items()}
    return {kind: len({cell.key for cell in cells}) for kind, cells in found.items()}, networks


def estimate_study(study: Study) -> Estimate:
    """Cells, seconds and bytes of the whole study; trains a few steps of each kind of stack to find out.

    Answers of the teachers, tables and figures at the end are not in it, nor is what augmenting images costs. Counted
    for the processor, also where networks with batch norm would train on a GPU, many times as fast.
    """
    cells, members = count_cells(study)
    split = study_split(study, 0, "train")
    seconds = dict.fromkeys(cells, 0.0)
    for architecture, width, count in _teacher_stacks(study):
        seconds["teachers"] += count * _stack_seconds(architecture, width, study.teacher_training, split)
    for control in assistants(study):
        alone = _stack_seconds(assistant_key(control, 0)[1], 1, study.teacher_training, split)
        seconds["assistants"] += study.confirm * alone
    student: dict[int, float] = {}
    for kind in ("pilot students", "confirm students"):
        width = round(members[kind] / cells[kind]) if is_stacked(study.student) else 1
        if width not in student:
            student[width] = _stack_seconds(study.student, width, study.student_training, split)
        seconds[kind] = cells[kind] * student[width]
    logits = (members["teachers"] + members.get("assistants", 0)) * 4 * split.num_classes
    examples = (1 + study.views) * len(split) + len(study_split(study, 0, "test"))
    students = members["pilot students"] + members["confirm students"]
    return Estimate(cells=cells, members=members, seconds=seconds, bytes=logits * examples + _STUDENT_BYTES * students)


def _teacher_stacks(study: Study) -> list[tuple[str, int, int]]:
    """(architecture, members, how many cells of that many) of the teachers."""
    found: dict[tuple[str, int], int] = {}
    for cell in teacher_cells(study):
        key = (cell.shared["architecture"], len(cell.members))
        found[key] = found.get(key, 0) + 1
    return [(*key, count) for key, count in found.items()]


def _stack_seconds(architecture: str, width: int, config: TrainConfig, split: Split) -> float:
    """Seconds that a stack of `width` takes to train on `split`, on one thread."""
    module = build_module(architecture, input_shape=split.input_shape, num_classes=split.num_classes, seed=0)
    preprocessing = preprocessing_for(find_architecture(architecture), split.input_shape)
    batch = preprocess(split.inputs[: config.batch_size], preprocessing)
    labels = torch.from_numpy(split.labels[: config.batch_size])

    def objective(logits: Tensor, index: Tensor) -> Tensor:
        target = labels[None].expand(logits.shape[0], -1)
        return functional.cross_entropy(logits.transpose(1, 2), target, reduction="none").mean(-1)

    def run(steps: int) -> float:
        stack = Stack([module] * width) if can_stack(module) else Solo(copy.deepcopy(module))
        begun = time.perf_counter()
        fit(
            stack,
            lambda index, epoch: batch,
            objective,
            config=replace(config, epochs=steps, evaluations=1),
            examples=len(batch),
            order_seeds=(0,),
            evaluate=lambda network: torch.zeros(width),
        )
        return time.perf_counter() - begun

    few = _STEPS if can_stack(module) else _STEPS_ALONE
    return _on_one_thread(lambda: _extrapolate(run, config.steps(len(split)), few))


def _extrapolate(run: Callable[[int], float], steps: int, measured: tuple[int, int]) -> float:
    few, many = run(measured[0]), run(measured[1])
    return few + max(many - few, 0.0) / (measured[1] - measured[0]) * (steps - measured[0])


def _on_one_thread(run: Callable[[], float]) -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run()
    finally:
        torch.set_num_threads(threads)
