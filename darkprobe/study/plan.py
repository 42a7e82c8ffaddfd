"""`Study`: the frozen plan of a study. What is written here, and nothing else, decides what is run."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from darkprobe.checks import check_positive
from darkprobe.distill.config import TrainConfig
from darkprobe.errors import InvalidValueError
from darkprobe.study.replicates import Replicated

Parameters = Mapping[str, int | float | str]
"""Settings by name; whole numbers stay whole, because a plan's text names its results."""


@dataclass(frozen=True, kw_only=True)
class MethodPlan:
    """One method and the settings tried on the pilot; every method of a study has the same number of them.

    Attributes:
        method: name in the catalogue of methods.
        grid: settings, each a mapping of the method's parameters.
        teacher_weight: share of the teacher term, the labels taking the rest; None for the method's own weights.
    """

    method: str
    grid: tuple[Parameters, ...]
    teacher_weight: float | None = None

    @property
    def name(self) -> str:
        """What it is called in tables and choices."""
        return self.method


@dataclass(frozen=True, kw_only=True)
class WeighedPlan(MethodPlan):
    """The reference at another teacher weight, which its name tells."""

    @property
    def name(self) -> str:
        """E.g. "kd at weight 0.5"."""
        return f"{self.method} at weight {self.teacher_weight!r}"


@dataclass(frozen=True, kw_only=True)
class Control:
    """One trained control: students of an edited teacher against students of the clean one.

    Attributes:
        label: what the row is called, unique in the study.
        group: rows of one group stand together in the figure.
        edit: name of the edit of the teacher's logits (`darkprobe.targets`), "none", "twin" for another seed,
            "recipe" for a teacher of the same architecture trained by `recipe`, or "assistant" for a smaller network
            that the control teacher taught first, by this control's method (TAKD).
        recipe: of edit "recipe": ls0.1, tolerant0.6, early0.3 or lr0.3 (`darkprobe zoo train --recipe`).
        edit_parameters: of the edit; of "assistant" its `architecture`, a teacher below the control teacher.
        method, parameters: how the student learns from it.
        teacher_weight: as in `MethodPlan`.
        loss_size: 1 for a loss whose weights add up to one, as fixes have it; None for the method's own weights as
            they are, which says what their size is worth to students that train alone.
        against: label of the control it is compared with.
        expected: direction of the effect on accuracy that a sound method must find.
    """

    label: str
    group: str
    edit: str = "none"
    recipe: str = ""
    edit_parameters: Parameters = field(default_factory=dict)
    method: str = "kd"
    parameters: Parameters = field(default_factory=dict)
    teacher_weight: float | None = None
    loss_size: float | None = None
    against: str = "clean"
    expected: Literal["lower", "higher", "none", "open"] = "open"

    def __post_init__(self) -> None:
        if self.loss_size is not None:
            check_positive("Control", "loss_size", self.loss_size)


@dataclass(frozen=True, kw_only=True)
class Study(Replicated):
    """Plan of one study.

    Attributes:
        name: of the study.
        data: data name; "{seed}" in it is filled with each replicate's seed, so that every replicate draws a fresh
            split. Without it replicates share the official split and verdicts are conditional on those examples.
        train, val, test: the part of the data in each role, as `load_split` takes it, e.g. "train[:10000]".
        policy: augmentation of training images, e.g. "pad4+flip"; networks with batch norm only.
        views: number of augmented views of every training image that teachers answer for and students see; 0 where
            `policy` is "clean".
        teachers: architectures of one capacity ladder, smallest first.
        student: architecture of the student.
        teacher_training, student_training: how they are trained.
        reference: the method that fixes are compared with; its grid is over the temperature.
        fixes: the methods that are to beat it, one or more, each with as many settings as the reference.
        reference_weights: other teacher weights of the reference, each with the whole grid of temperatures on the
            largest teacher: is a fix more than a weight that nobody tuned? Asked by H4-weight. The reference then has
            more settings than any one fix, the fixes together may have more than it.
        fix_teachers: teachers on which fixes are tried; the largest is always among them.
        fixed_temperature: the one temperature of the comparison without tuning; among the reference's settings.
        pilot, confirm: replicates on which choices are made, and others on which they are tested once.
        twins: confirm replicates in which every teacher is trained a second time with another seed.
        controls: trained controls, run on the confirm replicates from `control_teacher`.
        control_teacher: the teacher they edit.
        curve_temperatures: temperatures of the shown (not tested) curves.
        seed: of the whole study.
        delta: smallest accuracy difference of interest, as a fraction.
        stack_size: networks trained side by side in a cell of teachers.
        confirm_all: whether every setting of every method is run on the confirm replicates as well, which advice is
            scored on; the verdicts use the chosen settings alone either way.
        scaled: how the study was cut down from its full edition, in words; every verdict then says so.
        smoke: whether the run only shows that everything works; its verdicts say so.
    """

    name: str
    data: str
    train: str = "train"
    val: str = "val"
    test: str = "test"
    policy: str = "clean"
    views: int = 0
    teachers: tuple[str, ...]
    student: str
    teacher_training: TrainConfig
    student_training: TrainConfig
    reference: MethodPlan
    fixes: tuple[MethodPlan, ...]
    reference_weights: tuple[float, ...] = ()
    fix_teachers: tuple[str, ...] = ()
    fixed_temperature: float = 4.0
    pilot: int = 12
    confirm: int = 32
    twins: int = 12
    controls: tuple[Control, ...] = ()
    control_teacher: str = ""
    curve_temperatures: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    seed: int = 0
    delta: float = 0.005
    stack_size: int = 8
    confirm_all: bool = False
    scaled: str = ""
    smoke: bool = False

    def __post_init__(self) -> None:
        check_positive("Study", "delta", self.delta)
        check_positive("Study", "stack_size", self.stack_size)
        for setting in self.reference.grid:
            if not isinstance(setting.get("temperature"), int | float):
                raise InvalidValueError(
                    f"Study: every setting of `reference` must have a temperature, got {setting!r}. Add it: "
                    "teachers are compared at their own best temperature."
                )
        rules = {
            "teachers": (len(self.teachers) >= 2, "two or more architectures, smallest first"),
            "fixes": (len(self.fixes) >= 1, "one method or more to compare with the reference"),
            "pilot": (self.pilot >= 1, "at least 1"),
            "confirm": (self.confirm >= 2, "at least 2"),
            "twins": (
                2 * any(control.edit == "twin" for control in self.controls) <= self.twins <= self.confirm,
                "between 0 (2 where a control is a twin) and `confirm`",
            ),
            "reference_weights": (
                len({*self.reference_weights, self.reference.teacher_weight}) == len(self.reference_weights) + 1
                and all(0 < weight <= 1 for weight in self.reference_weights)
                and (self.reference.teacher_weight is not None or not self.reference_weights),
                "above 0 and at most 1, each once and none the `teacher_weight` that `reference` must then have",
            ),
            "fix_teachers": (set(self.fix_teachers) <= set(self.teachers), "some of `teachers`"),
            "control_teacher": (not self.controls or self.control_teacher in self.teachers, "one of `teachers`"),
            "views": (bool(self.views) == (self.policy != "clean"), "at least 1 with an augmentation, 0 without"),
            "fixed_temperature": (self.fixed_temperature in self.temperatures, "among the reference's settings"),
        }
        for name, (holds, expected) in rules.items():
            if not holds:
                raise InvalidValueError(
                    f"Study: `{name}` must be {expected}, got {getattr(self, name)!r}. Change the plan."
                )
        names = [plan.name for plan in (self.reference, *self.fixes, *self.weighed)]
        if len(set(names)) < len(names):
            raise InvalidValueError(
                f"Study: every method must stand once in a plan, got {names}. Make another study of the second: "
                "tables tell methods apart by name."
            )
        trials = {plan.name: len(plan.grid) for plan in (self.reference, *self.fixes)}
        if len(set(trials.values())) > 1:
            raise InvalidValueError(
                f"Study: every method must have the same number of settings, got {trials}. Level the grids: a method "
                "with more trials has more chances."
            )

    def for_smoke(self) -> "Study":
        """The same study with few replicates and epochs, marked as no evidence: does everything work?"""
        pilot, confirm, twins = min(self.pilot, 1), min(self.confirm, 4), min(self.twins, 3)
        return dataclasses.replace(
            self,
            name=f"{self.name}-smoke",
            teacher_training=dataclasses.replace(self.teacher_training, epochs=2, evaluations=1),
            student_training=dataclasses.replace(self.student_training, epochs=2, evaluations=1),
            pilot=pilot,
            confirm=confirm,
            twins=twins,
            smoke=True,
        )

    def so_far(self, confirm: int) -> "Study":
        """The study after its first `confirm` confirm replicates; where more are to come, every sentence says so."""
        said = f"{confirm} of {self.confirm} confirm replicates so far" if confirm < self.confirm else ""
        told = "; ".join(part for part in (self.scaled, said) if part)
        return dataclasses.replace(self, confirm=confirm, twins=min(self.twins, confirm), scaled=told)

    @property
    def temperatures(self) -> tuple[float, ...]:
        """Temperatures of the reference's grid."""
        return tuple(float(setting["temperature"]) for setting in self.reference.grid)

    @property
    def weighed(self) -> tuple[WeighedPlan, ...]:
        """The reference at each of the other teacher weights."""
        kd = self.reference
        return tuple(
            WeighedPlan(method=kd.method, grid=kd.grid, teacher_weight=float(weight))
            for weight in self.reference_weights
        )

    @property
    def parts(self) -> dict[str, str]:
        """The part of the data in each role."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def recipes(self) -> tuple[str, ...]:
        """Recipes by which the control teacher's architecture is trained besides the plain one."""
        return tuple(dict.fromkeys(control.recipe for control in self.controls if control.edit == "recipe"))

    @property
    def compared_controls(self) -> tuple[Control, ...]:
        """The controls that are compared with another; the one that the others are compared with is not."""
        return tuple(control for control in self.controls if control.label != control.against)

    @property
    def fresh_splits(self) -> bool:
        """Whether every replicate draws its own split."""
        return "{seed}" in self.data

    def data_of(self, replicate: int) -> str:
        """Data name of a replicate."""
        return self.data.format(seed=self.replicate_seed(replicate))

    @property
    def twin_replicates(self) -> range:
        """Confirm replicates that have a second teacher of every architecture."""
        return range(self.pilot, self.pilot + self.twins)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form of the whole plan."""
        return dataclasses.asdict(self)
