"""`darkprobe advise`: which teacher, temperature and fix, before any student is trained; and how good that is."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

ROWS = 20


def advise(
    paths: list[Path] = typer.Argument(..., help="A store; with --backtest directories of finished studies."),
    student: str = typer.Option(None, "--student", help="Architecture of the student, e.g. mlp1-16."),
    learn: list[Path] = typer.Option([], "--learn", help="Finished studies to predict gains from; repeatable."),
    backtest: bool = typer.Option(False, "--backtest", help="Score the advice on finished studies instead."),
    csv: Path = typer.Option(None, "--csv", help="Write the table here as well."),
) -> None:
    """Rank teachers and temperatures for a student from the teachers' soft labels alone."""
    from darkprobe.cli.tables import print_tables
    from darkprobe.files import write_text

    if backtest:
        table = _backtest(paths)
    elif student is None or len(paths) != 1:
        raise typer.BadParameter("one STORE and --student NAME are needed, or --backtest DIR...", param_hint="advise")
    else:
        from darkprobe.study import advise as rank

        table = rank(paths[0], student=student, learn=learn)
        print_tables([_ranking(table, student)])
    if csv is not None:
        write_text(csv, table.to_csv(index=False, lineterminator="\n"))
        typer.echo(str(csv))


def _ranking(table: "pd.DataFrame", student: str) -> "Table":
    """The best rows: what is advised, what it rests on, with intervals, and why."""
    from rich.text import Text

    from darkprobe.cli.tables import new_table, number

    learnt = bool(table["gain"].notna().any())
    shown = table.head(ROWS)
    more = f" · the first {len(shown)} of {len(table)}, all with --csv" if len(table) > len(shown) else ""
    printed = new_table(f"{table['dataset'].iloc[0]} · advice for {student}{more}")
    for heading in ("", "teacher", "method", "T", "gain, points" if learnt else "score", "accuracy", "size"):
        side = "left" if heading in ("teacher", "method") else "right"
        printed.add_column(heading, justify=side, overflow="fold")  # type: ignore[arg-type]
    printed.add_column("why", overflow="fold", ratio=1)
    for row in shown.to_dict("records"):
        gain = number(100 * row["gain"], 100 * row["gain_low"], 100 * row["gain_high"])
        ranked = gain if learnt else f"{row['score']:.3f}"
        held_out = number(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
        size = f"{row['capacity_ratio']:.3g} x"
        names = (str(row["rank"]), Text(row["model"]), row["method"], f"{row['temperature']:.3g}")
        printed.add_row(*names, ranked, held_out, size, row["why"])
    return printed


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
