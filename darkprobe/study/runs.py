"""`runs.csv`: one row per student."""

import re
from typing import Any

import pandas as pd

from darkprobe.study.cells import Result
from darkprobe.study.plan import Study
from darkprobe.study.students import Student

COLUMNS = (
    "cell_id",
    "phase",
    "replicate",
    "dataset",
    "teacher",
    "teacher_seed",
    "edit",
    "control",
    "method",
    "parameters",
    "teacher_weight",
    "student",
    "student_seed",
    "val_last",
    "val_selected",
    "selected_step",
    "test_last",
    "test_selected",
    "n_test",
    "test_entropy",
    "status",
    "seconds",
)


def run_rows(
    study: Study, students: list[Student], results: list[Result], *, phase: str, replicate: int, dataset: str
) -> list[dict[str, Any]]:
    """Rows of one replicate's students; the tuning phase carries no test value."""
    return [
        {
            "phase": phase,
            "replicate": replicate,
            "dataset": dataset,
            "teacher": student.teacher,
            "teacher_seed": _seed_of(student.stem),
            "edit": student.edit,
            "control": student.control,
            "method": student.name or student.method,
            "parameters": student.setting,
            "teacher_weight": student.teacher_weight,
            "student": study.student,
            "student_seed": study.replicate_seed(replicate),
            **result,
            "status": "done",
        }
        for student, result in zip(students, results, strict=True)
    ]


def _seed_of(stem: str) -> str:
    """The seed in a file stem such as "mlp-64.s3-0123abcd" or "mlp-64.ls0.1-s3-0123abcd"; "" without a teacher."""
    match = re.search(r"[.-]s(\d+)-[0-9a-f]+$", stem)
    return match.group(1) if match else ""


def to_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table with the columns of `runs.csv`."""
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))
