"""The registry of architectures: a name, a builder and the facts that a list shows.

Owns names and construction. Weights are `weights.py`, names with checkpoints are `loading.py`, and each architecture
family has its own file.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import nn

from darkprobe.errors import DataError, InvalidValueError, UnknownNameError
from darkprobe.registry import Registry
from darkprobe.zoo.card import Preprocessing

Build: TypeAlias = Callable[[tuple[int, ...], int], nn.Module]
"""(input_shape, num_classes) -> network with fresh weights."""

Inputs: TypeAlias = Literal["any", "image"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Mean and standard deviation of scikit-learn's 1,797 digits as 8-bit images; a test computes them again.
DIGITS_MEAN = (0.305309,)
DIGITS_STD = (0.375886,)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One architecture: how to build it and what a list says about it.

    Attributes:
        name: e.g. "resnet20".
        line: architecture line of the capacity axis: members differ in size only, e.g. "resnet-cifar".
        build: makes the network for an input shape and a number of classes.
        inputs: "any" takes features or images; "image" takes images only.
        example_shape: input shape for which a list counts parameters and FLOPs.
        preprocessing: what its public weights expect, or None for what suits the input shape.
        source: paper or origin, one short line.
    """

    name: str
    line: str
    build: Build
    inputs: Inputs = "image"
    example_shape: tuple[int, ...] = (3, 32, 32)
    preprocessing: Preprocessing | None = None
    source: str = "built-in"


@dataclass(frozen=True, kw_only=True)
class _Template:
    """A name with numbers in it, e.g. "mlp-{}": sizes that are not listed are understood as well."""

    pattern: re.Pattern[str]
    make: Callable[[str, tuple[int, ...]], Architecture]


ARCHITECTURES: Registry[Architecture] = Registry("model")
_TEMPLATES: list[_Template] = []


def register_model(
    name: str,
    *,
    line: str,
    build: Build,
    inputs: Inputs = "image",
    example_shape: tuple[int, ...] = (3, 32, 32),
    preprocessing: Preprocessing | None = None,
    source: str = "user",
) -> Architecture:
    """Adds one architecture to the zoo and returns its record.

    Args:
        name: new name, e.g. "tinynet-3"; letters, digits, "_" and "-".
        line: architecture line; models of one line are joined in capacity plots.
        build: called as `build(input_shape, num_classes)`, returns a module from inputs (batch, *input_shape) to
            logits (batch, cls).
        inputs: whether it takes images only.
        example_shape: input shape for which a list counts parameters and FLOPs.
        preprocessing: what its weights expect, or None for what suits the input shape.
        source: paper or origin, one short line.

    Raises:
        InvalidValueError: the name is taken or has other characters ("." separates the tag, "=" the file).
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise InvalidValueError(
            f"register_model: `name` must consist of letters, digits, '_' and '-', got {name!r}. Choose another name."
        )
    record = Architecture(
        name=name,
        line=line,
        build=build,
        inputs=inputs,
        example_shape=example_shape,
        preprocessing=preprocessing,
        source=source,
    )
    return ARCHITECTURES.register(name, record)


def register_ladder(
    template: str, sizes: Iterable[tuple[int, ...]], make: Callable[[str, tuple[int, ...]], Architecture]
) -> None:
    """Adds an architecture for each of `sizes`, and understands other sizes when they are asked for by name.

    Args:
        template: name with a `{}` for each number, e.g. "wrn{}-{}".
        sizes: the sizes that a list shows.
        make: (name, size) to record; raises InvalidValueError for a size that cannot be built.
    """
    for size in sizes:
        name = template.format(*size)
        ARCHITECTURES.register(name, make(name, size))
    pattern = re.compile(re.escape(template).replace(r"\{\}", r"([1-9]\d{0,4})"))
    _TEMPLATES.append(_Template(pattern=pattern, make=make))


def find_architecture(name: str) -> Architecture:
    """The record of an architecture, listed or of another size of a known ladder.

    Raises:
        UnknownNameError: no such architecture; near names are given.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    for template in _TEMPLATES:
        match = template.pattern.fullmatch(name)
        if match:
            return template.make(name, tuple(int(number) for number in match.groups()))
    raise UnknownNameError("model", name, ARCHITECTURES, hint="`darkprobe zoo list` shows sizes.")


def list_models(pattern: str = "*") -> list[str]:
    """Names of built-in architectures that match a shell pattern, in natural order.

    Examples:
        >>> list_models("resnet?*0")[:2]
        ['resnet20', 'resnet110']
    """
    return ARCHITECTURES.match(pattern)


def build_module(name: str, *, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
    """A network with fresh weights drawn from `seed`; the global random state is left as it was.

    Args:
        name: architecture, e.g. "mlp-64".
        input_shape: (channel, height, width) or (feature,).
        num_classes: number of outputs, at least 2.
        seed: decides every weight.

    Raises:
        UnknownNameError: no such architecture.
        DataError: the architecture does not take inputs of this shape.
    """
    architecture = find_architecture(name)
    check_input_shape(architecture, input_shape)
    if num_classes < 2:
        raise InvalidValueError(
            f"build_module: `num_classes` must be at least 2, got {num_classes}. Give the number of classes."
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return architecture.build(tuple(input_shape), num_classes)


def check_input_shape(architecture: Architecture, input_shape: tuple[int, ...]) -> None:
    """Refuses features for a network that takes images, and shapes that are neither."""
    images = len(input_shape) == 3
    fits = images or (architecture.inputs == "any" and len(input_shape) == 1)
    if not fits or min(input_shape) < 1:
        wanted = "(channel, height, width)" + (" or (feature,)" if architecture.inputs == "any" else "")
        raise DataError(
            f"build_module: `input_shape` of {architecture.name} must be {wanted}, got {tuple(input_shape)}. "
            "Choose data or a model that fit each other."
        )


def preprocessing_for(architecture: Architecture, input_shape: tuple[int, ...]) -> Preprocessing:
    """What fresh weights of this architecture are fed: its own record, else constants that suit the input shape.

    Features are taken as they are; 8x8 grey images by the constants of digits, other grey images by 1/2 and 1/2;
    colour images by ImageNet's mean and standard deviation, as CIFAR networks of the distillation literature are.
    """
    if architecture.preprocessing is not None:
        return architecture.preprocessing
    if len(input_shape) == 1:
        return Preprocessing()
    if input_shape == (1, 8, 8):
        return Preprocessing(mean=DIGITS_MEAN, std=DIGITS_STD, color_order="grey")
    if input_shape[0] == 1:
        return Preprocessing(mean=(0.5,), std=(0.5,), color_order="grey")
    if input_shape[0] == 3:
        return Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return Preprocessing(mean=(0.5,) * input_shape[0], std=(0.5,) * input_shape[0])


def count_parameters(module: nn.Module) -> int:
    """Number of trained parameters; a shared tensor is counted once, running statistics are not."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def initialise(module: nn.Module, rule: Callable[[torch.Tensor], object]) -> None:
    """Applies `rule` to the weights of every convolution and linear layer, and zeroes their biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            rule(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def kaiming_by_fan_out(weight: torch.Tensor) -> None:
    """Normal with variance 2 / fan-out for convolutions; linear layers keep PyTorch's own rule."""
    if weight.ndim == 4:
        nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
