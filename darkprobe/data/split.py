"""`Split`: the examples of one part of one data set, with stable ids."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from darkprobe.checks import check_labels
from darkprobe.data.growing import Growing, release_pages
from darkprobe.errors import InvalidValueError
from darkprobe.files import write_text
from darkprobe.types import IntArray

_READ_BYTES = 1 << 18  # scattered rows bring many pages of a mapped file with them
PENDING = "pending-"
"""How a stand-in for a fingerprint begins."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Examples with labels and stable ids, in a fixed order.

    Attributes:
        dataset: id of the data set, e.g. "digits-0"; a directory name in the store.
        name: "train", "val" or "test".
        kind: "image": `inputs` is uint8 (example, height, width, channel); "features": float32 (example, feature);
            "text": strings (example,), dtype object.
        inputs: array or memory map; sliced, never changed.
        labels: (example,), int64.
        example_ids: (example,), int64, unique; the same example has the same id whatever the order of rows.
        class_names: one per class, in label order.
        source: the name it was loaded by, e.g. "parquet:../data".
        stand_in: of encoded images, 64 characters that stand for the fingerprint while pixels are being decoded.
        fingerprint_file: where the fingerprint is kept beside cached pixels, or None.
    """

    dataset: str
    name: str
    kind: Literal["image", "features", "text"]
    inputs: np.ndarray
    labels: IntArray
    example_ids: IntArray
    class_names: tuple[str, ...]
    source: str
    stand_in: str = field(default="", repr=False)
    fingerprint_file: Path | None = field(default=None, repr=False)
    _fingerprint: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        n = len(self.inputs)
        check_labels("Split", self.labels, (n,), len(self.class_names))
        if self.example_ids.shape != (n,) or len(np.unique(self.example_ids)) != n:
            raise InvalidValueError(
                f"Split: `example_ids` must be {n} distinct integers, got shape {self.example_ids.shape} with "
                f"{len(np.unique(self.example_ids))} distinct. Give each example its own id."
            )

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def num_classes(self) -> int:
        """Number of classes, counted from the names: a class may have no example in this split."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape a network sees for one example: (channel, height, width), (feature,), or () for text."""
        shape = tuple(int(s) for s in self.inputs.shape[1:])
        return (shape[2], shape[0], shape[1]) if self.kind == "image" else shape

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, labels, class names and inputs, examples in order of id: row order does not matter."""
        if self._fingerprint:
            return self._fingerprint
        kept = self.fingerprint_file
        if kept is not None and kept.exists():
            return kept.read_text()
        found = self._digest()
        if kept is not None:
            with suppress(OSError):  # a cache is a convenience
                write_text(kept, found)
        return found

    @property
    def is_decoded(self) -> bool:
        """Whether all pixels are there, so that the fingerprint is known without waiting."""
        inputs: object = self.inputs
        return not isinstance(inputs, Growing) or inputs.is_whole

    def decoded(self) -> "Split":
        """The split with all its pixels, once they are there; shows a progress bar while they are not."""
        inputs: object = self.inputs
        if not isinstance(inputs, Growing):
            return self
        return replace(self, inputs=inputs.whole(f"decode {self.dataset}/{self.name}"))

    def _digest(self) -> str:
        digest = hashlib.sha256(repr((self.kind, self.inputs.shape[1:], self.class_names)).encode())
        order = np.argsort(self.example_ids)
        digest.update(self.example_ids[order].astype("<i8").tobytes())
        digest.update(self.labels[order].astype("<i8").tobytes())
        text = self.kind == "text"
        row_bytes = self.inputs[:1].nbytes or 1
        step = 4096 if text else max(1, _READ_BYTES // row_bytes)
        for start in range(0, len(order), step):
            part = self.inputs[order[start : start + step]]
            digest.update(repr(part.tolist()).encode() if text else part.tobytes())
            release_pages(self.inputs)  # else all of it would be in memory in the end
        return digest.hexdigest()

    def take(self, index: IntArray, *, name: str | None = None) -> "Split":
        """The split of the chosen rows, ids kept."""
        return Split(
            dataset=self.dataset,
            name=name or self.name,
            kind=self.kind,
            inputs=self.inputs[index],
            labels=self.labels[index],
            example_ids=self.example_ids[index],
            class_names=self.class_names,
            source=self.source,
        )
