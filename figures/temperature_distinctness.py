"""Distinctness against temperature, a line per teacher: raw, and of the wrong classes' shares among themselves.

Redrawn from the kept tables.

    python figures/temperature_distinctness.py
"""

import pandas as pd
from _figure import KeptStudy, figures_of, model_colour, panels, save

from darkprobe.plots import plot_temperature

METRICS = {"distinctness_std": "How far wrong classes differ", "inherent_std": "... as shares among themselves"}


def draw_figure(name: str, studies: list[KeptStudy]) -> None:
    """A row of panels per metric, a column per study."""
    tables = [study.table("profile") for study in studies]
    rows = [table[table["metric"].isin(METRICS) & (table["subset"] == "all")] for table in tables if table is not None]
    axes, colours = panels(len(studies), len(METRICS), width=4.9, height=3.5), model_colour()
    for i, (metric, title) in enumerate(METRICS.items()):
        for ax, study, table in zip(axes[i * len(studies) :], studies, rows, strict=False):
            own = {teacher: colours[teacher] for teacher in study.plan["teachers"]}
            named = table.assign(dataset=study.title)
            plot_temperature(named, metric=metric, colours=own, title=title, ax=ax)
    save(axes, name, table=pd.concat(rows), studies=studies)


def main() -> None:
    """Draws the reference studies, and the others in a figure of their own."""
    for name, studies in figures_of("temperature_distinctness", "profile"):
        draw_figure(name, studies)


if __name__ == "__main__":
    main()
