"""`run_generations`: pilot chains, choices, confirm chains, verdicts. Read it top to bottom."""

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from darkprobe.distill.methods import METHODS
from darkprobe.errors import InvalidValueError
from darkprobe.study.cells import Ledger, run_cells
from darkprobe.study.engine import engine
from darkprobe.study.generations.outputs import Row, chain_rows, choose_upbringings, write_outputs
from darkprobe.study.generations.plan import Generations, Upbringing
from darkprobe.study.generations.training import chain_cells, train_chains
from darkprobe.study.progress import Bar, progress_bars
from darkprobe.study.run import check_directory
from darkprobe.study.teachers import is_stacked

Chosen = list[tuple[str, Upbringing]]
"""(name of the chain, setting) of each chain of a replicate."""


def run_generations(
    plan: Generations, directory: Path | str, *, workers: int | None = None, progress: bool = True
) -> Path:
    """Runs what of the study is not done yet and returns the directory, which then holds plan, runs, verdicts, tables
    and the figure.

    Args:
        plan: of the study.
        directory: new, empty, or of this study: finished chains in it are kept.
        workers: processes of one thread each; 1 runs in this process. By default one per core. The results have the
            same bits whatever the number.
        progress: show a progress bar on stderr.

    Raises:
        DarkprobeError: a worker was killed, or the disk is full; what was finished is kept.
        InvalidValueError: the directory holds something else, or the plan does not fit its data or architecture.
    """
    check_plan(plan)
    directory = Path(directory).resolve()
    check_directory(directory)
    (directory / "cells").mkdir(parents=True, exist_ok=True)
    with engine(workers=workers) as executor, progress_bars(shown=progress) as bar:
        run = _Run(plan, Ledger(directory), executor, bar)
        rows = run.chains(settings_of(plan), phase="pilot")
        chosen = choose_upbringings(plan, pd.DataFrame(rows))
        rows += run.chains(list(chosen.items()), phase="confirm")
    write_outputs(plan, directory, rows=rows, chosen=chosen)
    return directory


def settings_of(plan: Generations) -> Chosen:
    """Every setting of every chain."""
    return [(chain.name, setting) for chain in plan.chains for setting in chain.grid]


def check_plan(plan: Generations) -> None:
    """Refuses, before anything is trained, a K that the data have not classes for, and augmentation of stacks."""
    classes = plan.source.split("train", plan.replicate_seed(0)).num_classes
    for _, setting in settings_of(plan):
        METHODS["tolerant"].resolved({"k": setting.k})
        if setting.first_ce_weight < 1 and setting.k > classes:
            raise InvalidValueError(
                f"Generations: `k` must be at most {classes}, the number of classes, got {setting.k}. Choose fewer."
            )
    if is_stacked(plan.architecture) and plan.policy != "clean":
        raise InvalidValueError(
            f"Generations: `policy` must be clean for networks without batch norm, got {plan.policy!r}: they train "
            "side by side on the examples themselves. Leave it out."
        )


@dataclass(frozen=True)
class _Run:
    """The study in its directory with what runs its cells."""

    plan: Generations
    ledger: Ledger
    executor: Executor
    bar: Bar

    def chains(self, chosen: Chosen, *, phase: str) -> list[Row]:
        """Rows of these chains on every replicate of the phase; the test part is read on the confirm ones alone."""
        plan, confirm = self.plan, phase == "confirm"
        replicates = plan.confirm_replicates if confirm else plan.pilot_replicates
        settings = [setting for _, setting in chosen]
        cells = {r: chain_cells(plan, r, settings, read_test=confirm) for r in replicates}
        every = [cell for some in cells.values() for cell in some]
        done = self.bar(f"{phase} chains", sum(len(cell.members) for cell in every))
        results = iter(run_cells(every, train_chains, self.ledger, executor=self.executor, done=done))
        rows: list[Row] = []
        for r, some in cells.items():
            found = [result for _ in some for result in next(results)]
            for (name, setting), result in zip(chosen, found, strict=True):
                rows += chain_rows(phase, r, name, setting, result)
        return rows
