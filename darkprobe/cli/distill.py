"""`darkprobe distill`: a student from one teacher or several, or all networks of a schedule."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from darkprobe.data import Split
    from darkprobe.distill import DistillConfig, TrainConfig
    from darkprobe.store import LogitFile
    from darkprobe.zoo import Model


def distill(
    teacher: list[str] = typer.Option(
        [], "--teacher", help="A store of its logits, or a model, resnet56=FILE; again for further teachers."
    ),
    student: str = typer.Option(..., "--student", help="An architecture of `zoo list`."),
    data: str = typer.Option(..., "--data", help="digits, cifar10, parquet:DIR, npz:FILE, ..."),
    out: Path = typer.Option(..., "--out", "-o", help="Directory for the student, its logits and curves."),
    method: str = typer.Option("kd", "--method", help="A name of `methods list`, or several, wttm+crd, takd+kd."),
    parameter: list[str] = typer.Option([], "--parameter", help="NAME=VALUE, e.g. gamma=0.2 or crd.weight=0.8."),
    ce_weight: float | None = typer.Option(None, "--ce-weight", help="Of the labels; the method's own without it."),
    teacher_weight: float | None = typer.Option(None, "--teacher-weight", help="Of the teacher; the method's own."),
    teacher_live: bool = typer.Option(False, "--teacher-live", help="Run the teacher beside the student."),
    teacher_model: list[str] = typer.Option(
        [], "--teacher-model", help="Which model of the store, a name or pattern; again for further teachers."
    ),
    assistant: list[str] = typer.Option(
        [], "--assistant", help="For takd, dgkd: networks before the student, largest first; reskd: those added to it."
    ),
    views: int = typer.Option(0, "--views", min=0, help="Augmented views to extract of a teacher given as a model."),
    recipe: str = typer.Option("", "--recipe", help="crd, ats, fast or small; what suits the data without it."),
    epochs: int | None = typer.Option(None, "--epochs", min=1, help="Length; the schedule is scaled to it."),
    batch_size: int | None = typer.Option(None, "--batch-size", min=1),
    learning_rate: float | None = typer.Option(None, "--learning-rate", help="Peak rate."),
    precision: str = typer.Option("", "--precision", help="float32, bfloat16, or auto: the faster one here."),
    policy: str = typer.Option("", "--policy", help="Augmentation, pad4+flip or clean; the recipe's without it."),
    layers: str = typer.Option("", "--layers", help="For methods on features: STUDENT:TEACHER,... ."),
    seed: int = typer.Option(0, "--seed", min=0, help="Decides the student's weights, the order and the views."),
    split: str = typer.Option("", "--split", help="What to train on; 'train', or 'train[:0.9]' where there is no val."),
    val: str = typer.Option("", "--val", help="What to look at while training; 'val', or 'train[0.9:]'."),
    tensorboard: Path | None = typer.Option(None, "--tensorboard", help="Directory for TensorBoard's log."),
    device: str | None = typer.Option(None, "--device", help="cpu, cuda, ...; a GPU when there is one."),
) -> None:
    """Train one student from a teacher's logits, or beside the teacher; run again to resume.

    Joined to a schedule (takd, dgkd, generations, reskd) the method trains several networks, one after another.
    """
    from darkprobe.cli.schooling import School, run_school
    from darkprobe.cli.stopping import stopping_cleanly
    from darkprobe.distill import DistillConfig, resolve_method
    from darkprobe.distill.schedules.stages import plan_stages

    parts = load_parts(data, split, val)
    stages = plan_stages(
        resolve_method(method), student=student, assistants=assistant, teachers=max(len(teacher), len(teacher_model)),
        parameters=dict(parsed_parameter(text) for text in parameter),
    )  # fmt: skip
    configs = []
    for stage in stages:
        training, standard = training_of(
            parts["train"], stage.student, recipe, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
            precision=precision, device=device,
        )  # fmt: skip
        configs.append(
            DistillConfig(
                method=stage.method,
                parameters=stage.parameters,
                ce_weight=None if stage.own_weights else ce_weight,
                teacher_weight=None if stage.own_weights else teacher_weight,
                training=training,
                policy=policy or standard,
                view_seed=seed,
                layers=parsed_layers(layers, stages=len(stages)),
                seed=seed + stage.seed,
            )
        )
    with stopping_cleanly():
        given = find_teachers(
            teacher, parts["train"], configs[0], live=teacher_live, models=teacher_model, views=views, out=out,
            device=device,
        )  # fmt: skip
        school = School(
            stages=stages, configs=configs, given=given, parts=parts, out=out, live=teacher_live, views=views,
            device=device,
        )  # fmt: skip
        run_school(school, tensorboard)


def load_parts(data: str, split: str, val: str) -> "dict[str, Split]":
    """Splits by role: train, val, and test where the data set has one; without val, a tenth of train is held out."""
    from darkprobe.data import load_split
    from darkprobe.data.sources import find_source

    source, argument = find_source(data)
    there = source.splits(argument)
    names = {
        "train": split or ("train" if "val" in there else "train[:0.9]"),
        "val": val or ("val" if "val" in there else "train[0.9:]"),
        **({"test": "test"} if "test" in there else {}),
    }
    return {role: load_split(data, name) for role, name in names.items()}


def training_of(
    train: "Split",
    student: str,
    recipe: str,
    *,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    precision: str,
    device: str | None = None,
) -> "tuple[TrainConfig, str]":
    """Settings and augmentation of the recipe, with what was asked for put in its place."""
    import dataclasses

    import torch

    from darkprobe.checks import check_choice
    from darkprobe.distill.precision import resolved_precision
    from darkprobe.distill.recipes import RECIPES, recipe_for, scaled

    check_choice("precision", precision or "auto", ("auto", "float32", "bfloat16"))
    chosen = RECIPES[recipe] if recipe else recipe_for(train)
    training = chosen.training_for(student)
    training = training if epochs is None else scaled(training, epochs=epochs)
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    exact = resolved_precision(precision or training.precision, place)  # type: ignore[arg-type]
    asked = {"batch_size": batch_size, "learning_rate": learning_rate, "precision": exact}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    return dataclasses.replace(training, **given), chosen.policy_for(train)


def parsed_parameter(text: str) -> tuple[str, float | int | str]:
    """Name and value of NAME=VALUE; a number where it reads as one."""
    from darkprobe.errors import InvalidValueError

    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise InvalidValueError(f"distill: `--parameter` must be NAME=VALUE, got {text!r}. Write e.g. gamma=0.2.")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def parsed_layers(text: str, *, stages: int = 1) -> tuple[tuple[str, str], ...]:
    """Pairs of layers of STUDENT:TEACHER,STUDENT:TEACHER."""
    from darkprobe.errors import InvalidValueError

    pairs = [tuple(part.split(":")) for part in text.split(",") if part]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise InvalidValueError(
            f"distill: `--layers` must be pairs STUDENT:TEACHER joined by commas, got {text!r}. Write layer3:layer3."
        )
    if pairs and stages > 1:
        raise InvalidValueError(
            f"distill: `--layers` must be left out where {stages} networks are trained, got {text!r}. The last layer "
            "before the head is taken in each."
        )
    return tuple((own, other) for own, other in pairs)


def find_teachers(
    teachers: list[str],
    train: "Split",
    config: "DistillConfig",
    *,
    live: bool,
    models: list[str],
    views: int,
    out: Path,
    device: str | None,
) -> "list[LogitFile | Model]":
    """The teachers as `distill` takes them: files of stores, live models, or files of their fresh extraction.

    Several `--teacher-model` choose from the one store; with several stores they belong to them in order.
    """
    from darkprobe.errors import InvalidValueError

    if len(teachers) == 1 and len(models) > 1:
        teachers = teachers * len(models)
    if models and len(models) != len(teachers):
        raise InvalidValueError(
            f"distill: `--teacher-model` must be given once for each of {len(teachers)} teachers, got {len(models)}. "
            "Give one store, or one a model."
        )
    names = models or [""] * len(teachers)
    if not teachers:
        _check_views(config, live=live, views=views, teacherless=True)
    return [
        _find_teacher(teacher, train, config, live=live, model=name, views=views, out=out, device=device)
        for teacher, name in zip(teachers, names, strict=True)
    ]


def _find_teacher(
    teacher: str,
    train: "Split",
    config: "DistillConfig",
    *,
    live: bool,
    model: str,
    views: int,
    out: Path,
    device: str | None,
) -> "LogitFile | Model":
    from darkprobe.cli.distilling import extracted, stored_teacher
    from darkprobe.errors import InvalidValueError
    from darkprobe.zoo import load_model

    if Path(teacher).exists():
        if live or views:
            flag = "--teacher-live" if live else "--views"
            raise InvalidValueError(
                f"distill: `{flag}` must go with a teacher given as a model, got the store {teacher}. Give the model "
                "(ARCH=FILE), or leave the flag out: the views are those in the store."
            )
        return stored_teacher(Path(teacher), train, model)
    loaded = load_model(teacher, input_shape=train.input_shape, num_classes=train.num_classes)
    if live:
        return loaded
    _check_views(config, live=live, views=views)
    return extracted(loaded, train, config, views=views, out=out, device=device)


def _check_views(config: "DistillConfig", *, live: bool, views: int, teacherless: bool = False) -> None:
    """Refuses to pair clean logits of a model with augmented images."""
    from darkprobe.distill import resolve_method
    from darkprobe.errors import InvalidValueError

    alone = teacherless and all(part.teacherless for part in resolve_method(config.method).parts)
    if not (alone or live or views) and config.policy not in (None, "clean"):
        raise InvalidValueError(
            f"distill: `--views` must be given when the student sees augmented images ({config.policy}), got none. "
            "Say how many views of the teacher to extract (--views V), run it live (--teacher-live), or train on clean "
            "images (--policy clean)."
        )
