"""What students minimise: the loss of a stack whose members learn by different methods from different teachers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from darkprobe import targets
from darkprobe.distill.methods import METHODS
from darkprobe.store import LogitStore
from darkprobe.study.students import Student
from darkprobe.targets import Values

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
    ce_weight, teacher_weight = student.loss_weights
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
    ce_weight, teacher_weight = student.loss_weights
    method = METHODS[student.method]
    term = method.teacher_term(member_logits, teacher_logits, labels, parameters=student.parameters)
    loss = teacher_weight * term
    return loss + ce_weight * functional.cross_entropy(member_logits, labels) if ce_weight else loss
