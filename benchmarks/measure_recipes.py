"""What the fast recipe costs in accuracy against the CRD protocol, on a problem small enough for both, several times.

    python benchmarks/measure_recipes.py --data parquet:../shared/data/cifar10 \\
        --teacher resnet20=../shared/data/pretrained/resnet20-12fca82f.th [--examples 2000] [--seeds 4]

A scaled problem, not CIFAR-10: resnet8 learns by KD at T = 4 from stored logits of 8 augmented views of the first
`examples` training images, at the recipes' own lengths (240 and 24 epochs), and is judged at its last epoch on 5,000
training images that nothing was chosen on. A seed is a fresh student in another order; both recipes share it. Printed:
accuracy of each recipe and the difference, with 95 % t-intervals over seeds, and the processor seconds of a student.
"""

import argparse
import dataclasses
import tempfile
import time

import numpy as np
import torch
from scipy import stats

from darkprobe.data import load_split
from darkprobe.distill import RECIPES, DistillConfig, distill
from darkprobe.extract import extract_logits
from darkprobe.store.logit_file import open_file
from darkprobe.zoo import load_model

STUDENT, VIEWS, HELD_OUT = "resnet8", 8, 5000


def told(values: list[float]) -> str:
    """Mean and 95 % t-interval."""
    if len(values) < 2:
        return f"{np.mean(values):.4f}"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{np.mean(values):.4f} [{np.mean(values) - half:.4f}, {np.mean(values) + half:.4f}]"


def main() -> None:
    """Prints the table, with what is known so far after every seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--recipes", default="crd,fast", help="names, joined by commas; the first is the reference")
    given = parser.parse_args()
    torch.set_num_threads(1)
    train = load_split(given.data, f"train[:{given.examples}]")
    rest = load_split(given.data, f"train[{given.examples}:]")
    held_out = rest.take(np.arange(HELD_OUT), name="held-out")
    model = load_model(given.teacher, input_shape=train.input_shape, num_classes=train.num_classes)
    names = given.recipes.split(",")
    scores: dict[str, list[float]] = {name: [] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        stored = open_file(extract_logits(model, train, folder, views=VIEWS, policy=RECIPES[names[0]].policy))
        for seed in range(given.seeds):
            for name in names:
                training = dataclasses.replace(RECIPES[name].training, evaluations=1, precision="float32")
                config = DistillConfig(method="kd", training=training, seed=seed)
                start = time.process_time()
                found = distill(STUDENT, train, stored, val=held_out, config=config)
                scores[name].append(found.val_last)
                seconds[name].append(time.process_time() - start)
            print(f"{seed + 1} seed(s), {given.examples} images, {STUDENT} from {model.card.model_id}, KD T 4:")
            for name in names:
                epochs = RECIPES[name].training.epochs
                difference = [a - b for a, b in zip(scores[name], scores[names[0]], strict=True)]
                against = "" if name == names[0] else f"; minus {names[0]} {told(difference)}"
                print(f"  {name}, {epochs} epochs: {told(scores[name])}{against}; {np.mean(seconds[name]):.0f} s")
            print(end="", flush=True)


if __name__ == "__main__":
    main()
