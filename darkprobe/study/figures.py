"""The figures of a study, drawn from its tables."""

from pathlib import Path
from typing import Any

import pandas as pd

from darkprobe.plots import plot_capacity, plot_controls, plot_effects, plot_mismatch, plot_temperature, save_figure
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
        save_figure(axes.figure, directory / f"{name}.png", table=rows, provenance=facts)  # type: ignore[arg-type]
    rows = profile[(profile["metric"] == "distinctness_std") & (profile["subset"] == "all")]
    axes = plot_temperature(rows, metric="distinctness_std")
    save_figure(axes.figure, directory / "temperature.png", table=rows, provenance=facts)  # type: ignore[arg-type]
    taught = accuracy[accuracy["teacher"] != ""]
    alone = float(accuracy.loc[accuracy["teacher"] == "", "value"].iloc[0])
    for name, chosen in (
        ("mismatch_temperature", taught[taught["method"].str.contains(", ")]),
        ("mismatch_fixes", taught[~taught["method"].str.contains(", T")]),
    ):
        axes = plot_mismatch(chosen, student_alone=alone)
        save_figure(axes.figure, directory / f"{name}.png", table=chosen, provenance=facts)  # type: ignore[arg-type]
    axes = plot_effects(tables["effects"], margin=study.delta)
    save_figure(axes.figure, directory / "effects.png", table=tables["effects"], provenance=facts)  # type: ignore[arg-type]
    if "controls" in tables:
        axes = plot_controls(tables["controls"])
        save_figure(axes.figure, directory / "controls.png", table=tables["controls"], provenance=facts)  # type: ignore[arg-type]
