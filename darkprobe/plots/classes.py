"""A metric class by class: a row per class, a dot per model or pair of models."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from darkprobe.errors import UnknownNameError
from darkprobe.plots.style import (
    CATEGORICAL,
    MARKERS,
    MUTED,
    axes_or_new,
    category_colours,
    headline,
    house_style,
    legend_outside,
)
from darkprobe.plots.style import model_colours as colours_of
from darkprobe.plots.tables import axis_label, error_bars, percent_axis, small_print, spelled, unit_of

CLASS_LIMIT = 40


@house_style
def plot_classes(
    table: pd.DataFrame,
    *,
    metric: str,
    temperature: float | None = None,
    colours: Mapping[str, str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Axes with a metric of each class, the largest mean on top, a dot with its interval per model or pair of models.

    Args:
        table: tidy rows whose subset is "class NAME", of one data set and split.
        metric: name in the column `metric`.
        temperature: which rows; ignored by metrics that have no temperature.
        colours: hex colour per model, from `model_colours`; pairs have colours of their own.
        title: heading; by default the metric's name.
        ax: where to draw; by default a new figure.

    Returns:
        The axes. Of more than 40 classes the 20 with the largest and the 20 with the smallest mean are shown.

    Raises:
        UnknownNameError: the table has no such rows.
    """
    rows = table[(table["metric"] == metric) & table["subset"].str.startswith("class ")]
    if temperature is not None and rows["temperature"].notna().any():
        rows = rows[(rows["temperature"] - temperature).abs() < 1e-9]
    if rows.empty:
        raise UnknownNameError("metric by class", metric, (str(name) for name in table["metric"].unique()))
    pairs = rows["reference"].notna().any()
    rows = rows.assign(series=rows["model"] if not pairs else rows["model"] + " : " + rows["reference"])
    order = list(rows.groupby("subset")["value"].mean().sort_values(kind="stable").index)
    left_out = max(0, len(order) - CLASS_LIMIT)
    order = order[: CLASS_LIMIT // 2] + order[-(CLASS_LIMIT // 2) :] if left_out else order
    ax = axes_or_new(ax, width=6.4, height=1.4 + 0.21 * len(order))
    names = list(dict.fromkeys(rows["series"]))
    shown = category_colours(names) if pairs else colours or colours_of(names)
    place = {subset: i for i, subset in enumerate(order)}
    for step, name in enumerate(names):
        own = rows[(rows["series"] == name) & rows["subset"].isin(order)]
        at = [place[subset] + 0.5 * ((step + 1) / (len(names) + 1) - 0.5) for subset in own["subset"]]
        bars = error_bars(own)
        ax.errorbar(
            own["value"],
            at,
            xerr=bars,
            fmt=MARKERS[step // len(CATEGORICAL) % len(MARKERS)] if pairs else "o",  # colours repeat after seven
            markersize=4,
            color=shown[name],
            elinewidth=1,
            ecolor=MUTED,
            label=name,
        )
    ax.set_yticks(range(len(order)), labels=[str(subset).removeprefix("class ") for subset in order])
    ax.set_ylim(-0.6, len(order) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(axis_label(metric, unit_of(rows)))
    percent_axis(ax.xaxis, unit_of(rows))
    legend_outside(ax, title="models" if pairs else "model")
    extra = [f"{left_out} classes between not shown"] if left_out else []
    at_temperature = temperature if rows["temperature"].notna().any() else None
    note = small_print(rows.drop(columns="subset"), temperature=at_temperature, extra=extra)
    headline(ax, title or f"{spelled(metric).capitalize()} by class", note.replace("examples", "examples a class"))
    return ax
