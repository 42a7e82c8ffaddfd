"""The figures of a study, drawn from its tables."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from darkprobe.plots import (
    plot_capacity,
    plot_controls,
    plot_effects,
    plot_levels,
    plot_mismatch,
    plot_temperature,
    save_figure,
)
from darkprobe.study.ladder import SHOWN
from darkprobe.study.levels import LEVELS
from darkprobe.study.plan import Study


def draw_figures(
    study: Study,
    directory: Path,
    *,
    tables: dict[str, pd.DataFrame],
    facts: dict[str, Any],
    only: Collection[str] | None = None,
) -> None:
    """Writes every figure, or those named in `only`, with its numbers and provenance into `directory`."""
    for name, (draw, rows) in _drawings(study, tables).items():
        if only is None or name in only:
            _save(draw(), directory / f"{name}.png", rows, facts)


Drawing = tuple[Callable[[], Any], pd.DataFrame]
"""What draws a figure's axes, and the rows that it shows."""


def _drawings(study: Study, tables: dict[str, pd.DataFrame]) -> dict[str, Drawing]:
    """The figures that there are tables for, by name."""
    found = _of_profile(study, tables["profile"]) | _of_accuracy(tables["accuracy"])
    effects = tables["effects"]
    found["effects"] = (lambda: plot_effects(effects, margin=study.delta), effects)
    if "levels" in tables:
        rows = (
            tables["levels"]
            .rename(columns={"teacher": "model", "level": "metric"})
            .assign(subset="all", reference=None, dataset=study.name, split="train")
        )
        draw = partial(plot_levels, rows, levels=LEVELS, temperature=study.fixed_temperature)
        found["levels"] = (draw, tables["levels"])
    if "controls" in tables:
        found["controls"] = (partial(plot_controls, tables["controls"]), tables["controls"])
    return found


def _of_profile(study: Study, profile: pd.DataFrame) -> dict[str, Drawing]:
    """Teachers' metrics against capacity, and distinctness against temperature."""
    at, found = study.fixed_temperature, dict[str, Drawing]()
    for metric, name in (
        ("distinctness_std", "capacity"),
        ("inherent_std", "capacity_shape"),
        ("non_target_mass", "capacity_mass"),
        *((name, f"capacity_{name}") for name in profile["metric"].unique() if name not in SHOWN),
    ):
        rows = profile[(profile["metric"] == metric) & (profile["temperature"] == at) & (profile["subset"] == "all")]
        found[name] = (partial(plot_capacity, rows, metric=metric, temperature=at), rows)
    rows = profile[(profile["metric"] == "distinctness_std") & (profile["subset"] == "all")]
    return found | {"temperature": (partial(plot_temperature, rows, metric="distinctness_std"), rows)}


def _of_accuracy(accuracy: pd.DataFrame) -> dict[str, Drawing]:
    """Students' accuracy against capacity: temperatures, and fixes."""
    taught = accuracy[accuracy["teacher"] != ""]
    alone = float(accuracy.loc[accuracy["teacher"] == "", "value"].iloc[0])
    chosen = {
        "mismatch_temperature": taught[taught["method"].str.contains(", ")],
        "mismatch_fixes": taught[~taught["method"].str.contains(", T")],
    }
    return {name: (partial(plot_mismatch, rows, student_alone=alone), rows) for name, rows in chosen.items()}


def _save(axes: Any, path: Path, table: pd.DataFrame, facts: dict[str, Any]) -> None:
    """The figure as PNG and, for print, as SVG."""
    for suffix in (".png", ".svg"):
        save_figure(axes.figure, path.with_suffix(suffix), table=table, provenance=facts)
