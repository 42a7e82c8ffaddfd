"""Student accuracy against teacher capacity: at one fixed temperature for all, at each teacher's own, and with fixes.

Where a line falls towards the right, a larger teacher teaches worse: a capacity mismatch. Redrawn from kept tables.

    python figures/mismatch.py
"""

import pandas as pd
from _figure import (
    KeptStudy,
    draw_line,
    figures_of,
    legend,
    method_colours,
    method_markers,
    panels,
    percent,
    replicates,
    save,
    side_by_side,
    span_of,
    spoken,
    teacher_axis,
)
from matplotlib.axes import Axes

from darkprobe.plots.style import MUTED, headline, house_style


def draw(ax: Axes, table: pd.DataFrame, methods: list[str]) -> None:
    """A line per method over the teachers, and the student alone with its interval."""
    colours, markers = method_colours(methods), method_markers(methods)
    alone = table[table["method"] == "none"].iloc[0]
    ax.axhline(alone["value"], color=MUTED, linestyle="--", linewidth=1)
    ax.axhspan(alone["low"], alone["high"], color=MUTED, alpha=0.12, linewidth=0)
    for i, method in enumerate(methods):
        rows = table[table["method"] == method].sort_values("parameters")
        places = side_by_side(rows, i, len(methods), span=span_of(table))
        draw_line(ax, rows, x=places, colour=colours[method], marker=markers[method])
    teacher_axis(ax, table[table["method"].isin(methods)], column="teacher")
    ax.set_ylabel("student test accuracy (%)")
    percent(ax)


def entries(methods: list[str]) -> list[tuple[str, dict[str, object]]]:
    """The legend of these methods."""
    colours, markers = method_colours(methods), method_markers(methods)
    own = [(spoken(m), {"color": colours[m], "marker": markers[m], "markersize": 4}) for m in methods]
    return [*own, ("student alone", {"color": MUTED, "linestyle": "--"})]


def draw_study(axes: tuple[Axes, Axes], study: KeptStudy, table: pd.DataFrame) -> None:
    """The two panels of a study: temperatures, and fixes."""
    temperatures = [m for m in dict.fromkeys(table["method"]) if ", T =" in m]
    tuned = [m for m in dict.fromkeys(table["method"]) if ", tuned" in m]
    fixes = [m for m in dict.fromkeys(table["method"]) if m != "none" and m not in (*temperatures, *tuned)]
    small_print = f"{study.title} · student {study.plan['student']} · {replicates(table)} · 95 % intervals of means"
    for ax, methods, title in (
        (axes[0], [*temperatures, *tuned], "One T for all, and tuned T"),
        (axes[1], [*tuned, *fixes], "Without and with fixes, each tuned"),
    ):
        draw(ax, table, methods)
        legend(ax, entries(methods))
        headline(ax, title, small_print)


@house_style
def draw_figure(name: str, studies: list[KeptStudy]) -> None:
    """A column per study."""
    tables = [table for study in studies if (table := study.table("accuracy")) is not None]
    columns = len(studies)
    axes = panels(columns, 2, width=5.2, height=3.7)
    for i, (study, table) in enumerate(zip(studies, tables, strict=True)):
        draw_study((axes[i], axes[columns + i]), study, table)
    save(axes, name, table=pd.concat(tables), studies=studies)


def main() -> None:
    """Draws the reference studies, and the others in a figure of their own."""
    for name, studies in figures_of("mismatch", "accuracy"):
        draw_figure(name, studies)


if __name__ == "__main__":
    main()
