"""The built-in studies, each a function that returns its plan."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from darkprobe.checks import check_choice
from darkprobe.distill.config import TrainConfig
from darkprobe.errors import InvalidValueError, UnknownNameError
from darkprobe.registry import Registry
from darkprobe.study.builtin_images import IMAGE_STUDIES
from darkprobe.study.plan import Control, MethodPlan, Study
from darkprobe.study.plan_file import read_study

_KD = MethodPlan(method="kd", grid=tuple({"temperature": t} for t in (2.0, 4.0, 8.0, 16.0)), teacher_weight=0.9)
_FIXES = (
    MethodPlan(
        method="ats",
        grid=tuple(
            {"target_temperature": a, "wrong_temperature": b}
            for a, b in ((4.0, 2.0), (5.0, 3.0), (8.0, 4.0), (16.0, 8.0))
        ),
        teacher_weight=0.9,
    ),
    MethodPlan(
        method="isats",
        grid=tuple(
            {"target_temperature": t, "retain": r} for t, r in ((4.0, 0.9), (8.0, 0.9), (8.0, 0.99), (16.0, 0.99))
        ),
        teacher_weight=0.9,
    ),
    MethodPlan(method="ttm", grid=tuple({"gamma": g} for g in (0.5, 0.25, 0.125, 0.0625))),
    MethodPlan(method="wttm", grid=tuple({"gamma": g} for g in (0.5, 0.25, 0.125, 0.0625))),
)


def digits() -> Study:
    """Five MLP teachers and a small MLP student on scikit-learn's 8x8 digits.

    `darkprobe verify digits --out DIR`; about 80 s on 2 cores.
    """
    return Study(
        name="digits",
        data="digits:{seed}",
        teachers=("mlp-16", "mlp-32", "mlp-64", "mlp-128", "mlp-256"),
        student="mlp1-8",
        teacher_training=TrainConfig(epochs=50, batch_size=50, learning_rate=5e-3, evaluations=1),
        student_training=TrainConfig(epochs=60, batch_size=50, learning_rate=0.015),
        reference=_KD,
        fixes=_FIXES,
        fix_teachers=("mlp-16", "mlp-32", "mlp-64", "mlp-128", "mlp-256"),
        twins=20,
    )


def synthetic() -> Study:
    """Four MLP teachers and a small MLP student on the synthetic task, with trained positive and negative controls.

    `darkprobe verify synthetic --out DIR`; about 100 s on 2 cores.
    """
    return Study(
        name="synthetic",
        data="synthetic:{seed}",
        teachers=("mlp-32", "mlp-64", "mlp-128", "mlp-256"),
        student="mlp1-16",
        teacher_training=TrainConfig(epochs=75, batch_size=100, learning_rate=3e-3, evaluations=1),
        student_training=TrainConfig(epochs=75, batch_size=100, learning_rate=0.01),
        reference=_KD,
        fixes=_FIXES,
        fix_teachers=("mlp-256",),
        pilot=6,
        confirm=20,
        twins=8,
        controls=_controls(),
        control_teacher="mlp-128",
    )


def _controls() -> tuple[Control, ...]:
    """Known harm, known repair and known nothing, from one teacher; the reference is KD at T = 4 from it unedited.

    The effects of edits are on the student of the edited teacher; a repair is an edit with the method that undoes it.
    """
    held = {"temperature": 4.0}
    kd = {"temperature": 4.0}
    flat = [
        Control(label=f"wrong classes x {f:g}", group="flattened at fixed p_y", edit="scale-wrong",
                edit_parameters={"factor": f, **held}, parameters=kd, expected="lower")
        for f in (0.75, 0.5, 0.25, 0.0)
    ]  # fmt: skip
    undone = [
        Control(label="x 0.25, then sharpened x 4", group="repaired", edit="scale-wrong",
                edit_parameters={"factor": 0.25, **held}, method="cf-sharpen", parameters={"factor": 4.0, **kd},
                expected="none"),
        Control(label="x 0.25, ISATS", group="repaired", edit="scale-wrong",
                edit_parameters={"factor": 0.25, **held}, method="isats",
                parameters={"target_temperature": 4.0, "retain": 0.6}),
        Control(label="label + 16, ATS 16/4", group="repaired", edit="raise-label", edit_parameters={"amount": 16.0},
                method="ats", parameters={"target_temperature": 16.0, "wrong_temperature": 4.0}),
        Control(label="all x 4, T = 16", group="repaired", edit="scale-all", edit_parameters={"factor": 4.0},
                parameters={"temperature": 16.0}, expected="none"),
    ]  # fmt: skip
    confident = [
        Control(label="label logit + 16", group="over-confident", edit="raise-label", edit_parameters={"amount": 16.0},
                parameters=kd, expected="lower"),
        Control(label="all logits x 4", group="over-confident", edit="scale-all", edit_parameters={"factor": 4.0},
                parameters=kd, expected="lower"),
    ]  # fmt: skip
    permuted = [
        Control(label="wrong classes permuted", group="affinity erased", edit="permute-wrong",
                edit_parameters={"seed": 0}, parameters=kd, expected="lower"),
    ]  # fmt: skip
    nothing = [
        Control(label="logits shifted", group="nothing changed", edit="shift",
                edit_parameters={"scale": 3.0, "seed": 0}, parameters=kd, expected="none"),
        Control(label="twin teacher", group="nothing changed", edit="twin", parameters=kd, expected="none"),
    ]  # fmt: skip
    clean = Control(label="clean", group="", parameters=kd)
    everything = (clean, *flat, *confident, *permuted, *undone, *nothing)
    return tuple(dataclasses.replace(control, teacher_weight=0.9) for control in everything)


def levels() -> Study:
    """Tang's levels of knowledge on the synthetic task: partial targets, and teachers trained by other recipes.

    `darkprobe verify levels --out DIR`; about 80 s on 2 cores.
    """
    temperatures = tuple({"temperature": t} for t in (2.0, 4.0, 8.0, 16.0))
    gammas = tuple({"gamma": g} for g in (0.5, 0.25, 0.125, 0.0625))
    topk = tuple({"temperature": t, "k": k} for t, k in ((4.0, 3), (4.0, 6), (8.0, 3), (8.0, 6)))
    kd = {"temperature": 4.0}
    recipes = [
        Control(label=f"{recipe} teacher", group="teacher's recipe", edit="recipe", recipe=recipe, parameters=kd)
        for recipe in ("ls0.1", "tolerant0.6", "early0.3")
    ]
    return dataclasses.replace(
        synthetic(),
        name="levels",
        fixes=(
            MethodPlan(method="kd-pt", grid=temperatures, teacher_weight=0.9),
            MethodPlan(method="kd-topk", grid=topk, teacher_weight=0.9),
            MethodPlan(method="kd-sim", grid=tuple({"sharpness": s} for s in (0.1, 0.2, 0.3, 0.5)), teacher_weight=0.9),
            MethodPlan(method="ls", grid=tuple({"smoothing": s} for s in (0.05, 0.1, 0.2, 0.4)), teacher_weight=0.9),
            MethodPlan(method="ttm", grid=gammas),
            MethodPlan(method="wttm", grid=gammas),
        ),
        teachers=("mlp-32", "mlp-64", "mlp-128"),
        fix_teachers=(),
        twins=0,
        controls=tuple(
            dataclasses.replace(control, teacher_weight=0.9)
            for control in (Control(label="clean", group="", parameters=kd), *recipes)
        ),
        seed=7,
    )


STUDIES = Registry[Callable[..., Study]]("study")
for _name, _make in {"digits": digits, "synthetic": synthetic, "levels": levels, **IMAGE_STUDIES}.items():
    STUDIES.register(_name, _make)


def find_study(name: str, *, edition: str = "full") -> Study:
    """The built-in study of that name, or the one that a TOML file describes where `name` ends in .toml.

    Args:
        name: a built-in study, or a path.
        edition: "full", or "2-core": cut down and labelled so, for studies of images.

    Raises:
        UnknownNameError: there is no such built-in study or edition.
        InvalidValueError: the study has one edition only.
        DataError: there is no such file, or it is not TOML.
    """
    check_choice("edition", edition, ("full", "2-core"))
    if edition != "full" and name not in IMAGE_STUDIES and (name in STUDIES or name.endswith(".toml")):
        raise InvalidValueError(
            f"find_study: `edition` of {name} must be full, its only one, got {edition!r}. Leave it out; "
            f"{', '.join(IMAGE_STUDIES)} have two."
        )
    if name.endswith(".toml"):
        return read_study(Path(name))
    if name not in STUDIES:
        raise UnknownNameError(
            "study",
            name,
            STUDIES,
            hint="Or give the path of a .toml file; `darkprobe generations` has studies of its own.",
        )
    return STUDIES[name](edition) if name in IMAGE_STUDIES else STUDIES[name]()
