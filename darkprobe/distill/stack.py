"""Networks behind one face for the training loop: one alone, or many of one architecture side by side.

Small networks leave most of a processor idle. A `Stack` keeps the parameters of its members with a leading axis and
runs them as one batched computation; members never mix, so each learns what it would have learned alone (to rounding).
"""

import copy
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from darkprobe.distill.batched import batched_run
from darkprobe.distill.recording import Recording
from darkprobe.errors import InvalidValueError


class Network(Protocol):
    """What the training loop needs of a network. Logits always have the axes (member, batch, cls)."""

    members: int
    own_inputs: bool
    """Whether each member gets inputs of its own, (member, batch, ...), or all share one batch, (batch, ...)."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits (member, batch, cls)."""

    def parameters(self) -> list[Tensor]:
        """Tensors to train."""

    def train(self, *, mode: bool) -> None:
        """Switches layers that behave differently in training."""

    def state(self) -> dict[str, Tensor]:
        """A copy of all parameters and buffers; stacked ones keep the member axis."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Takes back what `state` returned."""

    def record(self, inputs: Tensor, *, coarse: bool) -> None:
        """On a GPU: replays the training pass from now on, for batches like `inputs`, where that can be done."""

    def forget(self) -> None:
        """Replays no more."""

    def keep_better(self, best: dict[str, Tensor], better: Tensor) -> None:
        """Writes the present state of the members marked in `better` (member,), bool, into `best`."""

    def member(self, index: int) -> nn.Module:
        """One member as an ordinary module."""


class Solo:
    """One ordinary module, batch normalisation and all."""

    members = 1
    own_inputs = False

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._recording: Recording | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits (1, batch, cls)."""
        run = self._recording if self._recording is not None and self.module.training else self.module
        logits: Tensor = run(inputs)
        return logits[None]

    def record(self, inputs: Tensor, *, coarse: bool) -> None:
        """Replays the training pass from now on, for batches like `inputs`; see `recording`."""
        self._recording = Recording(self.module, inputs, coarse=coarse)

    def forget(self) -> None:
        """Replays no more; frees what the recording holds."""
        self._recording = None

    def parameters(self) -> list[Tensor]:
        """Tensors to train."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def train(self, *, mode: bool) -> None:
        """Switches layers that behave differently in training."""
        self.module.train(mode)

    def state(self) -> dict[str, Tensor]:
        """A copy of parameters and buffers."""
        return {name: value.detach().clone() for name, value in self.module.state_dict().items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Takes back what `state` returned."""
        self.module.load_state_dict(state)

    def keep_better(self, best: dict[str, Tensor], better: Tensor) -> None:
        """Writes the present state into `best` if the only member is marked."""
        if bool(better[0]):
            best.update(self.state())

    def member(self, index: int) -> nn.Module:
        """The module."""
        return self.module


class Stack:
    """Networks of one architecture that train side by side; see the module's docstring.

    Args:
        modules: members with equal architecture and no buffers (batch normalisation keeps state per batch and cannot
            be stacked this way; train such networks alone).
        own_inputs: whether each member gets inputs of its own.
    """

    def __init__(self, modules: Sequence[nn.Module], *, own_inputs: bool = False) -> None:
        if not can_stack(modules[0]):
            raise InvalidValueError(
                f"Stack: `modules` must have no buffers, got {type(modules[0]).__name__} with some (batch "
                "normalisation?). Train it alone with Solo."
            )
        self.members, self.own_inputs = len(modules), own_inputs
        stacked, _ = stack_module_state(list(modules))
        self._parameters = {name: value.detach().clone().requires_grad_() for name, value in stacked.items()}
        template = copy.deepcopy(modules[0]).to("meta")
        run: Callable[[dict[str, Tensor], Tensor], Tensor] = lambda state, x: functional_call(template, state, (x,))  # noqa: E731
        direct = batched_run(modules[0], own_inputs=own_inputs)
        self._run = direct or vmap(run, in_dims=(0, 0 if own_inputs else None))
        self._alone = copy.deepcopy(modules[0])

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits (member, batch, cls)."""
        logits: Tensor = self._run(self._parameters, inputs)
        return logits

    def parameters(self) -> list[Tensor]:
        """Stacked tensors to train."""
        return list(self._parameters.values())

    def record(self, inputs: Tensor, *, coarse: bool) -> None:
        """Nothing is recorded: side by side, kernels are larger than their launches."""

    def forget(self) -> None:
        """There is nothing to forget."""

    def train(self, *, mode: bool) -> None:
        """Nothing to switch: layers with a training mode carry buffers or randomness and are not stacked."""

    def state(self) -> dict[str, Tensor]:
        """A copy of the stacked parameters."""
        return {name: value.detach().clone() for name, value in self._parameters.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Takes back what `state` returned."""
        with torch.no_grad():
            for name, value in self._parameters.items():
                value.copy_(state[name])

    def keep_better(self, best: dict[str, Tensor], better: Tensor) -> None:
        """Writes the present parameters of the marked members into `best`."""
        rows = better.nonzero()[:, 0]
        for name, value in self._parameters.items():
            best[name][rows] = value.detach()[rows]

    def member(self, index: int) -> nn.Module:
        """One member as an ordinary module of its own."""
        module = copy.deepcopy(self._alone)
        module.load_state_dict({name: value.detach()[index] for name, value in self._parameters.items()})
        return module


def can_stack(module: nn.Module) -> bool:
    """Whether the module has neither buffers nor dropout, so that members of a stack stay independent."""
    random = any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in module.modules())
    return not random and not any(True for _ in module.buffers())
