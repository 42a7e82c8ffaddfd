"""`darkprobe generations`: chains of networks that teach their successors, strict and tolerant."""

from pathlib import Path

import typer


def generations(
    study: str = typer.Argument(..., help="synthetic, digits or cifar10."),
    out: Path = typer.Option(None, "--out", "-o", help="Directory of the study; running again resumes."),
    workers: int = typer.Option(
        None, "--workers", min=1, help="Processes of one thread each; one per core by default."
    ),
    seed: int = typer.Option(None, "--seed", min=0, help="Seed of the whole study, instead of the plan's."),
    edition: str = typer.Option("full", "--edition", help="full, or 2-core (cifar10): cut down, and labelled so."),
    data: str = typer.Option(None, "--data", help="Data name instead of the plan's, e.g. parquet:DIR."),
    transfer_data: str = typer.Option(
        None, "--transfer-data", help="Data on which frozen features are tried, e.g. 'parquet:DIR?size=32'."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say how many networks of what kind."),
    smoke: bool = typer.Option(False, "--smoke", help="Few replicates and epochs: does everything work?"),
) -> None:
    """Train generations from strict and from tolerant first teachers; test whether tolerance teaches better (H7)."""
    import dataclasses
    import json

    from darkprobe.cli.stopping import stopping_cleanly
    from darkprobe.study.generations import find_generations, run_generations

    plan = find_generations(study, edition=edition)
    if data is not None:
        plan = dataclasses.replace(plan, source=dataclasses.replace(plan.source, data=data))
    if transfer_data is not None:
        plan = dataclasses.replace(plan, target=dataclasses.replace(plan.target, data=transfer_data))
    if seed is not None:
        plan = dataclasses.replace(plan, seed=seed)
    plan = plan.for_smoke() if smoke else plan
    if dry_run:
        settings = sum(len(chain.grid) for chain in plan.chains)
        for phase, count in (("pilot", plan.pilot * settings), ("confirm", plan.confirm * len(plan.chains))):
            typer.echo(f"{phase:<8} {count:>6} chains of {plan.count}  {count * plan.count:>6} {plan.architecture}")
        return
    if out is None:
        raise typer.BadParameter("is needed, unless --dry-run is given", param_hint="--out")
    with stopping_cleanly():
        directory = run_generations(plan, out, workers=workers)
    for key, verdict in json.loads((directory / "verdicts.json").read_text()).items():
        typer.echo(f"{key}: {verdict['sentence']}\n")
    typer.echo(str(directory / "figures" / "generations.png"))
