"""Which fixes tell a student the same: cosines between the gradients that they send to one student on one batch.

Teacher and student of the digits study (mlp-256, mlp1-8), 16 replicates of fresh split, teacher and student, each
student a third of the way through its training, once on labels, once by KD at T = 8. Each method's teacher term alone,
over all of the student's parameters, on the first 200 training images; means over replicates with 95 % t intervals.
With --measure it trains and writes gradient_similarity.csv (half a minute on one core); without, it redraws the figure
from that file.

    python figures/gradient_similarity.py [--measure]
"""

import argparse
import dataclasses
import time
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from _figure import HERE, panels
from capacity_digits import inputs_of
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot, softmax

from darkprobe.data import load_split
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.loop import fit
from darkprobe.distill.methods import METHODS
from darkprobe.distill.stack import Network, Stack
from darkprobe.files import read_json
from darkprobe.plots import plot_cosines, save_figure
from darkprobe.plots.style import INK, STYLE, headline
from darkprobe.plots.tables import error_bars
from darkprobe.provenance import provenance
from darkprobe.study import find_study
from darkprobe.study.statistics import mean_estimate
from darkprobe.zoo import load_model

TABLE = HERE / "gradient_similarity.csv"
SEEDS = tuple(range(16))
BATCH = 200
ALIKE = 0.99
"""Cosine above which, with the whole interval, two methods count as near-duplicates: our choice."""

LABELS, AGAINST = "labels alone", "KD, T = 8"
STUDENTS = {"trained on labels": (0.0, "#d55e00"), "trained by KD at T = 8": (0.9, "#0072b2")}
"""Weight of the teacher in the training of each student, and its colour."""

FRAME = "#e69f00"
DECIMALS = 6
METHODS_SHOWN = {
    "KD, T = 2": ("kd", {"temperature": 2.0}),
    "KD, T = 4": ("kd", {"temperature": 4.0}),
    AGAINST: ("kd", {"temperature": 8.0}),
    "KD, T = 16": ("kd", {"temperature": 16.0}),
    "KD of Hinton, T = 4": ("kd-hinton", {"temperature": 4.0}),
    "TTM, T = 8": ("ttm", {"gamma": 0.125}),
    "WTTM, T = 8": ("wttm", {"gamma": 0.125}),
    "ATS 5/3": ("ats", {"target_temperature": 5.0, "wrong_temperature": 3.0}),
    "ATS 16/8": ("ats", {"target_temperature": 16.0, "wrong_temperature": 8.0}),
    "ISATS 8": ("isats", {"target_temperature": 8.0, "retain": 0.9}),
    "ISATS matched, 8": ("isats-matched", {"temperature": 8.0}),
    "class affinity, T = 8": ("class-affinity", {"temperature": 8.0}),
    "KD-pt, T = 8": ("kd-pt", {"temperature": 8.0}),
    "KD-topk 3, T = 8": ("kd-topk", {"temperature": 8.0, "k": 3}),
    "standardised, both": ("kd-standardised", {}),
    "DKD": ("dkd", {}),
    "NKD": ("nkd", {}),
    "DIST": ("dist", {}),
    "WSLD": ("wsld", {}),
    "ranking": ("ranking", {}),
    "KD permuted, T = 8": ("cf-permute", {"temperature": 8.0}),
}


def train(name: str, inputs: Tensor, targets: Tensor, config: TrainConfig) -> Network:
    """A stack of networks trained on distributions over classes (replicate, example, cls), one a replicate."""
    models = [load_model(name, input_shape=tuple(inputs.shape[2:]), num_classes=10, seed=seed) for seed in SEEDS]
    stack = Stack([model.module for model in models], own_inputs=True)
    member = torch.arange(len(SEEDS))[:, None]
    fit(
        stack,
        lambda index, epoch: inputs[member, index],
        lambda logits, index: cross_entropy(
            logits.movedim(-1, 1), targets[member, index].movedim(-1, 1), reduction="none"
        ).mean(-1),
        config=config,
        examples=inputs.shape[1],
        order_seeds=SEEDS,
        evaluate=lambda network: (network(inputs).argmax(-1) == targets.argmax(-1)).float().mean(-1),
    )
    return stack


def gradients(student: Network, inputs: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    """(replicate, method, parameter), each of length 1; the first method is the labels' cross-entropy."""
    logits, parameters = student(inputs), list(student.parameters())
    found = []
    for m in range(len(SEEDS)):
        losses = [cross_entropy(logits[m], labels[m])]
        for name, settings in METHODS_SHOWN.values():
            losses.append(METHODS[name].teacher_term(logits[m], teacher_logits[m], labels[m], parameters=settings))
        each = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses]
        found.append(torch.stack([torch.cat([part[m].flatten() for part in parts]) for parts in each]))
    return normalize(torch.stack(found).double(), dim=-1)


def measured() -> pd.DataFrame:
    """A row a student and pair of methods: the mean cosine of their gradients with its interval."""
    study = find_study("digits")
    splits = [load_split(f"digits:{seed}", "train") for seed in SEEDS]
    labels = torch.stack([torch.from_numpy(split.labels) for split in splits])
    inputs, hard = inputs_of(splits, study.student), one_hot(labels, 10).float()
    teacher = train(study.teachers[-1], inputs, hard, study.teacher_training)
    with torch.no_grad():
        logits = teacher(inputs)
    soft = softmax(logits / METHODS_SHOWN[AGAINST][1]["temperature"], -1)
    rows = []
    for name, (weight, _) in STUDENTS.items():
        student = train(study.student, inputs, (1 - weight) * hard + weight * soft, third_of(study.student_training))
        unit = gradients(student, inputs[:, :BATCH], logits[:, :BATCH], labels[:, :BATCH])
        rows += pairs((unit @ unit.mT).detach().numpy(), name)
    return pd.DataFrame(rows).round(DECIMALS)


def pairs(cosines: np.ndarray, student: str) -> list[dict[str, object]]:
    """A row a pair of methods, from (replicate, method, method)."""
    names, rows = [LABELS, *METHODS_SHOWN], []
    for i, j in combinations(range(len(names)), 2):
        low, high = (estimate := mean_estimate(cosines[:, i, j])).interval()
        rows.append({"student": student, "one": names[i], "other": names[j], "effect": estimate.effect, "low": low,
                     "high": high, "n": estimate.n, "unit": "cosine",
                     "unit_of_n": "replicates (fresh split, teacher, student)"})  # fmt: skip
    return rows


def third_of(training: TrainConfig) -> TrainConfig:
    """A third of the epochs, at a schedule of its own."""
    return dataclasses.replace(training, epochs=training.epochs // 3, evaluations=1)


def matrix(table: pd.DataFrame, names: list[str], column: str = "effect") -> np.ndarray:
    """(method, method), symmetric with a diagonal of 1: a column of one student's rows."""
    square = np.eye(len(names))
    for row in table.to_dict("records"):
        i, j = names.index(row["one"]), names.index(row["other"])
        square[i, j] = square[j, i] = row[column]
    return square


def ordered(table: pd.DataFrame) -> list[str]:
    """The methods, alike beside alike for both students together."""
    names = list(dict.fromkeys([*table["one"], *table["other"]]))
    mean = np.mean([matrix(rows, names) for _, rows in table.groupby("student")], axis=0)
    order = leaves_list(linkage(squareform(np.clip(1 - mean, 0, 2), checks=False), "average"))
    return [names[i] for i in order]


def draw_map(ax: Axes, table: pd.DataFrame, names: list[str]) -> None:
    """Mean cosines of all pairs for one student; a frame around each pair of near-duplicates."""
    student, n = table["student"].iloc[0], table["n"].iloc[0]
    note = f"framed: near-duplicates, whole 95 % interval above {ALIKE} · n = {n} replicates"
    plot_cosines(matrix(table, names), class_names=names, title=f"Student {student}", note=note, ax=ax)
    ax.images[0].set_clim(-1.0, 1.0)
    for i, j in np.argwhere(np.triu(matrix(table, names, "low") > ALIKE, 1)):
        for x, y in ((i, j), (j, i)):
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=FRAME, linewidth=1.6, zorder=5))


def draw_against(ax: Axes, table: pd.DataFrame, names: list[str]) -> None:
    """Each method's cosine with KD's gradient, with intervals, for both students."""
    others = [name for name in names if name != AGAINST]
    for i, (student, (_, colour)) in enumerate(STUDENTS.items()):
        rows = table[(table["student"] == student) & ((table["one"] == AGAINST) | (table["other"] == AGAINST))]
        label = rows["one"].where(rows["one"] != AGAINST, rows["other"])
        place = np.array([others.index(name) for name in label]) + 0.3 * (i - 0.5)
        ax.errorbar(rows["effect"], place, xerr=error_bars(rows, "effect"), fmt="os"[i], color=colour, markersize=4,
                    elinewidth=1.4, capsize=2, label=student)  # fmt: skip
    ax.set_yticks(range(len(others)), labels=others)
    ax.set_ylim(len(others) - 0.4, -0.6)
    ax.axvline(0.0, color=INK, linewidth=0.9)
    ax.set_xlabel(f"cosine with the gradient of {AGAINST} (1: the same direction)")
    ax.legend(title="student", loc="upper left", alignment="left")
    headline(ax, f"Against {AGAINST}", f"n = {table['n'].iloc[0]} replicates · 95 % intervals", share=0.6)


def draw(table: pd.DataFrame, facts: dict[str, object]) -> None:
    """A map for each student, and each method against KD with intervals."""
    axes = panels(3, width=6.4, height=6.4)
    names = ordered(table)
    for ax, student in zip(axes, STUDENTS, strict=False):
        draw_map(ax, table[table["student"] == student], names)
    with mpl.rc_context(STYLE):
        draw_against(axes[2], table, names)
    for suffix in (".png", ".svg"):
        print(save_figure(axes[0].figure, TABLE.with_suffix(suffix), table=table, provenance=facts))


def main() -> None:
    """Measures where asked, else reads; draws."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", action="store_true", help="train and measure again")
    if not parser.parse_args().measure:
        table = pd.read_csv(TABLE).round(DECIMALS)
        draw(table, read_json(TABLE.with_suffix(".json"), who="gradient_similarity"))
        return
    table = measured()
    facts = provenance(seeds=list(SEEDS), batch=BATCH, processor_seconds=round(time.process_time(), 1))
    draw(table, facts)


if __name__ == "__main__":
    main()
