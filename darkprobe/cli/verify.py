"""`darkprobe verify`: the whole loop, from teachers to verdicts."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from darkprobe.study import Study


def verify(
    study: str = typer.Argument(..., help="A built-in study (`darkprobe study list`), or the path of a .toml file."),
    out: Path = typer.Option(None, "--out", "-o", help="Directory of the study; running again resumes."),
    workers: int = typer.Option(
        None, "--workers", min=1, help="Processes of one thread each; one per core by default."
    ),
    dask: str = typer.Option(None, "--dask", help="Address of a Dask scheduler, or 'local'."),
    patience: float = typer.Option(
        None, "--patience", min=1, help="Seconds without a finished cell after which workers are taken to hang."
    ),
    seed: int = typer.Option(None, "--seed", min=0, help="Seed of the whole study, instead of the plan's."),
    confirm: int = typer.Option(
        None, "--confirm", min=2, help="Confirm replicates, instead of the plan's: some now, more in another sitting."
    ),
    edition: str = typer.Option("full", "--edition", help="full, or 2-core: cut down for 2 cores, and labelled so."),
    data: str = typer.Option(None, "--data", help="Data name instead of the plan's, e.g. parquet:DIR."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say how many cells, how long, how much disk."),
    smoke: bool = typer.Option(False, "--smoke", help="Few replicates and epochs: does everything work?"),
) -> None:
    """Train teachers and students, test the hypotheses, write tables, figures, verdicts and the report."""
    import dataclasses

    from darkprobe.cli.stopping import stopping_cleanly
    from darkprobe.report import write_report
    from darkprobe.study import check_names, find_study, run_study
    from darkprobe.study.parts import for_smoke, with_data

    plan = find_study(study, edition=edition)
    if data is not None:
        plan = with_data(plan, data)
    if seed is not None:
        plan = dataclasses.replace(plan, seed=seed)
    if confirm is not None:
        plan = plan.so_far(confirm)
    if smoke:
        plan = for_smoke(plan)
    check_names(plan)
    if dry_run:
        _print_estimate(plan, workers)
        return
    if out is None:
        raise typer.BadParameter("is needed, unless --dry-run is given", param_hint="--out")
    with stopping_cleanly():
        directory = run_study(plan, out, workers=workers, dask=dask, patience=patience)
        page = write_report(directory)
    _print_verdicts(directory)
    typer.echo(str(page))


def _print_estimate(plan: "Study", workers: int | None) -> None:
    from darkprobe.study import estimate_study
    from darkprobe.study.engine import cores

    found, count = estimate_study(plan), workers or cores()
    if plan.caution:
        typer.echo(plan.caution.strip())
    for kind, cells in found.cells.items():
        networks = found.members[kind]
        typer.echo(f"{kind:<17} {cells:>6} cells  {networks:>7} networks  {found.seconds[kind]:>9.1f} s of one core")
    typer.echo(f"about {_time(found.wall_seconds(count))} on {count} workers, {found.bytes / 1e6:.1f} MB on disk")


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _print_verdicts(directory: Path) -> None:
    import json

    found = json.loads((directory / "verdicts.json").read_text())
    for key, verdict in found.items():
        if verdict["family"] != "controls" or not verdict["as_expected"]:
            typer.echo(f"{key}: {verdict['sentence']}\n")
    controls = [verdict["as_expected"] for verdict in found.values() if verdict["family"] == "controls"]
    if controls:
        typer.echo(f"Controls: {sum(controls)} of {len(controls)} came out as planted.\n")
