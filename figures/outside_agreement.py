"""Whether larger teachers of the image studies know less of what lies outside: people's votes, WordNet.

Teachers trained on CIFAR-10 against CIFAR-10H, image by image and class by class (is the larger one less distinct *and*
less human?), those of Tiny ImageNet against the tree of WordNet. Test images; n counts confirm replicates, each with
teachers of its own. Measuring needs the stores of finished studies, which are not kept: replicates whose logits are
there are measured, what is known of others stays. Without folders redraws the figure from outside_agreement.csv.

    python figures/outside_agreement.py [--studies build/images/cifar10-2-core ... --votes cifar10h-counts.npy]
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _figure import HERE, draw_line, model_colour, panels, read_numbers, replicates, save_measured, teacher_axis
from matplotlib.axes import Axes

from darkprobe.errors import InvalidValueError
from darkprobe.files import read_json
from darkprobe.measure import measure, measure_hierarchy
from darkprobe.measure.people import measure_people, read_votes
from darkprobe.plots.style import MUTED, headline, house_style
from darkprobe.provenance import provenance
from darkprobe.store import LogitStore
from darkprobe.study.statistics import mean_estimate
from darkprobe.study.status import read_plan

TABLE = HERE / "outside_agreement.csv"
METRICS = {
    "distinctness_std": ("How far wrong classes differ", "std over wrong classes, T = 4"),
    "human_spearman": ("Agreement with people, image by image", "rank correlation over wrong classes"),
    "human_class_affinity": ("... and by class", "rank correlation over wrong classes, T = 4"),
    "cophenetic_correlation": ("Agreement with WordNet", "correlation of trees of classes, T = 4"),
    "block_structure": ("... and with its superclasses", "block structure, T = 4 (.5 = none)"),
}
CEILINGS = [f"{metric}_ceiling" for metric in METRICS]
"""The highest value that a model without noise could have, of images with a wrong vote in both halves of the people."""
COLUMNS = ["part", "study", "model", "against", "parameters", "metric", "replicate", "value", "low", "high", "n"]


def outside(store: LogitStore, models: list[str], votes: Path | None) -> pd.DataFrame:
    """Rows of `measure`: against people where votes of these images are given, else against WordNet."""
    own = measure(store, metrics=["distinctness_std"], temperatures=(4.0,), split="test", models=models, resamples=20)
    own = own[own["subset"] == "all"]
    if votes is None:
        return pd.concat([own, measure_hierarchy(store, "wordnet", temperatures=(4.0,), split="test", models=models)])
    probs, counts = read_votes(votes)
    chosen: dict[str, Any] = {"temperatures": (4.0,), "split": "test", "models": models, "resamples": 20}
    return pd.concat([own, measure_people(store, probs, counts=counts, **chosen)])


def measured(directory: Path, votes: Path | None) -> pd.DataFrame:
    """A row a metric, teacher and confirm replicate whose logits lie in the study's store."""
    study, store = read_plan(directory), LogitStore(directory / "store")
    wanted = {f"{t}.plain-s{study.replicate_seed(r)}": (t, r) for t in study.teachers for r in study.confirm_replicates}
    cards = {e.card.model_id: e.card for e in store.entries() if e.split == "test" and e.card.model_id in wanted}
    classes = next(e.class_names for e in store.entries() if e.card.model_id in cards)
    in_wordnet = all(re.fullmatch(r"n\d{8}", name) for name in classes)
    if not in_wordnet and votes is None:
        raise InvalidValueError(
            f"outside_agreement: {study.name} must have classes of WordNet or --votes, got {classes[:3]}... Give votes."
        )
    rows = outside(store, sorted(cards), None if in_wordnet else votes)
    rows = rows[rows["metric"].isin([*METRICS, *CEILINGS])]
    teachers = [wanted[model] for model in rows["model"]]
    return rows.assign(
        part=np.where(rows["metric"].isin(CEILINGS), "ceiling", "replicate"),
        study=study.name,
        parameters=[cards[model].parameters for model in rows["model"]],
        model=[teacher for teacher, _ in teachers],
        replicate=[replicate for _, replicate in teachers],
        low=rows["low"].where(rows["metric"].isin(CEILINGS)),
        high=rows["high"].where(rows["metric"].isin(CEILINGS)),
    ).reindex(columns=COLUMNS)


def ladders(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Means over replicates by teacher, and of the largest minus every smaller one, paired by replicate."""
    for (study, metric), own in rows.groupby(["study", "metric"], sort=False):
        size = own.groupby("model")["parameters"].first().sort_values()
        by_model = own.pivot(index="replicate", columns="model", values="value").dropna()[list(size.index)]
        largest = size.index[-1]
        for model in size.index:
            shared = {"study": study, "model": model, "parameters": size[model], "metric": metric}
            yield {"part": "ladder", **shared, **_numbers(by_model[model])}
            if model != largest:
                difference = by_model[largest] - by_model[model]
                yield {**shared, "part": "difference", "model": largest, "against": model, **_numbers(difference)}


def _numbers(values: pd.Series) -> dict[str, float]:
    low, high = (estimate := mean_estimate(values.to_numpy(np.float64))).interval()
    return {"value": estimate.effect, "low": low, "high": high, "n": estimate.n}


def table_of(found: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """New rows in place of those of the same replicates, with what follows from all of them."""
    keys = ["part", "study", "model", "metric", "replicate"]
    both = pd.concat([known[known["part"].isin(("replicate", "ceiling"))], found])
    both = both.drop_duplicates(keys, keep="last")
    ceilings = both[both["part"] == "ceiling"].drop_duplicates(["study", "metric"], keep="last")
    ceilings = ceilings.assign(model="", parameters=np.nan, replicate=np.nan)  # of the images, not of a teacher
    single = both[both["part"] == "replicate"].sort_values(["study", "metric", "parameters", "replicate"])
    return pd.concat([pd.DataFrame(ladders(single)).reindex(columns=COLUMNS), ceilings, single], ignore_index=True)


def draw_panel(ax: Axes, rows: pd.DataFrame, *, metric: str, title: str) -> None:
    """Single replicates in grey, their means with intervals, and in words the ceiling."""
    own = rows[rows["metric"] == metric]
    for _, one in own[own["part"] == "replicate"].groupby("replicate"):
        ax.plot(one["parameters"], one["value"], color=MUTED, linewidth=0.7, alpha=0.6)
    line, colours = own[own["part"] == "ladder"].sort_values("parameters"), model_colour()
    for model in line["model"]:
        draw_line(ax, line[line["model"] == model], x="parameters", colour=colours.get(model, MUTED), markersize=6)
    teacher_axis(ax, line)
    said, label = METRICS[metric]
    ax.set_ylabel(label)
    ceiling = [f"ceiling {c:.2f}" for c in rows.loc[rows["metric"] == f"{metric}_ceiling", "value"]]
    headline(ax, said, " · ".join([f"{title} · test images", f"{replicates(line)}, 95 % intervals", *ceiling]))


@house_style
def draw(table: pd.DataFrame, facts: dict[str, Any]) -> None:
    """A row of panels a study."""
    shown = {study: [m for m in METRICS if m in set(rows["metric"])] for study, rows in table.groupby("study")}
    named = {p["study"]: p["study"] + (" (scaled)" if p["scaled"] else "") for p in facts["studies"].values()}
    columns = max(len(metrics) for metrics in shown.values())
    axes = panels(columns, len(shown), width=4.6, height=3.7)
    for i, (study, metrics) in enumerate(shown.items()):
        own = axes[i * columns : (i + 1) * columns]
        for ax, metric in zip(own, metrics, strict=False):
            draw_panel(ax, table[table["study"] == study], metric=metric, title=named[study])
        for ax in own[len(metrics) :]:
            ax.set_visible(False)
    save_measured(axes, TABLE, table=table, facts=facts)


def main() -> None:
    """Measures the studies that are named, else reads; draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=Path, nargs="+", help="folders of studies that still have their stores")
    parser.add_argument("--votes", type=Path, help="CIFAR-10H, for studies of CIFAR-10")
    given = parser.parse_args()
    if given.studies is None:
        draw(read_numbers(TABLE), read_json(TABLE.with_suffix(".json"), who="outside_agreement"))
        return
    known = read_numbers(TABLE) if TABLE.exists() else pd.DataFrame(columns=COLUMNS)
    earlier = read_json(TABLE.with_suffix(".json"), who="outside_agreement")["studies"] if TABLE.exists() else {}
    found = pd.concat([measured(directory, given.votes) for directory in given.studies])
    told = {d.name: read_json(d / "study.json", who="outside_agreement")["provenance"] for d in given.studies}
    command = "python figures/outside_agreement.py --studies DIR... --votes cifar10h-counts.npy"
    draw(table_of(found, known), {**provenance(), "command": command, "studies": earlier | told})


if __name__ == "__main__":
    main()
