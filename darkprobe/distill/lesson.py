"""`Lesson`: what one student minimises: labels, a method on logits, and any methods on features."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from darkprobe.distill.feature_losses import Shape
from darkprobe.distill.inputs import StudentInputs
from darkprobe.distill.methods import Combination
from darkprobe.distill.methods.record import Value
from darkprobe.distill.schedules.gates import gated
from darkprobe.distill.schedules.tutoring import Tutored
from darkprobe.distill.stack import Solo
from darkprobe.distill.term import Term, against
from darkprobe.distill.tutors import Tutor
from darkprobe.errors import InvalidValueError


def check_teachable(combination: Combination) -> None:
    """Refuses methods by which no single student learns.

    Raises:
        InvalidValueError: the method trains the teacher, or several networks one after another.
    """
    schedule = combination.schedule
    reasons = {
        "eskd": "it shortens the training of the teacher: run `darkprobe zoo train --recipe early0.25` and learn from "
        "that teacher by any method",
        **dict.fromkeys(
            ("generations", "takd", "reskd"),
            "it trains several networks: run `darkprobe distill`, or call darkprobe.distill.schedules",
        ),
    }
    if schedule is not None and schedule.name in reasons:
        raise InvalidValueError(
            f"distill: `method` must be one that a student learns by, got {combination.name!r}; "
            f"{reasons[schedule.name]}."
        )


class Lesson:
    """The objective of the training loop for one student.

    `ce_weight * CE + teacher_weight * teacher term + sum of weight * feature term`, mean over examples, nats.
    Several teachers have one term together (fused, swapped), or one each (dgkd: their sum; sckd: those whose gradient
    agrees with the labels'). Teacher terms that are cross-entropies with fixed distributions are added to the labels
    before training, view by view, so that a step costs one log-softmax and one product. What the methods train
    (adapters, a learned temperature, memories) lies in the student's `bridges`, and so is trained, saved and restored
    with it.

    Args:
        combination: from `resolve_method`.
        tutors: the teachers; none where the method needs none.
        inputs: the student's batches.
        student: the network in training.
        labels: (example,), int64, of all training examples, on the student's device.
        classes: number of classes.
        parameters: by name, "gamma" or "crd.weight".
        weights: of the cross-entropy and of the teacher term.
        epochs: length of the training.
        seed: of the teacher terms that dgkd leaves out.
        shapes: of the student's tapped features.

    Raises:
        InvalidValueError: method, teachers and layers do not go together.
    """

    def __init__(
        self,
        combination: Combination,
        tutors: Sequence[Tutor],
        inputs: StudentInputs,
        *,
        student: Tutored,
        labels: Tensor,
        classes: int,
        parameters: Mapping[str, Value],
        weights: tuple[float, float],
        epochs: int = 1,
        seed: int = 0,
        shapes: Sequence[Shape] = (),
    ) -> None:
        self.tutors, self.inputs, self.student, self.labels = list(tutors), inputs, student, labels
        self.method, self.features, self.classes = combination.logit, combination.features, classes
        self.schedule = combination.schedule.name if combination.schedule is not None else ""
        self.ce_weight, self.teacher_weight = weights
        self.seed = seed
        self.settings = combination.split(parameters)
        schedule = self.settings.get(self.schedule, {})
        self.drop, self.threshold = int(schedule.get("drop", 0)), float(schedule.get("threshold", 0.0))
        self.last_epoch = float(schedule.get("share", 1.0)) * epochs
        self.terms = self._terms()
        self.adds_up = all(term.is_fixed for term in self.terms) and self.schedule != "sckd" and not self.drop
        self.goes_back_once = self.schedule != "sckd"
        """Whether a step takes one gradient; gates take one a term and compare them."""
        self._view, self._mass = -1, torch.empty(0)
        self._check()
        self._build(shapes)

    def _terms(self) -> list[Term]:
        """One term for all teachers together, or one each."""
        if self.method.name == "none":
            return []
        own = self.settings.get(self.method.name, {})
        each = self.schedule in ("dgkd", "sckd")
        groups = [[tutor] for tutor in self.tutors] if each else [self.tutors]
        return [Term(self.method, group, labels=self.labels, classes=self.classes, parameters=own) for group in groups]

    def _check(self) -> None:
        several = self.schedule in ("dgkd", "sckd")
        if (self.features or several) and not self.tutors:
            name = self.features[0].name if self.features else self.schedule
            raise InvalidValueError(
                f"distill: `teacher` must be given for method {name!r}, got none. Give a store or a model, or choose "
                "method none."
            )
        if several and self.method.module is not None:
            raise InvalidValueError(
                f"distill: `method` must have no trained part to act with {self.schedule}, got {self.method.name!r}. "
                "Join another method on logits."
            )
        if self.drop >= max(1, len(self.terms)):
            raise InvalidValueError(
                f"distill: dgkd `drop` must leave a teacher, got {self.drop} of {len(self.terms)} left out. Give "
                "--parameter dgkd.drop=0, more teachers, or assistants."
            )
        asking = [m.name for m in (self.method, *self.features) if m.one_label]
        if asking and self.inputs.mixes:
            raise InvalidValueError(
                f"distill: `method` must not ask for the one label of an example when images are mixed, got "
                f"{asking[0]!r}. Choose kd, kd-hinton, ttm, wttm or another whose record does not say so, or leave "
                f"{self.inputs.policy.mix} out."
            )

    def _build(self, shapes: Sequence[Shape]) -> None:
        """Makes the parts that are trained with the student."""
        device = self.labels.device
        if self.method.module is not None:
            own = self.settings[self.method.name]
            self.student.bridges[self.method.name] = self.method.module(members=(1,), **own).to(device)
            self.terms[0].module = self.student.bridges[self.method.name]
        if self.features:
            teacher_shapes = [shape for tutor in self.tutors for shape in tutor.shapes()]
            for method in self.features:
                bridge = method.bridge(shapes, teacher_shapes, self.labels.cpu(), parameters=self.settings[method.name])
                self.student.bridges[method.name] = bridge.to(device)

    def __call__(self, logits: Tensor, index: Tensor) -> Tensor:
        """Loss (1,) of logits (1, batch, cls)."""
        epoch = self.inputs.epoch
        view = self.inputs.view(epoch)
        if epoch >= self.last_epoch:
            return self.ce_weight * against(logits, self._hard(index, view))
        if self.adds_up and self._whole(view):
            loss = against(logits, self._mass[index])
        elif self.adds_up:
            answers = [term.answers(index, view) for term in self.terms]
            loss = against(logits, self._masses(answers, self.labels[index], self._hard(index, view)))
        else:
            loss = self._apart(logits, index, view)
        if self.features:
            found = [feature for tutor in self.tutors for feature in tutor.answer(index, view)[1]]
            for method in self.features:
                term = self.student.bridges[method.name](self.student.features, found, index)
                loss = loss + float(self.settings[method.name]["weight"]) * term
        return loss

    def _hard(self, index: Tensor, view: int) -> Tensor:
        """(batch, cls): the labels as distributions; of mixed images, the shares of the two."""
        one_hot = torch.nn.functional.one_hot(self.labels[index], self.classes).float()
        mixing = self.inputs.mixing(index, view)
        if mixing is None:
            return one_hot
        partner = self.labels[torch.from_numpy(mixing.partner_rows).to(self.labels.device)]
        share = torch.from_numpy(mixing.share).to(one_hot)[:, None]
        return share * one_hot + (1 - share) * torch.nn.functional.one_hot(partner, self.classes).float()

    def _whole(self, view: int) -> bool:
        """Whether targets of all training examples are at hand in this view; they are made when a view begins."""
        if view == self._view or (not self.tutors and self._view >= 0 and not self.inputs.mixes):
            return True
        answers = [term.everything(view) for term in self.terms]
        if any(found is None for found in answers):
            return False
        everyone = torch.arange(len(self.labels))
        whole = [found for found in answers if found is not None]
        self._mass = self._masses(whole, self.labels, self._hard(everyone, view))
        self._view = view
        return True

    def _masses(self, answers: list[list[Tensor]], labels: Tensor, hard: Tensor) -> Tensor:
        """(example, cls): labels and targets, each times its weight."""
        mass = self.ce_weight * hard
        for term, answer in zip(self.terms, answers, strict=True):
            mass = mass + self.teacher_weight * term.mass(answer, labels)
        return mass

    def _apart(self, logits: Tensor, index: Tensor, view: int) -> Tensor:
        """Labels and teacher terms as losses of their own: terms that move with the student, gates, dropped terms."""
        hard = self._hard(index, view)

        def of_labels(logits: Tensor, index: Tensor) -> Tensor:
            return self.ce_weight * against(logits, hard)

        def of(term: Term) -> Tensor:
            return self.teacher_weight * term.loss(logits, index, view, epoch=self.inputs.epoch)

        if self.schedule == "sckd":
            terms = [of(term) for term in self.terms]
            given = [lambda logits, index, value=value: value for value in terms]
            return gated(Solo(self.student.module), of_labels, given, threshold=self.threshold)(logits, index)
        loss = of_labels(logits, index)
        for place in self._kept(index):
            loss = loss + of(self.terms[place])
        return loss

    def _kept(self, index: Tensor) -> list[int]:
        """The teacher terms that count in this batch, keyed by seed and batch, so that a resumed run draws the same."""
        if not self.drop:
            return list(range(len(self.terms)))
        key = torch.stack([index[0], index[-1], torch.tensor(self.inputs.epoch), torch.tensor(self.seed)])
        generator = torch.Generator().manual_seed(hash(tuple(key.tolist())) & (2**63 - 1))
        return sorted(torch.randperm(len(self.terms), generator=generator)[self.drop :].tolist())

    def check_row_by_row(self, index: Tensor) -> None:
        """Refuses a live teacher for targets that depend on which other examples are looked at with an example.

        Raises:
            InvalidValueError: the target of some examples changes when fewer are passed.
        """
        if not all(term.is_fixed and term.tutors for term in self.terms) or not self.terms:
            return
        self.inputs(index, 0)
        answers = [term.answers(index, self.inputs.view(0)) for term in self.terms]
        hard, half = self._hard(index, self.inputs.view(0)), len(index) // 2
        whole = self._masses(answers, self.labels[index], hard)[half:]
        fewer = [[logits[half:] for logits in answer] for answer in answers]
        part = self._masses(fewer, self.labels[index[half:]], hard[half:])
        if not torch.allclose(whole, part, atol=1e-5):
            raise InvalidValueError(
                f"distill: `method` must treat each example by itself when the teacher runs live, got "
                f"{self.method.name!r}, whose targets depend on all examples. Use stored logits: give a store, or "
                "--views V."
            )
