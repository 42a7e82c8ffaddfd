"""The one training loop: teachers and students, one network or a stack, hard labels or a teacher's soft ones."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darkprobe.distill.checkpoint import Checkpoint, own_randomness, random_state, set_random_state
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.precision import resolved_precision
from darkprobe.distill.stack import Network

Objective = Callable[[Tensor, Tensor], Tensor]
"""(logits (member, batch, cls), index of the batch's examples (batch,) or (member, batch)) -> loss (member,)."""

BatchSource = Callable[[Tensor, int], Tensor]
"""(index, epoch) -> network inputs (batch, ...) or (member, batch, ...); the place of augmentation."""


@dataclass(frozen=True, kw_only=True)
class History:
    """What a run left behind; the network itself holds the last epoch's weights.

    Attributes:
        steps: (evaluation,), optimiser step of each look.
        scores: (evaluation, member), validation score at each look; higher is better.
        losses: (evaluation, member), training loss of the batch at each look, nats.
        selected: state at each member's best validation score (the first of equals).
        selected_step: (member,), the step of that look.
    """

    steps: np.ndarray
    scores: np.ndarray
    losses: np.ndarray
    selected: dict[str, Tensor]
    selected_step: np.ndarray


def epoch_order(seed: int, epoch: int, examples: int) -> np.ndarray:
    """Order of the training examples in one epoch, (example,) int64: keyed by (seed, epoch) alone, so that runs which
    share a seed see the same batches whatever else differs, and a resumed run continues with the same ones.
    """
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(examples)


def fit(
    network: Network,
    batches: BatchSource,
    objective: Objective,
    *,
    config: TrainConfig,
    examples: int,
    order_seeds: tuple[int, ...],
    evaluate: Callable[[Network], Tensor],
    checkpoint: Checkpoint | None = None,
    watch: Callable[[History], None] | None = None,
    replay: bool = False,
) -> History:
    """Trains `network` in place and returns its history.

    Args:
        network: what learns; its logits are (member, batch, cls).
        batches: inputs of an index and epoch.
        objective: loss of each member; members are independent, so the sum is minimised.
        config: optimiser, schedule, length.
        examples: number of training examples.
        order_seeds: one seed when the members share batches, else one a member.
        evaluate: (network) -> validation score (member,), higher is better; called without gradients.
        checkpoint: where to put the run away and take it up again. An objective that changes while it is used must
            keep what changes in the network's state.
        watch: called with the history so far after every look.
        replay: on a GPU, record the network's pass once and replay it (see `recording`); for an objective that goes
            back through the network once a step.

    Returns:
        The validation curve and the state at its best point.

    Raises:
        CheckpointError: the checkpoint is damaged or of another run.
    """
    device, per_epoch = network.parameters()[0].device, max(1, examples // config.batch_size)
    coarse = resolved_precision(config.precision, device) == "bfloat16"
    run = _Run(network, config, examples, _Recorder(network, evaluate, watch))
    looks = set(np.linspace(0, config.steps(examples), config.evaluations + 1).round().astype(int)[1:].tolist())
    with own_randomness(device, seed=order_seeds[0]), ExitStack() as at_end:
        first = run.resume(checkpoint)
        network.train(mode=True)
        for step in range(first, config.steps(examples)):
            epoch, place = divmod(step, per_epoch)
            if step == first or place == 0:
                order = _orders(order_seeds, epoch, examples, own=network.own_inputs)
            index = order[..., place * config.batch_size : (place + 1) * config.batch_size]
            inputs = batches(index, epoch)
            if step == first and replay and device.type == "cuda":
                network.record(inputs, coarse=coarse)
                at_end.callback(network.forget)  # it holds memory, and serves the batches of this loop alone
            with torch.autocast(device.type, torch.bfloat16, enabled=coarse):
                logits = network(inputs)
            losses = objective(logits.float(), index)
            run.update(losses)
            if step + 1 in looks:
                run.recorder.look(step + 1, losses.detach())
            if checkpoint is not None and checkpoint.due():
                checkpoint.write(run.state(step + 1))
    return run.recorder.history()


def _orders(seeds: tuple[int, ...], epoch: int, examples: int, *, own: bool) -> Tensor:
    """(example,), or (member, example) where each member has its own inputs."""
    orders = np.stack([epoch_order(seed, epoch, examples) for seed in seeds])
    return torch.from_numpy(orders if own else orders[0])


class _Run:
    """All that changes from step to step: the network, its optimiser and schedule, the record."""

    def __init__(self, network: Network, config: TrainConfig, examples: int, recorder: "_Recorder") -> None:
        self.network, self.recorder = network, recorder
        self.device = network.parameters()[0].device
        self.optimizer, self.scheduler = _optimizer(network, config, examples)

    def update(self, losses: Tensor) -> None:
        """One step of the optimiser down the sum of the members' losses."""
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses.sum())
        self.optimizer.step()
        self.scheduler.step()

    def state(self, step: int) -> dict[str, Any]:
        """Everything that the steps from `step` on depend on."""
        return {
            "step": step,
            "network": self.network.state(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "record": self.recorder.state(),
            "random": random_state(self.device),
        }

    def resume(self, checkpoint: Checkpoint | None) -> int:
        """Takes the newest state back and returns the step to go on with; 0 where there is none."""
        state = checkpoint.read() if checkpoint is not None else None
        if state is None:
            return 0
        self.network.load_state(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.recorder.load_state(state["record"])
        set_random_state(self.device, state["random"])
        return int(state["step"])


class _Recorder:
    """Looks at the network on validation data and keeps each member's best state."""

    def __init__(
        self,
        network: Network,
        evaluate: Callable[[Network], Tensor],
        watch: Callable[[History], None] | None,
    ) -> None:
        self.network, self.evaluate, self.watch = network, evaluate, watch
        self.steps: list[int] = []
        self.scores: list[Tensor] = []
        self.losses: list[Tensor] = []
        self.best = network.state()
        self.best_score = torch.full((network.members,), -torch.inf)
        self.best_step = torch.zeros(network.members, dtype=torch.int64)

    def look(self, step: int, losses: Tensor) -> None:
        self.network.train(mode=False)
        with torch.no_grad():
            score = self.evaluate(self.network).cpu()
        self.network.train(mode=True)
        better = score > self.best_score
        self.network.keep_better(self.best, better)
        self.best_score = torch.where(better, score, self.best_score)
        self.best_step = torch.where(better, step, self.best_step)
        self.steps.append(step)
        self.scores.append(score)
        self.losses.append(losses.cpu())
        if self.watch is not None:
            self.watch(self._history())

    def state(self) -> dict[str, Any]:
        names = ("steps", "scores", "losses", "best", "best_score", "best_step")
        return {name: getattr(self, name) for name in names}

    def load_state(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def history(self) -> History:
        self.network.train(mode=False)
        return self._history()

    def _history(self) -> History:
        return History(
            steps=np.array(self.steps),
            scores=torch.stack(self.scores).numpy(),
            losses=torch.stack(self.losses).numpy(),
            selected=self.best,
            selected_step=self.best_step.numpy(),
        )


def _optimizer(
    network: Network, config: TrainConfig, examples: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    parameters = network.parameters()
    optimizer: torch.optim.Optimizer
    if config.optimizer == "adamw":
        optimizer = torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True)
    else:
        optimizer = torch.optim.SGD(parameters, config.learning_rate, 0.9, weight_decay=config.weight_decay, fused=True)
    per_epoch = max(1, examples // config.batch_size)
    if config.schedule == "one-cycle":
        total = config.steps(examples) + 1  # one more, because the schedule is stepped after the last update too
        scheduler: torch.optim.lr_scheduler.LRScheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=total, anneal_strategy="cos", cycle_momentum=False
        )
        return optimizer, scheduler
    warmup = config.warmup_epochs * per_epoch
    drops = [epoch * per_epoch for epoch in config.milestones] if config.schedule == "multi-step" else []

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / (warmup + 1)) * 0.1 ** sum(step >= drop for drop in drops)

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
