"""Advice on many large teachers, from a store on disk to the ranked table.

    python benchmarks/bench_advise.py [--quick]

20 teachers, 50,000 training and 10,000 held-out examples, 1,000 classes, float32. Budget: 60 s on 2 cores, reading
included (the files were just written, so they come from the page cache where memory allows).
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np

from darkprobe.store import LogitStore
from darkprobe.study import advise
from darkprobe.zoo import ModelCard

BUDGET_SECONDS = 60.0
CARD = ModelCard(
    architecture="mlp-16", tag="s0", line="mlp", parameters=20_000, input_shape=(64,), num_classes=1000,
    weights_sha256="0" * 64,
)  # fmt: skip


def fill(store: LogitStore, *, teachers: int, sizes: dict[str, int], classes: int) -> None:
    """Teachers that differ in how sure they are."""
    rng = np.random.default_rng(0)
    for split, size in sizes.items():
        labels = rng.integers(0, classes, size)
        noise = rng.standard_normal((size, classes), dtype=np.float32)
        for i in range(teachers):
            logits = (1 + i / 5) * noise
            logits[np.arange(size), labels] += 6 + i / 2
            card = dataclasses.replace(CARD, tag=f"s{i}", weights_sha256=f"{i:064x}"[::-1], num_classes=classes)
            store.add(
                card, dataset="made", split=split, logits=logits, labels=labels, example_ids=np.arange(size),
                class_names=[str(c) for c in range(classes)], fingerprint="0" * 64, source="made",
            )  # fmt: skip


def main() -> None:
    """Prints wall and processor seconds against the budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 teachers instead of 20")
    teachers = 2 if parser.parse_args().quick else 20
    with tempfile.TemporaryDirectory() as folder:
        store = LogitStore(Path(folder) / "store", create=True)
        fill(store, teachers=teachers, sizes={"train": 50_000, "val": 10_000}, classes=1000)
        wall, own = time.perf_counter(), time.process_time()
        advise(LogitStore(store.path), student="mlp1-8")
        wall, own = time.perf_counter() - wall, time.process_time() - own
    print(f"{teachers} teachers x 50,000 x 1,000: {wall:.1f} s, {own:.1f} s of processor (budget {BUDGET_SECONDS:g} s)")


if __name__ == "__main__":
    main()
