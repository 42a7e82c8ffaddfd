"""Who a study's students are, and the cells that train them: all students of one replicate, side by side on the same
batches from the same start.

Students that cannot be stacked (batch norm) have a cell each; they too share the start and the batches.
"""

import json
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

    def determinants(self) -> dict[str, Any]:
        """What the student's weights depend on: everything but the names it goes by in tables."""
        named = {"teacher", "control", "name"}
        values = {name: value for name, value in vars(self).items() if name not in named}
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
