"""Worker processes do not outlive the process that gave them work."""

import os
import signal
import subprocess
import sys
import time

DRIVER = """
import os, sys, time
from darkprobe.study.engine import engine
if __name__ == "__main__":
    with engine(workers=2) as executor:
        futures = [executor.submit(os.getpid) for _ in range(2)] + [executor.submit(time.sleep, 600)]
        print(*{future.result() for future in futures[:2]}, flush=True)
        time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not asked for yet does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_workers_end_with_a_driver_that_was_killed() -> None:
    """One waits for work and one is at it."""
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        workers = [int(pid) for pid in driver.stdout.readline().split()]
        assert workers and all(map(alive, workers)) and driver.pid not in workers
        os.kill(driver.pid, signal.SIGKILL)
        until = time.monotonic() + 20
        while any(map(alive, workers)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(map(alive, workers))
