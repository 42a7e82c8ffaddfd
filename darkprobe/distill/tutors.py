"""Who answers for the teacher while a student trains: its stored logits, or the network itself beside the student."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from darkprobe.data.split import Split
from darkprobe.distill.feature_losses import Shape
from darkprobe.distill.inputs import StudentInputs
from darkprobe.distill.pairing import paired_rows, stored_view
from darkprobe.distill.sparse_rows import even_tail
from darkprobe.errors import InvalidValueError
from darkprobe.store import LogitFile
from darkprobe.targets import Values
from darkprobe.zoo import Model
from darkprobe.zoo.features import forward_features
from darkprobe.zoo.float32 import full_float32


class Tutor(Protocol):
    """A teacher as the objective sees it."""

    values: Values
    head_weight: Tensor | None

    def everything(self, view: int) -> Tensor | None:
        """(example, cls): logits of all training examples in one view, or None when they come batch by batch."""

    def answer(self, index: Tensor, view: int) -> tuple[Tensor, list[Tensor]]:
        """Logits (batch, cls) and the tapped features of the batch that the student just saw; no gradients."""

    def shapes(self) -> tuple[Shape, ...]:
        """Shape of one example's features, one a tapped layer."""


class CachedTutor:
    """A teacher's stored logits, and features where they are stored, paired by example id and view.

    Args:
        entry: the file.
        train: the examples the student is trained on.
        layers: the teacher's layers to tap.
        device: where the student is.
        temperature: at which the method looks at a sparse file; see `sparse_rows`.

    Raises:
        StoreError: the file does not belong to these examples.
        InvalidValueError: a layer's features are not in the file.
    """

    def __init__(
        self,
        entry: LogitFile,
        train: Split,
        *,
        layers: Sequence[str],
        device: torch.device | str = "cpu",
        temperature: float | None = None,
    ) -> None:
        missing = [layer for layer in layers if layer not in entry.features]
        if missing:
            raise InvalidValueError(
                f"distill: `teacher` must hold features of layer {missing[0]}, got {entry.path} with "
                f"{', '.join(entry.features) or 'none'}. Extract with --features {','.join(layers)}, or run the "
                "teacher beside the student (--teacher-live)."
            )
        self.entry, self.layers, self.device = entry, list(layers), device
        self.rows, self.temperature = paired_rows(entry, train), temperature
        self.values: Values = entry.card.values
        head = entry.head_weight
        self.head_weight = None if head is None else torch.from_numpy(np.array(head)).to(device)
        self._view, self._logits = -1, torch.empty(0)

    def everything(self, view: int) -> Tensor:
        """(example, cls), all training examples in one view."""
        if view != self._view:
            self._view, self._logits = view, self._read(view).to(self.device)
        return self._logits

    def _read(self, view: int) -> Tensor:
        if not self.entry.is_sparse:
            return stored_view(self.entry, self.rows, view=view)
        if self.temperature is None:  # a method on features alone looks at no logits
            return torch.zeros(len(self.rows), self.entry.card.num_classes)
        return even_tail(self.entry, self.rows, view=view, temperature=self.temperature)

    def answer(self, index: Tensor, view: int) -> tuple[Tensor, list[Tensor]]:
        """Logits and features of the batch."""
        rows = self.rows[index.numpy()]
        key = (view, rows) if self.entry.n_views else rows
        features = [
            torch.from_numpy(np.asarray(self.entry.features[layer][key], np.float32)).to(self.device)
            for layer in self.layers
        ]
        return self.everything(view)[index], features

    def shapes(self) -> tuple[Shape, ...]:
        """Shapes of the stored features."""
        leading = 2 if self.entry.n_views else 1
        return tuple(self.entry.features[layer].shape[leading:] for layer in self.layers)


class LiveTutor:
    """The teacher's network, run in float32 on the very pixels the student saw, through its own preprocessing.

    Args:
        model: the teacher; put in evaluation mode and on the device.
        inputs: the student's batches.
        layers: the teacher's layers to tap.
    """

    def __init__(self, model: Model, inputs: StudentInputs, *, layers: Sequence[str]) -> None:
        self.model, self.inputs, self.layers = model, inputs, list(layers)
        model.module.eval().to(inputs.device)
        self.values: Values = model.card.values
        linear = [layer for layer in model.module.modules() if isinstance(layer, torch.nn.Linear)]
        fits = bool(linear) and linear[-1].out_features == model.card.num_classes
        self.head_weight = linear[-1].weight.detach().float() if fits else None

    def everything(self, view: int) -> None:
        """None: a live teacher answers batch by batch."""

    @torch.no_grad()
    @full_float32()
    def answer(self, index: Tensor, view: int) -> tuple[Tensor, list[Tensor]]:
        """Logits and features of the batch."""
        batch = self.model.prepare(self.inputs.raw_of(index)).to(self.inputs.device)
        logits, found = forward_features(self.model.module, batch, self.layers)
        return logits.float(), [found[layer] for layer in self.layers]

    def shapes(self) -> tuple[Shape, ...]:
        """Shapes of the tapped features, from one pass over one example."""
        first = torch.zeros(1, dtype=torch.int64)
        self.inputs(first, 0)
        _, features = self.answer(first, 0)
        return tuple(tuple(feature.shape[1:]) for feature in features)
