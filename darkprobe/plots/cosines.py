"""How alike classes are in a network's last layer or features: a map of cosines."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from darkprobe.plots.heat_map import NAME_LIMIT, class_map_axes, draw_cells, name_both_sides
from darkprobe.plots.style import INK, MUTED, headline, house_style

DIVERGING = LinearSegmentedColormap.from_list(
    "darkprobe-signed", ["#b35806", "#f1a340", "#f7f7f7", "#5d9bc9", "#0b2a4a"]
)


@house_style
def plot_cosines(
    cosines: np.ndarray,
    *,
    class_names: Sequence[str],
    groups: Sequence[str] | None = None,
    reach: float | None = None,
    title: str = "Class cosines",
    note: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Axes with a map of cosines between classes; with `groups`, classes of a superclass stand together, framed.

    Args:
        cosines: (cls, cls), float in [-1, 1], e.g. from `weight_cosines` or `centre_cosines`. The diagonal is left out.
        class_names: (cls,), in the order of rows; shown for up to 40 classes.
        groups: (cls,), the superclass of each class, or None to keep the order given.
        reach: cosine at the ends of the colour scale, the same for maps that stand side by side; by default the largest
            of this map.
        title: heading, e.g. the model.
        note: small print: what the cosines are of, n.
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        InvalidValueError: the matrix is not square with one row per class name.
    """
    names = [str(name) for name in class_names]
    ax = class_map_axes("plot_cosines", "cosines", cosines, names, ax)
    order = np.argsort(np.asarray(groups), kind="stable") if groups is not None else np.arange(len(names))
    shown = np.where(np.eye(len(names), dtype=bool), np.nan, cosines.astype(float))[np.ix_(order, order)]
    reach = reach if reach is not None else max(0.1, float(np.nanmax(np.abs(shown), initial=0.0)))
    draw_cells(ax, shown, low=-reach, high=reach, label="cosine (blue: alike, orange: opposed)", colours=DIVERGING)
    name_both_sides(ax, [names[i] for i in order])
    if groups is not None:
        _frame_groups(ax, [groups[int(i)] for i in order], named=len(names) > NAME_LIMIT)
    headline(ax, title, note)
    return ax


def _frame_groups(ax: Axes, groups: Sequence[str], *, named: bool) -> None:
    """A square around each superclass, and its name where single classes have none."""
    start = 0
    for end in range(1, len(groups) + 1):
        if end == len(groups) or groups[end] != groups[start]:
            corner, size = start - 0.5, end - start
            ax.plot(
                [corner, corner + size, corner + size, corner, corner],
                [corner, corner, corner + size, corner + size, corner],
                color=INK,
                linewidth=0.9,
            )
            if named and size > 1:
                ax.text(-1.0, corner + size / 2, groups[start], ha="right", va="center", fontsize=6, color=MUTED)
            start = end
