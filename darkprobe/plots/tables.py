"""Reading the tidy tables that figures are drawn from: which rows, what they are called, how many examples.

A tidy table has the columns `COLUMNS`, one row per number. Figures against capacity also need `parameters` and
`family`, which `with_cards` adds from the models' cards.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter

from darkprobe.errors import InvalidValueError, UnknownNameError

COLUMNS = (
    "model",
    "reference",
    "dataset",
    "split",
    "metric",
    "temperature",
    "subset",
    "value",
    "low",
    "high",
    "n",
    "unit",
)

SHARES = ("fraction", "accuracy", "share")


class Sized(Protocol):
    """What a capacity figure needs to know of a model; a `ModelCard` does."""

    @property
    def model_id(self) -> str:
        """Name in tables."""

    @property
    def family(self) -> str:
        """Architecture line and recipe."""

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""


def require_columns(function: str, table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuses an empty table and one without a column that the figure reads."""
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InvalidValueError(
            f"{function}: `table` must have the columns {', '.join(columns)}, got none named {', '.join(missing)}. "
            "Add them, or pass a table that measure or compare returned."
        )
    if table.empty:
        raise InvalidValueError(
            f"{function}: `table` must have at least one row, got none. "
            "Choose a metric, temperature, split and subset that the table holds."
        )


def with_cards(table: pd.DataFrame, cards: Iterable[Sized]) -> pd.DataFrame:
    """The table with `parameters` and `family` of each model, from its card.

    Raises:
        UnknownNameError: a model in the table has no card.
    """
    known = {card.model_id: card for card in cards}
    for model in table["model"].unique():
        if model not in known:
            raise UnknownNameError("model", str(model), known, "Give the card of every model in the table.")
    return table.assign(
        parameters=[known[model].parameters for model in table["model"]],
        family=[known[model].family for model in table["model"]],
    )


def rows_of(
    function: str,
    table: pd.DataFrame,
    *,
    metric: str,
    temperature: float | None = None,
    subset: str = "all",
) -> pd.DataFrame:
    """The rows of one metric on one subset, at one temperature or at all.

    A metric without a temperature (accuracy) has no number in that column; then `temperature` does not select.

    Raises:
        UnknownNameError: the metric is not in the table (near names are listed).
        InvalidValueError: no row is left, or rows of several data sets or splits are.
    """
    require_columns(function, table, COLUMNS)
    if metric not in set(table["metric"]):
        raise UnknownNameError("metric", metric, (str(name) for name in table["metric"].unique()))
    rows = table[(table["metric"] == metric) & (table["subset"] == subset)]
    if temperature is not None and rows["temperature"].notna().any():
        rows = rows[np.isclose(rows["temperature"].astype(float), temperature)]
    if rows.empty:
        held = table[table["metric"] == metric]
        raise InvalidValueError(
            f"{function}: `temperature` and `subset` must be among those of {metric!r} (temperatures "
            f"{_listed(held['temperature'])}; subsets {_listed(held['subset'])}), got {temperature} and {subset!r}. "
            "Choose one of these, or measure again."
        )
    for column in ("dataset", "split"):
        if rows[column].nunique() > 1:
            raise InvalidValueError(
                f"{function}: `table` must hold one {column}, got {_listed(rows[column])}. "
                "Keep the rows of one of them."
            )
    return rows


def _listed(values: "pd.Series[float] | pd.Series[str]") -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values.dropna().unique())


def spelled(name: str) -> str:
    """A catalogue name as words: `distinctness_std` becomes "distinctness std"."""
    return name.replace("_", " ")


def axis_label(metric: str, unit: str) -> str:
    """Quantity and unit; a share reads in percent."""
    shown = "%" if unit in SHARES else unit
    return f"{spelled(metric)} ({shown})" if shown else spelled(metric)


def percent_axis(axis: Axis, unit: str) -> None:
    """Ticks of a fraction in percent; other units stay as they are."""
    if unit in SHARES:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.10g}"))


def unit_of(rows: pd.DataFrame) -> str:
    """The unit of the rows, empty when they have none."""
    units = [str(unit) for unit in rows["unit"].dropna().unique()] if "unit" in rows else []
    return units[0] if units else ""


def counted(rows: pd.DataFrame) -> str:
    """What n is, for the small print: "n = 597 examples", or a range when rows differ.

    A column `unit_of_n` says what n counts; without it n counts examples.
    """
    n = rows["n"].dropna().astype(int)
    if n.empty:
        return "n not given"
    noun = (
        str(rows["unit_of_n"].dropna().iloc[0])
        if "unit_of_n" in rows and rows["unit_of_n"].notna().any()
        else "examples"
    )
    low, high = int(n.min()), int(n.max())
    noun = noun.split(" (")[0]
    return f"n = {low:,} {noun}" if low == high else f"n = {low:,} to {high:,} {noun}"


def small_print(rows: pd.DataFrame, *, temperature: float | None = None, extra: Sequence[str] = ()) -> str:
    """One line for under the title: data, subset, temperature, n, and whether intervals are drawn.

    A column `interval` says what they are, e.g. "simultaneous intervals"; without it "intervals".
    """
    parts = []
    for column in ("dataset", "split"):
        if column in rows and rows[column].notna().any():
            parts.append(str(rows[column].dropna().iloc[0]))
    if "subset" in rows and rows["subset"].notna().any():
        parts.append(f"{rows['subset'].iloc[0]} examples")
    if temperature is not None:
        parts.append(f"T = {temperature:g}")
    parts.append(counted(rows))
    parts.extend(extra)
    kind = str(rows["interval"].iloc[0]) if "interval" in rows else "intervals"
    parts.append(f"95 % {kind}" if has_intervals(rows) else "no intervals available")
    return " · ".join(parts)


def has_intervals(rows: pd.DataFrame) -> bool:
    """Whether any row carries both ends of an interval."""
    return bool((rows["low"].notna() & rows["high"].notna()).any())


def error_bars(rows: pd.DataFrame, value: str = "value") -> np.ndarray:
    """Distances from the value down to `low` and up to `high`, (2, row); 0 where an end is missing."""
    centre = rows[value].to_numpy(float)
    below = centre - rows["low"].to_numpy(float)
    above = rows["high"].to_numpy(float) - centre
    bars: np.ndarray = np.nan_to_num(np.clip(np.stack([below, above]), 0.0, None), nan=0.0)
    return bars
