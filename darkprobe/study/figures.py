"""The figures of a study, drawn from its tables."""

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
from darkprobe.study.levels import LEVELS
from darkprobe.study.plan import Study
from darkprobe.study.softlabels import SHOWN, shown_metrics


def draw_figures(study: Study, directory: Path, *, tables: dict[str, pd.DataFrame], facts: dict[str, Any]) -> None:
    """Writes every figure with its numbers and provenance into `directory`."""
    profile, accuracy = tables["profile"], tables["accuracy"]
    at = study.fixed_temperature
    for metric, name in (
        ("distinctness_std", "capacity"),
        ("inherent_std", "capacity_shape"),
        ("non_target_mass", "capacity_mass"),
        *((name, f"capacity_{name}") for name in shown_metrics()[len(SHOWN) :]),
    ):
        rows = profile[(profile["metric"] == metric) & (profile["temperature"] == at) & (profile["subset"] == "all")]
        axes = plot_capacity(rows, metric=metric, temperature=at)
        _save(axes, directory / f"{name}.png", rows, facts)
    rows = profile[(profile["metric"] == "distinctness_std") & (profile["subset"] == "all")]
    axes = plot_temperature(rows, metric="distinctness_std")
    _save(axes, directory / "temperature.png", rows, facts)
    taught = accuracy[accuracy["teacher"] != ""]
    alone = float(accuracy.loc[accuracy["teacher"] == "", "value"].iloc[0])
    for name, chosen in (
        ("mismatch_temperature", taught[taught["method"].str.contains(", ")]),
        ("mismatch_fixes", taught[~taught["method"].str.contains(", T")]),
    ):
        axes = plot_mismatch(chosen, student_alone=alone)
        _save(axes, directory / f"{name}.png", chosen, facts)
    axes = plot_effects(tables["effects"], margin=study.delta)
    _save(axes, directory / "effects.png", tables["effects"], facts)
    rows = (
        tables["levels"]
        .rename(columns={"teacher": "model", "level": "metric"})
        .assign(subset="all", reference=None, dataset=study.name, split="train")
    )
    axes = plot_levels(rows, levels=LEVELS, temperature=at)
    _save(axes, directory / "levels.png", tables["levels"], facts)
    if "controls" in tables:
        axes = plot_controls(tables["controls"])
        _save(axes, directory / "controls.png", tables["controls"], facts)


def _save(axes: Any, path: Path, table: pd.DataFrame, facts: dict[str, Any]) -> None:
    """The figure as PNG and, for print, as SVG."""
    for suffix in (".png", ".svg"):
        save_figure(axes.figure, path.with_suffix(suffix), table=table, provenance=facts)
