"""Students on a GPU: how many an hour one at a time, side by side in one computation, and in several processes.

    python benchmarks/bench_gpu.py [--quick]

ResNet-20 on 50,000 images of CIFAR's size by KD from stored logits of augmented views, batch 128, bfloat16, through
`distill` as users run it; side by side without the library's loop, the pass forward and back and the optimiser alone,
all in bfloat16, since networks with batch normalisation are not stacked by the library: these rows say what that would
be worth at most.
"Recorded" means that the pass is replayed as CUDA graphs, as the library does for students one at a time.
With NVIDIA's MPS running (nvidia-cuda-mps-control -d) processes compute at the same time, without it in turn.
A student is the `fast` recipe's 24 epochs. Rates are those of the second half of the steps, all on one view; start of a
process, reading of data, making the view and reading its logits do not count. Without a GPU it says so and measures
nothing.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from bench_training import made_split
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from darkprobe.data import Split
from darkprobe.distill import RECIPES, DistillConfig, Solo, TrainConfig, distill
from darkprobe.distill.loop import History
from darkprobe.distill.recording import Recording
from darkprobe.extract import extract_logits
from darkprobe.provenance import hardware
from darkprobe.store import LogitStore
from darkprobe.zoo import build_module, load_model

TEACHER, STUDENT, BATCH, STEPS, POLICY = "resnet56", "resnet20", 128, 100, "pad4+flip"
FAST = RECIPES["fast"].training.epochs * (50_000 // BATCH)
"""Steps of a student of the `fast` recipe."""


@cache
def split() -> Split:
    """The images that every process trains on, of as many steps as an epoch has here."""
    return made_split(BATCH * STEPS, classes=10)


def store_teacher(folder: str) -> None:
    """Logits of an untrained teacher in one view."""
    model = load_model(TEACHER, input_shape=split().input_shape, num_classes=10, seed=0)
    store = LogitStore(folder, create=True)
    extract_logits(model, split(), store, views=1, policy=POLICY, batch_size=500, progress=False)


def seconds_a_step(folder: str, *, epochs: int) -> float:
    """Of one student, in the second half of its steps."""
    marks: list[float] = []

    def watch(history: History) -> None:
        torch.cuda.synchronize()
        marks.append(time.perf_counter())

    training = TrainConfig(
        epochs=epochs, batch_size=BATCH, learning_rate=0.05, optimizer="sgd", weight_decay=5e-4, schedule="constant",
        evaluations=2, precision="auto",
    )  # fmt: skip
    (entry,) = LogitStore(folder).entries(split().dataset, split().name)
    config = DistillConfig(method="kd", training=training, policy=POLICY)
    distill(STUDENT, split(), entry, val=split().take(np.arange(2), name="val"), config=config, watch=watch)
    steps = epochs * STEPS
    return (marks[1] - marks[0]) / (steps - round(steps / 2))


class Together(nn.Module):
    """Networks with batch normalisation as one computation: parameters and running statistics with a leading axis."""

    def __init__(self, count: int) -> None:
        super().__init__()
        modules = [build_module(STUDENT, input_shape=(3, 32, 32), num_classes=10, seed=s).cuda() for s in range(count)]
        parameters, buffers = stack_module_state(modules)
        self.names, self.others = list(parameters), list(buffers)
        self.weights = nn.ParameterList(value.detach().clone() for value in parameters.values())
        for place, value in enumerate(buffers.values()):
            self.register_buffer(f"b{place}", value.detach().clone())
        self.template = [modules[0].train()]  # in a list: no part of this module

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (member, batch, cls) of (member, batch, ...)."""
        state = dict(zip(self.names, self.weights, strict=True))
        kept = {name: getattr(self, f"b{place}") for place, name in enumerate(self.others)}

        def one(state: dict[str, Tensor], kept: dict[str, Tensor], images: Tensor) -> Tensor:
            logits: Tensor = functional_call(self.template[0], (state, kept), (images,))
            return logits

        return vmap(one)(state, kept, inputs)


def seconds_together(count: int, *, recorded: bool, steps: int) -> float:
    """Seconds a step of `count` students side by side."""
    network = Together(count).cuda().bfloat16()
    inputs = torch.randn(count, BATCH, 3, 32, 32, device="cuda", dtype=torch.bfloat16)
    soft = torch.randn(count, BATCH, 10, device="cuda").softmax(-1)
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=5e-4, fused=True)
    run: Any = network
    if recorded:
        run = Recording(network, inputs, coarse=False)
    start = 0.0
    for step in range(2 * steps):
        if step == steps:
            torch.cuda.synchronize()
            start = time.perf_counter()
        loss = functional.cross_entropy(run(inputs).float().flatten(0, 1), soft.flatten(0, 1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


_BARRIERS: dict[int, Any] = {}


def _begin(barriers: dict[int, Any]) -> None:
    _BARRIERS.update(barriers)
    torch.set_num_threads(1)
    torch.zeros(1, device="cuda")
    split()


def _one_of(count: int, folder: str, epochs: int) -> float:
    _BARRIERS[count].wait()  # all students of a row train at the same time
    found = seconds_a_step(folder, epochs=epochs)
    _BARRIERS[count].wait()
    return found


def told(name: str, images: float, alone: float) -> float:
    """Prints a row: images a second of all students together, students an hour, and the ratio to one at a time."""
    print(
        f"  {name:44s} {images:10,.0f} {images / BATCH / FAST * 3600:10.1f} {images / (alone or images):8.2f}",
        flush=True,
    )
    return images


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer steps and fewer rows")
    parser.add_argument("--only", choices=("alone", "together", "processes"), help="one of the three")
    given = parser.parse_args()
    quick, parts = given.quick, {given.only} - {None} or {"alone", "together", "processes"}
    if not torch.cuda.is_available():
        print("no GPU: nothing measured")
        return
    facts = hardware()
    print(f"{facts['accelerator']}, {facts['cores']} cores of {facts['processor']}, torch {torch.__version__}")
    print(f"  {STUDENT}, batch {BATCH}, KD from stored logits{'':10s} images/s students/h    ratio")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store_teacher(folder)
        epochs = 4 if quick else 8
        alone = told("one at a time, recorded", BATCH / seconds_a_step(folder, epochs=epochs), 0)
        if "alone" in parts:
            with patch.object(Solo, "record", lambda *_, **__: None):
                told("one at a time, not recorded", BATCH / seconds_a_step(folder, epochs=epochs), alone)
        for recorded in (True, False) if "together" in parts else ():
            for count in (8,) if quick else (4, 16):
                step = seconds_together(count, recorded=recorded, steps=50 if quick else 100)
                name = f"{count} side by side, {'' if recorded else 'not '}recorded (pass alone)"
                told(name, count * BATCH / step, alone)
        if "processes" in parts:
            bench_processes(folder, counts=(2, 8) if quick else (2, 4, 8, 16), epochs=epochs, alone=alone)


def bench_processes(folder: str, *, counts: Sequence[int], epochs: int, alone: float) -> None:
    """Prints a row for each number of processes on one GPU."""
    torch.cuda.empty_cache()
    context = multiprocessing.get_context("spawn")
    barriers = {count: context.Barrier(count) for count in counts}
    with context.Pool(max(counts), initializer=_begin, initargs=(barriers,)) as pool:
        for count in counts:
            steps = pool.starmap(_one_of, [(count, folder, epochs)] * count, chunksize=1)
            told(f"{count} processes, recorded", sum(BATCH / step for step in steps), alone)


if __name__ == "__main__":
    main()
