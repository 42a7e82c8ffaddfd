"""Trains students: a stack side by side, or one that cannot be stacked alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darkprobe.data import Split
from darkprobe.distill import DistillConfig, distill
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.graduation import Distilled
from darkprobe.distill.loop import fit
from darkprobe.distill.methods import METHODS
from darkprobe.distill.stack import Stack
from darkprobe.store import LogitFile, LogitStore
from darkprobe.study.cells import Cell, Result
from darkprobe.study.objective import make_objective, read_teachers
from darkprobe.study.parts import load_part
from darkprobe.study.students import Student
from darkprobe.study.teachers import VIEWS_SPLIT, is_stacked
from darkprobe.zoo import build_module, find_architecture, preprocess
from darkprobe.zoo.architectures import preprocessing_for


def train_students(cell: Cell, directory: Path) -> list[Result]:
    """Trains the cell's students and returns their accuracies, as fractions.

    Returns:
        {"val_last", "val_selected", "selected_step", and where the test split may be read "test_last",
        "test_selected", "test_entropy", "n_test"} of each, in the order of the cell. The entropy is the mean over
        examples of H(q) at T = 1 after the last epoch, nats.
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
    if content["read_test"]:
        with torch.no_grad():
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


def distilled(shared: Mapping[str, Any], student: Student, parts: Mapping[str, Split], directory: Path) -> Distilled:
    """One network trained alone, on the views its teacher answered for."""
    split = VIEWS_SPLIT if shared["policy"] != "clean" else "train"
    entries = LogitStore(directory / "store").entries(parts["train"].dataset, split) if student.stem else ()
    entry = next((entry for entry in entries if entry.card.file_stem == student.stem), None)
    ce_weight, teacher_weight = student.loss_weights
    if student.loss_size is not None and entry is not None:
        size = student.loss_size / (ce_weight + teacher_weight * _mean_weight(student, entry))
        ce_weight, teacher_weight = size * ce_weight, size * teacher_weight
    return distill(
        shared["architecture"],
        parts["train"],
        entry,
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
    )


def _mean_weight(student: Student, teacher: LogitFile) -> float:
    """Mean weight of the examples, over all views that the student sees; 1 for methods that weigh them alike."""
    head = {"head_weight": np.array(teacher.head_weight)} if METHODS[student.method].needs else {}
    target = METHODS[student.method].cached_target(
        torch.from_numpy(np.array(teacher.logits)).float(),
        torch.from_numpy(np.array(teacher.labels)),
        parameters=student.parameters,
        inputs=head,
        values=teacher.card.values,
    )
    return 1.0 if target.weights is None else float(torch.as_tensor(target.weights).double().mean())


def train_alone(shared: Mapping[str, Any], student: Student, parts: Mapping[str, Split], directory: Path) -> Result:
    """Trains one student that cannot be stacked and returns its row."""
    found = distilled(shared, student, parts, directory)
    row: Result = {
        "val_last": found.val_last,
        "val_selected": found.val_selected,
        "selected_step": int(found.history.selected_step[0]),
    }
    if found.test_logits is not None:
        row |= {"test_entropy": float(_entropy(found.test_logits)), "test_last": found.test_last,
                "test_selected": found.test_selected, "n_test": len(found.test_logits)}  # fmt: skip
    return row
