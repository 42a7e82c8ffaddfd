"""Two public CIFAR-10 networks against people: is the larger one less distinct, and less human?

ResNet-20 and ResNet-56 with their published weights on the 10,000 test images, against the votes of CIFAR-10H.
Redrawn from public_resnets.csv, unless told where the data are: then it measures, in two minutes, and writes that file.

    python figures/public_resnets.py [--shared DIR]    # the folder that holds data/
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from _figure import HERE, panels, read_numbers, save_measured

from darkprobe.data import load_split
from darkprobe.extract import extract_logits
from darkprobe.files import read_json
from darkprobe.measure import measure
from darkprobe.measure.people import measure_people
from darkprobe.metrics import human_alignment
from darkprobe.plots import plot_capacity, with_cards
from darkprobe.plots.alignment import plot_alignment
from darkprobe.provenance import provenance
from darkprobe.store import LogitStore
from darkprobe.study.statistics import mean_estimate
from darkprobe.zoo import load_model

WEIGHTS = {"resnet20": "resnet20-12fca82f.th", "resnet56": "resnet56-4bfd9763.th"}
METRICS = ["accuracy", "distinctness_std", "non_target_mass", "inherent_std"]
TABLE = HERE / "public_resnets.csv"


def extract(data: Path, folder: Path) -> LogitStore:
    """The logits of both networks on the test images."""
    store = LogitStore(folder / "store", create=True)
    test = load_split(f"parquet:{data / 'cifar10'}", "test")
    for name, file in WEIGHTS.items():
        model = load_model(f"{name}={data / 'pretrained' / file}", input_shape=test.input_shape, num_classes=10)
        extract_logits(model, test, store)
    return store


def difference(store: LogitStore, votes: np.ndarray) -> pd.DataFrame:
    """Alignment of the larger minus that of the smaller, image by image, over images with a wrong vote."""
    entries = sorted(store.entries(), key=lambda entry: entry.card.parameters)
    found = [human_alignment(np.array(e.logits), votes, np.array(e.labels), method="spearman") for e in entries]
    pair = np.asarray(found[1]) - np.asarray(found[0])
    low, high = (estimate := mean_estimate(pair[~np.isnan(pair)])).interval()
    row = {"model": entries[1].card.model_id, "reference": entries[0].card.model_id, "dataset": entries[0].dataset,
           "split": "test", "metric": "human_spearman_difference", "temperature": np.nan, "subset": "all",
           "value": estimate.effect, "low": low, "high": high, "n": estimate.n, "unit": "correlation"}  # fmt: skip
    return pd.DataFrame([row])


def measured(data: Path) -> pd.DataFrame:
    """Tidy rows of both networks: their soft labels, and their agreement with people."""
    votes = np.load(data / "cifar10h" / "cifar10h-counts.npy")
    with tempfile.TemporaryDirectory() as folder:
        store = extract(data, Path(folder))
        cards = [entry.card for entry in store.entries()]
        own = measure(store, metrics=METRICS, temperatures=(1.0, 4.0))
        people = measure_people(store, votes, temperatures=(1.0, 4.0))
        tables = [own, people, difference(store, votes)]
    return with_cards(pd.concat([table.dropna(axis=1, how="all") for table in tables]), cards)


def draw(table: pd.DataFrame, facts: dict[str, object]) -> None:
    """The figure: distinctness, its shape factor, and agreement with people under its ceiling."""
    axes = panels(3)
    plot_capacity(table, metric="distinctness_std", title="How far wrong classes differ", ax=axes[0])
    plot_capacity(table, metric="inherent_std", title="... as shares among themselves", ax=axes[1])
    ceiling = table[table["metric"] == "human_spearman_ceiling"].iloc[0]
    ends = (float(ceiling["low"]), float(ceiling["high"]))
    plot_alignment(table, metric="human_spearman", temperature=None, ceiling=float(ceiling["value"]),
                   ceiling_interval=ends, ax=axes[2])  # fmt: skip
    save_measured(axes, TABLE, table=table, facts=facts)


def main() -> None:
    """Measures if told where the data are, else reads; draws."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path)
    shared = parser.parse_args().shared
    if shared is None:
        draw(read_numbers(TABLE), read_json(TABLE.with_suffix(".json"), who="public_resnets"))
        return
    table = measured(shared / "data")
    draw(table, {**provenance(weights=WEIGHTS, images=10_000), "command": "public_resnets.py --shared DIR"})


if __name__ == "__main__":
    main()
