"""Trains chains of generations: those of a replicate side by side, or, with batch norm, one alone.

A chain is one member of a cell. Generation 0 learns from the labels, and under a tolerant upbringing from the top score
difference of its own outputs; each later one starts afresh and learns from the labels and the one before.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from darkprobe.data import Split
from darkprobe.distill import METHODS, DistillConfig, distill
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.graduation import answers
from darkprobe.distill.loop import Objective, fit
from darkprobe.distill.losses import cross_entropy, soft_cross_entropy
from darkprobe.distill.schedules import frozen_feature_accuracy
from darkprobe.distill.stack import Stack
from darkprobe.study.cells import Cell, Result
from darkprobe.study.engine import on_one_thread
from darkprobe.study.generations.measures import measure_generations
from darkprobe.study.generations.plan import Generations, Task, Upbringing
from darkprobe.study.teachers import is_stacked
from darkprobe.zoo import Preprocessing, build_module, find_architecture, preprocess
from darkprobe.zoo.architectures import preprocessing_for

GENERATION_SEED = 1_000_000
"""Added to a replicate's seed for every generation, so that no network starts from another's weights."""

Parts = Mapping[str, Split]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The networks of one generation, one a chain, and what they say.

    Attributes:
        modules: one a member of the cell.
        logits: by role, (member, example, cls).
    """

    modules: list[nn.Module]
    logits: Mapping[str, Tensor]


def chain_cells(plan: Generations, replicate: int, upbringings: Sequence[Upbringing], *, read_test: bool) -> list[Cell]:
    """The cells that train these chains of a replicate: one, or where networks cannot be stacked one a chain.

    Args:
        plan: of the study.
        replicate: which.
        upbringings: of the chains.
        read_test: whether the test part and the target's data may be looked at: on confirm replicates alone.
    """
    values = plan.as_dict()
    kept = ("source", "policy", "architecture", "layer", "training", "count")
    shared = {name: values[name] for name in kept} | {"seed": plan.replicate_seed(replicate), "read_test": read_test}
    if read_test:
        shared["target"] = values["target"]
    members = [vars(upbringing) for upbringing in upbringings]
    stacks = [members] if is_stacked(plan.architecture) else [[member] for member in members]
    return [Cell(kind="generations", shared=shared, members=tuple(stack)) for stack in stacks]


@on_one_thread
def train_chains(cell: Cell, directory: Path) -> list[Result]:
    """Trains the cell's chains.

    Returns:
        {"generations": a record of `measure_generations` each, with "transfer_accuracy" where the test part may be
        read, "seconds": of the chain} of each member.
    """
    shared = cell.shared
    roles = ("train", "val", "test") if shared["read_test"] else ("train", "val")
    parts = {role: Task(**shared["source"]).split(role, shared["seed"]) for role in roles}
    family = list((_side_by_side if is_stacked(shared["architecture"]) else _alone)(cell, parts))
    labels = {role: part.labels for role, part in parts.items()}
    transfer = _transfer(shared, parts["train"].input_shape) if shared["read_test"] else None
    results = []
    for member in range(len(cell.members)):
        logits = [{role: found[member] for role, found in one.logits.items()} for one in family]
        rows = measure_generations(logits, labels)
        for row, one in zip(rows, family, strict=True):
            if transfer is not None:
                row["transfer_accuracy"] = transfer(one.modules[member])
        results.append({"generations": rows})
    return results


def _side_by_side(cell: Cell, parts: Parts) -> Iterator[Generation]:
    """The generations of all chains of the cell, which share the data, the batches and the first weights."""
    shared, train = cell.shared, parts["train"]
    upbringings = [Upbringing(**member) for member in cell.members]
    preprocessing = preprocessing_for(find_architecture(shared["architecture"]), train.input_shape)
    inputs = {role: preprocess(part.inputs, preprocessing) for role, part in parts.items()}
    labels = torch.from_numpy(train.labels)
    objective = first_objective(upbringings, labels)
    for number in range(shared["count"]):
        seed = shared["seed"] + GENERATION_SEED * number
        module = build_module(
            shared["architecture"], input_shape=train.input_shape, num_classes=train.num_classes, seed=seed
        )
        stack = Stack([module] * len(upbringings))
        fit(
            stack,
            lambda index, epoch: inputs["train"][index],
            objective,
            config=TrainConfig(**shared["training"]),
            examples=len(train),
            order_seeds=(seed,),
            evaluate=lambda network: torch.zeros(network.members),  # measured after training, never selected on
        )
        with torch.no_grad():
            logits = {role: stack(found) for role, found in inputs.items()}
        yield Generation(modules=[stack.member(i).eval() for i in range(len(upbringings))], logits=logits)
        objective = next_objective(upbringings, logits["train"], labels)


def first_objective(upbringings: Sequence[Upbringing], labels: Tensor) -> Objective:
    """The loss of generation 0, (member,): eta CE + (1 - eta) top score difference, each chain with its own eta and K.

    Args:
        upbringings: of the chains, one a member.
        labels: (example,).
    """
    weights = torch.tensor([upbringing.first_ce_weight for upbringing in upbringings])
    tolerant = [i for i, upbringing in enumerate(upbringings) if upbringing.first_ce_weight < 1]
    rows = {
        k: torch.tensor([i for i in tolerant if upbringings[i].k == k]) for k in {upbringings[i].k for i in tolerant}
    }
    method = METHODS["tolerant"]

    def objective(logits: Tensor, index: Tensor) -> Tensor:
        target = labels[index]
        loss = weights * cross_entropy(logits, target)
        for k, members in rows.items():
            own = logits[members]
            term = method.teacher_term(own, own, target, parameters={"k": k})
            loss = loss.index_add(0, members, (1 - weights[members]) * term)
        return loss

    return objective


def next_objective(upbringings: Sequence[Upbringing], teacher_logits: Tensor, labels: Tensor) -> Objective:
    """The loss of a later generation, (member,): lambda CE + (1 - lambda) cross-entropy with the one before.

    Label and teacher are added up into one distribution before training; its cross-entropy differs from the paper's
    divergence by a constant.

    Args:
        upbringings: of the chains, one a member.
        teacher_logits: (member, example, cls), of the training examples.
        labels: (example,).
    """
    one_hot = functional.one_hot(labels, teacher_logits.shape[-1]).to(teacher_logits)
    method, mass = METHODS["kd"], []
    for upbringing, logits in zip(upbringings, teacher_logits, strict=True):
        probs = method.cached_target(logits, labels, parameters={"temperature": upbringing.temperature}).probs
        mass.append(upbringing.ce_weight * one_hot + (1 - upbringing.ce_weight) * torch.as_tensor(probs))
    targets = torch.stack(mass)
    return lambda logits, index: soft_cross_entropy(logits, targets[:, index])


def _alone(cell: Cell, parts: Parts) -> Iterator[Generation]:
    """The generations of one chain whose networks have batch norm: each teacher sees the very pixels of its student."""
    (member,) = cell.members
    upbringing, teacher = Upbringing(**member), None
    for number in range(cell.shared["count"]):
        config = _config(cell.shared, upbringing, number)
        made = distill(cell.shared["architecture"], parts["train"], teacher, val=parts["val"], config=config)
        teacher = made.model if upbringing.ce_weight < 1 else None
        module = made.model.module.to("cuda" if torch.cuda.is_available() else "cpu")
        preprocessing = made.model.card.preprocessing
        logits = {role: answers(module, part, preprocessing)[None] for role, part in parts.items()}
        yield Generation(modules=[module.cpu().eval()], logits=logits)


def _config(shared: Mapping[str, Any], upbringing: Upbringing, number: int) -> DistillConfig:
    """How the generation of this number is trained."""
    seed = shared["seed"] + GENERATION_SEED * number
    same = {"training": TrainConfig(**shared["training"]), "policy": shared["policy"], "seed": seed, "view_seed": seed}
    weight = upbringing.ce_weight if number else upbringing.first_ce_weight
    if weight == 1:
        return DistillConfig(method="none", **same)
    method, parameters = (
        ("kd", {"temperature": upbringing.temperature}) if number else ("tolerant", {"k": upbringing.k})
    )
    return DistillConfig(method=method, parameters=parameters, ce_weight=weight, teacher_weight=1 - weight, **same)


def _transfer(shared: Mapping[str, Any], input_shape: tuple[int, ...]) -> Callable[[nn.Module], float]:
    """(network) -> accuracy of a linear classifier on its frozen features, on the test part of the target."""
    preprocessing = preprocessing_for(find_architecture(shared["architecture"]), input_shape)
    task = Task(**shared["target"])
    train, test = (_prepared(task.split(role, shared["seed"]), preprocessing) for role in ("train", "test"))
    return lambda module: frozen_feature_accuracy(module, shared["layer"], train=train, test=test)


def _prepared(split: Split, preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
    return preprocess(split.inputs, preprocessing), torch.from_numpy(split.labels)
