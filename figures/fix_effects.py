"""What every fix adds to KD from the largest teacher, in simultaneous intervals: against tuned KD and at one fixed T.

Redrawn from the kept tables.

    python figures/fix_effects.py
"""

import pandas as pd
from _figure import KeptStudy, figures_of, panels, save, spoken

from darkprobe.plots import plot_effects


def drawn(study: KeptStudy) -> pd.DataFrame:
    """The rows of a study: every fix against tuned KD, then against KD at the study's fixed temperature."""
    table = study.table("gap")
    assert table is not None
    fixed = f"T = {study.plan['fixed_temperature']:g}"
    rows = table[(table["quantity"] == "fix") & table["setting"].isin(["tuned", fixed])]
    groups = {"tuned": "against KD at tuned T", fixed: f"against KD at {fixed}"}
    return rows.assign(group=rows["setting"].map(groups), label=rows["method"].map(spoken), effect=rows["value"])


def draw_figure(name: str, studies: list[KeptStudy]) -> None:
    """A panel per study."""
    tables = [drawn(study) for study in studies]
    axes = panels(len(studies), width=5.4, height=4.3)
    for ax, study, table in zip(axes, studies, tables, strict=True):
        against = f"KD, {study.plan['teachers'][-1]}"
        plot_effects(table, title=study.title, against=against, margin=study.plan["delta"], ax=ax)
    save(axes, name, table=pd.concat(tables).drop(columns=["label", "effect"]), studies=studies)


def main() -> None:
    """Draws the reference studies, and the others in a figure of their own."""
    for name, studies in figures_of("fix_effects", "gap"):
        draw_figure(name, studies)


if __name__ == "__main__":
    main()
