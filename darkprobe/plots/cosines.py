"""How alike classes are in a network's last layer or features: a map of cosines."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize

from darkprobe.errors import InvalidValueError
from darkprobe.plots.style import INK, MUTED, axes_or_new, headline, house_style

NAME_LIMIT = 40
DIVERGING = LinearSegmentedColormap.from_list(
    "darkprobe-signed", ["#b35806", "#f1a340", "#f7f7f7", "#5d9bc9", "#0b2a4a"]
)


@house_style
def plot_cosines(
    cosines: np.ndarray,
    *,
    class_names: Sequence[str],
    groups: Sequence[str] | None = None,
    title: str = "Class cosines",
    note: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Axes with a map of cosines between classes; with `groups`, classes of a superclass stand together, framed.

    Args:
        cosines: (cls, cls), float in [-1, 1], e.g. from `weight_cosines` or `centre_cosines`. The diagonal is left out.
        class_names: (cls,), in the order of rows; shown for up to 40 classes.
        groups: (cls,), the superclass of each class, or None to keep the order given.
        title: heading, e.g. the model.
        note: small print: what the cosines are of, n.
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        InvalidValueError: the matrix is not square with one row per class name.
    """
    names = [str(name) for name in class_names]
    if cosines.shape != (len(names), len(names)):
        raise InvalidValueError(
            f"plot_cosines: `cosines` must have shape ({len(names)}, {len(names)}), one row per class name, got "
            f"{cosines.shape}. Pass the matrix and names of one data set."
        )
    order = np.argsort(np.asarray(groups), kind="stable") if groups is not None else np.arange(len(names))
    shown = np.where(np.eye(len(names), dtype=bool), np.nan, cosines.astype(float))[np.ix_(order, order)]
    side = 3.2 + 0.06 * min(len(names), NAME_LIMIT)
    ax = axes_or_new(ax, width=side + 1.3, height=side)
    reach = max(0.1, float(np.nanmax(np.abs(shown), initial=0.0)))
    image = ax.imshow(shown, cmap=DIVERGING, norm=Normalize(-reach, reach), interpolation="nearest", aspect="auto")
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("cosine (blue: alike, orange: opposed)")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    placed = [names[i] for i in order]
    if len(names) <= NAME_LIMIT:
        ax.set_xticks(range(len(names)), labels=placed, rotation=90)
        ax.set_yticks(range(len(names)), labels=placed)
    else:
        ax.set_xticks([])
        ax.set_yticks([])
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
