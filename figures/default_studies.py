"""The two default studies from nothing: their verdicts, tables and figures, small enough to keep.

Runs `darkprobe verify digits` and `darkprobe verify synthetic` in a temporary directory and copies verdicts, plan,
tables and two figures of each to figures/studies/. About three minutes on 2 cores.

    python figures/default_studies.py
"""

import shutil
import tempfile
from pathlib import Path

from darkprobe.study import STUDIES, run_study

HERE = Path(__file__).resolve().parent / "studies"
KEPT_FIGURES = ("mismatch_temperature", "controls")


def keep(source: Path, target: Path) -> None:
    """Copies what is small from a finished study."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "tables").mkdir(parents=True)
    for name in ("verdicts.json", "study.json"):
        shutil.copy(source / name, target / name)
    for table in ("accuracy", "effects", "teachers", "controls", "profile"):
        if (source / "tables" / f"{table}.csv").exists():
            shutil.copy(source / "tables" / f"{table}.csv", target / "tables")
    for name in KEPT_FIGURES:
        for suffix in (".png", ".svg", ".csv", ".json"):
            if (source / "figures" / f"{name}{suffix}").exists():
                shutil.copy(source / "figures" / f"{name}{suffix}", target)


def main() -> None:
    """Runs both studies and prints where their results are."""
    for name in ("digits", "synthetic"):
        with tempfile.TemporaryDirectory() as directory:
            keep(run_study(STUDIES[name](), Path(directory) / name), HERE / name)
        print(HERE / name)


if __name__ == "__main__":
    main()
