"""Classes as a tree: those that a teacher holds to be alike hang together low down."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from scipy.cluster.hierarchy import dendrogram, leaves_list

from darkprobe.errors import InvalidValueError
from darkprobe.plots.style import INK, axes_or_new, category_colours, headline, house_style


@house_style
def plot_tree(
    linkage: np.ndarray,
    *,
    class_names: Sequence[str],
    groups: Sequence[str] | None = None,
    title: str = "Affinity tree",
    note: str = "no intervals on trees",
    ax: Axes | None = None,
) -> Axes:
    """Axes with a dendrogram of the classes, leaves on the left, names coloured by their given group.

    Args:
        linkage: (cls - 1, 4), float: merges as SciPy's `linkage` writes them.
        class_names: (cls,), in label order.
        groups: (cls,), the super-class of each class, or None.
        title: heading.
        note: small print: distance, temperature, n, cophenetic correlation.
        ax: where to draw; by default a new figure.

    Returns:
        The axes.

    Raises:
        InvalidValueError: the merges do not fit the names.
    """
    names = [str(name) for name in class_names]
    if linkage.shape != (len(names) - 1, 4):
        raise InvalidValueError(
            f"plot_tree: `linkage` must have shape ({len(names) - 1}, 4), one merge less than class names, got "
            f"{linkage.shape}. Pass the tree and names of one data set."
        )
    found = dendrogram(linkage, no_plot=True)
    ax = axes_or_new(ax, width=5.6, height=1.3 + 0.17 * len(names))
    for across, along in zip(found["icoord"], found["dcoord"], strict=True):
        ax.plot(along, across, color=INK, linewidth=1.0)
    leaves = [int(leaf) for leaf in leaves_list(linkage)]
    ax.set_yticks(5.0 + 10.0 * np.arange(len(leaves)), labels=[names[leaf] for leaf in leaves])
    if groups is not None:
        colours = category_colours(sorted(set(groups)))
        for tick, leaf in zip(ax.get_yticklabels(), leaves, strict=True):
            tick.set_color(colours[groups[leaf]])
    ax.tick_params(axis="y", length=0, labelsize=8 if len(leaves) <= 40 else 5)
    ax.set_ylim(0, 10.0 * len(leaves))
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_xlim(left=-0.02 * float(linkage[-1, 2]))  # the nearest two classes join at 0
    ax.set_xlabel("distance at which classes join")
    headline(ax, title, note)
    return ax
