"""The networks of a schedule, one `darkprobe distill` run after another: who has been trained teaches the next."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from darkprobe.data import Split
    from darkprobe.distill import DistillConfig
    from darkprobe.distill.schedules.stages import Stage
    from darkprobe.store import LogitFile
    from darkprobe.zoo import Model

Source = "LogitFile | Model"


@dataclass(frozen=True, kw_only=True)
class School:
    """A schedule to run.

    Attributes:
        stages: from `plan_stages`.
        configs: the settings of each.
        given: the teachers at the start.
        parts: splits by role.
        out: directory; every stage has one of its own in it, unless it is the only one.
        live: whether trained networks teach live.
        views: how many views of them are extracted where neither they run live nor a store says.
        device: where to train.
    """

    stages: "tuple[Stage, ...]"
    configs: "list[DistillConfig]"
    given: "list[LogitFile | Model]"
    parts: "dict[str, Split]"
    out: Path
    live: bool = False
    views: int = 0
    device: str | None = None


def run_school(school: School, tensorboard: Path | None) -> None:
    """Trains every stage that is not there yet, and writes `stages.csv` where there are several."""
    from darkprobe.cli.distilling import kept_plan

    if len(school.stages) == 1:
        _run_stage(school, 0, tensorboard)
        return
    whole = {"stages": [dataclasses.asdict(stage) for stage in school.stages]}
    with kept_plan(school.out, whole | {"data": school.parts["train"].fingerprint}):
        for place, stage in enumerate(school.stages):
            typer.echo(f"stage {place + 1} of {len(school.stages)}: {stage.student} by {stage.method}", err=True)
            _run_stage(school, place, tensorboard)
    _summarise(school)


def _run_stage(school: School, place: int, tensorboard: Path | None) -> None:
    from darkprobe.cli.distilling import Job, run_job

    stage = school.stages[place]
    job = Job(
        student=stage.student,
        teachers=[*(school.given if stage.given else []), *_taught(school, stage.earlier)],
        added=[_load(school, number) for number in stage.added],
        parts=school.parts,
        config=school.configs[place],
        out=school.out / stage.name,
    )
    run_job(job, tensorboard / stage.name if tensorboard else None, school.device)


def _load(school: School, number: int) -> "Model":
    """The network that a stage has trained, at its last epoch."""
    from darkprobe.zoo import load_model

    stage, train = school.stages[number], school.parts["train"]
    path = school.out / stage.name / "student.safetensors"
    return load_model(f"{stage.student}={path}", input_shape=train.input_shape, num_classes=train.num_classes)


def _taught(school: School, numbers: Sequence[int]) -> "list[LogitFile | Model]":
    """Earlier stages as teachers: live, or extracted in the views that the given teachers' logits are of."""
    from darkprobe.cli.distilling import extracted
    from darkprobe.store import LogitFile

    stored = next((entry for entry in school.given if isinstance(entry, LogitFile)), None)
    found: list[LogitFile | Model] = []
    for number in numbers:
        model, config, views = _load(school, number), school.configs[-1], school.views
        if school.live:
            found.append(model)
            continue
        if stored is not None:
            views = stored.n_views
        if stored is not None and stored.n_views:
            seed = int(stored.attributes["view_seed"])
            config = dataclasses.replace(config, policy=str(stored.attributes["view_policy"]), view_seed=seed)
        out = school.out / school.stages[number].name
        found.append(extracted(model, school.parts["train"], config, views=views, out=out, device=school.device))
    return found


def _summarise(school: School) -> None:
    """One row a stage: its accuracies, and those of the ensemble of the generations up to it."""
    import json

    import pandas as pd

    from darkprobe.files import write_text

    columns = ("val_last", "val_selected", "test_last", "test_selected")
    rows: list[dict[str, Any]] = []
    for place, stage in enumerate(school.stages):
        result = json.loads((school.out / stage.name / "result.json").read_text())
        row = {"stage": place + 1, "student": stage.student, "method": stage.method}
        row |= {name: result[name] for name in columns}
        if school.stages[-1].seed and not stage.added and not school.stages[-1].added:
            row |= {f"ensemble_{role}": _ensemble(school, place, role) for role in ("val", "test")}
        rows.append({**row, "path": f"{stage.name}/student.safetensors"})
    write_text(school.out / "stages.csv", pd.DataFrame(rows).to_csv(index=False))
    for row in rows:
        told = ", ".join(f"{name} {row[name]:.4f}" for name in row if isinstance(row[name], float))
        typer.echo(f"stage {row['stage']}, {row['student']}: {told}")
    typer.echo(school.out / school.stages[-1].name / "student.safetensors")


def _ensemble(school: School, place: int, role: str) -> float | None:
    """Accuracy of the mean of the probabilities of stages 0 to `place`, or None where there is no such split."""
    import numpy as np
    import torch

    from darkprobe.distill.schedules import ensemble_probs
    from darkprobe.store import LogitStore

    part = school.parts.get(role)
    if part is None:
        return None
    stores = [LogitStore(school.out / stage.name / "store") for stage in school.stages[: place + 1]]
    entries = [store.entries(part.dataset, part.name)[0] for store in stores]
    probs = ensemble_probs([torch.from_numpy(np.array(entry.logits)) for entry in entries])
    return float((probs.argmax(-1).numpy() == entries[0].labels).mean())
