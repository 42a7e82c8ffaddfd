"""A multilayer perceptron's members as batched matrix products, without the machinery of `vmap`.

The numbers are those of `vmap`, which comes down to the same products; what is saved is its bookkeeping, half of the
time of a step of small networks.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Run = Callable[[dict[str, Tensor], Tensor], Tensor]

_ELEMENTWISE = (nn.GELU, nn.ReLU, nn.SiLU, nn.Tanh, nn.Identity)


def batched_run(module: nn.Module, *, own_inputs: bool) -> Run | None:
    """(stacked parameters by name, inputs) -> logits (member, batch, cls), or None for other kinds of modules.

    Args:
        module: one member: a plain sequence of flattening, linear layers and elementwise functions.
        own_inputs: whether inputs are (member, batch, ...) rather than (batch, ...).
    """
    layers = list(module.named_children())
    plain = type(module).forward is nn.Sequential.forward and all(_is_known(layer) for _, layer in layers)
    if not plain or not any(isinstance(layer, nn.Linear) for _, layer in layers):
        return None

    def run(parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        members = next(iter(parameters.values())).shape[0]
        hidden = inputs if own_inputs else inputs.expand(members, *inputs.shape)
        for name, layer in layers:
            if isinstance(layer, nn.Flatten):
                hidden = hidden.flatten(2)
            elif isinstance(layer, nn.Linear):
                bias = parameters[f"{name}.bias"].unsqueeze(1)
                hidden = torch.baddbmm(bias, hidden, parameters[f"{name}.weight"].mT)
            else:
                hidden = layer(hidden)
        return hidden

    return run


def _is_known(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Flatten):
        return layer.start_dim == 1 and layer.end_dim == -1
    return (isinstance(layer, nn.Linear) and layer.bias is not None) or isinstance(layer, _ELEMENTWISE)
