"""`TrainConfig`: how a network is trained, apart from what it learns from."""

from dataclasses import dataclass
from typing import Literal

from darkprobe.checks import check_choice, check_positive
from darkprobe.distill.precision import Precision
from darkprobe.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Optimiser, schedule and length of one training run; the same record for teachers and students.

    Attributes:
        epochs: passes over the training split.
        batch_size: examples a step; a last short batch is dropped when `epochs` passes hold full ones.
        learning_rate: peak rate.
        optimizer: "adamw", or "sgd" with Nesterov-free momentum .9.
        weight_decay: decoupled for adamw, L2 for sgd.
        schedule: "one-cycle" (linear warm-up over 30 %, cosine to 0), "multi-step" (x0.1 at `milestones`), "constant".
        milestones: epochs at which multi-step drops the rate.
        warmup_epochs: linear warm-up of multi-step and constant schedules.
        evaluations: how often, evenly spaced, the network is looked at on validation data; the last is at the end.
        precision: "float32", "bfloat16" autocast of the forward pass, or "auto": the faster one on the device, see
            `distill.precision`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = 1e-3
    schedule: Literal["one-cycle", "multi-step", "constant"] = "one-cycle"
    milestones: tuple[int, ...] = ()
    warmup_epochs: int = 0
    evaluations: int = 12
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "evaluations"):
            check_positive("TrainConfig", name, getattr(self, name))
        if self.weight_decay < 0:
            raise InvalidValueError(
                f"TrainConfig: `weight_decay` must be >= 0, got {self.weight_decay}. Give 0 for none."
            )
        check_choice("optimizer", self.optimizer, ("adamw", "sgd"))
        check_choice("schedule", self.schedule, ("one-cycle", "multi-step", "constant"))
        check_choice("precision", self.precision, ("auto", "float32", "bfloat16"))

    def steps(self, examples: int) -> int:
        """Optimiser steps of a run over `examples` training examples."""
        return self.epochs * max(1, examples // self.batch_size)
