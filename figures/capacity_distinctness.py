"""Distinctness against capacity and its two factors: raw std = (1 - p_y) x inherent std, at several temperatures.

On all training images, and on those that every teacher of the ladder gets right. Redrawn from the kept tables.

    python figures/capacity_distinctness.py
"""

from typing import Any

import pandas as pd
from _figure import (
    TEMPERATURE_COLOURS,
    KeptStudy,
    draw_line,
    figures_of,
    legend,
    log_values,
    panels,
    replicates,
    save,
    teacher_axis,
)
from matplotlib.axes import Axes

from darkprobe.plots.style import MUTED, headline, house_style

TEMPERATURES = (1.0, 4.0, 16.0)
METRICS = {
    "distinctness_std": "How far wrong classes differ",
    "non_target_mass": "= probability left to them",
    "inherent_std": "× how far their shares differ",
}
LABELS = {
    "distinctness_std": "std over wrong classes (log scale)",
    "non_target_mass": "$1 - p_y$ (log scale)",
    "inherent_std": "std of renormalised shares (log scale)",
}
SUBSETS = {"all": "all images", "common": "right in all teachers"}
LOOKS: dict[str, dict[str, Any]] = {
    "all": {"linestyle": "-", "markersize": 6},
    "common": {"linestyle": "--", "markersize": 3, "markerfacecolor": "white"},
}


def drawn(study: KeptStudy) -> pd.DataFrame:
    """The rows of a study that the figure shows."""
    profile = study.table("profile")
    assert profile is not None
    return profile[profile["metric"].isin(METRICS) & profile["temperature"].isin(TEMPERATURES)]


def draw(ax: Axes, rows: pd.DataFrame, *, metric: str, title: str) -> None:
    """One metric of one study: a line per temperature and subset."""
    rows = rows[rows["metric"] == metric]
    for temperature in TEMPERATURES:
        for subset, look in LOOKS.items():
            line = rows[(rows["temperature"] == temperature) & (rows["subset"] == subset)].sort_values("parameters")
            draw_line(ax, line, x="parameters", colour=TEMPERATURE_COLOURS[temperature], **look)
    log_values(ax)
    teacher_axis(ax, rows)
    ax.set_ylabel(LABELS[metric])
    headline(ax, METRICS[metric], f"{title} · training images · {replicates(rows)} · 95 % intervals")


@house_style
def draw_figure(name: str, studies: list[KeptStudy]) -> None:
    """A row of three panels per study."""
    tables = [drawn(study) for study in studies]
    axes = panels(len(METRICS), len(studies), width=4.4, height=3.5)
    entries = [(f"T = {t:g}", {"color": TEMPERATURE_COLOURS[t]}) for t in TEMPERATURES]
    entries += [(SUBSETS[s], {"color": MUTED, "marker": "o", **look}) for s, look in LOOKS.items()]
    for i, (study, rows) in enumerate(zip(studies, tables, strict=True)):
        own = axes[i * len(METRICS) : (i + 1) * len(METRICS)]
        for ax, metric in zip(own, METRICS, strict=True):
            draw(ax, rows, metric=metric, title=study.title)
        legend(own[-1], entries)
    save(axes, name, table=pd.concat(tables), studies=studies, temperatures=TEMPERATURES)


def main() -> None:
    """Draws the reference studies, and the others in a figure of their own."""
    for name, studies in figures_of("capacity_distinctness", "profile"):
        draw_figure(name, studies)


if __name__ == "__main__":
    main()
