"""Training: what a stored teacher, the number format and side-by-side students are worth, measured in one run.

    python benchmarks/bench_training.py [--quick] [--processor-time] [--only stack|online|epoch|loss]

Budgets: a distillation step with stored logits takes at most 1.03 of the plain cross-entropy step; stored-logit
distillation of resnet32x4 -> resnet8x4, batch 64, shows at least 8 times the images a second of the usual online
float32 loop (printed as its factors, caching x precision); digits students stacked by seed train at least 5 times as
fast as one after another; an epoch of ResNet-20 on 50,000 CIFAR-sized images takes at most 50 s on 2 cores.
Our side runs as `precision="auto"` would: in bfloat16 where the processor computes in it, in float32 elsewhere, where
the two budgets for images are out of reach. The first lines say which processor this is.
Compared loops run in turn, and each is given its fastest turn, since other programs only ever slow a turn down. On a
machine that others use at the same time, --processor-time counts the seconds that one thread of this process computes.
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from darkprobe.data import Split, load_split
from darkprobe.distill import RECIPES, DistillConfig, Solo, Stack, TrainConfig, distill, fit
from darkprobe.distill.loop import History
from darkprobe.distill.precision import processor_flags, resolved_precision
from darkprobe.store import LogitStore
from darkprobe.zoo import build_module, load_model, preprocess

TEACHER, STUDENT, BATCH = "resnet32x4", "resnet8x4", 64
CLOCK = time.perf_counter


def made_split(examples: int, *, name: str = "train", classes: int = 100) -> Split:
    """Random colour images of CIFAR's size."""
    rng = np.random.default_rng(0)
    return Split(
        dataset="random",
        name=name,
        kind="image",
        inputs=rng.integers(0, 256, (examples, 32, 32, 3), dtype=np.uint8),
        labels=rng.integers(0, classes, examples),
        example_ids=np.arange(examples),
        class_names=tuple(map(str, range(classes))),
        source="random",
        _fingerprint=f"{examples:064d}",
    )


def in_turn(loops: dict[str, Callable[[], float]], *, turns: int) -> dict[str, float]:
    """Seconds of each loop's fastest turn; every loop runs once before anything counts."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(turns + 1):
        for name, loop in loops.items():
            found = loop()
            if turn:
                seconds[name].append(found)
    return {name: min(found) for name, found in seconds.items()}


def our_step(student: str, split: Split, entry: object, *, method: str, batch: int, policy: str = "clean") -> float:
    """Seconds a step of `distill`: the second half of an epoch, between two looks at 2 validation images."""
    marks: list[float] = []

    def watch(history: History) -> None:
        marks.append(CLOCK())

    training = TrainConfig(
        epochs=1, batch_size=batch, learning_rate=0.05, optimizer="sgd", weight_decay=5e-4, schedule="constant",
        evaluations=2, precision="auto",
    )  # fmt: skip
    config = DistillConfig(method=method, training=training, policy=policy)
    val = split.take(np.arange(2), name="val")
    distill(student, split, entry, val=val, config=config, watch=watch, device="cpu")  # type: ignore[arg-type]
    steps = len(split) // batch
    return (marks[1] - marks[0]) / (steps - round(steps / 2))


def plain_loop(student: nn.Module, teacher: nn.Module | None, data: list[tuple[torch.Tensor, ...]]) -> float:
    """Seconds a step of the loop that most published code has: float32, default layout, teacher run in every step.

    Loss as in the field: .1 x cross-entropy + .9 x T^2 KL at T = 4. Without a teacher its logits come with the batch.
    """
    optimizer = torch.optim.SGD(student.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    student.train()
    start = CLOCK()
    for images, labels, stored in data:
        if teacher is None:
            logits_teacher = stored
        else:
            with torch.no_grad():
                logits_teacher = teacher(images)
        logits = student(images)
        soft = functional.kl_div(
            functional.log_softmax(logits / 4, 1), functional.softmax(logits_teacher / 4, 1), reduction="batchmean"
        )
        loss = 0.1 * functional.cross_entropy(logits, labels) + 0.9 * 16 * soft
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (CLOCK() - start) / len(data)


def stored_logits(split: Split, folder: str) -> object:
    """A store's file with random logits for the split, of a teacher that is never run here."""
    card = load_model(TEACHER, input_shape=split.input_shape, num_classes=split.num_classes, seed=0).card
    logits = np.random.default_rng(1).normal(size=(len(split), split.num_classes)).astype(np.float32)
    LogitStore(folder, create=True).add(
        card, dataset=split.dataset, split=split.name, logits=logits, labels=split.labels,
        example_ids=split.example_ids, class_names=split.class_names, fingerprint=split.fingerprint, source="random",
    )  # fmt: skip
    return LogitStore(folder).entries(split.dataset, split.name)[0]


def bench_loss(folder: str, *, quick: bool) -> None:
    """Prints the cost of the teacher's term in a step with stored logits."""
    for student, batch, methods in (
        (STUDENT, BATCH, ("none", "kd", "wttm")),
        ("resnet20", 128, ("none", "kd", "wttm", "kd-hinton", "dkd")),
    ):
        split = made_split(batch * 8)
        entry = stored_logits(split, f"{folder}/{student}")
        loops = {m: partial(our_step, student, split, entry, method=m, batch=batch) for m in methods}
        seconds = in_turn(loops, turns=2 if quick else 4)
        told = ", ".join(f"{m} {s / seconds['none']:.3f}" for m, s in seconds.items() if m != "none")
        print(f"stored-logit step against cross-entropy step, {student}, batch {batch}: {told} (budget 1.03)")


def bench_online(folder: str, *, quick: bool) -> None:
    """Prints stored-logit training as it runs here against the plain online float32 loop, as caching x precision."""
    precision = resolved_precision("auto", "cpu")
    split = made_split(BATCH * 4)
    entry = stored_logits(split, f"{folder}/online")
    shape, classes = split.input_shape, split.num_classes
    teacher = load_model(TEACHER, input_shape=shape, num_classes=classes, seed=0)
    student = build_module(STUDENT, input_shape=shape, num_classes=classes, seed=0)
    images = preprocess(split.inputs, teacher.card.preprocessing).contiguous()
    labels = torch.from_numpy(split.labels)
    data = [
        (images[start : start + BATCH], labels[start : start + BATCH], torch.randn(BATCH, classes))
        for start in range(0, len(split) // 2, BATCH)
    ]

    def extraction() -> float:
        from darkprobe.extract.runner import Runner

        runner = Runner(teacher, split, precision="bf16" if precision == "bfloat16" else "float32", device="cpu")
        with runner.evaluating():
            start = CLOCK()
            for step in range(len(data)):
                runner.run(slice(step * BATCH, (step + 1) * BATCH))
        return (CLOCK() - start) / len(data)

    loops = {
        "online": lambda: plain_loop(student, teacher.module, data),
        "cached": lambda: plain_loop(student, None, data),
        "ours": lambda: our_step(STUDENT, split, entry, method="kd", batch=BATCH),
        "extraction": extraction,
    }
    seconds = in_turn(loops, turns=2 if quick else 4)
    online, cached, ours = (seconds[name] for name in ("online", "cached", "ours"))
    print(f"{TEACHER} -> {STUDENT}, batch {BATCH}, images/s: " + ", ".join(
        f"{name} {BATCH / found:,.0f}" for name, found in seconds.items()))  # fmt: skip
    print(
        f"  stored {precision} against online float32: {online / ours:.2f} = caching {online / cached:.2f} x precision "
        f"and layout {cached / ours:.2f} (budget 8)"
    )
    saved = online - ours
    per_view = math.ceil(seconds["extraction"] / saved) if saved > 0 else math.inf
    print(
        f"  extraction ({precision}) has paid for itself after {per_view} student(s) with a view for every epoch, and "
        f"after {seconds['extraction'] / saved / 30:.2f} of a student with 8 views for 240 epochs"
    )


def bench_stack(*, quick: bool) -> None:
    """Prints students of several seeds side by side against the same one after another."""
    train, val = load_split("digits", "train"), load_split("digits", "val")
    model = load_model("mlp-16", input_shape=(1, 8, 8), num_classes=10, seed=0)
    inputs, held_out = (preprocess(part.inputs, model.card.preprocessing) for part in (train, val))
    labels, answers = torch.from_numpy(train.labels), torch.from_numpy(val.labels)
    soft = functional.one_hot(labels, 10) * 0.6 + 0.04
    config = TrainConfig(epochs=5 if quick else 15, batch_size=50, learning_rate=0.015, evaluations=3)

    def train_all(network: Solo | Stack) -> None:
        fit(
            network,
            lambda index, epoch: inputs[index],
            lambda logits, index: -(soft[index] * logits.log_softmax(-1)).sum(-1).mean(-1),
            config=config,
            examples=len(train),
            order_seeds=(0,),
            evaluate=lambda present: (present(held_out).argmax(-1) == answers).float().mean(-1),
        )

    def member(seed: int) -> nn.Module:
        return build_module("mlp-16", input_shape=(1, 8, 8), num_classes=10, seed=seed)

    def timed(make: Callable[[], list[Solo | Stack]]) -> float:
        start = CLOCK()
        for network in make():
            train_all(network)
        return CLOCK() - start

    for count in (8, 32):
        loops = {
            "alone": lambda n=count: timed(lambda: [Solo(member(s)) for s in range(n)]),  # type: ignore[misc]
            "stacked": lambda n=count: timed(lambda: [Stack([member(s) for s in range(n)])]),  # type: ignore[misc]
        }
        seconds = in_turn(loops, turns=1 if quick else 3)
        ratio = seconds["alone"] / seconds["stacked"]
        print(f"{count} digits students of mlp-16 stacked by seed against one after another: {ratio:.1f} (budget 5)")


def bench_epoch(*, quick: bool) -> None:
    """Prints the seconds of an epoch of ResNet-20, augmentation on, from a part of its steps."""
    recipe, steps = RECIPES["fast"], 10 if quick else 20
    split = made_split(128 * steps, classes=10)
    step = min(
        our_step("resnet20", split, None, method="none", batch=128, policy=recipe.policy)
        for _ in range(1 if quick else 2)
    )
    print(
        f"ResNet-20, batch 128, {resolved_precision('auto', 'cpu')}, {recipe.policy}: {128 / step:,.0f} images/s; "
        f"an epoch of 50,000 would take "
        f"{390 * step:.0f} s, from {steps - steps // 2} of its 390 steps (budget 50)"
    )


def main() -> None:
    """Prints the table."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer steps and turns")
    parser.add_argument(
        "--processor-time", action="store_true", help="one thread, its own seconds instead of the wall's"
    )
    parser.add_argument("--only", choices=("stack", "online", "epoch", "loss"), help="one of the four")
    given = parser.parse_args()
    quick = given.quick
    if given.processor_time:
        global CLOCK
        CLOCK = time.process_time
        torch.set_num_threads(1)
    load = os.getloadavg()[0]
    print(
        f"{torch.get_num_threads()} threads, {os.cpu_count()} cores, load of the machine before the run {load:.1f}, "
        f"{'processor' if given.processor_time else 'wall'} seconds"
    )
    known = sorted(processor_flags() & {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16"})
    chosen = resolved_precision("auto", "cpu")
    print(f"processor: {' '.join(known) or 'unknown'}; auto precision: {chosen}")
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "stack": lambda: bench_stack(quick=quick),
            "online": lambda: bench_online(folder, quick=quick),
            "epoch": lambda: bench_epoch(quick=quick),
            "loss": lambda: bench_loss(folder, quick=quick),
        }
        for name, part in parts.items():
            if given.only in (None, name):
                part()


if __name__ == "__main__":
    main()
