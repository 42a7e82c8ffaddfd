"""What every heat map shares: the coloured cells with their bar, and names where there is room for them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize

from darkprobe.errors import InvalidValueError
from darkprobe.plots.style import SEQUENTIAL, axes_or_new

NAME_LIMIT = 40


def class_map_axes(asks: str, name: str, values: np.ndarray, names: Sequence[str], ax: Axes | None) -> Axes:
    """Axes for a map of one row and one column per class.

    Args:
        asks: public function to name in the error.
        name: of its argument.
        values: (cls, cls).
        names: (cls,).
        ax: where to draw; None makes a figure that has room for the names.

    Raises:
        InvalidValueError: the matrix is not square with one row per class name.
    """
    if values.shape != (len(names), len(names)):
        raise InvalidValueError(
            f"{asks}: `{name}` must have shape ({len(names)}, {len(names)}), one row per class name, got "
            f"{values.shape}. Pass the matrix and names of one data set."
        )
    side = 3.2 + 0.06 * min(len(names), NAME_LIMIT)
    return axes_or_new(ax, width=side + 1.3, height=side)


def draw_cells(
    ax: Axes, values: np.ndarray, *, low: float, high: float, label: str, colours: Colormap = SEQUENTIAL
) -> None:
    """Cells coloured from `low` to `high`, NaN left empty, with a colour bar."""
    image = ax.imshow(values, cmap=colours, norm=Normalize(low, high), interpolation="nearest", aspect="auto")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(label)


def name_both_sides(ax: Axes, names: Sequence[str]) -> None:
    """The names along rows and columns, upright columns where they are long; none where there are too many."""
    if len(names) > NAME_LIMIT:
        ax.set_xticks([])
        ax.set_yticks([])
        return
    long = max(len(name) for name in names) > 2
    ax.set_xticks(range(len(names)), labels=list(names), rotation=90 if long else 0)
    ax.set_yticks(range(len(names)), labels=list(names))
