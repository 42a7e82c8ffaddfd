"""`darkprobe advise`: which teacher, temperature and fix, before any student is trained; and how good that is."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd


def advise(
    paths: list[Path] = typer.Argument(..., help="A store; with --backtest directories of finished studies."),
    student: str = typer.Option(None, "--student", help="Architecture of the student, e.g. mlp1-16."),
    learn: list[Path] = typer.Option([], "--learn", help="Finished studies to predict gains from; repeatable."),
    backtest: bool = typer.Option(False, "--backtest", help="Score the advice on finished studies instead."),
    csv: Path = typer.Option(None, "--csv", help="Write the table here as well."),
) -> None:
    """Rank teachers and temperatures for a student from the teachers' soft labels alone."""
    from darkprobe.files import write_text

    if backtest:
        table = _backtest(paths)
    elif student is None or len(paths) != 1:
        raise typer.BadParameter("one STORE and --student NAME are needed, or --backtest DIR...", param_hint="advise")
    else:
        from darkprobe.study import advise as rank

        table = rank(paths[0], student=student, learn=learn)
        columns = ["rank", "model", "method", "temperature", "score", "accuracy", "capacity_ratio", "why"]
        shown = table[columns]
        typer.echo(shown.head(20).to_string(index=False, float_format="%.3g"))
    if csv is not None:
        write_text(csv, table.to_csv(index=False, lineterminator="\n"))
        typer.echo(str(csv))


def _backtest(directories: list[Path]) -> "pd.DataFrame":
    from darkprobe.study.backtest import backtest, conclusion

    table, losses = backtest(directories)
    typer.echo("regret, as a fraction of student accuracy:")
    typer.echo(table.to_string(index=False, float_format="%.4f"))
    typer.echo("\naccuracy lost at the predicted temperature against the one tuned on validation data:")
    columns = ["study", "rule", "teacher", "predicted", "used", "tuned", "loss", "low", "high", "n"]
    typer.echo(losses[columns].to_string(index=False, float_format="%.4f"))
    typer.echo(f"\n{conclusion(table)}")
    return table
