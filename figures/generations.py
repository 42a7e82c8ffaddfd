"""Generations from a strict and from a tolerant first teacher: accuracy, strictness, ensembles, transfer; the sweep.

Redraws generations.png and generations_sweep.png from the committed tables in figures/studies/generations/. With
--train it first runs what is not done yet of the studies that need no data (`darkprobe generations synthetic` and
`digits`) in a folder of yours, and keeps what is small; with data also that of images, scaled down.

    python figures/generations.py [--train build/generations] [--workers 2]
        [--data parquet:CIFAR10 --transfer-data 'parquet:TINY?size=32']
"""

import argparse
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from _figure import HERE, panels, percent, save
from matplotlib.axes import Axes

from darkprobe.plots import plot_generations
from darkprobe.plots.style import MUTED, STYLE, category_colours, headline, legend_outside
from darkprobe.plots.tables import counted, error_bars
from darkprobe.study.generations import find_generations, run_generations

KEPT = HERE / "studies" / "generations"
STUDIES = ("synthetic", "digits")
IMAGES = "cifar10"
MEASURES = {
    "test_accuracy": "accuracy",
    "train_secondary_gap": "how strict",
    "ensemble_accuracy": "ensemble so far",
    "transfer_accuracy": "frozen features",
}
TARGETS = {
    "synthetic": "accuracy on 40 new classes (%)",
    "digits": "accuracy on digits 5 to 9 (%)",
    "cifar10": "accuracy on Tiny ImageNet, 100 classes (%)",
}


def keep(source: Path, target: Path) -> None:
    """Copies what is small from a finished study."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source / "tables", target / "tables")
    for name in ("verdicts.json", "generations.json", "runs.csv"):
        shutil.copy(source / name, target / name)


def read_table(study: str, name: str) -> pd.DataFrame:
    """A committed table of one of the studies."""
    return pd.read_csv(KEPT / study / "tables" / f"{name}.csv")


def read_plan(study: str) -> dict[str, Any]:
    """Plan, choices and provenance of one of the studies."""
    plan: dict[str, Any] = json.loads((KEPT / study / "generations.json").read_text())
    return plan


def draw_generations(studies: list[str]) -> None:
    """A row of four panels a study."""
    axes = panels(len(MEASURES), len(studies), width=3.7, height=3.5)
    tables = {study: read_table(study, "generations") for study in studies}
    colours = category_colours(chain for table in tables.values() for chain in table["chain"])
    for row, (study, table) in enumerate(tables.items()):
        for column, (metric, title) in enumerate(MEASURES.items()):
            ax = axes[row * len(MEASURES) + column]
            plot_generations(table, metric=metric, colours=colours, title=f"{named(study)}: {title}", ax=ax)
            if metric == "transfer_accuracy":
                ax.set_ylabel(TARGETS[study])
        with mpl.rc_context(STYLE):
            legend_outside(axes[(row + 1) * len(MEASURES) - 1], title="chain")
    shown = pd.concat([table[table["metric"].isin(MEASURES)] for table in tables.values()])
    save(axes, "generations", table=shown, sources=[], studies=provenances(studies))


def draw_sweep(studies: list[str]) -> None:
    """Validation accuracy of the pilot's students by eta, a line per K, at the lambda that was chosen."""
    axes = panels(len(studies), width=4.7, height=3.6)
    shown = []
    for ax, study in zip(axes, studies, strict=True):
        chosen, sweep = read_plan(study)["choices"], read_table(study, "sweep")
        rows = sweep[sweep["metric"] == "val_accuracy of students"]
        own = rows[(rows["chain"] == "tolerant") & (rows["ce_weight"] == chosen["tolerant"]["ce_weight"])]
        draw_lines(ax, own)
        for name, style in (("strict", "--"), ("strict, tuned T", ":")):
            line = rows[(rows["chain"] == name) & (rows["ce_weight"] == chosen[name]["ce_weight"])]
            line = line[line["temperature"] == chosen[name]["temperature"]]
            ax.axhline(line["value"].item(), color=MUTED, linestyle=style, linewidth=1.2, label=name)
            shown.append(line)
        shown.append(own)
        note = f"λ = {chosen['tolerant']['ce_weight']:g} · {counted(own).replace('n =', 'pilot, n =')}"
        with mpl.rc_context(STYLE):
            several = " · 95 % intervals" if own["n"].min() > 1 else ""
            headline(ax, f"{named(study)}: sweep of K and η", note + several)
            legend_outside(ax)
    save(axes, "generations_sweep", table=pd.concat(shown), sources=[], studies=provenances(studies))


def draw_lines(ax: Axes, rows: pd.DataFrame) -> None:
    """One line with error bars per K."""
    sizes = sorted(rows["k"].unique())
    with mpl.rc_context(STYLE):
        for place, (k, colour) in enumerate(category_colours(map(str, sizes)).items()):
            line = rows[rows["k"] == int(k)].sort_values("first_ce_weight")
            shift = 0.004 * (place - (len(sizes) - 1) / 2)
            ax.errorbar(
                line["first_ce_weight"] + shift, line["value"], yerr=error_bars(line), color=colour, marker="o",
                markersize=4, capsize=2, elinewidth=1, label=f"tolerant, K = {k}",
            )  # fmt: skip
    ax.set_xlabel("η, weight of the cross-entropy in generation 0")
    ax.set_ylabel("val accuracy of students (%)")
    percent(ax)


def named(study: str) -> str:
    """What the figures call a study; one that was cut down is called scaled."""
    return f"{study} (scaled)" if read_plan(study)["scaled"] else study


def provenances(studies: list[str]) -> dict[str, Any]:
    """Where the numbers of each study came from."""
    return {study: read_plan(study)["provenance"] for study in studies}


def main() -> None:
    """Trains where asked to; draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--train", type=Path, help="folder of the studies; what is finished in it is kept")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--data", help="CIFAR-10, for the study of images")
    parser.add_argument("--transfer-data", help="Tiny ImageNet, for the same")
    given = parser.parse_args()
    for name in STUDIES if given.train else ():
        keep(run_generations(find_generations(name), given.train / name, workers=given.workers), KEPT / name)
    if bool(given.data) != bool(given.transfer_data) or (given.data and not given.train):
        parser.error("--data and --transfer-data go together, and with --train")
    if given.data:
        plan = find_generations(IMAGES, edition="2-core")
        source, target = (dataclasses.replace(t, data=d) for t, d in ((plan.source, given.data),
                          (plan.target, given.transfer_data)))  # fmt: skip
        plan = dataclasses.replace(plan, source=source, target=target)
        keep(run_generations(plan, given.train / IMAGES, workers=given.workers), KEPT / IMAGES)
    studies = [study for study in (*STUDIES, IMAGES) if (KEPT / study / "verdicts.json").exists()]
    draw_generations(studies)
    draw_sweep(studies)


if __name__ == "__main__":
    main()
