"""A metric against the number of parameters: the figure the package is named for."""

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from darkprobe.plots.style import (
    MUTED,
    PAPER,
    axes_or_new,
    category_colours,
    category_markers,
    headline,
    house_style,
    legend_outside,
)
from darkprobe.plots.style import model_colours as colours_of
from darkprobe.plots.tables import (
    axis_label,
    error_bars,
    percent_axis,
    require_columns,
    rows_of,
    small_print,
    spelled,
    unit_of,
)

NAME_LIMIT = 12
NAME_HEIGHT = 8.0
"""Least distance of two names, in points; they are set in 7."""


@house_style
def plot_capacity(
    table: pd.DataFrame,
    *,
    metric: str = "distinctness_std",
    temperature: float | None = 4.0,
    subset: str = "all",
    colours: Mapping[str, str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Axes with a metric against the number of parameters (log scale), a line per family, a dot per model.

    A family is an architecture line with a recipe; only its models are joined, because others differ in more than
    size. Where several models of one family have the same size (seeds), each is a dot and the line goes through their
    mean, which is the only arithmetic done here.

    Args:
        table: tidy rows with `parameters` and `family` (see `with_cards`); `low` and `high` are drawn as they are.
        metric: name in the column `metric`.
        temperature: which rows; ignored by metrics that have no temperature.
        subset: "all", "correct" or "common".
        colours: hex colour per model, from `model_colours`; by default those of the models in the table.
        title: heading; by default the metric's name.
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        UnknownNameError: the metric is not in the table.
        InvalidValueError: a column is missing, no row is left, or rows of several data sets or splits are.
    """
    require_columns("plot_capacity", table, ("parameters", "family"))
    rows = rows_of("plot_capacity", table, metric=metric, temperature=temperature, subset=subset)
    size = dict(zip(table["model"], table["parameters"], strict=True))
    colours = colours or colours_of(table["model"], parameters=size)
    ax = axes_or_new(ax)
    families = sorted(rows["family"].unique())
    lines, markers = category_colours(families), category_markers(families)
    for family in families:
        _draw_family(ax, rows[rows["family"] == family], colours, line=lines[family], marker=markers[family])
    ax.set_xscale("log")
    if rows["parameters"].max() < 100 * rows["parameters"].min():
        ax.xaxis.set_major_locator(FixedLocator(_few_ticks(rows["parameters"].min(), rows["parameters"].max())))
    ax.xaxis.set_major_formatter(FuncFormatter(short_count))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("parameters (log scale)")
    ax.set_ylabel(axis_label(metric, unit_of(rows)))
    percent_axis(ax.yaxis, unit_of(rows))
    ax.margins(x=0.1)
    if len(rows) <= NAME_LIMIT:
        _name_dots(ax, rows)
    if len(families) > 1:
        legend_outside(ax, title="family")
        legend = ax.get_legend()
        for handle, family in zip(legend.legend_handles if legend else [], families, strict=True):
            if handle is not None:
                handle.set(marker=markers[family])  # a family of one model has no line, only its sign
    shown = temperature if rows["temperature"].notna().any() else None
    family_note = [] if len(families) > 1 else [f"family {families[0]}"]
    headline(
        ax,
        title or f"{spelled(metric).capitalize()} by capacity",
        small_print(rows, temperature=shown, extra=family_note),
    )
    return ax


def _draw_family(ax: Axes, rows: pd.DataFrame, colours: Mapping[str, str], *, line: str, marker: str) -> None:
    rows = rows.sort_values("parameters", kind="stable")
    path = rows.groupby("parameters")["value"].mean()
    ax.plot(path.index, path.to_numpy(), color=line, zorder=2, label=str(rows["family"].iloc[0]))
    ax.errorbar(
        rows["parameters"],
        rows["value"],
        yerr=error_bars(rows),
        fmt="none",
        ecolor=MUTED,
        elinewidth=1,
        capsize=2,
        zorder=3,
    )
    ax.scatter(
        rows["parameters"],
        rows["value"],
        c=[colours[model] for model in rows["model"]],
        marker=marker,
        s=48,
        edgecolors=PAPER,
        linewidths=0.8,
        zorder=4,
    )


def _few_ticks(low: float, high: float) -> list[float]:
    """Round numbers within half a step of the range: for axes of less than two decades."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high > 10 * low else (1, 2, 3, 5, 7)
    return [s * 10.0**p for p in powers for s in steps if low / 1.5 < s * 10.0**p < high * 1.5]


def _name_dots(ax: Axes, rows: pd.DataFrame) -> None:
    """Names beside the dots, turned inward on the right half; those of one size (seeds) never on top of each other."""
    middle = float(rows["parameters"].min() * rows["parameters"].max()) ** 0.5
    for size, own in rows.sort_values("value", kind="stable").groupby("parameters"):
        inward = float(str(size)) > middle
        for (model, value), shift in zip(own[["model", "value"]].to_numpy(), _name_shifts(ax, own, rows), strict=True):
            place = (-6 if inward else 6, shift)
            name = ax.annotate(
                str(model), (float(str(size)), value), xytext=place, textcoords="offset points", fontsize=7, color=MUTED
            )
            name.set(ha="right" if inward else "left", va="center", in_layout=False)


def _name_shifts(ax: Axes, own: pd.DataFrame, rows: pd.DataFrame) -> list[float]:
    """How far each name stands above its dot, in points: away from the middle, where the line runs, and apart."""
    points = [float(ax.transData.transform((x, y))[1]) for x, y in own[["parameters", "value"]].to_numpy()]
    scale = 72 / ax.figure.dpi
    dots = [scale * point for point in points]
    wanted = [
        dot + (-8.0 if value < rows["value"].mean() else 8.0) for dot, value in zip(dots, own["value"], strict=True)
    ]
    places = list(wanted)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + NAME_HEIGHT)
    too_high = sum(place - want for place, want in zip(places, wanted, strict=True)) / len(places)
    return [place - too_high - dot for place, dot in zip(places, dots, strict=True)]


def short_count(value: float, _: object = None) -> str:
    """A count in few characters: 950, 12k, 1.5M, 3B.

    Examples:
        >>> short_count(272474), short_count(1.5e6), short_count(82)
        ('272k', '1.5M', '82')
    """
    for limit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"
