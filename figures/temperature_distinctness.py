"""Distinctness against temperature, a line per teacher: raw, and of the wrong classes' shares among themselves.

Redrawn from the kept tables.

    python figures/temperature_distinctness.py
"""

import pandas as pd
from _figure import kept_studies, model_colour, panels, save

from darkprobe.plots import plot_temperature

METRICS = {"distinctness_std": "How far wrong classes differ", "inherent_std": "... as shares among themselves"}


def main() -> None:
    """Draws a row of panels per metric, a column per study."""
    studies = kept_studies("profile")
    tables = [study.table("profile") for study in studies]
    rows = [table[table["metric"].isin(METRICS) & (table["subset"] == "all")] for table in tables if table is not None]
    axes, colours = panels(len(studies), len(METRICS), width=4.9, height=3.5), model_colour()
    for i, (metric, title) in enumerate(METRICS.items()):
        for ax, study, table in zip(axes[i * len(studies) :], studies, rows, strict=False):
            own = {name: colours[name] for name in study.plan["teachers"]}
            named = table.assign(dataset=study.title)
            plot_temperature(named, metric=metric, colours=own, title=title, ax=ax)
    save(axes, "temperature_distinctness", table=pd.concat(rows), studies=studies)


if __name__ == "__main__":
    main()
