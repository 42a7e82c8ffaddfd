"""Capacity against distinctness on digits, split into its two factors: sigma = (1 - p_y) x inherent std.

Multilayer perceptrons of six widths, eight replicates each (fresh split of scikit-learn's digits, fresh weights), 600
training examples, 600 steps of AdamW; soft labels of the training images at T = 4. Means over replicates with 95 % t
intervals. Redrawn from capacity_digits.csv, unless told to train: about half a minute on 2 cores.

    python figures/capacity_digits.py [--train]
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _figure import model_colour, panels, read_numbers
from torch.nn.functional import cross_entropy

from darkprobe.data import Split, load_split
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.loop import fit
from darkprobe.distill.stack import Network, Stack
from darkprobe.files import read_json
from darkprobe.metrics import distinctness_std, inherent_std, non_target_mass
from darkprobe.plots import plot_capacity, save_figure
from darkprobe.provenance import provenance
from darkprobe.study.statistics import mean_estimate
from darkprobe.zoo import load_model, preprocess

TABLE = Path(__file__).with_suffix(".csv")
WIDTHS = (16, 32, 64, 128, 256, 512)
SEEDS = tuple(range(8))
TEMPERATURE = 4.0
TRAINING = TrainConfig(epochs=50, batch_size=50, learning_rate=5e-3, evaluations=1)
METRICS = {"distinctness_std": distinctness_std, "non_target_mass": non_target_mass, "inherent_std": inherent_std}
TITLES = {
    "distinctness_std": "How far wrong classes differ",
    "non_target_mass": "= probability left to them",
    "inherent_std": "× how far their shares differ",
}


def inputs_of(splits: list[Split], like: str) -> torch.Tensor:
    """(member, example, channel, height, width): each replicate's images as the network takes them."""
    card = load_model(like, input_shape=splits[0].input_shape, num_classes=10, seed=0).card
    return torch.stack([preprocess(split.inputs, card.preprocessing) for split in splits])


def train(name: str, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[Network, int]:
    """A stack of networks, one per replicate, and the number of parameters of each."""
    models = [load_model(name, input_shape=tuple(inputs.shape[2:]), num_classes=10, seed=seed) for seed in SEEDS]
    stack = Stack([model.module for model in models], own_inputs=True)
    member = torch.arange(len(SEEDS))[:, None]
    fit(
        stack,
        lambda index, epoch: inputs[member, index],
        lambda logits, index: cross_entropy(logits.mT, labels[member, index], reduction="none").mean(-1),
        config=TRAINING,
        examples=inputs.shape[1],
        order_seeds=SEEDS,
        evaluate=lambda network: (network(inputs).argmax(-1) == labels).float().mean(-1),
    )
    return stack, models[0].card.parameters


def measure_ladder() -> pd.DataFrame:
    """Tidy rows: each metric of each width, mean over replicates."""
    splits = [load_split(f"digits:{seed}", "train") for seed in SEEDS]
    inputs, labels = inputs_of(splits, f"mlp-{WIDTHS[0]}"), torch.stack([torch.from_numpy(s.labels) for s in splits])
    rows = []
    for width in WIDTHS:
        network, parameters = train(f"mlp-{width}", inputs, labels)
        with torch.no_grad():
            logits = network(inputs)
        for name, metric in METRICS.items():
            values = [metric(f, y, temperature=TEMPERATURE).mean() for f, y in zip(logits, labels, strict=True)]
            estimate = mean_estimate(np.array([float(value) for value in values]))
            low, high = estimate.interval()
            rows.append(
                {
                    "model": f"mlp-{width}",
                    "reference": None,
                    "dataset": "digits",
                    "split": "train",
                    "metric": name,
                    "temperature": TEMPERATURE,
                    "subset": "all",
                    "value": estimate.effect,
                    "low": low,
                    "high": high,
                    "n": estimate.n,
                    "unit": "probability",
                    "unit_of_n": "replicates",
                    "parameters": parameters,
                    "family": "mlp/plain",
                }
            )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, facts: dict[str, Any]) -> None:
    """The figure: distinctness and its two factors."""
    axes, colours = panels(len(METRICS), width=4.4, height=3.7), model_colour()
    for ax, metric in zip(axes, METRICS, strict=True):
        plot_capacity(table, metric=metric, temperature=TEMPERATURE, colours=colours, title=TITLES[metric], ax=ax)
        ax.set_ylim(0.0, 1.1 * ax.get_ylim()[1])
    for suffix in (".png", ".svg"):
        path = save_figure(axes[0].figure, TABLE.with_suffix(suffix), table=table, provenance=facts)
    print(path.with_suffix(".png"))


def main() -> None:
    """Trains and measures if asked to, else reads; draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--train", action="store_true", help="train the networks anew instead of reading the table")
    if not parser.parse_args().train:
        draw(read_numbers(TABLE), read_json(TABLE.with_suffix(".json"), who="capacity_digits"))
        return
    started = time.perf_counter()
    table = measure_ladder()
    draw(table, provenance(seeds=list(SEEDS), seconds=round(time.perf_counter() - started, 1)))


if __name__ == "__main__":
    main()
