"""Workers of a Dask cluster and drivers of a study, killed while they work."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def killing(cluster: Any, *, every: float, at_most: int = 12) -> Iterator[list[int]]:
    """kill -9 on one worker after the other; their nannies start new ones. Yields the list of the killed.

    It ends after `at_most`: on a busy machine new workers could be killed before they have done anything, for ever.
    """
    killed: list[int] = []
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(every) and len(killed) < at_most:
            pids = [n.pid for n in cluster.workers.values() if n.pid and n.pid not in killed]
            if pids:
                os.kill(pids[0], signal.SIGKILL)
                killed.append(pids[0])

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def kill_driver(study: str, address: str, out: Path, *, after: int) -> None:
    """Runs a study of `small_study` in a process of its own and kills that when it has written so many more cells."""
    already = len(list((out / "cells").glob("*.json")))
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from small_study import {study}; "
        f"from darkprobe.study import run_study; run_study({study}, {str(out)!r}, dask={address!r}, progress=False)"
    )
    driver = subprocess.Popen([sys.executable, "-c", code])
    while len(list((out / "cells").glob("*.json"))) < already + after and driver.poll() is None:
        time.sleep(0.02)
    assert driver.poll() is None, "the driver ended before it could be killed"
    driver.kill()
    driver.wait()
