"""Agreement with people against capacity, under the ceiling that people's own disagreement sets."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from darkprobe.plots.capacity import plot_capacity
from darkprobe.plots.style import MUTED, house_style, legend_outside


@house_style
def plot_alignment(
    table: pd.DataFrame,
    *,
    metric: str,
    ceiling: float,
    ceiling_interval: tuple[float, float] | None = None,
    temperature: float | None = 1.0,
    subset: str = "all",
    colours: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Axes as of `plot_capacity`, with the noise ceiling as a line: no model can be expected above it.

    Args:
        table: tidy rows with `parameters` and `family`.
        metric: agreement with human soft labels, higher = closer.
        ceiling: highest value that a model without noise could have, from people's agreement with each other.
        ceiling_interval: its interval, drawn as a band where given.
        temperature: which rows.
        subset: "all", "correct" or "common".
        colours: hex colour per model, from `model_colours`.
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        UnknownNameError: the metric is not in the table.
    """
    ax = plot_capacity(
        table,
        metric=metric,
        temperature=temperature,
        subset=subset,
        colours=colours,
        title="Agreement with people by capacity",
        ax=ax,
    )
    ax.axhline(ceiling, color=MUTED, linestyle="--", linewidth=1, label="ceiling: a model without noise")
    if ceiling_interval is not None:
        ax.axhspan(*ceiling_interval, color=MUTED, alpha=0.25, linewidth=0)
    legend_outside(ax)
    return ax
