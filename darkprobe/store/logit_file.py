"""`LogitFile`: one finished logit file or member of a pack, checked when opened, its arrays mapped when used."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from darkprobe.errors import StoreError
from darkprobe.store.hdf5_structure import Extent, Group, read_structure
from darkprobe.store.part_file import missing_blocks, read_flags
from darkprobe.store.schema import Layout, RowArray, card_of, check_group, digest
from darkprobe.types import FloatArray, IntArray
from darkprobe.zoo.card import ModelCard

_IN_ATTRIBUTES = ("fingerprint", "source", "values", "storage", "precision", "written_by", "command")
_WHOLE = ("labels", "example_ids", "class_names", "head/weight", "tail_temperatures")


@dataclass(frozen=True, kw_only=True, eq=False)
class LogitFile:
    """Logits of one model on one split, read only. Arrays are memory maps, made and verified when first asked for.

    Attributes:
        path: the file.
        card: the model.
        dataset, split: ids of the data.
        attributes: fingerprint, source, values, storage, precision, command, versions, number of views, and whatever
            was given to `LogitStore.add`.
        header: the attributes as they stand in the file.
    """

    path: Path
    card: ModelCard
    dataset: str
    split: str
    attributes: dict[str, Any] = field(repr=False)
    header: dict[str, str | int] = field(repr=False)
    extents: dict[str, Extent] = field(repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Crosses to another process as a path and a header; arrays are mapped there anew."""
        return {name.name: self.__dict__[name.name] for name in fields(self)}

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        return int(self.header["examples"])

    @property
    def n_views(self) -> int:
        """Number of augmented views; 0 when the logits are those of the clean examples and have no view axis."""
        return int(self.header["views"])

    @property
    def is_sparse(self) -> bool:
        """Whether only the k largest logits of each row are kept."""
        return "logits" not in self.extents

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """One name per class."""
        return tuple(name.decode() for name in self._whole("class_names").tolist())

    @cached_property
    def labels(self) -> IntArray:
        """(example,), int64."""
        return self._whole("labels")

    @cached_property
    def example_ids(self) -> IntArray:
        """(example,), int64, unique."""
        return self._whole("example_ids")

    @cached_property
    def head_weight(self) -> FloatArray | None:
        """(cls, feature), float32: weights of the last linear layer, or None when the network has none."""
        return self._whole("head/weight") if "head/weight" in self.extents else None

    @cached_property
    def logits(self) -> FloatArray:
        """(example, cls) or (view, example, cls): float32 or float16 memory map; int8 storage comes decoded, float32.

        Raises:
            StoreError: the file is sparse, or a block does not match its checksum.
        """
        stored = self.stored_logits
        if stored.dtype != np.int8:
            return stored
        decoded = stored.astype(np.float32)
        decoded *= self._scale[..., None]
        return decoded

    @cached_property
    def stored_logits(self) -> np.ndarray:
        """The logits as they lie in the file: float32, float16, or int8 codes to be multiplied by `logits_scale`."""
        if self.is_sparse:
            raise StoreError(
                f"{self.path} is sparse and holds the largest logits only, and what was asked for needs every class. "
                "Extract again without --top-k (in Python, its arrays are topk_logits, topk_indices and tail_lse)."
            )
        return self.array("logits")

    @cached_property
    def features(self) -> Mapping[str, FloatArray]:
        """By layer: (example, ...) or (view, example, ...), float32 or float16 memory maps."""
        names = [name for name in self.extents if name.startswith("features/")]
        return {name.removeprefix("features/"): self.array(name) for name in names}

    def read(self, rows: Any) -> FloatArray:
        """Logits of the chosen examples (an index, slice or index array over examples), decoded, float16 or float32.

        Unlike `logits` it takes memory for these rows only, also when the file holds int8.
        """
        stored = self.stored_logits
        chosen = stored[..., rows, :]
        if stored.dtype != np.int8:
            return np.asarray(chosen)
        decoded: FloatArray = chosen * self._scale[..., rows, None]
        return decoded

    @cached_property
    def _scale(self) -> FloatArray:
        return self.array("logits_scale")

    def array(self, name: str) -> np.ndarray:
        """An array of the file by name, as a read-only memory map, verified against its checksum.

        Raises:
            StoreError: there is no such array, or the bytes do not match their checksum.
        """
        if name not in self.extents:
            raise StoreError(f"{self.path} holds no array {name!r}. It has {', '.join(sorted(self.extents))}.")
        if name not in _WHOLE:
            try:
                self._verify_rows()
            except StoreError:
                raise
            except OSError as error:
                raise StoreError(f"{self.path} cannot be read ({error.strerror}). It was moved or removed.") from error
        return self._map(name)

    def _map(self, name: str) -> np.ndarray:
        extent = self.extents[name]
        try:
            return np.memmap(self.path, extent.dtype, mode="r", offset=extent.offset, shape=extent.shape)
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.path} cannot be mapped ({error}). It was moved or cut short.") from error

    def _whole(self, name: str) -> np.ndarray:
        array = self.array(name)
        if digest(array) != json.loads(str(self.header["digests"])).get(name):
            raise StoreError(f"{self.path}: array {name!r} does not match its checksum. Copy or extract it again.")
        return array

    def check_whole_arrays(self) -> None:
        """Reads labels, ids, class names and the like against their checksums.

        Raises:
            StoreError: one does not match.
        """
        for name in _WHOLE:
            if name in self.extents:
                self._whole(name)

    def damaged_blocks(self) -> list[int]:
        """Blocks that are not done or whose bytes do not match their checksum."""
        with self.path.open("rb") as file:
            return missing_blocks(file.fileno(), self.layout(with_arrays=False), self.extents)

    def layout(self, *, with_arrays: bool = True) -> Layout:
        """The layout that writes a file like this one; without its whole arrays where only places matter."""
        lead = 2 if self.n_views else 1
        rows = {
            name: RowArray(dtype=extent.dtype, shape=extent.shape[lead:])
            for name, extent in self.extents.items()
            if name not in _WHOLE and not name.startswith("blocks/")
        }
        return Layout(
            header={key: value for key, value in self.header.items() if key not in ("digests", "checksum")},
            whole={name: self._map(name) for name in _WHOLE if name in self.extents and with_arrays},
            rows=rows,
            examples=self.n_examples,
            views=self.n_views,
            block_rows=int(self.header["block_rows"]),
        )

    def _verify_rows(self) -> None:
        stat = self.path.stat()
        key = (str(self.path), self.extents["blocks/done"].offset, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if key in _VERIFIED:
            return
        damaged = self.damaged_blocks()
        if damaged:
            shown = ", ".join(map(str, damaged[:8])) + (", ..." if len(damaged) > 8 else "")
            raise StoreError(
                f"{self.path}: {len(damaged)} blocks do not match their checksums (blocks {shown}). Copy the file "
                "again, or delete it and extract again."
            )
        _VERIFIED.add(key)


_VERIFIED: set[tuple[str, int, int, int, int]] = set()
"""Files whose blocks this process has already found whole; a changed file has another time or size."""


def open_group(path: Path, group: Group) -> LogitFile:
    """The logit file that a group of `path` holds.

    Raises:
        StoreError: the group is not a complete logit file of a readable version.
    """
    try:
        extents = check_group(group)
        card = card_of(group.attributes)
        header = group.attributes
        extra, versions, effects = (json.loads(str(header[key])) for key in ("extra", "versions", "effects"))
        if not (isinstance(extra, dict) and isinstance(versions, dict) and isinstance(effects, list)):
            raise StoreError("its attributes `extra`, `versions` and `effects` are of the wrong kind")
        if card.num_classes != header["classes"]:
            raise StoreError(f"its card says {card.num_classes} classes and its header {header['classes']}")
    except StoreError as error:
        raise StoreError(f"{path} cannot be read: {error}. Extract, import or copy it again.") from error
    except ValueError as error:
        raise StoreError(f"{path} cannot be read: an attribute is not JSON ({error}). Copy it again.") from error
    known = {name: header[name] for name in _IN_ATTRIBUTES}
    return LogitFile(
        path=path,
        card=card,
        dataset=str(header["dataset"]),
        split=str(header["split"]),
        attributes={**known, "versions": versions, "views": header["views"], "effects": effects, **extra},
        header=header,
        extents=extents,
    )


def open_file(path: Path) -> LogitFile:
    """The logit file at `path`.

    Raises:
        StoreError: it is missing, damaged, or no logit file.
    """
    return open_group(path, read_structure(path))


def unfinished(path: Path) -> tuple[list[int], int]:
    """Blocks of a part file without a done flag, and the number of blocks in all."""
    entry = open_file(path)
    with path.open("rb") as file:
        done = read_flags(file.fileno(), entry.extents)
    return np.flatnonzero(done == 0).tolist(), len(done)
