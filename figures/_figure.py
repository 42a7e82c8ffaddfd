"""What the scripts of figures share: committed tables of studies in, pictures with their numbers out.

Nothing here trains or measures. The same tables give the same numbers, on whatever machine they are drawn.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from darkprobe.files import read_json
from darkprobe.plots import model_colours, new_axes, save_figure
from darkprobe.plots.style import SEQUENTIAL, category_colours, category_markers
from darkprobe.plots.tables import error_bars

HERE = Path(__file__).resolve().parent
KEPT = HERE / "studies"
TITLES = {
    "reference/digits": "digits, perceptrons",
    "reference/digits-conv": "digits, convolutional",
    "reference/synthetic": "synthetic, perceptrons",
    "reference/levels": "synthetic, partial targets",
}
"""The reference studies, in the order of every figure; other studies follow under their folder's name."""

METHODS = {
    "ats": "ATS", "kd, tuned T": "KD, tuned T", "isats": "ISATS", "ttm": "TTM", "wttm": "WTTM", "kd-pt": "KD-pt",
    "ls": "LS", "dkd": "DKD", "dist": "DIST", "kd-standardised": "KD, standardised", "kd-sim": "KD-sim",
    "kd-topk": "KD-topk",
}  # fmt: skip
"""What methods are called on figures. Each keeps its colour, and its marker, in every figure."""

TEMPERATURE_COLOURS = {t: to_hex(SEQUENTIAL(0.3 + 0.7 * i / 5)) for i, t in enumerate((0.5, 1.0, 2.0, 4.0, 8.0, 16.0))}


@dataclass(frozen=True)
class KeptStudy:
    """What was kept of a finished study, in `folder`."""

    folder: Path

    @property
    def name(self) -> str:
        """Path below figures/studies, e.g. "reference/digits"."""
        return self.folder.relative_to(KEPT).as_posix()

    @cached_property
    def plan(self) -> dict[str, Any]:
        """The plan with the choices of the pilot and its provenance."""
        return read_json(self.folder / "study.json", who="figures")

    @property
    def title(self) -> str:
        """What the figures call it; a study that was cut down is called scaled everywhere."""
        return TITLES.get(self.name, self.folder.name) + (" (scaled)" if self.plan["scaled"] else "")

    def table(self, name: str) -> pd.DataFrame | None:
        """A table with the study's name in the column `study`; None where the study has none of that name."""
        path = self.folder / "tables" / f"{name}.csv"
        return read_numbers(path).assign(study=self.name) if path.exists() else None

    def verdict(self, key: str) -> dict[str, Any] | None:
        """A verdict, or None where the study had not the students for it."""
        found: dict[str, Any] | None = read_json(self.folder / "verdicts.json", who="figures").get(key)
        return found


def read_numbers(path: Path) -> pd.DataFrame:
    """A table whose numbers are, to the last bit, those that were written (the pinned pandas reads them so)."""
    return pd.read_csv(path)


def kept_studies(*tables: str) -> list[KeptStudy]:
    """The studies in figures/studies/{reference,scaled,full}/ that have these tables."""
    others = sorted(path.parent for kind in ("scaled", "full") for path in KEPT.glob(f"{kind}/*/verdicts.json"))
    folders = [*(KEPT / name for name in TITLES if (KEPT / name / "verdicts.json").exists()), *others]
    return [KeptStudy(f) for f in folders if all((f / "tables" / f"{table}.csv").exists() for table in tables)]


def figures_of(name: str, *tables: str) -> list[tuple[str, list[KeptStudy]]]:
    """The figures that a script draws: one of the reference studies, and `NAME_images` where there are others."""
    studies = kept_studies(*tables)
    groups = {
        name: [study for study in studies if study.name in TITLES],
        f"{name}_images": [study for study in studies if study.name not in TITLES],
    }
    return [(name, group) for name, group in groups.items() if group]


def model_colour() -> dict[str, str]:
    """One colour per model: light to dark along each line of architecture, the same in every figure."""
    names = {name for study in kept_studies() for name in study.plan["teachers"]} | {"mlp-512"}
    lines = {re.sub(r"\d+$", "", name) for name in names}
    found = [model_colours(name for name in names if re.sub(r"\d+$", "", name) == line) for line in sorted(lines)]
    return {name: colour for colours in found for name, colour in colours.items()}


def method_colours(methods: Iterable[str]) -> dict[str, str]:
    """One colour per method, the same in every figure; "kd, T = 4" has that of its temperature."""
    known = category_colours((*METHODS, *methods))
    fixed = {m: TEMPERATURE_COLOURS.get(float(m.split("=")[1]), "#4d4d4d") for m in methods if m.startswith("kd, T =")}
    return {method: fixed.get(method, known[method]) for method in methods}


def spoken(method: str) -> str:
    """What a method is called on figures."""
    return METHODS.get(method, re.sub(r"^kd\b(?!-)", "KD", method))


def method_markers(methods: Iterable[str]) -> dict[str, str]:
    """One marker per method, the same in every figure."""
    known = category_markers((*METHODS, *(m for m in methods if not m.startswith("kd, T ="))))
    return {method: known.get(method, "o") for method in methods}


def panels(columns: int, rows: int = 1, *, width: float = 4.7, height: float = 3.8) -> list[Axes]:
    """Axes of one figure, row by row, in the house style."""
    return new_axes(columns, rows, width=width, height=height)


def draw_line(ax: Axes, rows: pd.DataFrame, *, x: str | Sequence[float], colour: str, **style: Any) -> None:
    """A line of `value` with its intervals against a column, or places, of the rows."""
    places = rows[x] if isinstance(x, str) else x
    look = {"marker": "o", "markersize": 4, "capsize": 2, "elinewidth": 1, **style}
    ax.errorbar(places, rows["value"], yerr=error_bars(rows), color=colour, **look)


def side_by_side(rows: pd.DataFrame, i: int, n: int, *, span: float) -> list[float]:
    """Parameters of the teachers, moved a little for the i-th of n lines, so that intervals can be told apart.

    Args:
        rows: with the column `parameters`.
        i, n: which line of how many.
        span: parameters of the largest teacher on the axis over those of the smallest.
    """
    return [float(p) * span ** (0.017 * (i - (n - 1) / 2)) for p in rows["parameters"]]


def span_of(rows: pd.DataFrame) -> float:
    """How many times larger the largest teacher in the rows is than the smallest; the student alone has no teacher."""
    parameters = rows.loc[rows["parameters"] > 0, "parameters"]
    return float(parameters.max() / parameters.min())


def teacher_axis(ax: Axes, rows: pd.DataFrame, *, column: str = "model") -> None:
    """A log axis of parameters whose ticks are the teachers' names."""
    teachers = rows.drop_duplicates("parameters").sort_values("parameters")
    ax.set_xscale("log")
    ax.set_xticks(teachers["parameters"], labels=list(teachers[column]))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.minorticks_off()
    ax.margins(x=0.1)
    ax.set_xlabel("teacher, by parameters (log scale)")


def log_values(ax: Axes) -> None:
    """A log scale of values, with ticks enough to read: 1, 2, 5 of each decade where there are few decades."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.minorticks_off()


def percent(ax: Axes) -> None:
    """A vertical axis of fractions, read in percent."""
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))


def legend(ax: Axes, entries: Iterable[tuple[str, dict[str, Any]]], *, title: str = "") -> None:
    """A legend right of the frame, of lines that look as told."""
    lines = [Line2D([], [], label=label, **look) for label, look in entries]
    ax.legend(handles=lines, title=title or None, loc="upper left", bbox_to_anchor=(1.0, 1.0), alignment="left")


def replicates(rows: pd.DataFrame) -> str:
    """The small print on what n counts."""
    low, high = int(np.min(rows["n"])), int(np.max(rows["n"]))
    return f"n = {low if low == high else f'{low} to {high}'} replicates"


def save_measured(axes: list[Axes], path: Path, *, table: pd.DataFrame, facts: Mapping[str, Any]) -> None:
    """Writes a figure whose numbers a script measured itself as PNG and SVG beside `path`, table and facts with it."""
    for suffix in (".png", ".svg"):
        written = save_figure(axes[0].figure, path.with_suffix(suffix), table=table, provenance=facts)
    print(written.with_suffix(".png"))


def save(
    axes: list[Axes],
    name: str,
    *,
    table: pd.DataFrame,
    studies: list[KeptStudy] | Mapping[str, Mapping[str, Any]],
    **facts: Any,
) -> None:
    """Writes the figure as PNG and SVG, its numbers as CSV, and as JSON what they came from.

    Args:
        axes: of the figure.
        name: of the files.
        table: the numbers drawn.
        studies: those drawn, whose provenance (command, commit, versions, hardware, seeds, time) is repeated; or that
            provenance itself, by name.
        facts: more of it.
    """
    known = studies if isinstance(studies, Mapping) else {study.name: study.plan["provenance"] for study in studies}
    told = {
        "command": f"python figures/{Path(sys.argv[0]).name}",
        "studies": dict(known),
        **facts,
    }
    for suffix in (".png", ".svg"):
        path = save_figure(axes[0].figure, HERE / f"{name}{suffix}", table=table, provenance=told)
    print(path.with_suffix(".png"))
