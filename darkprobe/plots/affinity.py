"""Which classes a teacher holds to be alike, and whether teachers agree on it: two heat maps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from darkprobe.plots.heat_map import class_map_axes, draw_cells, name_both_sides
from darkprobe.plots.style import INK, PAPER, axes_or_new, headline, house_style
from darkprobe.plots.tables import rows_of, small_print, spelled

NUMBER_LIMIT = 12


@house_style
def plot_affinity(
    affinity: np.ndarray,
    *,
    class_names: Sequence[str],
    title: str = "Class affinity",
    note: str = "",
    maximum: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Axes with a class-affinity matrix: row = true class, column = the wrong class its examples lean to.

    Args:
        affinity: (cls, cls), float: mean soft label of the examples of each class, row = label. The diagonal is left
            out; a NaN elsewhere (a class without examples) stays empty.
        class_names: (cls,), in label order; shown for up to 40 classes.
        title: heading, e.g. the model.
        note: small print: temperature, n.
        maximum: probability at the dark end of the scale, to give several matrices one scale; by default the largest
            entry off the diagonal.
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        InvalidValueError: the matrix is not square with one row per class name.
    """
    names = [str(name) for name in class_names]
    ax = class_map_axes("plot_affinity", "affinity", affinity, names, ax)
    shown = np.where(np.eye(len(names), dtype=bool), np.nan, affinity.astype(float))
    top = float(np.nanmax(shown, initial=0.0)) if maximum is None else maximum
    draw_cells(ax, shown, low=0.0, high=top or 1.0, label="mean probability of the wrong class")
    name_both_sides(ax, names)
    ax.set_xlabel("wrong class")
    ax.set_ylabel("true class")
    headline(ax, title, note)
    return ax


@house_style
def plot_consistency(
    table: pd.DataFrame,
    *,
    metric: str,
    models: Sequence[str],
    temperature: float | None = None,
    subset: str = "all",
    ax: Axes | None = None,
) -> Axes:
    """Axes with a model-by-model heat map of a pairwise metric, such as a class-level rank correlation.

    Args:
        table: tidy rows of pairs, with `reference`; one row per pair is enough, the other half mirrors it.
        metric: name in the column `metric`.
        models: which models, in the order of rows and columns (small to large).
        temperature: which rows; ignored by metrics that have no temperature.
        subset: "all", "correct" or "common".
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        UnknownNameError: the metric is not in the table.
    """
    rows = rows_of("plot_consistency", table, metric=metric, temperature=temperature, subset=subset)
    square, low, high = (_squared(rows, models, column) for column in ("value", "low", "high"))
    side = 2.4 + 0.42 * len(models)
    ax = axes_or_new(ax, width=side + 1.3, height=side)
    draw_cells(ax, square, low=min(0.0, float(np.nanmin(square, initial=0.0))), high=1.0, label=spelled(metric))
    name_both_sides(ax, models)
    shown = temperature if rows["temperature"].notna().any() else None
    note = small_print(rows, temperature=shown)
    if len(models) <= NUMBER_LIMIT:
        _write_numbers(ax, square, ends=(low, high))
        note = note.replace("95 % intervals", "95 % intervals in brackets")
    else:
        note = note.replace("95 % intervals", "intervals not shown")
    headline(ax, "Agreement between models", note)
    return ax


def _squared(rows: pd.DataFrame, models: Sequence[str], column: str) -> np.ndarray:
    """(model, model): one column of the rows of pairs, mirrored where only one half is given."""
    place = {model: i for i, model in enumerate(models)}
    square = np.full((len(models), len(models)), np.nan)
    for model, reference, value in zip(rows["model"], rows["reference"], rows[column], strict=True):
        if model in place and reference in place:
            square[place[model], place[reference]] = value
    return np.where(np.isnan(square), square.T, square)


def _write_numbers(ax: Axes, values: np.ndarray, *, ends: tuple[np.ndarray, np.ndarray]) -> None:
    low, high = ends
    least, most = ax.images[0].get_clim()
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            told = "" if np.isnan(low[i, j] + high[i, j]) else f"\n[{low[i, j]:.2f}, {high[i, j]:.2f}]"
            dark = (value - least) / (most - least) > 0.55
            ink = PAPER if dark else INK
            size = 7 if len(values) <= 6 else 5
            ax.text(j, i, f"{value:.2f}{told}", ha="center", va="center", fontsize=size, color=ink)
