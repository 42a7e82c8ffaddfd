"""`ModelCard`: what is known about one trained network, kept next to its weights and written into every store."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How raw inputs become what the network takes; taken from the model's own record, never from the data.

    Attributes:
        mean, std: per channel, on the [0, 1] scale; empty for features that are taken as they are.
        size: (height, width) to resize and crop to, or None to leave images as they are.
        crop_fraction: share of the resized image that the centre crop keeps.
        interpolation: filter for resizing.
        color_order: channel order the network expects.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: tuple[int, int] | None = None
    crop_fraction: float = 1.0
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    color_order: Literal["rgb", "bgr", "grey"] = "rgb"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One trained network: identity, size, origin. `model_id` is `architecture.tag`.

    Attributes:
        architecture: name of the network, e.g. "resnet20" or "mlp-64".
        tag: name of these weights, e.g. "s3", "akamaster", "ls0.1-s0"; two checkpoints never share both.
        line: architecture line of the capacity axis, e.g. "resnet-cifar" or "mlp".
        recipe: how it was trained, e.g. "plain", "ls0.1", "early-stopped"; with `line` it makes the family.
        parameters: number of trained parameters.
        flops: multiply-adds of one forward pass of one example, or None when not counted.
        input_shape: (channels, height, width), (features,), or () for text.
        num_classes: number of outputs.
        preprocessing: from raw input to network input.
        values: whether outputs are logits, or log-probabilities (equal to logits up to a constant per example).
        source: where it came from, e.g. "built-in", "timm:resnet50.a1_in1k", a file name.
        weights_sha256: fingerprint of the weights, hex.
        seed, generation, parent, method: how it came to be, where known.
        note: one sentence for the reader.
    """

    architecture: str
    tag: str
    line: str
    recipe: str = "plain"
    parameters: int
    flops: int | None = None
    input_shape: tuple[int, ...]
    num_classes: int
    preprocessing: Preprocessing = Preprocessing()
    values: Literal["logits", "log_probs"] = "logits"
    source: str = "built-in"
    weights_sha256: str
    seed: int | None = None
    generation: int | None = None
    parent: str | None = None
    method: str | None = None
    note: str = ""

    @property
    def model_id(self) -> str:
        """`architecture.tag`, the name under which tables and figures show the model."""
        return f"{self.architecture}.{self.tag}" if self.tag else self.architecture

    @property
    def family(self) -> str:
        """Architecture line x recipe: the models a capacity curve may join (others differ in more than size)."""
        return f"{self.line}/{self.recipe}"

    @property
    def file_stem(self) -> str:
        """Slug of the id and the first 8 hex digits of the weights' hash: the name of its files."""
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', self.model_id).strip('-.')}-{self.weights_sha256[:8]}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelCard":
        """The card that `as_dict` (or its JSON) describes; unknown keys raise TypeError."""
        values = dict(values)
        preprocessing = dict(values.pop("preprocessing", {}))
        for key in ("mean", "std", "size"):
            if preprocessing.get(key) is not None:
                preprocessing[key] = tuple(preprocessing[key])
        values["input_shape"] = tuple(values["input_shape"])
        return cls(preprocessing=Preprocessing(**preprocessing), **values)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network ready to run with its card.

    Attributes:
        card: what is known about it.
        module: maps network inputs (batch, ...) to logits (batch, cls).
        encode: makes network inputs of raw ones where the card's preprocessing cannot (tokens of text), or None.
    """

    card: ModelCard
    module: "torch.nn.Module"
    encode: "Callable[[np.ndarray], torch.Tensor] | None" = None

    @contextmanager
    def lent_to(self, device: "torch.device | str") -> "Iterator[None]":
        """The network is on the device inside the block, and after it where it was."""
        first = next(self.module.parameters(), None)
        home = "cpu" if first is None else first.device
        try:
            self.module.to(device)
            yield
        finally:
            self.module.to(home)

    def prepare(self, raw: "np.ndarray | torch.Tensor") -> "torch.Tensor":
        """Network inputs of a batch of raw inputs, as a data split holds them."""
        if self.encode is not None:
            return self.encode(np.asarray(raw))
        from darkprobe.zoo.preprocess import preprocess

        return preprocess(raw, self.card.preprocessing)
