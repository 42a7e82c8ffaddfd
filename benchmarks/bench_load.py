"""Large loads: that time grows with the size and memory does not.

    python benchmarks/bench_load.py [--quick]

Budgets: extracting 2,000,000 x 1,000 in float16 (4 GB) from a synthetic source takes at most 1.3 times as long an
example as a tenth of it, and no more memory than that beyond the inputs; what the file is, is told in under a second.
Needs 5 GB of disk; --quick takes a tenth of everything.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

FEATURES, CLASSES = 16, 1000
Measured = tuple[float, float, float]
"""Seconds of the extraction, its peak of memory in MB beyond what the process held before, seconds to describe it."""


def extract(examples: int, directory: Path) -> Measured:
    """One extraction; run in a process of its own so that its peak of memory is its own."""
    from darkprobe.data import Split
    from darkprobe.extract import extract_logits
    from darkprobe.store import LogitStore
    from darkprobe.store.reporting import describe
    from darkprobe.zoo.card import Model, ModelCard

    rng = np.random.default_rng(0)
    split = Split(
        dataset="made",
        name="train",
        kind="features",
        inputs=rng.standard_normal((examples, FEATURES), dtype=np.float32),
        labels=rng.integers(0, CLASSES, examples),
        example_ids=np.arange(examples),
        class_names=tuple(map(str, range(CLASSES))),
        source="made",
    )
    torch.manual_seed(0)
    card = ModelCard(
        architecture="linear",
        tag=str(examples),
        line="linear",
        parameters=(FEATURES + 1) * CLASSES,
        input_shape=(FEATURES,),
        num_classes=CLASSES,
        weights_sha256="0" * 64,
    )
    model = Model(card=card, module=torch.nn.Linear(FEATURES, CLASSES))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    extract_logits(model, split, directory, batch_size=1024, storage="float16", device="cpu")
    seconds = time.perf_counter() - begun
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    begun = time.perf_counter()
    assert describe(LogitStore(directory).entries()[0])
    return seconds, peak, time.perf_counter() - begun


def measured(examples: int) -> Measured:
    """`extract` in a new process and directory."""
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(extract, (examples, Path(folder)))


def main() -> None:
    """Prints the table; exits 1 when a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="A tenth of everything.")
    large = 2_000_000 // (10 if parser.parse_args().quick else 1)
    rows = {examples: measured(examples) for examples in (large // 10, large)}
    print(f"{'examples':>10} {'seconds':>8} {'us/example':>10} {'peak MB':>8} {'info s':>7}")
    for examples, (seconds, peak, opened) in rows.items():
        print(f"{examples:>10,} {seconds:>8.1f} {seconds / examples * 1e6:>10.1f} {peak:>8.0f} {opened:>7.3f}")
    (few, small, _), (many, big, opened) = rows.values()
    ratio = many / 10 / few
    print(f"{'time an example, large : small':<40} {ratio:>6.2f}  budget <= 1.30")
    print(f"{'memory beyond that of the small one, MB':<40} {big - small:>6.0f}  budget <= 200")
    print(f"{'seconds to describe the large file':<40} {opened:>6.3f}  budget <= 1")
    if ratio > 1.3 or big - small > 200 or opened > 1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
