"""`darkprobe study list | show | status`: a plan as a file, and how far a study is."""

from pathlib import Path

import typer

app = typer.Typer(name="study", help="Plans of studies, and how far a study is.", no_args_is_help=True)


@app.command("list")
def list_studies() -> None:
    """Prints the built-in studies."""
    from darkprobe.study import STUDIES
    from darkprobe.study.generations import GENERATIONS

    for name in STUDIES:
        typer.echo(f"{name:<18} {(STUDIES[name].__doc__ or '').splitlines()[0]}")
    typer.echo("\nRun by `darkprobe generations`:")
    for name in GENERATIONS:
        typer.echo(f"{name:<18} {(GENERATIONS[name].__doc__ or '').splitlines()[0]}")


@app.command("show")
def show(
    name: str = typer.Argument(..., help="A built-in study, or the path of a .toml file."),
    edition: str = typer.Option("full", "--edition", help="full or 2-core."),
) -> None:
    """Prints a plan as TOML: save it, change it, and give it to `verify`."""
    from darkprobe.study import find_study
    from darkprobe.study.plan_file import study_toml

    typer.echo(study_toml(find_study(name, edition=edition)), nl=False)


@app.command("status")
def status(directory: Path = typer.Argument(..., help="The --out of `darkprobe verify`.")) -> None:
    """Prints what of a study is done, running and left, and when it will end."""
    from datetime import datetime, timedelta

    from darkprobe.study.status import study_status

    found = study_status(directory)
    for kind, total in found.total.items():
        each = found.seconds_each[kind]
        cost = "" if each is None else f"{each:>8.3f} s each"
        typer.echo(f"{kind:<17} {found.done[kind]:>7} of {total:>7} done {found.left[kind]:>7} left {cost}")
    typer.echo(f"{found.running} cells running")
    if not any(found.left.values()):
        typer.echo("all networks are trained")
    elif found.seconds_left is None:
        typer.echo("the end cannot be told before the first teachers and students are trained")
    else:
        end = datetime.now().astimezone() + timedelta(seconds=found.seconds_left)
        what = "estimated end" if found.running else "stopped; on one core it would end"
        typer.echo(f"{what}: {end:%Y-%m-%d %H:%M} (in {found.seconds_left:.0f} s)")
