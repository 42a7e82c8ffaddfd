"""The stack's loss against each student's own method, and what may not leak between members."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from darkprobe.distill.methods import METHODS
from darkprobe.study.objective import TeacherOutputs, make_objective
from darkprobe.study.students import Student

CLASSES, EXAMPLES = 5, 40
LABELS = torch.from_numpy(np.random.default_rng(0).integers(0, CLASSES, EXAMPLES))
GENERATOR = torch.Generator().manual_seed(1)
TEACHER = TeacherOutputs(
    logits=torch.randn(EXAMPLES, CLASSES, generator=GENERATOR) * 3,
    head_weight=torch.randn(CLASSES, 7, generator=GENERATOR),
)


def student(method: str, **parameters: float) -> Student:
    weight = 0.9 if method in ("kd", "ats") else None
    return Student(
        teacher="t", stem="a", method=method, parameters=parameters, edit_parameters={}, teacher_weight=weight
    )


ALL = [
    student("kd", temperature=4.0),
    student("ats", target_temperature=4.0, wrong_temperature=2.0),
    student("ttm", gamma=0.5),
    student("wttm", gamma=0.25),
    student("kd-hinton", temperature=4.0),
    student("dkd", beta=2.0),
    student("kd-pt", temperature=4.0),
    student("kd-topk", temperature=4.0, k=2),
    student("kd-sim", sharpness=0.3),
    student("ls", smoothing=0.1),
]


@pytest.mark.parametrize("one", ALL, ids=lambda s: s.method)
def test_gradient_is_that_of_the_method_alone(one: Student) -> None:
    """Up to a positive factor: cached losses are scaled to the size of a cross-entropy."""
    others = [Student(method="none", parameters={}, edit_parameters={}), student("kd", temperature=16.0)]
    order, objective = make_objective([one, *others], {"a": TEACHER}, LABELS)
    z = torch.randn(3, EXAMPLES, CLASSES, generator=torch.Generator().manual_seed(2), requires_grad=True)
    index = torch.randperm(EXAMPLES, generator=torch.Generator().manual_seed(3))[:16]
    objective(z[:, index], index).sum().backward()
    assert z.grad is not None
    found = z.grad[order.index(0)]

    alone = z.detach()[order.index(0)].clone().requires_grad_()
    method = METHODS[one.method]
    ce, weight = (
        (1 - one.teacher_weight, one.teacher_weight)
        if one.teacher_weight
        else (method.ce_weight, method.teacher_weight)
    )
    inputs = {"head_weight": TEACHER.head_weight} if method.needs else {}
    term = method.teacher_term(
        alone[index], TEACHER.logits[index], LABELS[index], parameters=one.parameters, inputs=inputs
    )
    (ce * functional.cross_entropy(alone[index], LABELS[index]) + weight * term).backward()
    assert alone.grad is not None
    cosine = functional.cosine_similarity(found.flatten(), alone.grad.flatten(), dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-6)


def test_a_student_alone_learns_from_labels() -> None:
    order, objective = make_objective([Student(method="none", parameters={}, edit_parameters={})], {}, LABELS)
    z = torch.randn(1, EXAMPLES, CLASSES)
    index = torch.arange(EXAMPLES)
    assert order == [0]
    assert float(objective(z, index)[0]) == pytest.approx(float(functional.cross_entropy(z[0], LABELS)), rel=1e-6)
