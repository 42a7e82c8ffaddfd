"""`run_study`: teachers and assistants, pilot, choices, confirm, verdicts. Read it top to bottom."""

from collections.abc import Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from darkprobe.errors import InvalidValueError
from darkprobe.files import write_json
from darkprobe.study.assistants import assistant_cells, train_assistants
from darkprobe.study.cells import Cell, Ledger, Result, SerialExecutor, Work, run_cells
from darkprobe.study.choices import choose
from darkprobe.study.engine import engine, on_one_thread, one_thread
from darkprobe.study.ladder import own_metrics
from darkprobe.study.outputs import write_outputs
from darkprobe.study.parts import study_split
from darkprobe.study.plan import Study
from darkprobe.study.plan_check import check_names
from darkprobe.study.progress import Bar, progress_bars
from darkprobe.study.readings import logits_are_there, own_curves, read_teachers, reading_cells
from darkprobe.study.roster import confirm_students, pilot_students
from darkprobe.study.runs import run_rows, to_table
from darkprobe.study.softlabels import SoftLabels
from darkprobe.study.status import RUNNING
from darkprobe.study.student_training import train_students
from darkprobe.study.students import Student, student_cells
from darkprobe.study.teachers import TWIN_SEED, Stems, have_logits, stems_of, teacher_cells, train_teachers


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
        workers: processes of one thread each; 1 runs in this process. By default one per core. On the processor the
            results have the same bits whatever the number; on a GPU, where networks with batch norm train when there is
            one, they agree to rounding of one network and drift apart as networks learn.
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
    for name in (RUNNING, *(["study.json"] if not (directory / "verdicts.json").exists() else [])):
        write_json(directory / name, study.as_dict())
    with engine(workers=workers, dask=dask) as executor, progress_bars(shown=progress) as bar:
        run = _Run(study, Ledger(directory), executor, bar, patience)
        taught_by = None
        while (stems := run.teachers()) != taught_by:  # twice only where lost teachers came out in other bits
            taught_by = stems
            rows = run.students(study.pilot_replicates, partial(pilot_students, study), phase="pilot")
            choices = choose(study, to_table(rows))
            roster = partial(confirm_students, study, choices=choices)
            rows += run.students(study.confirm_replicates, roster, phase="confirm")
        soft = run.readings()
    write_outputs(study, directory, rows=rows, choices=choices, soft=soft)
    (directory / RUNNING).unlink()
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
        if not any(map(self.ledger.missing, cells)):
            return [self.ledger.results(cell) for cell in cells]
        advance = self.bar(what, sum(len(cell.members) for cell in cells))
        return run_cells(cells, work, self.ledger, executor=self.executor, done=advance, patience=self.patience)

    def teachers(self, *, present: Collection[int] = ()) -> Stems:
        """Trains teachers and assistants that were never trained, and of the replicates in `present` those whose logits
        are gone (a store that was deleted, or left behind on another machine).
        """
        seeds = {self.study.replicate_seed(r) for r in present}
        cells = sorted(teacher_cells(self.study), key=lambda cell: -len(cell.members))
        stems = stems_of(cells, self._with_logits(cells, "training teachers", seeds))
        helping = assistant_cells(self.study, stems)
        trained = self._with_logits(list(helping.values()), "training assistants", seeds) if helping else []
        return stems | {key: result["stem"] for key, (result,) in zip(helping, trained, strict=True)}

    def _with_logits(self, cells: list[Cell], what: str, seeds: set[int]) -> list[list[Result]]:
        def lost(cell: Cell, result: Result) -> bool:
            needed = result["seed"] in seeds or result["seed"] - TWIN_SEED in seeds
            return needed and not have_logits(cell, self.ledger.directory, result)

        for cell in cells:  # the whole cell, because the bits of a stack's members depend on its size
            if any(lost(cell, self.ledger[address]) for address in cell.addresses if address in self.ledger):
                self.ledger.forget(cell)
        return self.cells(cells, what)

    def students(
        self, replicates: range, roster: Callable[[int, Stems], list[Student]], *, phase: str
    ) -> list[dict[str, Any]]:
        """The rows of a phase; logits are needed of replicates alone that lack a student or, after the pilot, the
        reading of their teachers.
        """
        confirm, directory = phase == "confirm", self.ledger.directory
        stems, before = self.teachers(), Stems()
        while stems != before:  # again where teachers came out in other bits: another processor, another stack
            before = stems
            cells = {r: student_cells(self.study, r, roster(r, stems), read_test=confirm) for r in replicates}
            wanted = self._reading_cells(stems) if confirm else {}
            unread = {r for r, c in wanted.items() if self.ledger.missing(c) and not logits_are_there(c, directory)}
            lacking = [r for r, some in cells.items() if r in unread or any(map(self.ledger.missing, some))]
            stems = self.teachers(present=lacking)
        results = iter(self.cells([cell for some in cells.values() for cell in some], f"{phase} students"))
        rows: list[dict[str, Any]] = []
        for r in replicates:
            found = [result for _ in cells[r] for result in next(results)]
            dataset = study_split(self.study, r, "val").dataset
            rows += run_rows(self.study, roster(r, stems), found, phase=phase, replicate=r, dataset=dataset)
        return rows

    def readings(self) -> SoftLabels:
        """What the teachers of the confirm replicates look like; comes after their students, who see to the logits."""
        cells = list(self._reading_cells(self.teachers()).values())
        missing = any(map(self.ledger.missing, cells))
        advance = self.bar("reading teachers", len(cells)) if missing else lambda members: None
        with one_thread():  # and in this process, which knows the user's own metrics
            found = run_cells(cells, read_teachers, self.ledger, executor=SerialExecutor(), done=advance)
            own = [own_curves(cell, self.ledger.directory) for cell in cells] if own_metrics() else [None]
        known = [curves for curves in own if curves is not None]
        everywhere = np.stack(known) if len(known) == len(cells) else None
        return SoftLabels(self.study, [result for (result,) in found], everywhere)

    def _reading_cells(self, stems: Stems) -> dict[int, Cell]:
        return dict(zip(self.study.confirm_replicates, reading_cells(self.study, stems), strict=True))
