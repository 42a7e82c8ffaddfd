"""Cells of teachers: one architecture, several replicates side by side, their logits put into the study's store.

Networks that cannot be stacked (batch norm) have a cell each and are trained alone, with the study's augmentation.
"""

import dataclasses
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from darkprobe.data import Split
from darkprobe.data.policy import parse_policy
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.loop import fit
from darkprobe.distill.stack import Stack, can_stack
from darkprobe.distill.teachers import parse_recipe, recipe_loss, train_model
from darkprobe.errors import StoreError
from darkprobe.extract import extract_logits
from darkprobe.store import LogitStore
from darkprobe.study.cells import Cell, Result
from darkprobe.study.parts import load_part
from darkprobe.study.plan import Study
from darkprobe.zoo import Model, build_module, find_architecture, make_card, preprocess
from darkprobe.zoo.architectures import preprocessing_for

Stems = dict[tuple[str, str, int], str]
"""(role, architecture, seed of the replicate) -> file stem of the teacher's logits; roles are "teacher", "twin",
names of recipes, and of assistants those of `assistants.assistant_key`."""

TWIN_SEED = 500_000
"""Added to a replicate's seed for the second teacher of the same architecture on the same split."""

VIEWS_SPLIT = "train-views"
"""Where the store keeps logits of augmented training images; "train" always holds those of the images themselves."""


@cache
def is_stacked(architecture: str) -> bool:
    """Whether networks of this architecture train side by side: they do without batch norm and dropout."""
    found = find_architecture(architecture)
    return can_stack(build_module(architecture, input_shape=found.example_shape, num_classes=10, seed=0))


def teacher_cells(study: Study) -> list[Cell]:
    """One cell per role, architecture and block of replicates."""
    everyone = [*study.pilot_replicates, *study.confirm_replicates]
    confirm, twins = list(study.confirm_replicates), list(study.twin_replicates)
    wanted = [("plain", a, everyone, ["train", "test"], 0) for a in study.teachers]
    wanted += [("plain", a, twins, ["train"], TWIN_SEED) for a in study.teachers]
    wanted += [(recipe, study.control_teacher, confirm, ["train", "test"], 0) for recipe in study.recipes]
    cells = []
    for recipe, architecture, replicates, splits, offset in wanted:
        size = study.stack_size if is_stacked(architecture) else 1
        for start in range(0, len(replicates), size):
            shared = {
                "architecture": architecture,
                "training": study.as_dict()["teacher_training"],
                "recipe": recipe,
                "splits": splits,
                "parts": study.parts,
                "policy": study.policy,
                "views": study.views,
            }
            members = tuple(
                {"data": study.data_of(r), "seed": study.replicate_seed(r) + offset}
                for r in replicates[start : start + size]
            )
            cells.append(Cell(kind="teachers", shared=shared, members=members))
    return cells


def train_teachers(cell: Cell, directory: Path) -> list[Result]:
    """Trains the cell's teachers, writes their logits into `directory`/store, returns who they are.

    Returns:
        {"data", "seed", "stem"} of each.
    """
    train = _train_side_by_side if is_stacked(cell.shared["architecture"]) else _train_alone
    trained = zip(train(cell), cell.members, strict=True)
    return [keep_logits(cell, model, member["data"], directory) for model, member in trained]


def keep_logits(cell: Cell, model: Model, data: str, directory: Path) -> Result:
    """Writes the network's answers to the cell's splits into `directory`/store; {"data", "seed", "stem"} of it."""
    store = LogitStore(directory / "store", create=True)
    for split, views in _answered(cell, data):
        _extract_patiently(model, split, store, views=views, policy=cell.shared["policy"])
    return {"seed": model.card.seed, "stem": model.card.file_stem, "data": data}


def _answered(cell: Cell, data: str) -> list[tuple[Split, int]]:
    """(split, number of views) that a teacher's logits are stored for."""
    parts = {name: load_part(data, cell.shared["parts"][name], name) for name in cell.shared["splits"]}
    found = [(split, 0) for split in parts.values()]
    if cell.shared["views"]:
        found.append((dataclasses.replace(parts["train"], name=VIEWS_SPLIT), cell.shared["views"]))
    return found


def _train_alone(cell: Cell) -> list[Model]:
    shared = cell.shared
    return [
        train_model(
            shared["architecture"],
            *(load_part(member["data"], shared["parts"][name], name) for name in ("train", "val")),
            recipe=parse_recipe(shared["recipe"]),
            config=TrainConfig(**shared["training"]),
            policy=parse_policy(shared["policy"]),
            seed=member["seed"],
        ).model
        for member in cell.members
    ]


def _train_side_by_side(cell: Cell) -> list[Model]:
    recipe = parse_recipe(cell.shared["recipe"])
    datas, seeds = [m["data"] for m in cell.members], tuple(m["seed"] for m in cell.members)
    parts = {name: [load_part(d, cell.shared["parts"][name], name) for d in datas] for name in ("train", "val")}
    first = parts["train"][0]
    architecture = find_architecture(cell.shared["architecture"])
    preprocessing = preprocessing_for(architecture, first.input_shape)
    inputs = {name: torch.stack([preprocess(s.inputs, preprocessing) for s in parts[name]]) for name in parts}
    labels = {name: torch.stack([torch.from_numpy(s.labels) for s in parts[name]]) for name in parts}
    shape, classes = first.input_shape, first.num_classes
    modules = [build_module(architecture.name, input_shape=shape, num_classes=classes, seed=s) for s in seeds]
    stack = Stack(modules, own_inputs=True)
    members = torch.arange(len(modules))[:, None]
    fit(
        stack,
        lambda index, epoch: inputs["train"][members, index],
        lambda logits, index: recipe_loss(recipe, logits, labels["train"][members, index]),
        config=recipe.training(TrainConfig(**cell.shared["training"])),
        examples=len(first),
        order_seeds=seeds,
        evaluate=lambda network: (network(inputs["val"]).argmax(-1) == labels["val"]).float().mean(1),
    )
    models = []
    for i, seed in enumerate(seeds):
        module, tag = stack.member(i).eval(), f"s{seed}" if recipe.kind == "plain" else f"{recipe.name}-s{seed}"
        card = make_card(
            architecture, module, tag=tag, input_shape=shape, num_classes=classes, seed=seed, recipe=recipe.name
        )
        models.append(Model(card=card, module=module))
    return models


def _extract_patiently(
    model: Model, split: Split, store: LogitStore, *, views: int, policy: str, seconds: float = 60.0
) -> None:
    """Extracts; where a worker that was given up for lost is still writing the same file, waits for it."""
    until = time.monotonic() + seconds
    batch = len(split) if is_stacked(model.card.architecture) else min(len(split), 500)
    policy = policy if views else "clean"
    while True:
        try:
            extract_logits(model, split, store, batch_size=batch, progress=False, views=views, policy=policy)
            return
        except StoreError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def stems_of(cells: list[Cell], results: list[list[Result]]) -> Stems:
    """File stems from the results of cells of teachers."""
    return {
        (role := _role(cell.shared), cell.shared["architecture"], r["seed"] - TWIN_SEED * (role == "twin")): r["stem"]
        for cell, found in zip(cells, results, strict=True)
        for r in found
    }


def _role(shared: dict[str, Any]) -> str:
    if shared["recipe"] != "plain":
        return str(shared["recipe"])
    return "teacher" if "test" in shared["splits"] else "twin"


def have_logits(cell: Cell, directory: Path, result: Result) -> bool:
    """Whether the files of logits that a member's result speaks of are still there."""
    return all(
        (directory / "store" / split.dataset / split.name / f"{result['stem']}.h5").exists()
        for split, _ in _answered(cell, result["data"])
    )
