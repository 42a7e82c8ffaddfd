"""Methods that train the teacher so that it teaches better: a term on its own outputs beside the cross-entropy."""

from dataclasses import replace

from torch import Tensor

from darkprobe.distill import losses
from darkprobe.distill.methods.record import Convention, Method, Parameter
from darkprobe.distill.methods.registry import register_method
from darkprobe.distill.methods.temperature import ADDED, MIXED, TEMPERATURE


def _tolerant(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, *, k: float) -> Tensor:
    return losses.top_score_difference(student_logits, labels, k=int(min(k, student_logits.shape[-1])))


def _penalty(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    return losses.confidence_penalty(student_logits, labels)


def _reward(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    return losses.distinctness_reward(student_logits, labels, temperature=temperature)


_TEACHER = Method(
    name="-",
    kind="teacher",
    summary="",
    formula="",
    convention=Convention(factor="none", alpha=MIXED, student_temperature="1 (the network in training)"),
    source="",
    certainty="design",
)

register_method(
    replace(
        _TEACHER,
        name="tolerant",
        summary="Trains a tolerant teacher: confidence may go to the K - 1 classes next to the primary one.",
        formula="p_(1) - mean of p_(2..K), of the network's own outputs",
        parameters=(
            Parameter(name="k", default=5, low=2, high=1e6, paper="5 on CIFAR-100 (weak memory)", meaning="K, <= C"),
        ),
        ce_weight=0.6,
        teacher_weight=0.4,
        loss=_tolerant,
        teacherless=True,
        source="Yang, Xie, Qiao, Yuille (2019), arXiv 1805.05551",
        certainty="secondary",
        note="Sweep K and the weights: the paper's values are not known to us.",
    )
)

register_method(
    replace(
        _TEACHER,
        name="confidence-penalty",
        summary="Trains a teacher whose outputs keep their entropy.",
        formula="-H(q) of the network's own outputs",
        convention=replace(_TEACHER.convention, alpha=ADDED),
        teacher_weight=0.1,
        loss=_penalty,
        teacherless=True,
        source="Pereyra et al. (2017)",
        certainty="recall",
    )
)
register_method(
    replace(
        _TEACHER,
        name="distinct",
        summary="Trains a teacher that is rewarded for wrong classes that stay apart.",
        formula="-std_W softmax(z / T) of the network's own outputs",
        parameters=(TEMPERATURE,),
        convention=replace(_TEACHER.convention, alpha=ADDED),
        loss=_reward,
        one_label=True,
        teacherless=True,
        source="our own",
        certainty="design",
    )
)
