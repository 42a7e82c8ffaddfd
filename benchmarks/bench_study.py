"""What a cell costs besides its training, with ten thousand of them, and the report of a study of a thousand students.

    python benchmarks/bench_study.py [--quick] [--workers N]

A cell is hashed, submitted, run (its work does nothing), written through a rename, read back into the ledger by the
next run, and found done. Budget: at most 10 ms a cell in all, on the executor of worker processes. The report is that
of a whole study, run here with one epoch a network: at most 20 s and 15 MB.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

from darkprobe.report import write_report
from darkprobe.study import STUDIES, Study, run_study
from darkprobe.study.cells import Cell, Ledger, Result, run_cells
from darkprobe.study.engine import engine
from darkprobe.study.estimate import count_cells

BUDGET_MS = 10.0
BUDGET_REPORT_S = 20.0
BUDGET_REPORT_MB = 15.0
STUDENTS = 40
"""Members of a cell: about what a replicate of the built-in studies holds."""


def make_cells(count: int) -> list[Cell]:
    """Cells of the size that studies have."""
    shared = {"architecture": "mlp1-16", "training": {"epochs": 75, "batch_size": 100}, "read_test": True}
    return [
        Cell(
            kind="students",
            shared={**shared, "data": f"synthetic:{i}", "seed": i},
            members=tuple(
                {"stem": f"mlp-256.s{i}-0123abcd", "edit": "none", "edit_parameters": {}, "method": "kd",
                 "parameters": {"temperature": float(s)}, "teacher_weight": 0.9}
                for s in range(STUDENTS)
            ),
        )
        for i in range(count)
    ]  # fmt: skip


def nothing(cell: Cell, directory: Path) -> list[Result]:
    """Results of the size that students have, at once."""
    return [{"val_last": 0.5, "val_selected": 0.5, "test_last": 0.5, "seconds": 0.0} for _ in cell.members]


def time_cells(count: int, workers: int) -> None:
    """Prints milliseconds a cell, of running and of resuming, and their sum against the budget."""
    with tempfile.TemporaryDirectory() as folder, engine(workers=workers) as executor:
        directory = Path(folder)
        (directory / "cells").mkdir()
        executor.submit(len, ()).result()  # the workers' start is not a cell's
        begun = time.perf_counter()
        run_cells(make_cells(count), nothing, Ledger(directory), executor=executor)
        run = 1000 * (time.perf_counter() - begun) / count
        begun = time.perf_counter()
        run_cells(make_cells(count), nothing, Ledger(directory), executor=executor)
        resume = 1000 * (time.perf_counter() - begun) / count
    print(f"{count:,} cells of {STUDENTS} students on {workers} workers")
    print(f"hash, submit, run, write   {run:6.2f} ms a cell")
    print(f"read back, found done      {resume:6.2f} ms a cell")
    print(f"in all                     {run + resume:6.2f} ms a cell (budget {BUDGET_MS:g})")


def large_study(*, quick: bool) -> Study:
    """The default study with fewer replicates, just over a thousand students, and one epoch a network."""
    digits = STUDIES["digits"]()
    return dataclasses.replace(
        digits,
        name="bench",
        teacher_training=dataclasses.replace(digits.teacher_training, epochs=1, evaluations=1),
        student_training=dataclasses.replace(digits.student_training, epochs=1, evaluations=1),
        pilot=1 if quick else 4,
        confirm=4 if quick else 16,
        twins=3,
    )


def time_report(study: Study, workers: int) -> None:
    """Prints seconds and megabytes of the study's report against the budget."""
    networks = count_cells(study)[1]
    with tempfile.TemporaryDirectory() as folder:
        run_study(study, Path(folder) / "out", workers=workers, progress=False)
        begun = time.perf_counter()
        page = write_report(Path(folder) / "out")
        seconds, size = time.perf_counter() - begun, page.stat().st_size / 1e6
    print(f"report of {networks['pilot students'] + networks['confirm students']:,} students")
    print(f"written in                 {seconds:6.2f} s (budget {BUDGET_REPORT_S:g})")
    print(f"of                         {size:6.2f} MB (budget {BUDGET_REPORT_MB:g})")


def main() -> None:
    """Times cells, then a report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 cells instead of 10,000, a report of few students")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    time_cells(1_000 if chosen.quick else 10_000, chosen.workers)
    time_report(large_study(quick=chosen.quick), chosen.workers)


if __name__ == "__main__":
    main()
