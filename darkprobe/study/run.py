"""`run_study`: teachers and assistants, pilot, choices, confirm, verdicts. Read it top to bottom."""

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from darkprobe.errors import InvalidValueError
from darkprobe.files import write_json
from darkprobe.study.assistants import assistant_cells, train_assistants
from darkprobe.study.cells import Cell, Ledger, Result, Work, run_cells
from darkprobe.study.choices import choose
from darkprobe.study.engine import engine, on_one_thread
from darkprobe.study.outputs import write_outputs
from darkprobe.study.parts import study_split
from darkprobe.study.plan import Study
from darkprobe.study.plan_check import check_names
from darkprobe.study.progress import Bar, progress_bars
from darkprobe.study.roster import confirm_students, pilot_students
from darkprobe.study.runs import run_rows, to_table
from darkprobe.study.student_training import train_students
from darkprobe.study.students import Student, student_cells
from darkprobe.study.teachers import Stems, have_logits, stems_of, teacher_cells, train_teachers


def run_study(
    study: Study,
    directory: Path | str,
    *,
    workers: int | None = None,
    dask: str | None = None,
    patience: float | None = None,
    progress: bool = True,
) -> Path:
    """Runs what of the study is not done yet and returns the directory, which then holds plan, store, runs, verdicts,
    tables and figures.

    Args:
        study: the plan.
        directory: new, empty, or of a study: finished members of cells in it are kept, so that running again resumes
            and a changed plan runs only what changed.
        workers: processes of one thread each; 1 runs in this process. By default one per core. The results have the
            same bits whatever the number.
        dask: address of a Dask scheduler whose workers see `directory`, or "local"; None for none.
        patience: seconds to wait for the next cell before workers are taken to hang; None waits for ever.
        progress: show a progress bar on stderr.

    Raises:
        DarkprobeError: a worker was killed or hangs, or the disk is full; what was finished is kept.
        InvalidValueError: the directory holds something else.
        UnknownNameError: the plan names a model, method or edit that does not exist.
    """
    check_names(study)
    directory = Path(directory).resolve()
    check_directory(directory)
    (directory / "cells").mkdir(parents=True, exist_ok=True)
    if not (directory / "verdicts.json").exists():  # what `study status` reads until the outputs are written
        write_json(directory / "study.json", study.as_dict())
    with engine(workers=workers, dask=dask) as executor, progress_bars(shown=progress) as bar:
        run = _Run(study, Ledger(directory), executor, bar, patience)
        stems = run.teachers()
        stems |= run.assistants(stems)
        pilot = {r: pilot_students(study, r, stems) for r in study.pilot_replicates}
        rows = run.students(pilot, phase="pilot")
        choices = choose(study, to_table(rows))
        confirm = {r: confirm_students(study, r, stems, choices=choices) for r in study.confirm_replicates}
        rows += run.students(confirm, phase="confirm")
    write_outputs(study, directory, rows=rows, choices=choices, stems=stems)
    return directory


def check_directory(directory: Path) -> None:
    """Refuses a directory that holds anything but a study."""
    if not directory.exists():
        return
    if not directory.is_dir() or (any(directory.iterdir()) and not (directory / "cells").is_dir()):
        raise InvalidValueError(
            f"run_study: `directory` must be new, empty, or that of a study, got {str(directory)!r}, which holds "
            "something else. Choose another path."
        )


_WORK: dict[str, Work] = {
    "teachers": train_teachers,
    "assistants": train_assistants,
    "students": train_students,
}


@on_one_thread
def work(cell: Cell, directory: Path) -> list[Result]:
    """Runs one cell; one result a member."""
    return _WORK[cell.kind](cell, directory)


@dataclass(frozen=True)
class _Run:
    """The study in its directory with what runs its cells."""

    study: Study
    ledger: Ledger
    executor: Executor
    bar: Bar
    patience: float | None

    def cells(self, cells: list[Cell], what: str) -> list[list[Result]]:
        advance = self.bar(what, sum(len(cell.members) for cell in cells))
        return run_cells(cells, work, self.ledger, executor=self.executor, done=advance, patience=self.patience)

    def teachers(self) -> Stems:
        cells = sorted(teacher_cells(self.study), key=lambda cell: -len(cell.members))
        return stems_of(cells, self._with_logits(cells, "training teachers"))

    def assistants(self, stems: Stems) -> Stems:
        cells = assistant_cells(self.study, stems)
        results = self._with_logits(list(cells.values()), "training assistants") if cells else []
        return {key: result["stem"] for key, (result,) in zip(cells, results, strict=True)}

    def _with_logits(self, cells: list[Cell], what: str) -> list[list[Result]]:
        for cell in cells:  # a result without its logits (a store that was deleted) is run again
            self.ledger.forget(cell, unless=partial(have_logits, cell, self.ledger.directory))
        return self.cells(cells, what)

    def students(self, students: dict[int, list[Student]], *, phase: str) -> list[dict[str, Any]]:
        read_test = phase == "confirm"
        cells = {r: student_cells(self.study, r, chosen, read_test=read_test) for r, chosen in students.items()}
        results = iter(self.cells([cell for some in cells.values() for cell in some], f"{phase} students"))
        rows: list[dict[str, Any]] = []
        for r, chosen in students.items():
            found = [result for _ in cells[r] for result in next(results)]
            dataset = study_split(self.study, r, "val").dataset
            rows += run_rows(self.study, chosen, found, phase=phase, replicate=r, dataset=dataset)
        return rows
