"""Feature losses in the one training loop: a student whose layers are watched, beside a live teacher."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from darkprobe.distill.feature_losses import feature_shapes
from darkprobe.distill.loop import Objective
from darkprobe.distill.methods.record import NONE_GIVEN, Value
from darkprobe.distill.methods.registry import Combination
from darkprobe.distill.stack import Solo
from darkprobe.errors import InvalidValueError
from darkprobe.zoo.features import forward_features


class Tutored(Solo):
    """A student network that remembers the inputs and the inner features of its last pass.

    The trained parts of its feature losses (`bridges`) are trained, saved and restored with it.

    Args:
        module: the student.
        layers: names of the layers that are watched, as in `zoo.features.layer_names`.
        added: frozen networks whose logits are added to the student's (residual students); not saved with it.
    """

    def __init__(self, module: nn.Module, layers: Sequence[str], *, added: Sequence[nn.Module] = ()) -> None:
        super().__init__(module)
        self.layers, self.added = list(layers), [network.eval() for network in added]
        self.bridges = nn.ModuleDict()
        self.inputs = torch.empty(0)
        self.features: list[Tensor] = []

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits (1, batch, cls)."""
        if self.layers:
            logits, found = forward_features(self.module, inputs, self.layers)
            logits = logits[None]
        else:
            logits, found = super().__call__(inputs), {}
        self.inputs, self.features = inputs, [found[layer] for layer in self.layers]
        with torch.no_grad():
            before = [network(inputs) for network in self.added]
        return sum(before, logits)

    def record(self, inputs: Tensor, *, coarse: bool) -> None:
        """Replays the training pass, unless layers are watched: a replay calls no hooks."""
        if not self.layers:
            super().record(inputs, coarse=coarse)

    def parameters(self) -> list[Tensor]:
        """Tensors to train: the student's and those of the bridges."""
        return [*super().parameters(), *self.bridges.parameters()]

    def train(self, *, mode: bool) -> None:
        """Switches layers, and the bridges' memories, that behave differently in training."""
        super().train(mode=mode)
        self.bridges.train(mode)

    def state(self) -> dict[str, Tensor]:
        """A copy of the student's and the bridges' parameters and buffers, the latter under "bridges."."""
        own = {f"bridges.{name}": value.detach().clone() for name, value in self.bridges.state_dict().items()}
        return {**super().state(), **own}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Takes back what `state` returned."""
        prefix = "bridges."
        self.bridges.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        super().load_state({name: value for name, value in state.items() if not name.startswith(prefix)})


def learn_features(
    combination: Combination,
    network: Tutored,
    teacher: nn.Module,
    *,
    teacher_layers: Sequence[str],
    inputs: Tensor,
    labels: Tensor,
    parameters: Mapping[str, Value] = NONE_GIVEN,
) -> Objective:
    """The objective of a student by a method on logits and any on features, `wttm+crd`, with a live teacher.

    `ce_weight * CE + teacher_weight * logit term + sum of weight * feature term`, the last by the parameter `weight`.
    The teacher runs on the very inputs the student saw, in evaluation mode and without gradients, so augmented views
    always agree.

    Args:
        combination: from `resolve_method`.
        network: the student; its bridges are made here.
        teacher: maps the same inputs to logits.
        teacher_layers: one a student layer, in the same order. Several teachers' features: repeat the student's layer.
        inputs: (batch, ...), a few training inputs, to learn the shapes from.
        labels: (example,), of the whole training split: `index` counts in it.
        parameters: by name, "gamma" or "crd.weight", see `Combination.split`.

    Returns:
        An objective for the training loop.

    Raises:
        InvalidValueError: the layers do not pair up, or a feature method cannot join them.
    """
    if len(teacher_layers) != len(network.layers):
        raise InvalidValueError(
            f"learn_features: `teacher_layers` must name {len(network.layers)} layers, one a student layer, got "
            f"{len(teacher_layers)}. Pair each with one."
        )
    settings = combination.split(parameters)
    teacher.eval()
    student_shapes = feature_shapes(network.module, network.layers, inputs)
    teacher_shapes = feature_shapes(teacher, teacher_layers, inputs)
    for method in combination.features:
        own = settings[method.name]
        network.bridges[method.name] = method.bridge(student_shapes, teacher_shapes, labels, parameters=own)

    def objective(logits: Tensor, index: Tensor) -> Tensor:
        with torch.no_grad():
            teacher_logits, found = forward_features(teacher, network.inputs, list(teacher_layers))
        loss = combination.logit.objective(
            logits, teacher_logits, labels[index], parameters=settings.get(combination.logit.name, {})
        )
        features = [found[layer] for layer in teacher_layers]
        for method in combination.features:
            term = network.bridges[method.name](network.features, features, index)
            loss = loss + float(settings[method.name]["weight"]) * term
        return loss

    return objective
