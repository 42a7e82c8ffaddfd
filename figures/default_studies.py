"""The two default studies from nothing: their verdicts, tables and figures, small enough to keep.

Runs `darkprobe verify digits` and `darkprobe verify synthetic` in a temporary directory and copies verdicts, plan,
tables and two figures of each to figures/studies/. About three minutes on 2 cores.

    python figures/default_studies.py
"""

import shutil
import tempfile
from pathlib import Path

import pandas as pd

from darkprobe.files import read_json
from darkprobe.study import STUDIES, run_study

HERE = Path(__file__).resolve().parent / "studies"
KEPT_FIGURES = ("mismatch_temperature", "controls")
"""Drawn beside the tables; figures/study_figures.py draws them again."""

ARM = ["control", "teacher", "method", "parameters"]


def keep(source: Path, target: Path, *, cells: bool = False) -> None:
    """Copies what is small from a finished study: verdicts, plan, tables, two figures.

    `runs.csv` is left behind, 0.6 to 0.9 MB a study. The one column that effects are made of, students' test accuracy,
    goes to `tables/students.csv`, 50 kB, so that every difference, interval and gap can be computed again from what is
    kept. With `cells` the finished cells too, from which a long study goes on in another sitting: those of `source`,
    which has taken over the ones kept before, without students that an earlier plan asked for.
    """
    shutil.rmtree(target, ignore_errors=True)
    (target / "tables").mkdir(parents=True)
    for name in ("verdicts.json", "study.json"):
        shutil.copy(source / name, target / name)
    for table in (source / "tables").glob("*.csv"):
        shutil.copy(table, target / "tables")
    students(source / "runs.csv").to_csv(target / "tables" / "students.csv", lineterminator="\n")
    used = set(pd.read_csv(source / "runs.csv", usecols=["cell_id"])["cell_id"])
    for cell in (source / "cells").glob("*.json") if cells else ():
        (target / "cells").mkdir(exist_ok=True)
        if cell.stem in used or read_json(cell, who="keep")["kind"] != "students":
            shutil.copy(cell, target / "cells")
    for name in KEPT_FIGURES:
        for suffix in (".png", ".svg", ".csv", ".json"):
            if (source / "figures" / f"{name}{suffix}").exists():
                shutil.copy(source / "figures" / f"{name}{suffix}", target)


def take_teachers(source: Path, target: Path) -> None:
    """Cells and stores of a study that has the same teachers, where there is one and `target` has none yet: networks
    that differ in nothing are not trained again.
    """
    if (source / "store").exists() and not (target / "store").exists():
        for part in ("cells", "store"):
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)


def students(runs: Path) -> pd.DataFrame:
    """Test accuracy at the last epoch, a row an arm of the confirm replicates, a column a replicate."""
    table = pd.read_csv(runs, keep_default_na=False)
    confirm = table[table["phase"] == "confirm"].astype({"test_last": float})
    wide: pd.DataFrame = confirm.pivot(index=ARM, columns="replicate", values="test_last")
    return wide


def main() -> None:
    """Runs both studies and prints where their results are."""
    for name in ("digits", "synthetic"):
        with tempfile.TemporaryDirectory() as directory:
            keep(run_study(STUDIES[name](), Path(directory) / name), HERE / name)
        print(HERE / name)


if __name__ == "__main__":
    main()
