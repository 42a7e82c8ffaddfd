"""A Dask scheduler that goes away in the middle of a study: an error that says so, and nothing finished is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from darkprobe.errors import DarkprobeError
from darkprobe.study.cells import Cell, Ledger, Result, SerialExecutor, run_cells
from darkprobe.study.engine import engine

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.trust, pytest.mark.filterwarnings("ignore")]  # what is cut off leaves open sockets behind

CELLS = [Cell(kind="made", shared={"seed": 1}, members=({"number": number},)) for number in range(40)]
SCHEDULER = """
from distributed import LocalCluster
if __name__ == "__main__":
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    print(cluster.scheduler_address, flush=True)
    import time
    time.sleep(600)
"""


def slow_square(cell: Cell, directory: Path) -> list[Result]:
    time.sleep(0.2)
    return [{"value": member["number"] ** 2} for member in cell.members]


def test_a_scheduler_that_goes_away_is_named(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    script = tmp_path / "scheduler.py"
    script.write_text(SCHEDULER)
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    cluster = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=here, start_new_session=True
    )
    assert cluster.stdout is not None
    address = cluster.stdout.readline().strip()

    def take_away() -> None:
        while len(list((tmp_path / "cells").glob("*.json"))) < 3:
            time.sleep(0.05)
        os.killpg(cluster.pid, signal.SIGKILL)

    threading.Thread(target=take_away).start()
    ledger = Ledger(tmp_path)
    with (
        pytest.raises(DarkprobeError, match=r"the cluster dropped a cell.*run the same command again"),
        engine(dask=address) as executor,
    ):
        run_cells(CELLS, slow_square, ledger, executor=executor, patience=600.0)
    cluster.wait()
    kept = len(list((tmp_path / "cells").glob("*.json")))
    assert 3 <= kept < len(CELLS)
    results = run_cells(CELLS, slow_square, Ledger(tmp_path), executor=SerialExecutor())
    assert [result["value"] for one in results for result in one] == [number**2 for number in range(40)]
