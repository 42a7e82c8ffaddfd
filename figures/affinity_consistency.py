"""Do teachers of different size agree on which wrong classes are alike? Between chance and what seeds alone allow.

Rank correlation of every smaller teacher with the largest one, at class and at instance level, with its floor (the
largest teacher's wrong classes permuted) and its ceiling (twins of another seed); below, the same as consistency: 0 at
the floor, 1 at the ceiling. Redrawn from the kept tables.

    python figures/affinity_consistency.py
"""

import pandas as pd
from _figure import (
    KeptStudy,
    draw_line,
    figures_of,
    legend,
    panels,
    replicates,
    save,
    side_by_side,
    span_of,
    teacher_axis,
)
from matplotlib.axes import Axes

from darkprobe.plots.style import MUTED, headline, house_style

LEVELS = {"class": "#0072b2", "instance": "#e69f00"}
QUANTITIES = {
    "ceiling": ("ceiling: only seeds differ", {"linestyle": "--", "marker": "^", "markerfacecolor": "white"}),
    "with_largest": ("with the largest teacher", {"linestyle": "-", "marker": "o"}),
    "floor": ("floor: wrong classes permuted", {"linestyle": ":", "marker": "v", "markerfacecolor": "white"}),
}
BOUND = 0.9
"""H2 asks that the class level lies above it at every smaller teacher."""


def note(study: KeptStudy, rows: pd.DataFrame) -> str:
    """The small print."""
    at = f"T = {rows['temperature'].iloc[0]:g}"
    return f"{study.title} · {at} · training images · {replicates(rows)} with twins · 95 % intervals"


def draw_level(ax: Axes, rows: pd.DataFrame, *, level: str) -> None:
    """Spearman of one level with floor and ceiling."""
    for i, (quantity, (_, look)) in enumerate(QUANTITIES.items()):
        line = rows[rows["quantity"] == quantity].sort_values("parameters")
        places = side_by_side(line, i, len(QUANTITIES), span=span_of(rows))
        draw_line(ax, line, x=places, colour=LEVELS[level] if quantity == "with_largest" else MUTED, **look)
    teacher_axis(ax, rows)
    ax.set_ylim(-0.2, 1.05)
    ax.set_ylabel("Spearman correlation")


def draw_consistency(ax: Axes, rows: pd.DataFrame) -> None:
    """Both levels between floor and ceiling."""
    rows = rows[rows["quantity"] == "consistency"]
    ax.axhline(BOUND, color=MUTED, linestyle="--", linewidth=1)
    for i, (level, colour) in enumerate(LEVELS.items()):
        line = rows[rows["level"] == level].sort_values("parameters")
        draw_line(ax, line, x=side_by_side(line, i, len(LEVELS), span=span_of(rows)), colour=colour)
    teacher_axis(ax, rows)
    ax.set_ylim(0.0, 1.15)
    ax.set_ylabel("consistency (0 floor, 1 ceiling)")


@house_style
def draw_figure(name: str, studies: list[KeptStudy]) -> None:
    """A column per study: class level, instance level, consistency."""
    tables = [table for study in studies if (table := study.table("affinity")) is not None]
    columns = len(studies)
    axes = panels(columns, 3, width=4.4, height=3.5)
    for i, (study, table) in enumerate(zip(studies, tables, strict=True)):
        smaller = table[table["model"] != table["reference"]]
        small_print = note(study, smaller)
        for row, level in enumerate(LEVELS):
            draw_level(axes[row * columns + i], smaller[smaller["level"] == level], level=level)
            headline(axes[row * columns + i], f"Agreement, {level} level", small_print)
        draw_consistency(axes[2 * columns + i], smaller)
        headline(axes[2 * columns + i], "... as a share of what seeds allow", small_print)
    for row, (level, colour) in enumerate(LEVELS.items()):
        entries = [(label, {"color": colour if q == "with_largest" else MUTED, "markersize": 4, **look})
                   for q, (label, look) in QUANTITIES.items()]  # fmt: skip
        legend(axes[(row + 1) * columns - 1], entries, title=f"{level} level")
    entries = [
        (f"{level} level", {"color": colour, "marker": "o", "markersize": 4}) for level, colour in LEVELS.items()
    ]
    legend(axes[-1], [*entries, (f"{BOUND:g}: what H2 asks for", {"color": MUTED, "linestyle": "--"})])
    save(axes, name, table=pd.concat(tables), studies=studies)


def main() -> None:
    """Draws the reference studies, and the others in a figure of their own."""
    for name, studies in figures_of("affinity_consistency", "affinity"):
        draw_figure(name, studies)


if __name__ == "__main__":
    main()
