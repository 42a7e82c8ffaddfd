"""The counterfactuals: students of teachers whose distinctness was taken away at fixed confidence, and of the controls.

Left, dose and response: student accuracy against what is left of the teacher's distinctness. Right, every control
against the clean teacher. Redrawn from the kept verdicts (H9) and tables.

    python figures/dose_response.py
"""

import pandas as pd
from _figure import KeptStudy, draw_line, figures_of, panels, percent, replicates, save
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from darkprobe.plots import plot_controls
from darkprobe.plots.style import MUTED, headline, house_style
from darkprobe.plots.tables import error_bars


def doses(study: KeptStudy) -> pd.DataFrame:
    """(dose, distinctness left, accuracy) of H9, with intervals; empty where the study did not test it."""
    verdict = study.verdict("H9")
    detail = pd.DataFrame([] if verdict is None else verdict["detail"], columns=["what", "effect", "low", "high", "n"])
    kinds = {"distinctness": "distinctness of ", "accuracy": "accuracy from "}
    found = {kind: detail[detail["what"].str.startswith(head)] for kind, head in kinds.items()}
    named = [
        rows.assign(label=rows["what"].str.removeprefix(kinds[kind]), quantity=kind) for kind, rows in found.items()
    ]
    return pd.concat(named).drop(columns="what").rename(columns={"effect": "value"}).assign(study=study.name)


def draw_doses(ax: Axes, rows: pd.DataFrame, study: KeptStudy) -> None:
    """Accuracy against the distinctness that is left, both with intervals."""
    left = rows[rows["quantity"] == "distinctness"].set_index("label")
    reached = rows[rows["quantity"] == "accuracy"].set_index("label").loc[left.index]
    ax.errorbar(left["value"], reached["value"], xerr=error_bars(left), fmt="none", ecolor=MUTED, elinewidth=1)
    draw_line(ax, reached, x=list(left["value"]), colour="#0072b2")
    accuracy = study.table("accuracy")
    assert accuracy is not None
    alone = accuracy[accuracy["method"] == "none"].iloc[0]
    ax.axhline(alone["value"], color=MUTED, linestyle="--", linewidth=1)
    ax.axhspan(alone["low"], alone["high"], color=MUTED, alpha=0.12, linewidth=0)
    ax.annotate("student alone", (1.0, alone["value"]), (-4, 4), ("axes fraction", "data"), "offset points",
                ha="right", fontsize=7.5, color=MUTED)  # fmt: skip
    ax.set_xlabel("distinctness left (% of the teacher's own, at the same $p_y$)")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))
    ax.set_ylabel("student test accuracy (%)")
    percent(ax)
    teacher, at = study.plan["control_teacher"], study.plan["fixed_temperature"]
    headline(ax, "Dose and response", f"{study.title} · {teacher} · T = {at:g} · {replicates(rows)} · 95 % intervals")


@house_style
def draw_figure(name: str, studies: list[KeptStudy]) -> None:
    """A row per study that has controls."""
    axes = panels(2, len(studies), width=6.4, height=5.2)
    tables = []
    for i, study in enumerate(studies):
        dose, controls = doses(study), study.table("controls")
        assert controls is not None
        if len(dose):
            draw_doses(axes[2 * i], dose, study)
        else:
            axes[2 * i].set_axis_off()
        plot_controls(controls, title=f"Controls, {study.title}", ax=axes[2 * i + 1])
        effects = controls.rename(columns={"effect": "value"}).assign(quantity="effect on accuracy")
        tables += [dose, effects.drop(columns="unit_of_n")]
    save(axes, name, table=pd.concat(tables), studies=studies)


def main() -> None:
    """Draws the reference studies, and the others in a figure of their own."""
    for name, studies in figures_of("dose_response", "controls"):
        draw_figure(name, studies)


if __name__ == "__main__":
    main()
