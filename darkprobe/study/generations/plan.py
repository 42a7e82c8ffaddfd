"""`Generations`: the frozen plan of a study of generations; it alone decides what is run."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkprobe.checks import check_positive
from darkprobe.data import Split
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.recipes import scaled
from darkprobe.errors import InvalidValueError
from darkprobe.study.parts import load_part
from darkprobe.study.replicates import Replicated

STRICT, TOLERANT = "strict", "tolerant"
"""The two chains that H7 compares; every plan has both."""


@dataclass(frozen=True, kw_only=True)
class Upbringing:
    """How the networks of one chain learn. The weights are those of the paper's losses.

    Attributes:
        k: K of the top score difference, the primary class included; it counts where `first_ce_weight` < 1.
        first_ce_weight: eta: weight of the cross-entropy in generation 0, the rest goes to the top score difference; 1
            for a strict first teacher.
        ce_weight: lambda: weight of the cross-entropy with the labels in later generations, the rest goes to the
            divergence from the generation before; 1 for networks without a teacher.
        temperature: of the teacher's outputs; 1 in the paper. The student stays at 1.
    """

    k: int = 5
    first_ce_weight: float = 1.0
    ce_weight: float
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_positive("Upbringing", "temperature", self.temperature)
        rules = {"k": (2, self.k, 10**6), "first_ce_weight": (0, self.first_ce_weight, 1),
                 "ce_weight": (0, self.ce_weight, 1)}  # fmt: skip
        for name, (low, value, high) in rules.items():
            if not low <= value <= high:
                raise InvalidValueError(
                    f"Upbringing: `{name}` must lie in [{low}, {high}], got {value}. Change the plan."
                )


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One kind of chain and the settings among which the pilot chooses.

    Attributes:
        name: unique in the study.
        grid: one setting or more.
    """

    name: str
    grid: tuple[Upbringing, ...]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Where examples come from.

    Attributes:
        data: data name; "{seed}" in it is filled with each replicate's seed.
        train, val, test: the part of the data in each role, as `load_split` takes it.
        classes: the classes that are kept, renumbered from 0; empty for all.
    """

    data: str
    train: str = "train"
    val: str = "val"
    test: str = "test"
    classes: tuple[int, ...] = ()

    def split(self, role: str, seed: int) -> Split:
        """The examples of a role, "train", "val" or "test", of the replicate with this seed."""
        whole = load_part(self.data.format(seed=seed), getattr(self, role), role)
        return of_classes(whole, self.classes) if self.classes else whole


def of_classes(split: Split, classes: tuple[int, ...]) -> Split:
    """The examples of some classes, which are renumbered from 0 in the order given; ids are kept."""
    part = split.take(np.flatnonzero(np.isin(split.labels, classes)))
    labels = np.array([classes.index(label) for label in part.labels.tolist()], dtype=np.int64)
    names = tuple(split.class_names[label] for label in classes)
    told = "-".join(map(str, classes))
    return dataclasses.replace(part, dataset=f"{split.dataset}-of-{told}", labels=labels, class_names=names)


@dataclass(frozen=True, kw_only=True)
class Generations(Replicated):
    """Plan of one study of generations.

    Attributes:
        name: of the study.
        source: what the networks learn.
        target: other data, on whose classes the frozen features of every generation are tried; only its train and test
            parts are used.
        policy: augmentation of training images; networks with batch norm only.
        architecture: of every generation.
        layer: whose outputs are the features: the last before the head.
        training: how every generation is trained.
        count: generations, the first (0) included.
        chains: kinds of chains, `STRICT` and `TOLERANT` among them; in a replicate all start from the same weights and
            see the same batches, generation by generation.
        pilot, confirm: replicates on which settings are chosen (validation part), and others on which they are tested.
        seed: of the whole study.
        delta: smallest accuracy difference of interest, as a fraction.
        scaled: how the study was cut down from its full edition, in words.
        smoke: whether the run only shows that everything works.
    """

    name: str
    source: Task
    target: Task
    policy: str = "clean"
    architecture: str
    layer: str
    training: TrainConfig
    count: int = 4
    chains: tuple[Chain, ...]
    pilot: int
    confirm: int
    seed: int = 0
    delta: float = 0.005
    scaled: str = ""
    smoke: bool = False

    def __post_init__(self) -> None:
        check_positive("Generations", "delta", self.delta)
        names = [chain.name for chain in self.chains]
        rules = {
            "count": (self.count >= 2, "at least 2: a teacher and its student"),
            "chains": (
                len(set(names)) == len(names) and {STRICT, TOLERANT} <= set(names) and all(c.grid for c in self.chains),
                f"chains of different names, {STRICT} and {TOLERANT} among them, each with a setting or more",
            ),
            "pilot": (self.pilot >= 1, "at least 1"),
            "confirm": (self.confirm >= 2, "at least 2"),
        }
        for name, (holds, expected) in rules.items():
            if not holds:
                raise InvalidValueError(
                    f"Generations: `{name}` must be {expected}, got {getattr(self, name)!r}. Change the plan."
                )

    @property
    def fresh_splits(self) -> bool:
        """Whether every replicate draws its own split."""
        return "{seed}" in self.source.data

    def for_smoke(self) -> "Generations":
        """The same study with few replicates, settings and epochs, marked as no evidence."""
        return dataclasses.replace(
            self,
            name=f"{self.name}-smoke",
            source=_few(self.source) if not self.fresh_splits else self.source,
            target=_few(self.target) if not self.fresh_splits else self.target,
            training=dataclasses.replace(scaled(self.training, epochs=1), batch_size=16, evaluations=1),
            chains=tuple(dataclasses.replace(chain, grid=chain.grid[:2]) for chain in self.chains),
            pilot=1,
            confirm=2,
            smoke=True,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form of the whole plan."""
        return dataclasses.asdict(self)


def _few(task: Task) -> Task:
    """A few examples of each part, cut from the splits themselves."""
    train, val, test = (getattr(task, role).partition("[")[0] for role in ("train", "val", "test"))
    return dataclasses.replace(task, train=f"{train}[:48]", val=f"{val}[48:96]", test=f"{test}[:48]")
