"""What the scripts of figures share: committed tables of the reference studies in, pictures with their numbers out.

Nothing here trains or measures. The same tables give the same bytes, on whatever machine they are drawn.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from darkprobe.plots import new_axes, save_figure
from darkprobe.plots.style import STYLE
from darkprobe.plots.tables import error_bars

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "studies" / "reference"
STUDIES = ("digits", "digits-conv", "synthetic")
TITLES = {
    "digits": "digits, perceptrons",
    "digits-conv": "digits, convolutional",
    "synthetic": "synthetic, perceptrons",
}


def finished() -> list[str]:
    """The reference studies whose results are there, in the order of every figure."""
    return [name for name in STUDIES if (REFERENCE / name / "verdicts.json").exists()]


def read_table(study: str, name: str) -> pd.DataFrame:
    """A committed table of a reference study, with its name in the column `study`."""
    return pd.read_csv(REFERENCE / study / "tables" / f"{name}.csv", keep_default_na=True).assign(study=study)


def read_facts(study: str, name: str) -> dict[str, Any]:
    """A committed JSON file of a reference study: `study` (plan, choices, provenance) or `verdicts`."""
    facts: dict[str, Any] = json.loads((REFERENCE / study / f"{name}.json").read_text())
    return facts


def panels(columns: int, rows: int = 1, *, width: float = 4.7, height: float = 3.8) -> list[Axes]:
    """Axes of one figure, row by row, in the house style."""
    return new_axes(columns, rows, width=width, height=height)


def draw_lines(ax: Axes, rows: pd.DataFrame, *, x: str, by: str, colours: Mapping[Any, str], name: str = "{}") -> None:
    """One line with error bars per value of the column `by`, in the order of `colours`."""
    with mpl.rc_context(STYLE):
        for key, colour in colours.items():
            line = rows[rows[by] == key].sort_values(x)
            if len(line):
                ax.errorbar(
                    line[x], line["value"], yerr=error_bars(line), color=colour, marker="o", markersize=4, capsize=2,
                    elinewidth=1, label=name.format(key),
                )  # fmt: skip


def teacher_axis(ax: Axes, rows: pd.DataFrame, *, column: str = "model") -> None:
    """A log axis of parameters whose ticks are the teachers' names."""
    teachers = rows.drop_duplicates("parameters").sort_values("parameters")
    ax.set_xscale("log")
    ax.set_xticks(teachers["parameters"], labels=list(teachers[column]), rotation=30)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.minorticks_off()
    ax.margins(x=0.08)
    ax.set_xlabel("teacher, by parameters (log scale)")


def percent(ax: Axes) -> None:
    """A vertical axis of fractions, read in percent."""
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))


def save(axes: list[Axes], name: str, *, table: pd.DataFrame, sources: list[str], **facts: Any) -> None:
    """Writes the figure as PNG and SVG, its numbers as CSV, and as JSON what they came from.

    Args:
        axes: of the figure.
        name: of the files.
        table: the numbers drawn.
        sources: reference studies whose provenance is repeated.
        facts: more of it.
    """
    told = {
        "drawn by": Path(sys.argv[0]).name,
        "studies": {study: read_facts(study, "study")["provenance"] for study in sources},
        **facts,
    }
    for suffix in (".png", ".svg"):
        path = save_figure(axes[0].figure, HERE / f"{name}{suffix}", table=table, provenance=told)
    print(path.with_suffix(".png"))


def counted_replicates(rows: pd.DataFrame) -> str:
    """The small print on what n counts."""
    low, high = int(np.min(rows["n"])), int(np.max(rows["n"]))
    return f"n = {low if low == high else f'{low} to {high}'} replicates · 95 % intervals"
