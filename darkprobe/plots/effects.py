"""Paired effects with their intervals, a row each: every fix minus KD, every rung minus the largest, every control."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from darkprobe.plots.style import INK, MUTED, axes_or_new, headline, house_style
from darkprobe.plots.tables import SHARES, counted, error_bars, require_columns, unit_of

EFFECT_COLUMNS = ("label", "effect", "low", "high", "n", "unit")
CONTROL_COLUMNS = ("control", "label", "effect", "low", "high", "n", "unit")

GROUPED = ("text", "group", "expected", "effect", "low", "high")

BETTER, WORSE, OPEN = "#0072b2", "#d55e00", MUTED


@house_style
def plot_effects(
    table: pd.DataFrame,
    *,
    title: str = "Effects",
    against: str = "the baseline",
    simultaneous: bool = True,
    margin: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Axes with one row per effect: the estimate, its interval, and a line at zero.

    Blue rows lie above zero with their whole interval, orange rows below, grey rows are open; the sign of the interval
    tells the same without colour.

    Args:
        table: columns `label`, `effect`, `low`, `high`, `n`, `unit`, and where wanted `unit_of_n` and `group` (rows
            of a group stand together under its name). Order is kept. Effects in a share read in percentage points.
        title: heading.
        against: what was subtracted; part of the axis label.
        simultaneous: whether the intervals hold for all rows at once; printed.
        margin: a difference too small to matter, in the table's unit: drawn as a band about zero.
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        InvalidValueError: a column is missing or there is no row.
    """
    require_columns("plot_effects", table, EFFECT_COLUMNS)
    unit = unit_of(table)
    ax, _ = _rows_with_intervals(table, ax, against)
    if margin is not None:
        ax.axvspan(-margin, margin, color=MUTED, alpha=0.12, linewidth=0)
    kind = "simultaneous 95 % intervals" if simultaneous else "95 % intervals, each on its own"
    band = (
        f" · band: ±{100 * margin if unit in SHARES else margin:g}, too small to matter" if margin is not None else ""
    )
    headline(ax, title, f"{counted(table)} · {kind}{band}", share=0.6)
    return ax


@house_style
def plot_controls(
    table: pd.DataFrame,
    *,
    title: str = "Controls",
    against: str = "clean KD, or as the group says",
    ax: Axes | None = None,
) -> Axes:
    """Axes with the effect of planted manipulations, dose after dose.

    Args:
        table: columns `control`, `label` (the dose, or the manipulation), `effect`, `low`, `high`, `n`, `unit`, and
            where wanted `unit_of_n` and `expected` ("lower", "higher", "none", "open": what a sound method must find,
            written beside the row). Rows of one control stand together in the order given, and are joined where their
            labels differ in numbers only: doses of one manipulation.
        title: heading.
        against: what was subtracted; part of the axis label. The default is for controls of a study, some groups of
            which name a control of their own that they are compared with.
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        InvalidValueError: a column is missing or there is no row.
    """
    require_columns("plot_controls", table, CONTROL_COLUMNS)
    order = {control: i for i, control in enumerate(dict.fromkeys(table["control"]))}
    together = table.assign(group=table["control"], _order=table["control"].map(order))
    ax, rows = _rows_with_intervals(together.sort_values("_order", kind="stable"), ax, against)
    for _, dose in rows[rows["effect"].notna()].groupby("group", sort=False):
        if len({re.sub(r"[\d.]+", "", str(label)) for label in dose["text"]}) > 1:
            continue  # not one manipulation in several doses
        ax.plot(dose["effect"].to_numpy(float), dose["place"].to_numpy(float), color=MUTED, linewidth=1.0, zorder=1)
    for place, expected in zip(rows["place"], rows["expected"], strict=True):
        if isinstance(expected, str) and expected != "open":
            note = ax.annotate(f"expected: {expected}", (1.0, place), (6, 0), ax.get_yaxis_transform(), "offset points")
            note.set(fontsize=7, color=MUTED, va="center")
    headline(ax, title, f"{counted(table)} · 95 % intervals, each on its own", share=0.6)
    return ax


def _rows_with_intervals(table: pd.DataFrame, ax: Axes | None, against: str) -> tuple[Axes, pd.DataFrame]:
    """The axes with a row per effect, and the rows with their `place`."""
    rows = _grouped(table)
    ax = axes_or_new(ax, width=6.6, height=1.5 + 0.27 * len(rows))
    ax.axvline(0.0, color=INK, linewidth=0.9)
    for place, effect, below, above, colour in _marks(rows[rows["effect"].notna()]):
        ax.errorbar(
            effect, place, xerr=[[below], [above]], fmt="o", color=colour, elinewidth=1.6, capsize=2.5, markersize=5
        )
    ax.set_yticks(rows["place"], labels=rows["text"])
    for tick, bold in zip(ax.get_yticklabels(), rows["effect"].isna(), strict=True):
        tick.set_fontweight("bold" if bold else "normal")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    unit = unit_of(table)
    ax.set_xlabel(_difference_label(unit, against))
    if unit in SHARES:
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.4g}" if value else "0"))
    return ax, rows


def _grouped(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with `text`, `place`, `group` and `expected`; a group's name becomes a row of its own without an effect."""
    out: list[dict[str, object]] = []
    group: object = None
    for row in table.to_dict("records"):
        if isinstance(row.get("group"), str) and row["group"] != group:
            group = row["group"]
            out.append({"text": str(group), "effect": np.nan, "low": np.nan, "high": np.nan})
        numbers = {key: row[key] for key in ("effect", "low", "high")}
        out.append({"text": str(row["label"]), "group": group, "expected": row.get("expected"), **numbers})
    return pd.DataFrame(out).reindex(columns=[*GROUPED]).assign(place=np.arange(len(out), dtype=float))


def _marks(rows: pd.DataFrame) -> Iterator[tuple[float, float, float, float, str]]:
    """Place, effect, bar down, bar up and colour of each row."""
    below, above = error_bars(rows, "effect")
    ends = (_verdict_colour(low, high) for low, high in zip(rows["low"], rows["high"], strict=True))
    yield from zip(rows["place"], rows["effect"], below, above, ends, strict=True)


def _verdict_colour(low: float, high: float) -> str:
    return BETTER if low > 0 else WORSE if high < 0 else OPEN


def _difference_label(unit: str, against: str) -> str:
    shown = "percentage points" if unit in SHARES else unit
    return f"difference from {against}" + (f" ({shown})" if shown else "")
