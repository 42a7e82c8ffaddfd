"""How far a study is: read from its directory alone, while it runs or after it was stopped."""

import json
import os
import socket
from collections import defaultdict
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from darkprobe.errors import DataError
from darkprobe.files import read_json
from darkprobe.study.assistants import assistant_cells
from darkprobe.study.cells import Cell, Ledger, Result
from darkprobe.study.choices import choose
from darkprobe.study.estimate import count_cells
from darkprobe.study.parts import study_split
from darkprobe.study.plan import Study
from darkprobe.study.plan_file import study_from
from darkprobe.study.roster import confirm_students, pilot_students
from darkprobe.study.runs import run_rows, to_table
from darkprobe.study.students import student_cells
from darkprobe.study.teachers import Stems, stems_of, teacher_cells

RUNNING = "running.json"
"""The plan that a study's directory is being run by; gone when its outputs are written."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a study is.

    Attributes:
        total, done: networks by kind.
        seconds_each: mean seconds of one core that a network of the kind took; None before the first.
        running: number of cells that are being run now.
    """

    total: dict[str, int]
    done: dict[str, int]
    seconds_each: dict[str, float | None]
    running: int

    @property
    def left(self) -> dict[str, int]:
        """Networks that are neither done nor read back, by kind."""
        return {kind: self.total[kind] - self.done[kind] for kind in self.total}

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at the number of cells that run now (at least one); None where nothing tells it yet.

        Students on the pilot and after it cost the same, so that either tells the other; an assistant is taken to cost
        what a teacher does until the first is trained.
        """
        each = dict(self.seconds_each)
        each["assistants"] = each.get("assistants") or each["teachers"]
        each["pilot students"] = each["pilot students"] or each["confirm students"]
        each["confirm students"] = each["confirm students"] or each["pilot students"]
        needed = [kind for kind, left in self.left.items() if left]
        known = [seconds * self.left[kind] for kind in needed if (seconds := each[kind]) is not None]
        return sum(known) / max(1, self.running) if len(known) == len(needed) else None


def read_plan(directory: Path | str) -> Study:
    """The plan that the study in `directory` follows.

    Raises:
        DataError: there is no study.
    """
    path = Path(directory) / "study.json"
    if not path.is_file():
        raise DataError(
            f"study: `directory` must hold a study (study.json), got {str(directory)!r}, which has none. Give the "
            "--out of `darkprobe verify`."
        )
    return _plan_in(path)


def _plan_in(path: Path) -> Study:
    values = read_json(path, who="study")
    known = {field.name for field in fields(Study)}
    return study_from({name: value for name, value in values.items() if name in known}, source=str(path))


def study_status(directory: Path | str) -> Status:
    """Networks done, left and their cost, and the cells that run now."""
    directory = Path(directory)
    running = (directory / RUNNING).is_file()
    study, ledger = _plan_in(directory / RUNNING) if running else read_plan(directory), Ledger(directory)
    total, stored = count_cells(study)[1], _stored(study, ledger)
    seconds = {kind: [r["seconds"] for r in stored.get(kind, [])] for kind in total}
    return Status(
        total=total,
        done={kind: len(found) for kind, found in seconds.items()},
        seconds_each={kind: sum(s) / len(s) if s else None for kind, s in seconds.items()},
        running=_running(directory),
    )


def _stored(study: Study, ledger: Ledger) -> dict[str, list[Result]]:
    """Stored results by kind; what waits for an earlier phase has none. Where replicates are added to a study, students
    of the old ones are found although teachers of the new ones are still to come.
    """
    cells = teacher_cells(study)
    found = {"teachers": _present(cells, ledger)}
    ready = [cell for cell in cells if not ledger.missing(cell)]
    stems: Stems = defaultdict(str, stems_of(ready, [ledger.results(cell) for cell in ready]))  # "": none yet
    helping = assistant_cells(study, stems)
    found["assistants"] = _present(list(helping.values()), ledger)
    stems |= {key: ledger.results(cell)[0]["stem"] for key, cell in helping.items() if not ledger.missing(cell)}
    chosen = {r: pilot_students(study, r, stems) for r in study.pilot_replicates}
    cells_of = {r: student_cells(study, r, students, read_test=False) for r, students in chosen.items()}
    pilot_cells = [cell for some in cells_of.values() for cell in some]
    found["pilot students"] = _present(pilot_cells, ledger)
    if any(ledger.missing(cell) for cell in pilot_cells):
        return found
    rows: list[dict[str, Any]] = []
    for r, students in chosen.items():
        dataset = study_split(study, r, "val").dataset
        results = [result for cell in cells_of[r] for result in ledger.results(cell)]
        rows += run_rows(study, students, results, phase="pilot", replicate=r, dataset=dataset)
    choices = choose(study, to_table(rows))
    last = [
        cell
        for r in study.confirm_replicates
        for cell in student_cells(study, r, confirm_students(study, r, stems, choices=choices), read_test=True)
    ]
    found["confirm students"] = _present(last, ledger)
    return found


def _present(cells: list[Cell], ledger: Ledger) -> list[Result]:
    """Stored results of the cells' networks, each once."""
    addresses = dict.fromkeys(address for cell in cells for address in cell.addresses)
    return [ledger[address] for address in addresses if address in ledger]


def _running(directory: Path) -> int:
    """Cells whose mark is there, but not those of dead processes of this machine, nor cells that are finished: what
    killed processes left behind.
    """
    marks = []
    for path in (directory / "cells").glob("*.running"):
        if path.with_name(f"{path.name.partition('.')[0]}.json").exists():
            continue
        try:
            mark = json.loads(path.read_text())
            marks.append(mark["host"] != socket.gethostname() or _alive(mark["pid"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue  # removed since it was listed, or no mark of ours
    return sum(marks)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
