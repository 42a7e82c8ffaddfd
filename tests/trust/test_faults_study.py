"""Faults of the world around a study: killed, hanging and interrupted workers, a full disk, damaged cells."""

import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_faults_store import mounted, unprivileged

from darkprobe.errors import DarkprobeError, DataError
from darkprobe.files import content_hash
from darkprobe.study.cells import Cell, Ledger, Result, SerialExecutor, Work, run_cells
from darkprobe.study.engine import engine

CELLS = [Cell(kind="made", shared={"seed": 1}, members=({"number": number},)) for number in range(12)]


def square(cell: Cell, directory: Path) -> list[Result]:
    """The work of a sound cell."""
    return [{"value": member["number"] ** 2} for member in cell.members]


def once(cell: Cell, directory: Path, fault: str) -> list[Result]:
    """Cell 5 meets a fault the first time it is run."""
    mark = directory / "met"
    if cell.members[0]["number"] == 5 and not mark.exists():
        mark.touch()
        if fault == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(6000)
    return square(cell, directory)


def dies(cell: Cell, directory: Path) -> list[Result]:
    """Killed, as by a kernel that is out of memory."""
    return once(cell, directory, "dies")


def hangs(cell: Cell, directory: Path) -> list[Result]:
    """Does not come back."""
    return once(cell, directory, "hangs")


def values(results: list[list[Result]]) -> list[int]:
    return [result["value"] for one in results for result in one]


EXPECTED = [number**2 for number in range(12)]


@pytest.mark.parametrize(
    ("work", "patience", "message"),
    [
        (dies, 3000.0, "was killed"),
        pytest.param(hangs, 20.0, "must finish every 20 s, got none", marks=pytest.mark.trust),
    ],
)
def test_a_worker_that_dies_or_hangs_is_named_and_finished_cells_are_kept(
    work: Work, patience: float, message: str, tmp_path: Path
) -> None:
    (tmp_path / "cells").mkdir()
    begun = time.monotonic()
    with pytest.raises(DarkprobeError, match=rf"{message}.*run the same command again"), engine(workers=2) as pool:
        run_cells(CELLS, work, Ledger(tmp_path), executor=pool, patience=patience)
    assert time.monotonic() - begun < 3000, "the hanging worker was waited for"
    assert active_children() == []
    kept = {path.name: path.read_bytes() for path in (tmp_path / "cells").glob("*.json")}
    with engine(workers=2) as pool:
        assert values(run_cells(CELLS, work, Ledger(tmp_path), executor=pool, patience=3000.0)) == EXPECTED
    after = {path.name: path.read_bytes() for path in (tmp_path / "cells").glob("*.json")}
    assert kept.items() <= after.items(), "a finished cell was run again"


def test_a_damaged_cell_is_named_and_removing_it_runs_it_alone_again(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    run_cells(CELLS, square, Ledger(tmp_path), executor=SerialExecutor())
    path = CELLS[3].path(tmp_path)
    sound = path.read_text()
    path.write_text(sound.replace('"value": 9', '"value": 8'))
    with pytest.raises(DataError, match=rf"{path.name} must match its own hash.*Remove it"):
        Ledger(tmp_path)
    path.write_text(sound[: len(sound) // 2])
    with pytest.raises(DataError, match=rf"{path.name} must be JSON"):
        Ledger(tmp_path)
    path.unlink()
    ran: list[int] = []

    def counting(cell: Cell, directory: Path) -> list[Result]:
        ran.append(cell.members[0]["number"])
        return square(cell, directory)

    assert values(run_cells(CELLS, counting, Ledger(tmp_path), executor=SerialExecutor())) == EXPECTED
    assert ran == [3]


def test_two_ledgers_of_one_directory_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    first, second = Ledger(tmp_path), Ledger(tmp_path)  # two commands that start at the same time
    assert values(run_cells(CELLS, square, first, executor=SerialExecutor())) == EXPECTED
    written = {path.name: path.read_bytes() for path in (tmp_path / "cells").iterdir()}
    assert values(run_cells(CELLS, square, second, executor=SerialExecutor())) == EXPECTED
    assert {path.name: path.read_bytes() for path in (tmp_path / "cells").iterdir()} == written


def test_a_full_disk_keeps_whole_cells_only(tmp_path: Path) -> None:
    def large(cell: Cell, directory: Path) -> list[Result]:
        return [{"value": cell.members[0]["number"] ** 2, "bulk": "x" * 30_000}]

    with mounted(tmp_path / "small", "size=192k") as place:
        (place / "cells").mkdir()
        with pytest.raises(DarkprobeError, match=r"No space left on device.*What was finished is kept"):
            run_cells(CELLS, large, Ledger(place), executor=SerialExecutor())
        kept = len(Ledger(place)._results)
        assert 0 < kept < len(CELLS)
        assert len(list((place / "cells").iterdir())) == kept, "something half-written was left"


def test_permission_that_is_lost_halfway_is_named_and_finished_cells_are_kept() -> None:
    def taking_away(cell: Cell, directory: Path) -> list[Result]:
        if cell.members[0]["number"] == 5:
            (directory / "cells").chmod(0o500)
        return square(cell, directory)

    with unprivileged() as place:
        (place / "cells").mkdir()
        with pytest.raises(DarkprobeError, match=r"Permission denied.*give back the right.*run the same command again"):
            run_cells(CELLS, taking_away, Ledger(place), executor=SerialExecutor())
        kept = {path.name for path in (place / "cells").glob("*.json")}
        assert kept == {cell.path(place).name for cell in CELLS[:5]}
        (place / "cells").chmod(0o700)
        assert values(run_cells(CELLS, square, Ledger(place), executor=SerialExecutor())) == EXPECTED


def test_a_clock_that_jumps_changes_no_byte_and_no_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homes = tmp_path / "steady" / "cells", tmp_path / "jumping" / "cells"
    for home in homes:
        home.mkdir(parents=True)
    run_cells(CELLS, square, Ledger(tmp_path / "steady"), executor=SerialExecutor())
    jumps = iter(range(0, 10**9, 86_400))
    monkeypatch.setattr("time.time", lambda: 4e9 - next(jumps))
    with engine(workers=2) as pool:
        run_cells(CELLS, square, Ledger(tmp_path / "jumping"), executor=pool, patience=3000.0)
    steady, jumping = (
        {p.name: p.read_bytes() for p in (tmp_path / n / "cells").iterdir()} for n in ("steady", "jumping")
    )
    assert steady == jumping


@pytest.mark.parametrize(
    "change",
    [
        {"kind": 1},
        {"shared": []},
        {"members": {}},
        {"members": [1]},
        {"results": None},
        {"results": []},
        {"results": [[]]},
    ],
)
def test_a_cell_that_is_wrong_inside_is_named_though_its_hash_is_right(change: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    run_cells(CELLS[:1], square, Ledger(tmp_path), executor=SerialExecutor())
    path = CELLS[0].path(tmp_path)
    record = {key: value for key, value in json.loads(path.read_text()).items() if key != "sha256"} | change
    path.write_text(json.dumps({**record, "sha256": content_hash(record)}))
    with pytest.raises(DataError, match=rf"{path.name} must hold kind, shared, members and as many results"):
        Ledger(tmp_path)


SLOW_STUDY = """
import sys
from pathlib import Path
sys.path[:0] = [{trust!r}, {study!r}]
import darkprobe.study as study_room
import darkprobe.cli.verify
from small_study import SMALL
from dataclasses import replace
study_room.find_study = lambda name, **kept: replace(SMALL, confirm=400)
from darkprobe.cli import main
sys.argv = ["darkprobe", "verify", "slow", "--out", {out!r}, "--workers", {workers!r}]
main()
"""


@pytest.mark.parametrize(
    ("number", "workers"), [pytest.param(signal.SIGINT, "2", marks=pytest.mark.trust), (signal.SIGTERM, "1")]
)
def test_one_signal_is_a_clean_stop_with_the_command_that_resumes(
    number: signal.Signals, workers: str, tmp_path: Path
) -> None:
    here, out = Path(__file__).parent, tmp_path / "out"
    code = SLOW_STUDY.format(trust=str(here), study=str(here.parent / "study"), out=str(out), workers=workers)
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(list(out.glob("cells/*.json"))) < 4:
        time.sleep(0.05)
        assert running.poll() is None, running.communicate()[1]
    os.killpg(running.pid, number)  # a terminal sends Ctrl-C to the whole group
    told = running.communicate(timeout=60)[1]
    assert running.returncode == 1, told
    assert "To go on, run: darkprobe verify slow --out" in told and "Traceback" not in told, told
    assert list(out.glob("cells/*.tmp")) == []
    Ledger(out)  # every cell that is there is whole


def test_an_error_of_the_work_itself_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def reads(cell: Cell, directory: Path) -> list[Result]:
        raise FileNotFoundError("images.npy")

    (tmp_path / "cells").mkdir()
    with pytest.raises(FileNotFoundError, match="images"):
        run_cells(CELLS, reads, Ledger(tmp_path), executor=SerialExecutor())
