"""`load_model`: from what the user writes, e.g. "resnet20=weights.th", to a network with its card."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from darkprobe.errors import CheckpointError, InvalidValueError
from darkprobe.zoo.architectures import (
    Architecture,
    build_module,
    count_parameters,
    find_architecture,
    preprocessing_for,
)
from darkprobe.zoo.card import Model, ModelCard
from darkprobe.zoo.flops import architecture_flops
from darkprobe.zoo.foreign.sources import is_foreign, load_foreign
from darkprobe.zoo.weights import fit_weights, read_card, read_weights, weights_sha256


@dataclass(frozen=True)
class ModelName:
    """The parts of `ARCH[.TAG][=PATH]`."""

    architecture: str
    tag: str
    path: Path | None
    has_tag: bool
    """Whether the user wrote the tag; else it was taken from the file's name."""


def parse_model_name(name: str) -> ModelName:
    """Splits "resnet20.mine=weights.th" into architecture, tag and path.

    Without a tag, a checkpoint is called after its file, the architecture's name in front left out.

    Examples:
        >>> parse_model_name("resnet20=weights/resnet20-12fca82f.th").tag
        '12fca82f'
    """
    identity, equals, file = name.partition("=")
    architecture, _, tag = identity.partition(".")
    if not architecture or (equals and not file):
        raise InvalidValueError(
            f"load_model: `name` must look like ARCH, ARCH=FILE or ARCH.TAG=FILE, got {name!r}. Correct it."
        )
    path = Path(file) if equals else None
    if path is not None and not tag:
        stem = path.name.removesuffix(path.suffix)
        tag = re.sub(r"[^A-Za-z0-9._-]+", "-", stem.removeprefix(architecture)).strip("-._") or "checkpoint"
    return ModelName(architecture, tag, path, has_tag="." in identity)


def load_model(name: str, *, input_shape: tuple[int, ...], num_classes: int, seed: int | None = None) -> Model:
    """A network, in evaluation mode and on the CPU, with its card.

    Args:
        name: `ARCH` (fresh weights drawn from `seed`), `ARCH=FILE` or `ARCH.TAG=FILE` (weights from a PyTorch
            archive or a safetensors file; without a tag the card in the file or the file's name gives one), or a model
            of another library, e.g. `timm:resnet18.a1_in1k` (`foreign/sources.py` lists them).
        input_shape: (channel, height, width) or (feature,) of the data.
        num_classes: number of classes of the data.
        seed: decides fresh weights; must be given for `ARCH` and not for a file.

    Raises:
        UnknownNameError: no such architecture.
        CheckpointError: the file is missing, damaged, would run code, or is for another network.
        InvalidValueError: `seed` is missing, or given beside a file.

    Examples:
        >>> load_model("mlp-16", input_shape=(1, 8, 8), num_classes=10, seed=3).card.model_id
        'mlp-16.s3'
    """
    if is_foreign(name):
        _check_no_seed(name, seed)
        return load_foreign(name, input_shape=input_shape, num_classes=num_classes)
    parsed = parse_model_name(name)
    architecture = find_architecture(parsed.architecture)
    if (seed is None) == (parsed.path is None):
        got = "none and no file" if seed is None else f"{seed} beside a file"
        raise InvalidValueError(
            f"load_model: `seed` must be given for fresh weights and only for them, got {got} for {name!r}. "
            f"Write {parsed.architecture}=FILE for trained weights, or give a seed."
        )
    module = build_module(parsed.architecture, input_shape=input_shape, num_classes=num_classes, seed=seed or 0)
    if parsed.path is None:
        tag = parsed.tag or f"s{seed}"
        return Model(
            card=make_card(architecture, module, tag=tag, input_shape=input_shape, num_classes=num_classes, seed=seed),
            module=module.eval(),
        )
    return _from_file(parsed, architecture, module, input_shape=input_shape, num_classes=num_classes)


def _check_no_seed(name: str, seed: int | None) -> None:
    if seed is not None:
        raise InvalidValueError(
            f"load_model: `seed` must be given for fresh weights only, got {seed} for {name!r}. Leave it out."
        )


def _from_file(
    name: ModelName,
    architecture: Architecture,
    module: nn.Module,
    *,
    input_shape: tuple[int, ...],
    num_classes: int,
) -> Model:
    assert name.path is not None
    fit_weights(module, read_weights(name.path), name=architecture.name, source=name.path.name)
    card = make_card(architecture, module, tag=name.tag, input_shape=input_shape, num_classes=num_classes)
    saved = read_card(name.path)
    if saved is not None:
        if saved.weights_sha256 != card.weights_sha256:
            raise CheckpointError(
                f"load_model: weights in {name.path.name} must match its card ({saved.weights_sha256[:8]}), got "
                f"{card.weights_sha256[:8]}. The file was changed after it was saved: fetch it again."
            )
        # What the architecture fixes is taken from the code; how the weights came to be, from the file.
        history = ("recipe", "preprocessing", "seed", "generation", "parent", "method", "note")
        card = dataclasses.replace(card, **{key: getattr(saved, key) for key in history})
        card = card if name.has_tag else dataclasses.replace(card, tag=saved.tag)
    return Model(card=dataclasses.replace(card, source=name.path.name), module=module.eval())


def make_card(
    architecture: Architecture,
    module: nn.Module,
    *,
    tag: str,
    input_shape: tuple[int, ...],
    num_classes: int,
    seed: int | None = None,
    recipe: str = "plain",
) -> ModelCard:
    """The card of a built-in network with the weights it holds now."""
    return ModelCard(
        architecture=architecture.name,
        tag=tag,
        line=architecture.line,
        recipe=recipe,
        parameters=count_parameters(module),
        flops=architecture_flops(architecture.name, tuple(input_shape), num_classes),
        input_shape=tuple(input_shape),
        num_classes=num_classes,
        preprocessing=preprocessing_for(architecture, tuple(input_shape)),
        source="built-in",
        weights_sha256=weights_sha256(module),
        seed=seed,
    )
