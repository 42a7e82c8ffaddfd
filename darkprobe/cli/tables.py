"""Tables on the terminal, rows in a file and the options that verbs share."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from darkprobe.types import Subset

WIDTH = 100


def parse_temperatures(text: str) -> tuple[float, ...]:
    """The numbers in a comma-separated list."""
    from darkprobe.errors import InvalidValueError

    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise InvalidValueError(
            f"--temperatures must be numbers > 0 between commas, got {text!r}. Write e.g. --temperatures 1,4."
        ) from None


def check_by(by: str | None) -> None:
    """Refuses what tables cannot be split by."""
    from darkprobe.errors import UnknownNameError

    if by not in (None, "class"):
        raise UnknownNameError("way to split tables", str(by), ("class",), "Write --by class.")


def parse_subsets(text: str) -> "tuple[Subset, ...]":
    """The names in a comma-separated list; `measure` and `compare` refuse unknown ones."""
    return tuple(cast("Subset", part.strip()) for part in text.split(",") if part.strip())


def number(value: float, low: float, high: float) -> str:
    """The value with half the width of its interval, with two digits of that width.

    Examples:
        >>> number(0.05184, 0.0511, 0.0525)
        '.05184 ±.00074'
    """
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    half = max(value - low, high - value)
    if math.isnan(half):
        return _short(f"{value:.4f}")
    digits = 4 if half <= 0 else min(6, max(2, 1 - math.floor(math.log10(half))))
    return f"{_short(f'{value:.{digits}f}')} ±{_short(f'{half:.{digits}f}')}"


def _short(text: str) -> str:
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def wide(rows: "pd.DataFrame", headings: dict[str, str], *, title: str, pairs: bool = False) -> "Iterator[Table]":
    """One line per model (or pair) and temperature, one column per metric; metrics without temperature repeat."""
    rows = rows[rows["metric"].isin(list(headings))]
    if rows.empty:
        return
    from rich.text import Text

    scales = sorted(rows["temperature"].dropna().unique()) or [math.nan]
    table = new_table(title)
    table.add_column("models" if pairs else "model", overflow="fold")
    table.add_column("T", justify="right")
    shown = [metric for metric in headings if (rows["metric"] == metric).any()]
    for metric in shown:
        table.add_column(headings[metric], justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    for (model, reference), own in rows.groupby(["model", "reference"], sort=False, dropna=False):
        name = f"{model} : {reference}" if pairs else str(model)
        for position, scale in enumerate(scales):
            at = own[(own["temperature"] == scale) | own["temperature"].isna()]
            first = position == 0
            cells = [_cell(at[at["metric"] == metric], repeat=first) for metric in shown]
            counted = at[at["metric"] == shown[0]]["n"]
            counts = f"{int(counted.iloc[0]):,}" if first and len(counted) else ""
            table.add_row(Text(name if first else ""), temperature_cell(scale), *cells, counts)
    yield table


def temperature_cell(temperature: float) -> str:
    """A temperature, or a dash for numbers that have none."""
    return "-" if math.isnan(temperature) else f"{temperature:g}"


def _cell(rows: "pd.DataFrame", *, repeat: bool) -> str:
    if rows.empty or (rows["temperature"].isna().all() and not repeat):
        return ""
    row = rows.iloc[0]
    return number(float(row["value"]), float(row["low"]), float(row["high"]))


def long(rows: "pd.DataFrame", *, title: str) -> "Table":
    """One line per number, for metrics that have no column in the wide tables."""
    from rich.text import Text

    table = new_table(title)
    for heading in ("model", "metric"):
        table.add_column(heading, overflow="fold")
    for heading in ("T", "subset", "value", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for _, row in rows.iterrows():
        name = f"{row['model']} : {row['reference']}" if isinstance(row["reference"], str) else row["model"]
        scale = temperature_cell(row["temperature"])
        value = number(float(row["value"]), float(row["low"]), float(row["high"]))
        table.add_row(Text(str(name)), row["metric"], scale, row["subset"], value, f"{row['n']:,}")
    return table


def new_table(title: str, *, intervals: bool = True) -> "Table":
    """An empty table in the look of all; its title says that intervals are given, where they are."""
    from rich.table import Table

    return Table(
        title=title + (" · 95 % intervals" if intervals else ""),
        title_justify="left",
        box=None,
        header_style="bold",
        pad_edge=False,
    )


def print_tables(tables: "Iterator[Table] | list[Table]") -> None:
    """Prints tables with a line between them; into a pipe they are 100 columns wide, whatever the terminal."""
    from rich.console import Console

    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=WIDTH)
    for position, table in enumerate(tables):
        if position:
            console.print()
        console.print(table)


def write_rows(path: Path, table: "pd.DataFrame") -> None:
    """Writes the rows as a JSON list (what does not apply is null) and prints the path; never overwrites.

    Raises:
        InvalidValueError: the file holds something else.
    """
    import json

    from darkprobe.errors import InvalidValueError
    from darkprobe.files import write_json

    rows = [{key: _plain(value) for key, value in row.items()} for row in table.to_dict("records")]
    if path.exists() and path.read_text() != json.dumps(rows, indent=2) + "\n":
        raise InvalidValueError(
            f"--json must name a new file, got {path}, which holds other rows. Choose another name or remove it."
        )
    write_json(path, rows)
    typer.echo(str(path))


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
