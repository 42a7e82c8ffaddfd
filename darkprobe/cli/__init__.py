"""The command line: one thin function per verb, one file per verb.

Results go to files, progress to stderr, and the last line of stdout is the path written. Exit codes: 0 done, 1 failed,
2 wrong usage. Only errors of our own become one sentence; anything else is a bug and shows its traceback.
Modules here import only typer at the top, and what they call inside the function, so that `--help` stays fast.
"""

import sys
from pathlib import Path

import typer

from darkprobe import __version__
from darkprobe.cli import methods, metrics, store, study, zoo
from darkprobe.cli.advise import advise
from darkprobe.cli.audit import audit
from darkprobe.cli.card import card
from darkprobe.cli.compare import compare
from darkprobe.cli.distill import distill
from darkprobe.cli.extract import extract
from darkprobe.cli.generations import generations
from darkprobe.cli.plugins import load_plugins
from darkprobe.cli.profile import profile
from darkprobe.cli.relation_plots import plot_app
from darkprobe.cli.report import report
from darkprobe.cli.verify import verify
from darkprobe.errors import DarkprobeError

app = typer.Typer(
    name="darkprobe",
    help="Measure the dark knowledge in teachers' soft labels, and test by retraining which fix repairs it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"darkprobe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_show_version, is_eager=True),
    plugin: list[Path] = typer.Option(
        [],
        "--plugin",
        envvar="DARKPROBE_PLUGINS",
        help="Python file of yours to run first: it registers metrics, methods, models or data. May be given twice.",
    ),
) -> None:
    load_plugins(plugin)


app.command()(profile)
app.command()(compare)
app.command()(extract)
app.command()(distill)
app.command()(verify)
app.command()(generations)
app.command()(report)
app.command()(advise)
app.command()(audit)
app.command()(card)
app.add_typer(plot_app, name="plot")
app.add_typer(methods.app)
app.add_typer(metrics.app)
app.add_typer(store.app)
app.add_typer(study.app)
app.add_typer(zoo.app)


def main() -> None:
    """Runs the command line; an error of ours is printed as one sentence and becomes the exit code."""
    try:
        app()
    except DarkprobeError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
