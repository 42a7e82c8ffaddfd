"""`darkprobe audit`: what survives in anyone's logs."""

from pathlib import Path

import typer


def audit(
    runs: Path = typer.Argument(
        ...,
        help="A log (.csv, .tsv, .jsonl, .parquet) or a directory of logs: method, seed, epoch, accuracy, and "
        "val_accuracy where known.",
    ),
    baseline: str = typer.Option("kd", "--baseline", help="The method that others are compared with."),
    column: list[str] = typer.Option([], "--column", help="A column's name in the log, e.g. accuracy=test_top1."),
    percent: bool = typer.Option(False, "--percent", help="Accuracies are percents, not fractions."),
    csv: Path = typer.Option(None, "--csv", help="Write the table here as well."),
) -> None:
    """Recompute last-epoch, val-selected and best-on-test figures, and which differences survive pairing and Holm."""
    from darkprobe.files import write_text
    from darkprobe.study.audit import audit as compare
    from darkprobe.study.audit import figures, read_logs

    logs = read_logs(runs, columns=_columns(column), percent=percent)
    table = compare(logs, baseline=baseline)
    for _, row in table.iterrows():
        typer.echo(
            f"{row['figure']:<23} {row['method']} - {baseline}: {100 * row['effect']:+.2f} points "
            f"({100 * row['low']:+.2f} to {100 * row['high']:+.2f}), n = {row['n']} seeds, adjusted p = "
            f"{row['p_adjusted']:.3g}: {row['survives']}"
        )
    for method, runs_of in figures(logs).groupby("method"):
        gain = 100 * (runs_of["best on test"] - runs_of["last epoch"]).mean()
        typer.echo(f"choosing the epoch on the test data adds {gain:.2f} points to {method} (n = {len(runs_of)} seeds)")
    if csv is not None:
        write_text(csv, table.to_csv(index=False, lineterminator="\n"))
        typer.echo(str(csv))


def _columns(given: list[str]) -> dict[str, str]:
    from darkprobe.errors import InvalidValueError

    found = dict(text.partition("=")[::2] for text in given)
    if not all(found.values()):
        raise InvalidValueError(f"audit: `--column` must be NAME=THEIRS, got {given}. Write e.g. accuracy=test_top1.")
    return found
