"""Files of weights: reading without running their code, fitting them to a network, fingerprints, writing.

Read formats: PyTorch archives (`weights_only=True`: a hostile pickle is refused, never run) and safetensors.
"""

import hashlib
import io
import json
import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from darkprobe.errors import CheckpointError, MissingDependencyError
from darkprobe.files import replacing
from darkprobe.zoo.card import Model, ModelCard

StateDict: TypeAlias = Mapping[str, torch.Tensor]

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "ema_state_dict")
_TORCH_SUFFIXES = (".th", ".pt", ".pth", ".ckpt", ".tar", ".bin")
_CARD_KEY = "darkprobe_card"


def read_weights(path: Path | str) -> dict[str, torch.Tensor]:
    """Name to tensor, on the CPU, from a checkpoint file; wrappers and `module.` prefixes are taken off.

    Args:
        path: a PyTorch archive (.th .pt .pth .ckpt .tar .bin) or .safetensors.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or a pickle that would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"load_model: checkpoint must be a file, got {path}, which is none. Check the path.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)[0]
    if path.suffix not in _TORCH_SUFFIXES:
        raise CheckpointError(
            f"load_model: checkpoint must end in {', '.join(_TORCH_SUFFIXES)} or .safetensors, got {path.name}. "
            "Rename the file if it is one of these."
        )
    return _unwrap(_read_torch(path), path)


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), _WithinTheFile(io.FileIO(path)) as file:
            warnings.simplefilter("ignore")  # torch warns of old pickle protocols before it refuses what they hold
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"load_model: checkpoint must hold tensors only, got {path.name}, which is damaged or would run code when "
            "opened; it was not run. Save it again as a state dict or as safetensors."
        ) from error
    except Exception as error:  # what torch raises on a damaged file is whatever its parser stumbled over
        raise CheckpointError(
            f"load_model: checkpoint must be a readable PyTorch file, got {path.name} ({_first_line(error)}). "
            "Fetch or save it again."
        ) from error


class _WithinTheFile(io.BufferedReader):
    """A file that never takes memory for more bytes than it has left, whatever length its content declares."""

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes, all that is left for None or -1."""
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160].rstrip(". ")


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingDependencyError(
            "load_model: reading .safetensors needs safetensors. Run: pip install 'darkprobe[zoo]'"
        ) from error
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"load_model: checkpoint must be a readable safetensors file, got {path.name} ({_first_line(error)}). "
            "Fetch or save it again."
        ) from error


def _unwrap(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """The state dict inside `content`: wrappers opened, and a `module.` prefix shared by all names removed."""
    while isinstance(content, Mapping) and not _is_state_dict(content):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not _is_state_dict(content):
        raise CheckpointError(
            f"load_model: checkpoint must hold a state dict (names to tensors), bare or under one of "
            f"{', '.join(_WRAPPERS)}, got {type(content).__name__} in {path.name}. Save model.state_dict()."
        )
    weights = {str(name): tensor for name, tensor in content.items() if isinstance(tensor, torch.Tensor)}
    while weights and all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    return weights


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(value, torch.Tensor) for value in content.values())


def fit_weights(module: nn.Module, weights: StateDict, *, name: str, source: str) -> None:
    """Copies `weights` into `module` in place.

    Args:
        module: the network.
        weights: name to tensor.
        name: the architecture, for the message.
        source: the file, for the message.

    Raises:
        CheckpointError: names are missing or unexpected, a shape differs, or a value is not finite.
    """
    wanted = module.state_dict()
    optional = {key for key in wanted if key.endswith("num_batches_tracked")}  # absent in files older than torch 0.4.1
    problems = {
        "missing": [key for key in wanted if key not in weights and key not in optional],
        "unexpected": [key for key in weights if key not in wanted],
        "of another shape": [
            f"{key} {tuple(weights[key].shape)} instead of {tuple(wanted[key].shape)}"
            for key in wanted
            if key in weights and weights[key].shape != wanted[key].shape
        ],
    }
    if any(problems.values()):
        told = "; ".join(f"{kind}: {_some(keys)}" for kind, keys in problems.items() if keys)
        raise CheckpointError(
            f"load_model: checkpoint must fit {name}, got {source} ({told}). Name the architecture it was saved from."
        )
    for key, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"load_model: checkpoint must hold finite weights, got NaN or infinity in {key} of {source}. "
                "Use another checkpoint."
            )
    module.load_state_dict(dict(weights), strict=False)


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def weights_sha256(module: nn.Module) -> str:
    """SHA-256, in hex, over the state dict: names in sorted order, with dtype, shape and little-endian bytes.

    It names the weights and not a file: the same weights saved as .th and .safetensors have the same fingerprint.
    Counters of seen batches, which no forward pass reads, are left out.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name}|{plain.dtype}|{tuple(plain.shape)}|".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_model(model: Model, path: Path | str) -> Path:
    """Writes weights and card as one safetensors file through a rename, and returns the path.

    `load_model("ARCH=PATH")` reads both back.
    """
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise MissingDependencyError(
            "save_model: writing .safetensors needs safetensors. Run: pip install 'darkprobe[zoo]'"
        ) from error
    path = Path(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(f"save_model: `path` must end in .safetensors, got {path.name}. Rename it.")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.module.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={_CARD_KEY: json.dumps(model.card.as_dict())})
    return path


def read_card(path: Path | str) -> ModelCard | None:
    """The card inside a safetensors file that `save_model` wrote, or None for any other file."""
    path = Path(path)
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    text = _read_safetensors(path)[1].get(_CARD_KEY)
    if text is None:
        return None
    try:
        return ModelCard.from_dict(json.loads(text))
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"load_model: card in {path.name} must be a model card, got something else ({_first_line(error)}). "
            "Save the model again with save_model."
        ) from error
