"""What batches and lengths the short cycle of the 2-core studies should have: validation accuracy by batch and rate.

    python benchmarks/measure_batches.py --data parquet:DIR [--model resnet8] [--epochs 8] [--images 10000]
        [--seeds 999] [B,RATE ...]

Trains as the 2-core edition of `darkprobe verify cifar10` does, by default on as many images, and looks at validation
images alone.
A ResNet-8 takes a minute of one core, a ResNet-20 two and a half.
"""

import argparse
import dataclasses
import time

import torch

from darkprobe.data import load_split
from darkprobe.data.policy import parse_policy
from darkprobe.distill.recipes import RECIPES, scaled
from darkprobe.distill.teachers import parse_recipe, train_model

SETTINGS = ("128,0.2", "64,0.1", "64,0.2", "32,0.1")


def main() -> None:
    """Prints a line a network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("settings", nargs="*", default=SETTINGS, help="batch size, comma, peak rate")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[999])
    given = parser.parse_args()
    torch.set_num_threads(1)
    everything = len(load_split(given.data, "train"))
    if given.images > 0.9 * everything:
        parser.error(f"--images must leave the last tenth to validation: at most {int(0.9 * everything):,}")
    train, val = load_split(given.data, f"train[:{given.images}]"), load_split(given.data, "train[0.9:]")
    cycle = scaled(RECIPES["fast"].training, epochs=given.epochs)
    for batch, rate in (setting.split(",") for setting in given.settings):
        config = dataclasses.replace(cycle, batch_size=int(batch), learning_rate=float(rate), evaluations=1)
        for seed in given.seeds:
            start = time.perf_counter()
            found = train_model(
                given.model,
                train,
                val,
                recipe=parse_recipe("plain"),
                config=config,
                policy=parse_policy("pad4+flip"),
                seed=seed,
            )
            seconds = time.perf_counter() - start
            length = f"{given.images:,} images, {given.epochs} epochs"
            what = f"{given.model}, {length}, batch {batch}, rate {rate}, seed {seed}"
            print(f"{what}: {found.last_accuracy:.4f} in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
