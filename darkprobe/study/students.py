"""Who a study's students are, and the cells that train them: all students of one replicate, side by side on the same
batches from the same start.

Students that cannot be stacked (batch norm) have a cell each; they too share the start and the batches.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from darkprobe.distill.methods import METHODS
from darkprobe.study.cells import Cell
from darkprobe.study.plan import Parameters, Study
from darkprobe.study.teachers import is_stacked


@dataclass(frozen=True, kw_only=True)
class Student:
    """What one student learns from. Students of a cell differ in nothing else.

    Attributes:
        teacher: architecture of the teacher, or "" for none.
        stem: file stem of the teacher's logits, which holds its weights' hash.
        edit, edit_parameters: change made to the teacher's logits first.
        method, parameters, teacher_weight: how the student learns from them.
        control: label of the control this student belongs to, or "".
        name: what the method is called in tables; "" for its own name.
        loss_size: what the weights of labels and target are scaled to add up to, in the mean over examples, where the
            student trains alone; None to leave them. See `of_common_size`.
    """

    teacher: str = ""
    stem: str = ""
    edit: str = "none"
    edit_parameters: Parameters
    method: str
    parameters: Parameters
    teacher_weight: float | None = None
    control: str = ""
    name: str = ""
    loss_size: float | None = None

    @property
    def setting(self) -> str:
        """The method's parameters as canonical text, as they stand in tables."""
        return json.dumps(dict(self.parameters), sort_keys=True)

    @property
    def loss_weights(self) -> tuple[float, float]:
        """Weights of the cross-entropy with the labels and of the teacher term."""
        method = METHODS[self.method]
        if self.teacher_weight is None:
            return method.ce_weight, method.teacher_weight
        return 1 - self.teacher_weight, self.teacher_weight

    def of_common_size(self) -> "Student":
        """The student with its loss scaled to the size that a share of labels and teacher has, 1.

        Methods differ in the size of their loss: TTM's own weights add up to 37, and with SGD that is a step 37 times
        as long. Side by side all students have a loss of one size (`objective`); those that train alone get it here.
        Losses without a fixed target keep the size that their authors gave them.
        """
        fixed = self.method != "none" and METHODS[self.method].is_cached(self.parameters)
        return (
            dataclasses.replace(self, loss_size=1.0) if fixed and not math.isclose(sum(self.loss_weights), 1) else self
        )

    def determinants(self) -> dict[str, Any]:
        """What the student's weights depend on: everything but the names it goes by in tables."""
        named = {"teacher", "control", "name"}
        values = {name: value for name, value in vars(self).items() if name not in named}
        if self.loss_size is None:
            del values["loss_size"]  # so that students keep the address they had before there was such a thing
        return values | {"parameters": dict(self.parameters), "edit_parameters": dict(self.edit_parameters)}


def student_cells(study: Study, replicate: int, students: list[Student], *, read_test: bool) -> list[Cell]:
    """The cells that train these students of a replicate, together one member a student, in order: one cell, or where
    the architecture cannot be stacked (batch norm) one a student. `read_test` is for confirm replicates alone.
    """
    shared = {
        "data": study.data_of(replicate),
        "parts": study.parts,
        "policy": study.policy,
        "architecture": study.student,
        "seed": study.replicate_seed(replicate),
        "training": study.as_dict()["student_training"],
        "read_test": read_test,
    }
    members = [s.determinants() for s in students]
    stacks = [members] if is_stacked(study.student) else [[member] for member in members]
    return [Cell(kind="students", shared=shared, members=tuple(stack)) for stack in stacks]
