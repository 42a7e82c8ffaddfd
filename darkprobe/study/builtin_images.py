"""The built-in studies of images: ladders of ResNets and of wide ResNets on CIFAR-10 and Tiny ImageNet, and students
that train for longer.

Each has a full edition, for a GPU, and one cut down for 2 cores, which says so in its plan and in every verdict. Data
come from the user's folder: `darkprobe verify cifar10 --data parquet:DIR`. Networks with batch norm train one by one.
"""

import dataclasses
from typing import Literal

from darkprobe.distill.config import TrainConfig
from darkprobe.distill.recipes import RECIPES, scaled
from darkprobe.study.plan import Control, MethodPlan, Study

Edition = Literal["full", "2-core"]

_EPOCHS, _TEACHER_EPOCHS = 6, 12
"""Of students and teachers in the 2-core edition."""

_LEADING = {"cifar10": (3, 6), "tiny-imagenet": (5, 20)}
"""How many classes KD-topk keeps, the label among them where the teacher is right."""

_WEIGHTS = (0.5, 0.8, 0.97)
"""Other weights of KD's teacher term. Of ten classes WTTM's share of the loss lies in .75 to .94, TTM's is .973."""

_HELD = {"temperature": 4.0}

_LARGE_KD, _OWN_SIZE = "KD, 10 times as large", "WTTM in its own size"
"""The controls that ask what the size of a loss is worth."""

_LABELS_ALONE = "labels alone"
"""The control that has no teacher and sees the stored views that distilled students see."""


def _methods(*, few: bool, leading: tuple[int, int]) -> tuple[MethodPlan, tuple[MethodPlan, ...]]:
    """Plain distillation and its rivals, every one with as many settings: four, or three for 2 cores.

    Teachers that are trained for a few epochs are far less sure than those of the full schedule: their wrong classes
    are most distinct at T of one or less (an earlier study of this size chose the lowest T it tried, 2). The grids of
    the 2-core edition are therefore a doubling or two lower.

    Label smoothing, KD-pt, KD-sim and KD-topk are Tang's levels of knowledge; `leading` are how many classes the last
    of them keeps.
    """
    temperatures = (1.0, 2.0, 4.0) if few else (2.0, 4.0, 8.0, 16.0)
    pairs = ((2.0, 1.0), (3.0, 2.0), (4.0, 2.0)) if few else ((4.0, 2.0), (8.0, 4.0), (5.0, 3.0), (16.0, 8.0))
    retained = ((2.0, 0.9), (4.0, 0.9), (4.0, 0.99)) if few else ((8.0, 0.9), (4.0, 0.9), (8.0, 0.99), (16.0, 0.99))
    powers = (0.5, 0.25, 0.75) if few else (0.25, 0.125, 0.5, 0.0625)
    smoothings = (0.1, 0.2, 0.05) if few else (0.1, 0.2, 0.05, 0.4)
    sharpnesses = (0.3, 0.1, 0.5) if few else (0.1, 0.2, 0.3, 0.5)
    k, more = leading
    kept = ((1.0, k), (2.0, k), (2.0, more)) if few else ((4.0, k), (4.0, more), (8.0, k), (8.0, more))
    gammas = tuple({"gamma": gamma} for gamma in powers)
    reference = MethodPlan(method="kd", grid=tuple({"temperature": t} for t in temperatures), teacher_weight=0.9)
    fixes = [
        MethodPlan(
            method="ats",
            grid=tuple({"target_temperature": a, "wrong_temperature": b} for a, b in pairs),
            teacher_weight=0.9,
        ),
        MethodPlan(
            method="isats",
            grid=tuple({"target_temperature": t, "retain": r} for t, r in retained),
            teacher_weight=0.9,
        ),
        MethodPlan(method="wttm", grid=gammas),
        MethodPlan(method="ttm", grid=gammas),
        MethodPlan(method="kd-pt", grid=reference.grid, teacher_weight=0.9),
        MethodPlan(method="ls", grid=tuple({"smoothing": s} for s in smoothings), teacher_weight=0.9),
        MethodPlan(method="kd-sim", grid=tuple({"sharpness": s} for s in sharpnesses), teacher_weight=0.9),
        MethodPlan(method="kd-topk", grid=tuple({"temperature": t, "k": n} for t, n in kept), teacher_weight=0.9),
    ]
    if not few:
        fixes += [
            MethodPlan(method="dkd", grid=tuple({"beta": b} for b in (1.0, 2.0, 4.0, 8.0))),
            MethodPlan(method="dist", grid=tuple({"temperature": t} for t in (1.0, 2.0, 4.0, 8.0))),
            MethodPlan(method="kd-standardised", grid=tuple({"temperature": t} for t in (1.0, 2.0, 3.0, 4.0))),
        ]
    return reference, tuple(fixes)


def _controls(*, few: bool, assistant: str) -> tuple[Control, ...]:
    """Doses of distinctness at fixed p_y, a twin teacher, teachers by other recipes (one at a third of the learning
    rate: is mismatch more than an undertrained or overtrained teacher?), an assistant between teacher and student, and
    three losses in two sizes each: TTM's own weights make it KD's at the same T, 37 times as large, and a KD ten times
    as large asks whether what WTTM gains by its size, several times KD's, is WTTM's. Labels alone on the stored views
    make KD against no teacher a fair comparison where the student alone has a new view every epoch.
    """
    temperature, fair, sized = (2.0 if few else 4.0), "KD at TTM's T and weight", "WTTM in the size of KD"
    sizes = "size of the loss, against that of KD"
    doses = [
        Control(label=f"wrong classes x {f:g}", group="flattened at fixed p_y", method="cf-flatten",
                parameters={"factor": f, **_HELD}, teacher_weight=0.9, expected="lower" if f < 1 else "open")
        for f in ((0.25, 0.0) if few else (0.75, 0.5, 0.25, 0.0))
    ]  # fmt: skip
    others = [
        Control(label="twin teacher", group="nothing changed", edit="twin", parameters=_HELD, teacher_weight=0.9,
                expected="none"),
        *(
            Control(label=f"{recipe} teacher", group="teacher's recipe", edit="recipe", recipe=recipe,
                    parameters=_HELD, teacher_weight=0.9)
            for recipe in (("lr0.3",) if few else ("ls0.1", "tolerant0.6", "early0.3", "lr0.3"))
        ),
        Control(label="through an assistant (TAKD)", group="teacher assistant", edit="assistant",
                edit_parameters={"architecture": assistant}, parameters=_HELD, teacher_weight=0.9),
        Control(label=_LABELS_ALONE, group="no teacher, the same views", parameters=_HELD, teacher_weight=0.0),
        Control(label=fair, group="", parameters={"temperature": temperature}, teacher_weight=36 / 37, against=fair),
        Control(label=_LARGE_KD, group=sizes, parameters={"temperature": temperature},
                teacher_weight=36 / 37, loss_size=10.0, against=fair),
        Control(label="TTM, 37 times as large", group=sizes, method="ttm",
                parameters={"gamma": 1 / temperature}, against=fair),
        Control(label=sized, group="", method="wttm", parameters={"gamma": 0.25}, loss_size=1.0, against=sized),
        Control(label=_OWN_SIZE, group=sizes, method="wttm", parameters={"gamma": 0.25},
                against=sized),
    ]  # fmt: skip
    return (Control(label="clean", group="", parameters=_HELD, teacher_weight=0.9), *doses, *others)


def _training(*, few: bool, epochs: int = _EPOCHS) -> TrainConfig:
    """The field's schedule, or a short cycle of small batches: more steps in the same time.

    On validation images a ResNet-8 reached .611, .618 and .643 after 8 epochs with batches of 128, 64 and 32 (rates
    .2, .1 and .1; one seed; benchmarks/measure_batches.py). Teachers have twice the epochs of students: after 6 a
    ResNet-56 stood behind a ResNet-20, after 12 they reached .744 and .748 (one seed).
    """
    if not few:
        return dataclasses.replace(RECIPES["ats"].training, evaluations=12)
    short = scaled(RECIPES["fast"].training, epochs=epochs)
    return dataclasses.replace(short, batch_size=32, learning_rate=0.1, evaluations=3)


def _plan(name: str, data: str, *, teachers: tuple[str, ...], student: str, edition: Edition, said: str = "") -> Study:
    few = edition == "2-core"
    reference, fixes = _methods(few=few, leading=_LEADING[name.removesuffix("-wrn")])
    return Study(
        name=f"{name}-2-core" if few else name,
        data=data,
        train="train[:10000]" if few else "train[:0.9]",
        val="train[0.95:]" if few else "train[0.9:]",
        test="test",
        policy="pad4+flip",
        views=2 if few else 32,
        teachers=teachers,
        student=student,
        teacher_training=_training(few=few, epochs=_TEACHER_EPOCHS),
        student_training=_training(few=few),
        reference=reference,
        fixes=fixes,
        reference_weights=_WEIGHTS,
        fixed_temperature=4.0,
        pilot=1 if few else 2,
        confirm=8,
        twins=3,
        controls=_controls(few=few, assistant=teachers[(len(teachers) - 1) // 2]),
        control_teacher=teachers[-1],
        scaled=said if few else "",
    )


_SAID = (
    f"2-core edition: 10,000 training images in 2 views, {_TEACHER_EPOCHS} epochs for teachers and {_EPOCHS} for "
    "students, fewer teachers, methods, settings and pilot replicates than the full one"
)


def cifar10(edition: Edition = "full") -> Study:
    """ResNets on CIFAR-10, student ResNet-8; full edition for a GPU, or --edition 2-core."""
    few = edition == "2-core"
    teachers = ("resnet8", "resnet20", "resnet56") if few else tuple(f"resnet{d}" for d in (8, 14, 20, 32, 44, 56, 110))
    return _plan("cifar10", "cifar10", teachers=teachers, student="resnet8", edition=edition, said=_SAID)


def cifar10_long(edition: Edition = "full") -> Study:
    """The smallest and the largest teacher of `cifar10` and students that train four times as long, all else equal.

    Is mismatch, or what the size of a loss is worth, a matter of students that were stopped early? Teachers are those
    of `cifar10`, and are not trained again where the folder holds them.
    """
    study = cifar10(edition)
    epochs = 4 * study.student_training.epochs
    asked = [control for control in study.controls if control.label in (_LARGE_KD, _OWN_SIZE, _LABELS_ALONE)]
    kept = {name for control in asked for name in (control.label, control.against)}
    return dataclasses.replace(
        study,
        name=study.name.replace("cifar10", "cifar10-long"),
        teachers=(study.teachers[0], study.teachers[-1]),
        student_training=scaled(study.student_training, epochs=epochs),
        fixes=tuple(plan for plan in study.fixes if plan.method == "wttm"),
        reference_weights=(),
        controls=tuple(c for c in study.controls if c.label in kept),
        twins=0,
        scaled=study.scaled.replace(f"{_EPOCHS} for students", f"{epochs} for students"),
    )


_SAID_WIDE = (
    f"2-core edition: 10,000 training images in {_EPOCHS} views, one for each epoch of a student, {_TEACHER_EPOCHS} "
    "epochs for teachers, fewer teachers, methods and settings than the full one"
)


def _wide_on_2_cores(study: Study, *, scaled: str = _SAID_WIDE) -> Study:
    """The 2-core edition of wide ResNets, planned when that of ResNets had been run and had shown what it lacks.

    A view for every epoch, so that a student alone sees the very images that distilled ones see: the comparison with
    it is a test here, and labels alone need no control. Two pilot replicates, because one had chosen T badly. In
    return, since on 2 cores one WRN-16-4 takes as long as dozens of students: no partial knowledge of classes, no other
    weights, no further teachers.
    """
    return dataclasses.replace(
        study,
        views=study.student_training.epochs,
        pilot=2,
        fixes=tuple(plan for plan in study.fixes if plan.method not in ("kd-sim", "kd-topk")),
        reference_weights=(),
        controls=tuple(c for c in study.controls if c.edit == "none" and c.label != _LABELS_ALONE),
        twins=0,
        scaled=scaled,
    )


def cifar10_wrn(edition: Edition = "full") -> Study:
    """Wide ResNets on CIFAR-10, student VGG-8 at half width; full edition for a GPU, or --edition 2-core."""
    few = edition == "2-core"
    teachers = ("wrn16-1", "wrn16-4") if few else ("wrn16-1", "wrn16-2", "wrn16-4", "wrn16-8")
    study = _plan("cifar10-wrn", "cifar10", teachers=teachers, student="vgg8-bn-half", edition=edition)
    return _wide_on_2_cores(study) if few else study


def tiny_imagenet(edition: Edition = "full") -> Study:
    """ResNets on Tiny ImageNet, student ResNet-8; full edition for a GPU, or --edition 2-core at 32 pixels."""
    few = edition == "2-core"
    teachers = ("resnet8", "resnet20", "resnet56") if few else tuple(f"resnet{d}" for d in (8, 14, 20, 32, 44, 56, 110))
    data, said = ("tiny-imagenet:?size=32", f"{_SAID}, 32 pixels") if few else ("tiny-imagenet", "")
    return _plan("tiny-imagenet", data, teachers=teachers, student="resnet8", edition=edition, said=said)


def tiny_imagenet_wrn(edition: Edition = "full") -> Study:
    """Wide ResNets on Tiny ImageNet, student VGG-8 at half width; full, or --edition 2-core at 32 pixels."""
    few = edition == "2-core"
    teachers = ("wrn16-1", "wrn16-4") if few else ("wrn16-1", "wrn16-2", "wrn16-4", "wrn16-8")
    data = "tiny-imagenet:?size=32" if few else "tiny-imagenet"
    study = _plan("tiny-imagenet-wrn", data, teachers=teachers, student="vgg8-bn-half", edition=edition)
    return _wide_on_2_cores(study, scaled=f"{_SAID_WIDE}, 32 pixels") if few else study


IMAGE_STUDIES = {
    make.__name__.replace("_", "-"): make
    for make in (cifar10, cifar10_long, cifar10_wrn, tiny_imagenet, tiny_imagenet_wrn)
}
"""By name: the studies that have two editions."""
