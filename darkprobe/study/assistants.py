"""Cells of teacher assistants: a smaller rung of the ladder that the control teacher taught, and that then teaches.

An assistant learns as its student will, by the control's own method and setting, with the schedule of teachers; only
its logits are kept. It starts from the weights of the plain teacher of its size and sees the same batches, so that the
two differ in what they learnt from alone.
Source: Mirzadeh et al., 2020 (arXiv 1902.03393) [secondary].
"""

from pathlib import Path

from darkprobe.study.cells import Cell, Result
from darkprobe.study.parts import load_part
from darkprobe.study.plan import Control, Study
from darkprobe.study.student_training import distilled
from darkprobe.study.students import Student
from darkprobe.study.teachers import Stems, keep_logits


def assistants(study: Study) -> list[Control]:
    """The controls whose students learn from an assistant."""
    return [control for control in study.controls if control.edit == "assistant"]


def assistant_key(control: Control, seed: int) -> tuple[str, str, int]:
    """Where the stem of a control's assistant stands among the stems of teachers."""
    return f"assistant: {control.label}", str(control.edit_parameters["architecture"]), seed


def assistant_cells(study: Study, stems: Stems) -> dict[tuple[str, str, int], Cell]:
    """The cell that trains each control's assistant in each confirm replicate, by `assistant_key`."""
    found = {}
    for control in assistants(study):
        for replicate in study.confirm_replicates:
            seed = study.replicate_seed(replicate)
            key = assistant_key(control, seed)
            shared = {
                "data": study.data_of(replicate),
                "parts": study.parts,
                "policy": study.policy,
                "views": study.views,
                "architecture": key[1],
                "seed": seed,
                "training": study.as_dict()["teacher_training"],
                "splits": ["train"],
            }
            taught = Student(
                stem=stems["teacher", study.control_teacher, seed],
                edit_parameters={},
                method=control.method,
                parameters=control.parameters,
                teacher_weight=control.teacher_weight,
            )
            found[key] = Cell(kind="assistants", shared=shared, members=(taught.determinants(),))
    return found


def train_assistants(cell: Cell, directory: Path) -> list[Result]:
    """Trains the cell's assistant, writes its logits into `directory`/store, returns who it is.

    Returns:
        {"data", "seed", "stem"}.
    """
    data = cell.shared["data"]
    parts = {name: load_part(data, cell.shared["parts"][name], name) for name in ("train", "val")}
    (member,) = cell.members
    model = distilled(cell.shared, Student(**member), parts, directory).model
    return [keep_logits(cell, model, data, directory)]
