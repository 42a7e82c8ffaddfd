"""`DistillConfig`: how one student learns from its teachers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from darkprobe.data.policy import parse_policy
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.lesson import check_teachable
from darkprobe.distill.methods import resolve_method
from darkprobe.distill.methods.record import Value
from darkprobe.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """How one student learns from one teacher.

    Attributes:
        method: a name of `darkprobe methods list`, or one on logits joined with any on features, "wttm+crd", and with
            one of dgkd, sckd and stop-teacher, which say how the teachers' terms are added up.
        parameters: of the method by name, "gamma", in a combination also "crd.weight"; the rest take their defaults.
        ce_weight, teacher_weight: weights of the cross-entropy with the labels and of the teacher term; None takes the
            method's own.
        training: optimiser, schedule, length.
        policy: augmentation, e.g. "pad4+flip"; None takes that of the teacher's stored logits, and "clean" else.
        view_seed: of the views, where the teacher runs live or there is none; stored logits bring their own.
        layers: pairs (student layer, teacher layer) for methods on features, teacher after teacher; empty pairs the
            last ones before the head.
        seed: decides the student's weights and the order of examples.
    """

    training: TrainConfig
    method: str = "kd"
    parameters: Mapping[str, Value] = field(default_factory=dict)
    ce_weight: float | None = None
    teacher_weight: float | None = None
    policy: str | None = None
    view_seed: int = 0
    layers: tuple[tuple[str, str], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        combination = resolve_method(self.method)
        combination.split(self.parameters)
        check_teachable(combination)
        for name in ("ce_weight", "teacher_weight"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise InvalidValueError(f"DistillConfig: `{name}` must be a finite number >= 0, got {value}. Give one.")
        parse_policy(self.policy or "clean")

    @property
    def weights(self) -> tuple[float, float]:
        """Weights of the cross-entropy and of the teacher term, as they will be used."""
        logit = resolve_method(self.method).logit
        ce = logit.ce_weight if self.ce_weight is None else self.ce_weight
        return ce, logit.teacher_weight if self.teacher_weight is None else self.teacher_weight
