"""Cells of students: all students of one replicate, side by side on the same batches from the same start.

Students that cannot be stacked (batch norm) have a cell each; they too share the start and the batches.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from darkprobe import targets
from darkprobe.data import Split
from darkprobe.distill import DistillConfig, distill
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.loop import fit
from darkprobe.distill.methods import METHODS
from darkprobe.distill.stack import Stack
from darkprobe.store import LogitStore
from darkprobe.study.cells import Cell, Result
from darkprobe.study.parts import load_part
from darkprobe.study.plan import Parameters, Study
from darkprobe.study.teachers import VIEWS_SPLIT, is_stacked
from darkprobe.targets import Values
from darkprobe.zoo import Model, build_module, find_architecture, preprocess
from darkprobe.zoo.architectures import preprocessing_for

Edit = Callable[..., Any]

EDITS: Mapping[str, Edit] = {
    "scale-wrong": targets.scale_wrong,
    "permute-wrong": targets.permute_wrong,
    "raise-label": targets.raise_label,
    "scale-all": lambda logits, labels, *, factor: targets.scale_all(logits, factor=factor),
    "shift": lambda logits, labels, *, scale, seed: targets.shift_examples(logits, scale=scale, seed=int(seed)),
}
"""Edits of a teacher's logits by name: (logits, labels, *, parameters) -> logits."""


@dataclass(frozen=True, kw_only=True)
class Student:
    """What one student learns from. Students of a cell differ in nothing else.

    Attributes:
        teacher: architecture of the teacher, or "" for none.
        stem: file stem of the teacher's logits, which holds its weights' hash.
        edit, edit_parameters: change made to the teacher's logits first.
        method, parameters, teacher_weight: how the student learns from them.
        control: label of the control this student belongs to, or "".
    """

    teacher: str = ""
    stem: str = ""
    edit: str = "none"
    edit_parameters: Parameters
    method: str
    parameters: Parameters
    teacher_weight: float | None = None
    control: str = ""

    @property
    def setting(self) -> str:
        """The method's parameters as canonical text, as they stand in tables."""
        return json.dumps(dict(self.parameters), sort_keys=True)

    def determinants(self) -> dict[str, Any]:
        """What the student's weights depend on: everything but the names it goes by in tables."""
        named = {"teacher", "control"}
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


def train_students(cell: Cell, directory: Path) -> list[Result]:
    """Trains the cell's students and returns their accuracies, as fractions.

    Returns:
        {"val_last", "val_selected", "selected_step", "train_entropy", and where the test split may be read "test_last",
        "test_selected", "test_entropy", "n_test"} of each, in the order of the cell. Entropies are means over examples
        of H(q) at T = 1 after the last epoch, nats.
    """
    parts = {name: load_part(cell.shared["data"], cell.shared["parts"][name], name) for name in _roles(cell)}
    if is_stacked(cell.shared["architecture"]):
        return _train_side_by_side(cell, parts, directory)
    return [train_alone(cell.shared, Student(**values), parts, directory) for values in cell.members]


def _roles(cell: Cell) -> tuple[str, ...]:
    return ("train", "val", "test") if cell.shared["read_test"] else ("train", "val")


def _train_side_by_side(cell: Cell, parts: Mapping[str, Split], directory: Path) -> list[Result]:
    content, train = cell.shared, parts["train"]
    preprocessing = preprocessing_for(find_architecture(content["architecture"]), train.input_shape)
    inputs = {name: preprocess(part.inputs, preprocessing) for name, part in parts.items()}
    labels = {name: torch.from_numpy(part.labels) for name, part in parts.items()}

    def accuracy(network: Any, name: str) -> Tensor:
        hits: Tensor = network(inputs[name]).argmax(-1) == labels[name]
        return hits.float().mean(1)

    students = [Student(**values) for values in cell.members]
    order, objective = make_objective(students, read_teachers(students, train.dataset, directory), labels["train"])
    module = build_module(
        content["architecture"], input_shape=train.input_shape, num_classes=train.num_classes, seed=content["seed"]
    )
    stack = Stack([module] * len(students))
    history = fit(
        stack,
        lambda index, epoch: inputs["train"][index],
        objective,
        config=TrainConfig(**content["training"]),
        examples=len(train),
        order_seeds=(content["seed"],),
        evaluate=lambda network: accuracy(network, "val"),
    )
    columns = {
        "val_last": history.scores[-1],
        "val_selected": history.scores.max(0),
        "selected_step": history.selected_step,
    }
    with torch.no_grad():
        columns["train_entropy"] = _entropy(stack(inputs["train"])).numpy()
        if content["read_test"]:
            columns["test_entropy"] = _entropy(stack(inputs["test"])).numpy()
            columns["test_last"] = accuracy(stack, "test").numpy()
            stack.load_state(history.selected)
            columns["test_selected"] = accuracy(stack, "test").numpy()
            columns["n_test"] = np.full(len(students), len(parts["test"]))
    rows: list[dict[str, float]] = [{}] * len(students)
    for place, i in enumerate(order):
        rows[i] = {name: values[place].item() for name, values in columns.items()}
    return rows


def _entropy(logits: Tensor) -> Tensor:
    """Mean entropy over examples, nats: (...) of logits (..., example, cls)."""
    log_probs = logits.log_softmax(-1)
    return -(log_probs.exp() * log_probs).sum(-1).mean(-1)


def train_alone(shared: Mapping[str, Any], student: Student, parts: Mapping[str, Split], directory: Path) -> Result:
    """Trains one student that cannot be stacked, on the views its teacher answered for, and returns its row."""
    split = VIEWS_SPLIT if shared["policy"] != "clean" else "train"
    entries = LogitStore(directory / "store").entries(parts["train"].dataset, split) if student.stem else ()
    teacher = next((entry for entry in entries if entry.card.file_stem == student.stem), None)
    ce_weight, teacher_weight = _weights(student)
    found = distill(
        shared["architecture"],
        parts["train"],
        teacher,
        val=parts["val"],
        test=parts.get("test"),
        config=DistillConfig(
            method=student.method,
            parameters=student.parameters,
            ce_weight=ce_weight,
            teacher_weight=teacher_weight,
            training=TrainConfig(**shared["training"]),
            policy=shared["policy"],
            seed=shared["seed"],
        ),
        device="cpu",
    )
    row: Result = {
        "val_last": found.val_last,
        "val_selected": found.val_selected,
        "selected_step": int(found.history.selected_step[0]),
        "train_entropy": _entropy_of(found.model, parts["train"]),
    }
    if "test" in parts:
        row |= {"test_entropy": _entropy_of(found.model, parts["test"]), "test_last": found.test_last,
                "test_selected": found.test_selected, "n_test": len(parts["test"])}  # fmt: skip
    return row


@torch.no_grad()
def _entropy_of(model: Model, split: Split) -> float:
    batches = [split.inputs[start : start + 500] for start in range(0, len(split), 500)]
    totals = [float(_entropy(model.module(model.prepare(batch)))) * len(batch) for batch in batches]
    return sum(totals) / len(split)


@dataclass(frozen=True, kw_only=True)
class TeacherOutputs:
    """What students need of one teacher on the training split.

    Attributes:
        logits: (example, cls).
        head_weight: (cls, feature) of its last layer, where there is one.
        values: what the logits are.
    """

    logits: Tensor
    head_weight: Tensor | None = None
    values: Values = "logits"


def read_teachers(students: list[Student], dataset: str, directory: Path) -> dict[str, TeacherOutputs]:
    """The students' teachers by file stem."""
    stems = {s.stem for s in students if s.stem}
    if not stems:
        return {}
    found = {}
    for entry in LogitStore(directory / "store").entries(dataset, "train"):
        if entry.card.file_stem in stems:
            head = None if entry.head_weight is None else torch.from_numpy(np.array(entry.head_weight))
            logits = torch.from_numpy(np.array(entry.logits))
            found[entry.card.file_stem] = TeacherOutputs(logits=logits, head_weight=head, values=entry.card.values)
    return found


def make_objective(
    students: list[Student], teachers: Mapping[str, TeacherOutputs], labels: Tensor
) -> tuple[list[int], Callable[[Tensor, Tensor], Tensor]]:
    """The loss of a stack whose members learn by different methods from different teachers.

    Methods whose teacher term is a cross-entropy with a fixed distribution share one batched step: labels and target
    are added up, with their weights, into one mass (student, example, cls) before training. The others keep their own
    loss on the members that use them.

    Returns:
        (order, objective): `order[i]` is the student that the i-th member is.
    """
    cached = [i for i, s in enumerate(students) if s.method == "none" or METHODS[s.method].is_cached(s.parameters)]
    live = sorted(set(range(len(students))) - set(cached))
    classes = max((int(t.logits.shape[-1]) for t in teachers.values()), default=int(labels.max() + 1))
    one_hot = functional.one_hot(labels, classes)
    mass = torch.stack([_mass(students[i], teachers, labels, one_hot.float()) for i in cached])
    edited = {i: _edited(students[i], teachers, labels) for i in live}

    def objective(member_logits: Tensor, index: Tensor) -> Tensor:
        soft = -(mass[:, index] * member_logits[: len(cached)].log_softmax(-1)).sum(-1).mean(-1)
        own = [
            _live_loss(students[i], member_logits[place], edited[i][index], labels[index])[None]
            for place, i in enumerate(live, start=len(cached))
        ]
        return torch.cat([soft, *own]) if own else soft

    return [*cached, *live], objective


def _weights(student: Student) -> tuple[float, float]:
    method = METHODS[student.method]
    if student.teacher_weight is None:
        return method.ce_weight, method.teacher_weight
    return 1 - student.teacher_weight, student.teacher_weight


def _edited(student: Student, teachers: Mapping[str, TeacherOutputs], labels: Tensor) -> Tensor:
    teacher = teachers[student.stem].logits
    if student.edit == "none":
        return teacher
    changed: Tensor = EDITS[student.edit](teacher, labels, **student.edit_parameters)
    return changed


def _mass(student: Student, teachers: Mapping[str, TeacherOutputs], labels: Tensor, one_hot: Tensor) -> Tensor:
    """Weighted sum of label and target, (example, cls), scaled so that rows average to 1: the size of the loss is then
    the same for every method, and only its direction differs.
    """
    if student.method == "none":
        return one_hot
    ce_weight, teacher_weight = _weights(student)
    method, of_teacher = METHODS[student.method], teachers[student.stem]
    target = method.cached_target(
        _edited(student, teachers, labels),
        labels,
        parameters=student.parameters,
        inputs={"head_weight": of_teacher.head_weight} if method.needs and of_teacher.head_weight is not None else {},
        values=of_teacher.values,
    )
    probs = torch.as_tensor(target.probs).float()
    if target.weights is not None:
        probs = probs * torch.as_tensor(target.weights).float()[:, None]
    mass = ce_weight * one_hot + teacher_weight * probs
    return mass / mass.sum(-1).mean()


def _live_loss(student: Student, member_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    ce_weight, teacher_weight = _weights(student)
    method = METHODS[student.method]
    term = method.teacher_term(member_logits, teacher_logits, labels, parameters=student.parameters)
    loss = teacher_weight * term
    return loss + ce_weight * functional.cross_entropy(member_logits, labels) if ce_weight else loss
