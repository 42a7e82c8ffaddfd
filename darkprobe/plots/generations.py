"""What becomes of a chain of networks that teach one another: any measure by generation, a line per chain."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from darkprobe.errors import UnknownNameError
from darkprobe.plots.style import (
    axes_or_new,
    category_colours,
    category_markers,
    headline,
    house_style,
    legend_outside,
    new_axes,
)
from darkprobe.plots.tables import SHARES, axis_label, counted, error_bars, has_intervals, percent_axis, require_columns

GENERATION_COLUMNS = ("chain", "metric", "generation", "value", "low", "high", "n", "unit")

TITLES = {
    "test_accuracy": "Accuracy",
    "train_secondary_gap": "How far the top class stands out",
    "ensemble_accuracy": "Ensemble of the generations so far",
    "transfer_accuracy": "Frozen features on other classes",
}
"""The measures of the overview and what stands above them."""

_LABELS = {
    "test_accuracy": "test accuracy (%)",
    "train_secondary_gap": "top score difference, K = 5 (training)",
    "ensemble_accuracy": "test accuracy (%)",
    "transfer_accuracy": "test accuracy of a linear classifier (%)",
}


@house_style
def plot_generations(
    table: pd.DataFrame,
    *,
    metric: str,
    colours: Mapping[str, str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Axes with a measure by generation, a line per chain; 0 is the first teacher.

    Chains are set side by side at each generation, so that their intervals can be told apart; the spread is in the
    drawing, not in the numbers.

    Args:
        table: columns `chain`, `metric`, `generation`, `value`, `low`, `high`, `n`, `unit`.
        metric: which of the table's measures.
        colours: hex colour per chain, in the order of their markers; by default in the order of the table.
        title: heading; by default the measure's name.
        ax: where to draw; by default a new figure.

    Raises:
        InvalidValueError: a column is missing or there is no row.
        UnknownNameError: the table has no such measure.
    """
    require_columns("plot_generations", table, GENERATION_COLUMNS)
    if metric not in set(table["metric"]):
        raise UnknownNameError("metric", metric, (str(name) for name in table["metric"].unique()))
    chains = [str(chain) for chain in dict.fromkeys(table["chain"])]
    colours = colours or category_colours(chains)
    markers = category_markers(colours)
    rows = table[table["metric"] == metric]
    ax = axes_or_new(ax)
    for place, chain in enumerate(chains):
        line = rows[rows["chain"] == chain].sort_values("generation")
        shift = 0.05 * (place - (len(chains) - 1) / 2)
        ax.errorbar(
            line["generation"].to_numpy(float) + shift,
            line["value"].to_numpy(float),
            yerr=error_bars(line),
            color=colours[chain],
            marker=markers[chain],
            markersize=4,
            elinewidth=1,
            capsize=2,
            label=chain,
        )
    unit = str(rows["unit"].iloc[0])
    ax.set_xticks(sorted(rows["generation"].unique()))
    ax.set_xlabel("generation (0: first teacher)")
    ax.set_ylabel(_LABELS.get(metric, axis_label(metric, unit)))
    percent_axis(ax.yaxis, unit if unit in SHARES else "")
    intervals = "95 % intervals" if has_intervals(rows) else "no intervals available"
    headline(ax, title or TITLES.get(metric, metric.replace("_", " ")), f"{counted(rows)} · {intervals}")
    return ax


@house_style
def plot_generations_overview(table: pd.DataFrame) -> list[Axes]:
    """Four axes of one figure: accuracy, top score difference, ensembles and transfer by generation.

    Args:
        table: as `plot_generations` takes it, with the measures of `TITLES`.
    """
    axes = new_axes(len(TITLES), width=3.7, height=3.6)
    for metric, ax in zip(TITLES, axes, strict=True):
        plot_generations(table, metric=metric, ax=ax)
    legend_outside(axes[-1], title="chain")
    return axes
