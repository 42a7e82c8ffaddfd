"""`Term`: what one teacher asks of the student's logits, from stored or live answers; unweighted."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from darkprobe.distill.methods import Method
from darkprobe.distill.methods.record import Value
from darkprobe.distill.tutors import Tutor
from darkprobe.errors import InvalidValueError
from darkprobe.targets import Values


class Term:
    """The teacher term of a method on logits.

    Args:
        method: a method on logits.
        tutors: the teacher, then the other teachers whose logits the method needs; empty for methods without one.
        labels: (example,), int64, of all training examples, on the student's device.
        classes: number of classes.
        parameters: of the method.

    Raises:
        InvalidValueError: the method needs another number of teachers, or a last layer that the teacher lacks.
    """

    def __init__(
        self, method: Method, tutors: Sequence[Tutor], *, labels: Tensor, classes: int, parameters: Mapping[str, Value]
    ) -> None:
        self.method, self.tutors, self.labels, self.classes = method, list(tutors), labels, classes
        self.parameters = dict(parameters)
        self.is_fixed = method.is_cached(self.parameters)
        self._view, self._mass = -1, torch.empty(0)
        self.module: nn.Module | None = None
        """The part that is trained with the student, for methods that have one; set by the lesson."""
        self._check_number()

    def _check_number(self) -> None:
        method, count = self.method, len(self.tutors)
        wanted = {"others": (2, 10**6), "other": (2, 2)}
        least, most = next((wanted[name] for name in method.needs if name in wanted), (1, 1))
        if method.teacherless:
            return
        if count == 0:
            raise InvalidValueError(
                f"distill: `teacher` must be given for method {method.name!r}, got none. Give a store or a model, or "
                "choose method none."
            )
        if not least <= count <= most:
            expected = {(1, 1): "one", (2, 2): "two"}.get((least, most), "two or more")
            raise InvalidValueError(
                f"distill: `teacher` must be {expected} for method {method.name!r}, got {count}. Several teachers are "
                "for fused-probs, fused-logits, fused-entropy, cf-swap, and for dgkd and sckd joined to any other "
                "method on logits."
            )
        if "head_weight" in method.needs and self.tutors[0].head_weight is None:
            raise InvalidValueError(
                f"distill: `teacher` must end in a linear layer for method {method.name!r}, got one without. "
                "Choose another method or teacher."
            )

    def everything(self, view: int) -> list[Tensor] | None:
        """Logits of all training examples, one array a teacher, or None where a teacher answers batch by batch."""
        if not self.tutors:
            return [torch.zeros(len(self.labels), self.classes, device=self.labels.device)]
        found = [tutor.everything(view) for tutor in self.tutors]
        return [logits for logits in found if logits is not None] if all(f is not None for f in found) else None

    def answers(self, index: Tensor, view: int) -> list[Tensor]:
        """Logits of the batch that the student just saw, one array a teacher."""
        if not self.tutors:
            return [torch.zeros(len(index), self.classes, device=self.labels.device)]
        return [tutor.answer(index, view)[0] for tutor in self.tutors]

    def mass(self, answers: list[Tensor], labels: Tensor) -> Tensor:
        """(example, cls): the fixed target, times the examples' weights."""
        target = self.method.cached_target(
            answers[0], labels, parameters=self.parameters, inputs=self._inputs(answers), values=self._values
        )
        probs = torch.as_tensor(target.probs).float()
        return probs if target.weights is None else probs * torch.as_tensor(target.weights).float()[:, None]

    def target(self, index: Tensor, view: int) -> Tensor:
        """(batch, cls): rows of `mass`, made for all examples at once where their logits are at hand."""
        whole = self.everything(view) if view != self._view else None
        if whole is not None:
            self._view, self._mass = view, self.mass(whole, self.labels)
        return self._mass[index] if view == self._view else self.mass(self.answers(index, view), self.labels[index])

    def loss(self, logits: Tensor, index: Tensor, view: int, *, epoch: int) -> Tensor:
        """(1,) of logits (1, batch, cls)."""
        if self.is_fixed:
            return against(logits, self.target(index, view))
        answers, labels = self.answers(index, view), self.labels[index]
        if self.module is not None:
            term: Tensor = self.module(logits, answers[0], labels, epoch=float(epoch))
            return term
        if self.method.kind == "teacher":  # the network in training is the teacher
            return self.method.teacher_term(logits, logits.detach(), labels, parameters=self.parameters)
        growth = self.method.growth(epoch, self.parameters)
        return growth * self.method.teacher_term(
            logits,
            answers[0],
            labels,
            parameters=self.parameters,
            inputs=self._inputs(answers),
            values=self._values,
        )

    @property
    def _values(self) -> Values:
        return self.tutors[0].values if self.tutors else "logits"

    def _inputs(self, answers: list[Tensor]) -> dict[str, Tensor]:
        """The arrays that the method takes besides logits and labels."""
        made: dict[str, Tensor] = {}
        for name in self.method.needs:
            if name == "head_weight":
                head = self.tutors[0].head_weight
                assert head is not None
                made[name] = head
            else:
                made[name] = answers[1] if name == "other" else torch.stack(answers[1:])
        return made


def against(logits: Tensor, mass: Tensor) -> Tensor:
    """(1,): cross-entropy of logits (1, batch, cls) with distributions (batch, cls) that need not sum to 1."""
    return -(mass * logits.log_softmax(-1)).sum(-1).mean(-1)
