"""Cells: the independent pieces of a study. A cell is a stack of members that train side by side; each member has an
address made of everything that determines it, and what has an address in the ledger is never run again. So any run can
be resumed, running twice does no harm, and a changed plan runs only the members that changed.
"""

import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from darkprobe.errors import DarkprobeError, DataError
from darkprobe.files import content_hash, read_json, write_json

Result = dict[str, Any]
"""What one member came to, JSON-ready."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One piece of work: members that run together.

    Attributes:
        kind: which function runs it: "teachers", "assistants", "students" or "readings".
        shared: JSON-ready values that determine the result of every member.
        members: what further determines each member's own result; they do not influence each other.
    """

    kind: str
    shared: dict[str, Any]
    members: tuple[dict[str, Any], ...]

    @cached_property
    def key(self) -> str:
        """Hash of the members' addresses."""
        return content_hash(self.addresses)[:20]

    @cached_property
    def addresses(self) -> list[str]:
        """Hash of everything that determines each member."""
        shared = content_hash([self.kind, self.shared])
        return [content_hash([shared, member]) for member in self.members]

    def path(self, directory: Path) -> Path:
        """Where the result lies under the study's directory."""
        return directory / "cells" / f"{self.key}.json"


Work = Callable[[Cell, Path], list[Result]]
"""Runs a cell in a study's directory: one result a member. Importable by worker processes."""


_KEPT = "What was finished is kept: run the same command again"


class Ledger:
    """Results of all members that a study's directory holds, by address; kept in step with `cells/`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._results: dict[str, Result] = {}
        self._files: dict[str, Path] = {}
        for path in sorted((directory / "cells").glob("*.json")):
            stored = _read_cell(path)
            if "members" in stored:  # a file of another layout holds nothing that could be used
                self._take(_cell_of(stored), stored["results"], path)

    def __contains__(self, address: str) -> bool:
        return address in self._results

    def __getitem__(self, address: str) -> Result:
        return self._results[address]

    def add(self, cell: Cell, results: list[Result]) -> None:
        """Writes the results of a cell, through a rename, and takes them up. Where an older file holds results of the
        same members, it loses them: a teacher that was trained again may have come out in other bits.
        """
        path = cell.path(self.directory)
        with _told_as_ours(path):
            _write_cell(path, cell, results)
            older = {self._files[address] for address in cell.addresses if address in self._files} - {path}
            for file in older:
                _leave_out(file, set(cell.addresses))
        self._take(cell, results, path)

    def _take(self, cell: Cell, results: list[Result], path: Path) -> None:
        for address, result in zip(cell.addresses, results, strict=True):
            self._results[address] = {"cell_id": cell.key, **result}
            self._files[address] = path

    def adopt(self, directory: Path) -> None:
        """Takes over from another study's directory the cells none of whose members are known here."""
        for path in sorted((directory / "cells").glob("*.json")):
            stored = _read_cell(path)
            cell = _cell_of(stored)
            if not any(address in self for address in cell.addresses):
                self.add(cell, stored["results"])

    def forget(self, cell: Cell) -> None:
        """Forgets the results of the cell's members; they will be run again, together."""
        for address in cell.addresses:
            self._results.pop(address, None)

    def missing(self, cell: Cell) -> Cell | None:
        """The cell with only those members, each once, that have no result; None when there are none."""
        unique = dict(zip(cell.addresses, cell.members, strict=True))
        members = tuple(member for address, member in unique.items() if address not in self)
        return replace(cell, members=members) if members else None

    def results(self, cell: Cell) -> list[Result]:
        """One result a member, each with the `cell_id` under which it was stored."""
        return [self[address] for address in cell.addresses]


def _cell_of(stored: dict[str, Any]) -> Cell:
    return Cell(kind=stored["kind"], shared=stored["shared"], members=tuple(stored["members"]))


def _write_cell(path: Path, cell: Cell, results: list[Result]) -> None:
    record = {"kind": cell.kind, "shared": cell.shared, "members": cell.members, "results": results}
    write_json(path, {**record, "sha256": content_hash(record)}, indent=None)


def _leave_out(path: Path, addresses: set[str]) -> None:
    """Writes a cell's file again without these members; removes it where none are left."""
    stored = _read_cell(path)
    cell = _cell_of(stored)
    kept = [i for i, address in enumerate(cell.addresses) if address not in addresses]
    if kept:
        members = tuple(cell.members[i] for i in kept)
        _write_cell(path, replace(cell, members=members), [stored["results"][i] for i in kept])
    else:
        path.unlink()


@contextmanager
def _told_as_ours(path: Path) -> Iterator[None]:
    """A file that cannot be written is an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise DarkprobeError(
            f"run_study: {path} must be written, got {error}. Free the disk, or give back the right to write. {_KEPT}."
        ) from error


def _read_cell(path: Path) -> dict[str, Any]:
    """What a cell's file holds, after its hash has been found right (files of before the hash have none)."""
    stored = read_json(path, who="study")
    claimed = stored.pop("sha256", None)
    if "members" in stored and not _is_record(stored):
        raise DataError(
            f"study: {path} must hold kind, shared, members and as many results, got something else. Remove it: the "
            "same `darkprobe verify` runs its cell again, and no other."
        )
    if claimed is not None and claimed != content_hash(stored):
        raise DataError(
            f"study: {path} must match its own hash, got a file that was changed or damaged. Remove it: the same "
            "`darkprobe verify` runs its cell again, and no other."
        )
    return stored


def _is_record(stored: dict[str, Any]) -> bool:
    members, results = stored["members"], stored.get("results")
    if not (isinstance(stored.get("kind"), str) and isinstance(stored.get("shared"), dict)):
        return False
    if not (isinstance(members, list) and isinstance(results, list) and len(members) == len(results)):
        return False
    return all(isinstance(value, dict) for value in [*members, *results])


class SerialExecutor(Executor):
    """Runs each call at once, in this process: the default engine."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """A finished future; what `fn` raises is kept in it."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # kept for whoever asks; the user's Ctrl-C is no Exception and passes
            future.set_exception(error)
        return future


def run_cells(
    cells: Iterable[Cell],
    work: Work,
    ledger: Ledger,
    *,
    executor: Executor,
    done: Callable[[int], None] = lambda members: None,
    patience: float | None = None,
) -> list[list[Result]]:
    """Results of the cells' members, in order; what the ledger holds is read, the rest run and written as it comes.

    Args:
        cells: what to run.
        work: how a cell is run.
        ledger: of the study.
        executor: any `concurrent.futures` executor.
        done: called with a number of finished members, for progress.
        patience: seconds to wait for the next cell before the workers are taken to hang; None waits for ever.

    Raises:
        DarkprobeError: a worker was killed, nothing finished for so long, or a result cannot be written. What was
            finished is kept.
    """
    cells = list(cells)
    reduced = {cell.key: left for cell in cells if (left := ledger.missing(cell)) is not None}
    waiting = list({left.key: left for left in reduced.values()}.values())
    done(sum(len(cell.members) for cell in cells) - sum(len(cell.members) for cell in waiting))
    for cell, results in _as_they_come(waiting, work, ledger.directory, executor, patience):
        ledger.add(cell, results)
        done(len(cell.members))
    return [ledger.results(cell) for cell in cells]


def _as_they_come(
    cells: Sequence[Cell], work: Work, directory: Path, executor: Executor, patience: float | None
) -> Iterator[tuple[Cell, list[Result]]]:
    if isinstance(executor, SerialExecutor):  # submit one at a time, so that each result is written before the next
        for cell in cells:
            yield cell, executor.submit(run_marked, work, cell, directory).result()
        return
    finished: SimpleQueue[Future[list[Result]]] = SimpleQueue()
    futures = {executor.submit(run_marked, work, cell, directory): cell for cell in cells}
    for future in futures:
        future.add_done_callback(finished.put)
    while futures:
        try:
            future = finished.get(timeout=patience)
        except Empty:
            raise DarkprobeError(
                f"run_study: a cell must finish every {patience:.0f} s, got none: a worker hangs, the cluster is gone, "
                f"or cells take longer. {_KEPT}, with more --patience if cells take that long."
            ) from None
        try:
            results = future.result()
        except BrokenProcessPool as error:
            raise DarkprobeError(
                f"run_study: a worker process was killed (out of memory, or by hand). {_KEPT}, with fewer --workers if "
                "memory was short."
            ) from error
        except CancelledError as error:  # how a Dask cluster that went away tells it
            raise DarkprobeError(f"run_study: the cluster dropped a cell ({error}). {_KEPT}.") from error
        yield futures.pop(future), results


def run_marked(work: Work, cell: Cell, directory: Path) -> list[Result]:
    """Runs a cell with a mark in `cells/` that says so as long as it runs."""
    with _mark(cell, directory):
        return work(cell, directory)


@contextmanager
def _mark(cell: Cell, directory: Path) -> Iterator[None]:
    path = cell.path(directory).with_suffix(f".{os.getpid()}.running")
    try:
        with _told_as_ours(path):
            path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))  # worth no flush to disk
        yield
    finally:
        with suppress(OSError):  # the right to remove it was lost: the result counts, not the mark
            path.unlink(missing_ok=True)
