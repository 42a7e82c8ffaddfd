"""`Runner`: one network over the rows of one split, the clean examples or augmented views of them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch import nn

from darkprobe.data.growing import release_pages
from darkprobe.data.split import Split
from darkprobe.data.views import Views, pixel_hash
from darkprobe.errors import DarkprobeError, DataError
from darkprobe.zoo.card import Model
from darkprobe.zoo.features import forward_features
from darkprobe.zoo.float32 import full_float32


def check_fit(model: Model, split: Split) -> None:
    """Refuses a model and data whose inputs or classes do not fit, naming both shapes.

    Raises:
        DataError: they do not fit.
    """
    card = model.card
    if card.num_classes != split.num_classes:
        raise DataError(
            f"extract_logits: model and data must have the same classes, got {card.num_classes} outputs of "
            f"{card.model_id} and {split.num_classes} classes of {split.dataset}/{split.name}. Pair the model with "
            "data of its own classes."
        )
    resizes = card.preprocessing.size is not None and len(card.input_shape) == len(split.input_shape) == 3
    if card.input_shape != split.input_shape and not resizes:
        raise DataError(
            f"extract_logits: inputs must have shape {card.input_shape}, which {card.model_id} takes, got "
            f"{split.input_shape} from {split.dataset}/{split.name}. Choose a model built for this data."
        )


class Runner:
    """Runs one network over rows; with views, row `v * examples + i` is example i in view v.

    Args:
        model: network and card.
        split: the examples.
        views: augmented views of the split, or None for the clean examples.
        precision: "float32" or "bf16" (autocast).
        features: layers to keep.
        device: where to run, or None to choose a GPU where there is one.
    """

    def __init__(
        self,
        model: Model,
        split: Split,
        *,
        views: Views | None = None,
        precision: str = "float32",
        features: tuple[str, ...] = (),
        device: str | None = None,
    ) -> None:
        self.model, self.split, self.views = model, split, views
        self.precision, self.features = precision, features
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        # A batch freed before the next is made goes back to the system, and the network's working memory with it.
        self._batch: torch.Tensor | None = None

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The network on the device in evaluation mode, without gradients."""
        self.model.module.eval()
        with self.model.lent_to(self.device), torch.inference_mode(), full_float32():
            yield

    def run(self, rows: slice) -> dict[str, np.ndarray]:
        """float32 `logits` (batch, cls), `features/<layer>` (batch, ...), and of views `pixel_hash` (batch,)."""
        if self.views is None:
            return self.run_inputs(self.raw(rows))
        examples, parts = len(self.split), []
        numbers = np.arange(rows.start, rows.stop)
        for view in range(rows.start // examples, (rows.stop - 1) // examples + 1):
            index = numbers[numbers // examples == view] % examples
            parts.append(self.run_view(index, view=view))
        return _joined(parts)

    def run_view(self, index: np.ndarray, *, view: int) -> dict[str, np.ndarray]:
        """As `run`, on chosen examples in one view."""
        assert self.views is not None
        images = self.views.images(index, view=view)
        ids = self.split.example_ids[index]
        hashes = [pixel_hash(ids[i : i + 1], images[i : i + 1]) for i in range(len(index))]
        return {**self.run_inputs(images), "pixel_hash": np.array(hashes, "<u8")}

    def release(self) -> None:
        """Lets go of pages that were read from a memory-mapped split, so that memory does not grow with its length."""
        release_pages(self.split.inputs)

    def raw(self, rows: slice | np.ndarray) -> torch.Tensor | np.ndarray:
        """Raw inputs of some examples: text as it is, numbers as a tensor.

        Read-only rows (a memory map) are copied, as torch knows no read-only tensors.
        """
        inputs = self.split.inputs[rows]
        if inputs.dtype.kind in "OSU":
            return inputs
        return torch.from_numpy(np.ascontiguousarray(inputs) if inputs.flags.writeable else np.array(inputs))

    def run_inputs(self, inputs: torch.Tensor | np.ndarray) -> dict[str, np.ndarray]:
        """Outputs for raw inputs. Where a GPU's memory does not suffice the batch is halved, again and again."""
        try:
            return self._forward(inputs)
        except torch.OutOfMemoryError as error:
            if len(inputs) == 1:
                raise DarkprobeError(
                    f"extract_logits: one example of {self.split.dataset} through {self.model.card.model_id} does not "
                    f"fit in the memory of {self.device}. Run on another device, e.g. cpu."
                ) from error
        self._batch = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(inputs) // 2
        return _joined([self.run_inputs(inputs[:half]), self.run_inputs(inputs[half:])])

    def _forward(self, inputs: torch.Tensor | np.ndarray) -> dict[str, np.ndarray]:
        raw = inputs.to(self.device) if isinstance(inputs, torch.Tensor) else inputs
        batch = self._batch = self.model.prepare(raw).to(self.device)  # kept until the next one is there: see __init__
        bf16 = self.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16) if bf16 else nullcontext():
            if self.features:
                logits, kept = forward_features(self.model.module, batch, self.features)
            else:
                logits, kept = self.model.module(batch), {}
        arrays = {"logits": logits, **{f"features/{name}": value for name, value in kept.items()}}
        return {name: value.float().cpu().numpy() for name, value in arrays.items()}


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return parts[0] if len(parts) == 1 else {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def head_weight(model: Model) -> np.ndarray | None:
    """(cls, feature) weight of the last linear layer, or None when the network has none that gives the classes."""
    linear = [layer for layer in model.module.modules() if isinstance(layer, nn.Linear)]
    if not linear or linear[-1].out_features != model.card.num_classes:
        return None
    weight: np.ndarray = linear[-1].weight.detach().float().cpu().numpy()
    return weight
