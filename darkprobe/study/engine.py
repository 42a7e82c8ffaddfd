"""Where cells run: this process, processes of this machine, or a Dask cluster."""

import functools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from darkprobe.errors import InvalidValueError, MissingDependencyError
from darkprobe.study.cells import Cell, Result, SerialExecutor


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def engine(*, workers: int | None = None, dask: str | None = None) -> Iterator[Executor]:
    """An executor for cells, shut down at the end of the block.

    Args:
        workers: processes of one thread each; 1 runs in this process. By default one per core.
        dask: address of a Dask scheduler, e.g. "tcp://10.0.0.1:8786", whose workers see the study's directory; or
            "local" for a cluster of `workers` processes on this machine.

    Raises:
        MissingDependencyError: Dask is asked for and not installed.
        InvalidValueError: both an address and a number of workers are given: a cluster has its own.
    """
    if dask is not None:
        with _dask_executor(dask, workers) as executor:
            yield executor
        return
    count = cores() if workers is None else workers
    if count <= 1:
        yield SerialExecutor()
        return
    earlier = set(active_children())
    with ProcessPoolExecutor(count, mp_context=get_context("forkserver"), initializer=_end_with_driver) as pool:
        try:
            yield pool
        except BaseException:  # a pool waits at its end for running cells; one that hangs would keep the error back
            for worker in set(active_children()) - earlier:
                worker.kill()
            raise


@contextmanager
def one_thread() -> Iterator[None]:
    """The block computes on one thread, so that its bits do not depend on the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def on_one_thread(work: Callable[[Cell, Path], list[Result]]) -> Callable[[Cell, Path], list[Result]]:
    """The same work on one thread, so that a cell's bits do not depend on how many workers there are; each result with
    its share of the `seconds`.
    """

    @functools.wraps(work)
    def run(cell: Cell, directory: Path) -> list[Result]:
        begun = time.perf_counter()
        with one_thread():
            results = work(cell, directory)
        seconds = (time.perf_counter() - begun) / len(results)
        return [{**result, "seconds": seconds} for result in results]

    return run


def _end_with_driver() -> None:
    """Run in a new worker: has it end when its driver does, killed drivers included, instead of waiting for ever."""
    Thread(target=_outlive_no_driver, daemon=True).start()


def _outlive_no_driver() -> None:
    driver = parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


@contextmanager
def _dask_executor(address: str, workers: int | None) -> Iterator[Executor]:
    try:
        import dask
        import distributed
    except ImportError:
        raise MissingDependencyError(
            "run_study: a Dask cluster needs dask.distributed. Install it: pip install 'darkprobe[cluster]'."
        ) from None
    if address != "local" and workers is not None:
        raise InvalidValueError(
            f"run_study: `workers` must be left out with a Dask address, got {workers}: the cluster has its own. "
            "Leave it out."
        )
    library: Any = distributed  # its classes are not annotated
    with ExitStack() as stack:
        if address == "local":
            # A cell is run again however often its worker dies: an error in a cell is raised, a death is not its fault.
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 1000}))
            cluster = library.LocalCluster(n_workers=workers or cores(), threads_per_worker=1, dashboard_address=None)
            client = stack.enter_context(library.Client(stack.enter_context(cluster)))
        else:
            client = stack.enter_context(library.Client(address))
        yield stack.enter_context(client.get_executor(pure=False))
