"""Is there a capacity mismatch at each temperature, what does each fix add there, and what share of the gap is closed?

The gap is the accuracy of students of the best smaller teacher (of the pilot, at the same T) minus that of students of
the largest. A share of it is shown only where the gap's interval lies above 0: else there is nothing to close.
Redrawn from the kept tables.

    python figures/gap_closed.py
"""

from collections.abc import Iterable

import numpy as np
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
    spoken,
)
from matplotlib.axes import Axes

from darkprobe.plots.style import INK, MUTED, headline, house_style

KD = "#4d4d4d"


def setting_axis(ax: Axes, settings: list[str], smaller: dict[str, str] | None = None) -> None:
    """A place for each temperature, the tuned one last; below it the smaller teacher of the gap."""
    below = {s: f"\n{smaller[s]}" if smaller else "" for s in settings}
    ax.set_xticks(range(len(settings)), labels=[s.replace("tuned", "tuned T") + below[s] for s in settings])
    ax.set_xlim(-0.5, len(settings) - 0.5)
    ax.axhline(0.0, color=INK, linewidth=0.9)


def draw_gap(ax: Axes, table: pd.DataFrame, settings: list[str]) -> None:
    """Best smaller minus largest teacher, setting by setting."""
    rows = table[table["quantity"] == "gap"].set_index("setting").loc[settings]
    draw_line(ax, rows, x=range(len(settings)), colour=KD, linestyle="none")
    setting_axis(ax, settings, dict(rows["teacher"]))
    ax.set_ylabel("best smaller − largest (points)")
    percent(ax)


def in_order(methods: Iterable[str]) -> list[str]:
    """Every method once, tuned KD first."""
    return sorted(dict.fromkeys(methods), key=lambda method: method != "kd, tuned T")


def draw_methods(ax: Axes, rows: pd.DataFrame, settings: list[str]) -> None:
    """A mark per method and setting, side by side."""
    methods = in_order(rows["method"])
    colours, markers = method_colours(methods), method_markers(methods)
    for i, method in enumerate(methods):
        own = rows[rows["method"] == method].set_index("setting")
        own = own.loc[[s for s in settings if s in own.index]]
        places = [settings.index(s) + min(0.13, 0.8 / len(methods)) * (i - (len(methods) - 1) / 2) for s in own.index]
        draw_line(ax, own, x=places, colour=colours[method], marker=markers[method], linestyle="none")
    setting_axis(ax, settings)
    percent(ax)


def draw_shares(ax: Axes, rows: pd.DataFrame, settings: list[str]) -> None:
    """Shares where there is a gap, and words where there is none."""
    draw_methods(ax, rows[rows["value"].notna()], settings) if rows["value"].notna().any() else setting_axis(
        ax, settings
    )
    ax.axhline(1.0, color=MUTED, linestyle="--", linewidth=1)
    reach = float(np.nanmax([1.0, *rows["high"].dropna()]))
    ax.set_ylim(min(-0.15, *rows["low"].dropna(), 0.0) - 0.05, reach + 0.15)
    for place, setting in enumerate(settings):
        notes = rows.loc[rows["setting"] == setting, "note"].dropna()
        if len(notes):
            words = "no gap:\nlargest\nbetter" if "largest" in notes.iloc[0] else "no gap\nresolved"
            ax.text(
                place,
                0.5,
                words,
                transform=ax.get_xaxis_transform(),
                ha="center",
                va="center",
                fontsize=7.5,
                color=MUTED,
            )
    ax.set_ylabel("share of the gap closed (%)")
    percent(ax)


def draw_study(axes: list[Axes], study: KeptStudy, table: pd.DataFrame) -> None:
    """The three panels of a study."""
    found = list(dict.fromkeys(table["setting"]))
    settings = [*(s for s in found if s != "tuned"), "tuned"]
    told = f"{study.title} · {replicates(table)}"
    largest = study.plan["teachers"][-1]
    draw_gap(axes[0], table, settings)
    headline(axes[0], "The gap", f"{told} · largest {largest} · 95 % intervals, each on its own")
    draw_methods(axes[1], table[table["quantity"] == "fix"], settings)
    axes[1].set_ylabel("fix − KD at this T (points)")
    headline(axes[1], f"What fixes add at {largest}", f"{told} · 95 % intervals, simultaneous at each T")
    draw_shares(axes[2], table[table["quantity"] == "share"], settings)
    headline(axes[2], "Share of the gap closed", f"{told} · 95 % Fieller intervals · only where the gap is above 0")


@house_style
def draw_figure(name: str, studies: list[KeptStudy]) -> None:
    """A column per study."""
    tables = [table for study in studies if (table := study.table("gap")) is not None]
    columns = len(studies)
    axes = panels(columns, 3, width=4.8, height=3.4)
    for i, (study, table) in enumerate(zip(studies, tables, strict=True)):
        draw_study(axes[i::columns], study, table)
    methods = in_order(m for table in tables for m in table.loc[table["quantity"] == "fix", "method"])
    colours, markers = method_colours(methods), method_markers(methods)
    entries = [(spoken(m), {"color": colours[m], "marker": markers[m], "linestyle": "none"}) for m in methods]
    legend(axes[2 * columns - 1], entries, title="fix, at its tuned setting")
    save(axes, name, table=pd.concat(tables), studies=studies)


def main() -> None:
    """Draws the reference studies, and the others in a figure of their own."""
    for name, studies in figures_of("gap_closed", "gap"):
        draw_figure(name, studies)


if __name__ == "__main__":
    main()
