"""Which examples of a study's data are trained on, validated on and tested on."""

import dataclasses
from functools import lru_cache
from typing import Any

from darkprobe.data import Split, load_split
from darkprobe.study.plan import Control, Study

_SMOKE = {"train": 32, "val": 32, "test": 32}
"""Examples of each role in a smoke run on data that replicates share."""


@lru_cache(maxsize=64)
def load_part(data: str, part: str, role: str) -> Split:
    """The examples of `part` ("train[:10000]") of a data set, under the name of their role ("train")."""
    return dataclasses.replace(load_split(data, part), name=role)


def study_split(study: Study, replicate: int, role: str) -> Split:
    """The examples that a replicate uses as "train", "val" or "test"."""
    return load_part(study.data_of(replicate), study.parts[role], role)


def with_data(study: Study, data: str) -> Study:
    """The study on data from elsewhere, e.g. "parquet:DIR"; options of the plan's own data name ("?size=32") stay in
    force unless new ones are given.
    """
    _, _, options = study.data.partition("?")
    return dataclasses.replace(study, data=data if "?" in data or not options else f"{data}?{options}")


def for_smoke(study: Study) -> Study:
    """`Study.for_smoke`, and where replicates share their data, on a few examples of it."""
    small = study.for_smoke()
    if study.fresh_splits:
        return small
    parts: dict[str, Any] = {}
    for role, part in study.parts.items():
        whole = part.partition("[")[0]
        n, size = len(load_split(study.data, whole)), _SMOKE[role]
        start = max(0, n - size) if role == "val" else 0
        parts[role] = f"{whole}[{start}:{min(n, start + size)}]"
    training: dict[str, Any] = {
        name: dataclasses.replace(getattr(small, name), epochs=1, batch_size=16, evaluations=1)
        for name in ("teacher_training", "student_training")
    }
    return dataclasses.replace(
        small,
        teachers=small.teachers[:2],
        fix_teachers=(),
        control_teacher=small.teachers[1] if small.controls else "",
        controls=tuple(_assisted_by(control, small.teachers[0]) for control in small.controls),
        reference=dataclasses.replace(small.reference, grid=_two(study)),
        fixes=tuple(dataclasses.replace(plan, grid=plan.grid[:2]) for plan in small.fixes),
        confirm=2,
        twins=min(small.twins, 2) if any(c.edit == "twin" for c in small.controls) else 0,
        views=min(small.views, 1),
        **parts,
        **training,
    )


def _assisted_by(control: Control, assistant: str) -> Control:
    """The control; where an assistant teaches, the one of this architecture."""
    if control.edit != "assistant":
        return control
    return dataclasses.replace(control, edit_parameters={"architecture": assistant})


def _two(study: Study) -> tuple[dict[str, int | float | str], ...]:
    """The fixed temperature and one other."""
    grid = [dict(setting) for setting in study.reference.grid]
    fixed = next(s for s in grid if s["temperature"] == study.fixed_temperature)
    return (*[s for s in grid if s is not fixed][: len(study.reference.grid[:2]) - 1], fixed)
