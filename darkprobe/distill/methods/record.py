"""`Method`: one way to learn from a teacher, as a frozen record of what it computes, how, and who says so."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from darkprobe.checks import check_choice
from darkprobe.distill.losses import cross_entropy, soft_cross_entropy
from darkprobe.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from darkprobe.targets import Target, Values
from darkprobe.types import Array, Certainty, Labels, Logits

Value: TypeAlias = float | int | str
Kind: TypeAlias = Literal["target", "loss", "feature", "teacher", "schedule"]
"""What a method acts on: the target distribution, the loss between logits, features, how the teacher is trained, or
the order in which networks teach one another."""

NONE_GIVEN: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One number or choice of a method.

    Attributes:
        name: keyword of the function that takes it.
        default: used when nothing is given; where it is an int, only whole numbers are allowed.
        low, high: inclusive range of a number; values outside are refused.
        choices: the words allowed, for a choice.
        paper: values that the source used, as text; empty where unknown.
        meaning: one phrase.
    """

    name: str
    default: Value
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    paper: str = ""
    meaning: str = ""

    def check(self, owner: str, value: Value) -> None:
        """Refuses a value outside the range or the choices."""
        if self.choices:
            check_choice(f"{owner} {self.name}", str(value), self.choices)
        elif isinstance(value, str | bool):
            raise InvalidTypeError(
                f"{owner}: `{self.name}` must be a number, got {value!r}. Give one in [{self.low}, {self.high}]."
            )
        elif not self.low <= value <= self.high or (isinstance(self.default, int) and value != int(value)):
            kind = "be a whole number" if isinstance(self.default, int) else "lie"
            raise InvalidValueError(
                f"{owner}: `{self.name}` must {kind} in [{self.low:g}, {self.high:g}], got {value}. "
                f"The default is {self.default}."
            )


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What one must know before comparing two numbers under one name.

    Attributes:
        reduction: what is averaged and what is summed.
        factor: power of the temperature that multiplies the teacher term.
        alpha: how the teacher term and the cross-entropy with the labels are weighted.
        student_temperature: by what the student's logits are divided in the teacher term.
    """

    reduction: str = "mean over examples, sum over classes"
    factor: str = "none"
    alpha: str = "cross-entropy x ce_weight + teacher term x teacher_weight"
    student_temperature: str = "1"


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to learn from a teacher.

    Attributes:
        name: as given on the command line.
        kind: what it acts on.
        summary: one sentence.
        formula: the teacher term, in plain text; p teacher, q student, f and z their logits, y the label.
        convention: reduction, factor, weights, student temperature.
        parameters: numbers and choices, each a keyword of `target`, `loss` or `feature`.
        ce_weight, teacher_weight: default weights of the cross-entropy with the labels and of the teacher term.
        target: `(teacher_logits, labels, *, ...) -> Target`: the teacher term is a (weighted) cross-entropy of the
            student at temperature 1 with this distribution, so it can be computed once, before training.
        loss: `(student_logits, teacher_logits, labels, *, ...) -> (...)`: the teacher term from live logits.
        feature: `(student_shapes, teacher_shapes, labels, *, ...) -> Module`: a term on inner features, whose
            `forward(student_features, teacher_features, index)` takes lists, one entry a pair of tapped layers; see
            `distill.feature_losses`. `labels` are those of the whole training split, (example,).
        module: `(*, members, ...) -> Module` whose `forward(student_logits, teacher_logits, labels, *, epoch)` is the
            teacher term, for terms that have parameters of their own to train.
        schedule: the function of `distill.schedules` that trains by it, for methods of kind "schedule".
        step: for methods of kind "schedule", the method by which each network learns when none is named with it.
        step_parameters: the source's values of that method's parameters.
        needs: further arrays that `target` takes by keyword (the teacher's last layer, other teachers' logits).
        shift_sensitive: the target changes with a constant added to an example's logits, so `target` takes `values`.
        teacherless: the term needs no teacher: it looks at the labels, or at the outputs of the network in training.
        one_label: the term asks for the label of each example, so it is undefined for mixed images, which have two.
        single_temperature: the parameter that is the only temperature, or power, at which the teacher is looked at.
            Such a method learns from a sparse file at a declared temperature, the tail's mass spread evenly.
        ramp: the parameter that says over how many epochs the term grows linearly to its weight.
        no_gradcheck: why the loss has no gradient that finite differences could confirm; empty where it has one.
        source: author, year, arXiv number or code.
        certainty: how sure the formula is.
        note: what the reader should know besides.
    """

    name: str
    kind: Kind
    summary: str
    formula: str
    convention: Convention = Convention()
    parameters: tuple[Parameter, ...] = ()
    ce_weight: float = 1.0
    teacher_weight: float = 1.0
    target: Callable[..., Target] | None = None
    loss: Callable[..., Tensor] | None = None
    feature: Callable[..., nn.Module] | None = None
    module: Callable[..., nn.Module] | None = None
    schedule: Callable[..., Any] | None = None
    step: str = ""
    step_parameters: Mapping[str, Value] = field(default_factory=dict, hash=False)
    needs: tuple[str, ...] = ()
    shift_sensitive: bool = False
    teacherless: bool = False
    one_label: bool = False
    single_temperature: str = ""
    ramp: str = ""
    no_gradcheck: str = ""
    source: str
    certainty: Certainty
    note: str = ""

    def resolved(self, parameters: Mapping[str, Value] = NONE_GIVEN) -> dict[str, Value]:
        """All parameters by name: those given, checked, and the defaults of the rest.

        Raises:
            UnknownNameError: a name is not a parameter of this method.
            InvalidValueError: a value is outside its range.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name, value in parameters.items():
            if name not in known:
                raise UnknownNameError(f"parameter of method {self.name!r}", name, known)
            known[name].check(self.name, value)
        return {name: parameters.get(name, parameter.default) for name, parameter in known.items()}

    def growth(self, epoch: int, parameters: Mapping[str, Value] = NONE_GIVEN) -> float:
        """Share of its weight that the teacher term has in an epoch (the first is 0), in (0, 1]; see `ramp`."""
        if not self.ramp:
            return 1.0
        return min(1.0, (epoch + 1) / max(1.0, float(self.resolved(parameters)[self.ramp])))

    def looks_at(self, parameters: Mapping[str, Value] = NONE_GIVEN) -> float | None:
        """The only temperature at which the teacher is looked at, or None; see `single_temperature`."""
        if not self.single_temperature:
            return None
        value = float(self.resolved(parameters)[self.single_temperature])
        return 1 / value if self.single_temperature == "gamma" else value

    def is_cached(self, parameters: Mapping[str, Value] = NONE_GIVEN) -> bool:
        """Whether `cached_target` gives the teacher term at these parameters: a target exists, the student is at 1."""
        return self.target is not None and float(self.resolved(parameters).get("student_temperature", 1.0)) == 1.0

    def cached_target(
        self,
        teacher_logits: Logits,
        labels: Labels,
        *,
        parameters: Mapping[str, Value] = NONE_GIVEN,
        inputs: Mapping[str, Array] = NONE_GIVEN,
        values: Values = "logits",
    ) -> Target:
        """The distribution the student is to match, computed once before training.

        The loss of a step is then `ce_weight * cross_entropy + teacher_weight * soft_cross_entropy(z, probs, weights)`
        and has the gradient of the official form.

        Args:
            teacher_logits: (..., example, cls), array or tensor.
            labels: (..., example) or (example,).
            parameters: by name; the rest take their defaults.
            inputs: the arrays named in `needs`.
            values: what the teacher's numbers are; matters to targets with two temperatures only.

        Returns:
            `Target` in the kind of `teacher_logits`; its weights are None where every example weighs 1.

        Raises:
            InvalidValueError: this method has no cached form at these parameters, or `inputs` does not fit `needs`.
        """
        settings = self.resolved(parameters)
        if self.target is None or not self.is_cached(parameters):
            raise InvalidValueError(
                f"cached_target: `method` must have a fixed target at student temperature 1, got {self.name!r} with "
                f"{settings}. Use teacher_term, which takes the student's logits."
            )
        settings.pop("student_temperature", None)
        return self.target(teacher_logits, labels, **settings, **self._extra("cached_target", inputs, values))

    def teacher_term(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        parameters: Mapping[str, Value] = NONE_GIVEN,
        inputs: Mapping[str, Array] = NONE_GIVEN,
        values: Values = "logits",
    ) -> Tensor:
        """The teacher term from both networks' logits, unweighted.

        Args:
            student_logits: (..., example, cls).
            teacher_logits: (..., example, cls) or (example, cls); gradients do not pass into it.
            labels: (..., example) or (example,).
            parameters, inputs, values: as in `cached_target`.

        Returns:
            (...): mean over examples. Methods that act on features alone give 0; those of kind "teacher" look at the
            student's logits only (the student is then the teacher in training).
        """
        settings = self.resolved(parameters)
        settings.pop(self.ramp, None)
        if self.loss is not None:
            extra = self._extra("teacher_term", inputs, values) if self.target is None else {}
            return self.loss(student_logits, teacher_logits, labels, **settings, **extra)
        if self.module is not None:
            raise InvalidValueError(
                f"teacher_term: `method` must have no trained part, got {self.name!r}. Build it once with "
                "method.module(members=..., **parameters) and give its parameters to the optimiser."
            )
        if self.target is None:
            return torch.zeros_like(student_logits[..., 0, 0])
        target = self.cached_target(teacher_logits, labels, parameters=parameters, inputs=inputs, values=values)
        weights = None if target.weights is None else torch.as_tensor(target.weights)
        return soft_cross_entropy(student_logits, torch.as_tensor(target.probs), weights=weights)

    def bridge(
        self,
        student_shapes: Sequence[tuple[int, ...]],
        teacher_shapes: Sequence[tuple[int, ...]],
        labels: Tensor,
        *,
        parameters: Mapping[str, Value] = NONE_GIVEN,
    ) -> nn.Module:
        """The module of a feature method for pairs of layers; its term is to be multiplied by the parameter `weight`.

        Args:
            student_shapes, teacher_shapes: shapes of one example's features, one a layer, see `feature_losses`.
            labels: (example,), of the whole training split.
            parameters: by name; the rest take their defaults.

        Raises:
            InvalidValueError: this is no method on features, or the layers cannot be joined.
        """
        if self.feature is None:
            raise InvalidValueError(
                f"bridge: `method` must act on features, got {self.name!r}. "
                "Give one that `darkprobe methods list --kind feature` prints."
            )
        settings = self.resolved(parameters)
        settings.pop("weight", None)
        return self.feature(student_shapes, teacher_shapes, labels, **settings)

    def objective(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        parameters: Mapping[str, Value] = NONE_GIVEN,
        inputs: Mapping[str, Array] = NONE_GIVEN,
        values: Values = "logits",
    ) -> Tensor:
        """`ce_weight * cross_entropy + teacher_weight * teacher_term`, with this record's weights; shape (...)."""
        term = self.teacher_term(
            student_logits, teacher_logits, labels, parameters=parameters, inputs=inputs, values=values
        )
        hard = cross_entropy(student_logits, labels) if self.ce_weight else 0.0
        return self.ce_weight * hard + self.teacher_weight * term

    def _extra(self, function: str, inputs: Mapping[str, Array], values: Values) -> dict[str, Any]:
        if set(inputs) != set(self.needs):
            raise InvalidValueError(
                f"{function}: `inputs` must hold exactly {sorted(self.needs)} for method {self.name!r}, "
                f"got {sorted(inputs)}. Pass the arrays it needs, by name."
            )
        return {**inputs, "values": values} if self.shift_sensitive else dict(inputs)
