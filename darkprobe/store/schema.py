"""What a logit file holds: names, types and axes of its arrays and attributes, and the check that a file obeys them.

The prose is in README.md beside this file; when the two differ, that is a bug.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkprobe.errors import InvalidValueError, StoreError
from darkprobe.store.hdf5_structure import Extent, Group
from darkprobe.zoo.card import ModelCard

FORMAT = "darkprobe-logits"
PACK_FORMAT = "darkprobe-pack"
FORMAT_VERSION = 1
FIRST_PACKAGE = {1: "0.1.0"}
"""For each format version, the first release of darkprobe that reads it."""

TEXT_ATTRIBUTES = (
    *("format", "written_by", "dataset", "split", "source", "fingerprint", "values", "storage", "precision"),
    *("card", "command", "versions", "digests", "extra", "effects", "checksum"),
)
NUMBER_ATTRIBUTES = ("format_version", "examples", "classes", "views", "block_rows")
STORAGE: dict[str, "np.dtype[Any]"] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2"), "int8": np.dtype("i1")}
MAX_TEXT = 60_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")


def check_name(function: str, kind: str, name: str) -> None:
    """Refuses what cannot be a file or array name on every system (slashes, leading dots, spaces)."""
    if not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"{function}: `{kind}` must be letters, digits and ._+- and not begin with a dot, got {name!r}. Rename."
        )


@dataclass(frozen=True, kw_only=True)
class RowArray:
    """An array with one row for each forward pass: type and shape of one row."""

    dtype: "np.dtype[np.generic]"
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=object))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Everything that is decided before the first forward pass; two runs with equal layouts write equal bytes.

    Attributes:
        header: attributes, `digests` and `checksum` left out: they follow from the rest.
        whole: arrays written at once: labels, example_ids, class_names and the like.
        rows: arrays filled block by block.
        examples, views: number of examples; of views, 0 when there is no view axis.
        block_rows: rows per block; the last may be shorter.
        stand_in: what stands for the fingerprint in a part file begun while the data were being decoded; "" for none.
    """

    header: dict[str, str | int]
    whole: dict[str, np.ndarray]
    rows: dict[str, RowArray]
    examples: int
    views: int
    block_rows: int
    stand_in: str = ""

    @property
    def n_rows(self) -> int:
        """Rows in all: views x examples, the views one after another."""
        return self.examples * max(self.views, 1)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n_rows // self.block_rows)

    def shapes(self) -> dict[str, tuple["np.dtype[np.generic]", tuple[int, ...]]]:
        """Type and shape of every array of the file, by name."""
        axes = (self.views, self.examples) if self.views else (self.examples,)
        return {
            **{name: (array.dtype, array.shape) for name, array in self.whole.items()},
            **{name: (row.dtype, axes + row.shape) for name, row in self.rows.items()},
            "blocks/checksum": (np.dtype("<u4"), (self.n_blocks,)),
            "blocks/done": (np.dtype("u1"), (self.n_blocks,)),
        }


def digest(array: np.ndarray) -> str:
    """SHA-256, in hex, of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def header_checksum(attributes: Mapping[str, str | int], arrays: Mapping[str, Extent]) -> str:
    """SHA-256 over all other attributes and over name, type, shape and place of every array."""
    table = [(name, extent.dtype.str, list(extent.shape), extent.offset) for name, extent in sorted(arrays.items())]
    facts = [sorted((key, value) for key, value in attributes.items() if key != "checksum"), table]
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()


def pack_checksum(members: Mapping[str, str]) -> str:
    """SHA-256 over the names and header checksums of a pack's members, so that none can be lost unseen."""
    return hashlib.sha256(text(dict(members)).encode()).hexdigest()


def flat_arrays(group: Group) -> dict[str, Extent]:
    """The arrays of a file group by path: "logits", "blocks/done", "features/layer1"."""
    found = dict(group.arrays)
    for name, inner in group.groups.items():
        if inner.groups or inner.attributes:
            raise StoreError(f"group {name!r} holds groups or attributes, which the format does not know")
        found |= {f"{name}/{key}": extent for key, extent in inner.arrays.items()}
    return found


def check_group(group: Group) -> dict[str, Extent]:
    """The arrays of a file group, after names, types, shapes and header checksum have been found right.

    Raises:
        StoreError: what is wrong, without the file's name; the caller adds it.
    """
    attributes = group.attributes
    if attributes.get("format") != FORMAT:
        raise StoreError(f"it is no darkprobe logit file (attribute `format` is {attributes.get('format')!r})")
    version = attributes.get("format_version")
    if version not in FIRST_PACKAGE:
        raise StoreError(
            f"it has format version {version}, written by {attributes.get('written_by')}; this darkprobe reads "
            f"versions {sorted(FIRST_PACKAGE)}. Install the darkprobe that wrote it, or a newer one"
        )
    for names, kind in ((TEXT_ATTRIBUTES, str), (NUMBER_ATTRIBUTES, int)):
        wrong = [name for name in names if not isinstance(attributes.get(name), kind)]
        if wrong:
            raise StoreError(f"attribute {wrong[0]!r} is missing or of the wrong type")
    unknown = set(attributes) - set(TEXT_ATTRIBUTES) - set(NUMBER_ATTRIBUTES)
    if unknown:
        raise StoreError(f"attribute {min(unknown)!r} is not known to the format")
    arrays = flat_arrays(group)
    _check_arrays(arrays, {name: int(attributes[name]) for name in NUMBER_ATTRIBUTES})
    if header_checksum(attributes, arrays) != attributes["checksum"]:
        raise StoreError("its header does not match its checksum, so it was changed after writing")
    return arrays


def card_of(attributes: Mapping[str, str | int]) -> ModelCard:
    """The model card in a file's attributes.

    Raises:
        StoreError: the card does not parse.
    """
    try:
        return ModelCard.from_dict(json.loads(str(attributes["card"])))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"its model card does not read ({error})") from error


def _check_arrays(arrays: Mapping[str, Extent], numbers: Mapping[str, int]) -> None:
    n, classes, views, block_rows = (numbers[key] for key in ("examples", "classes", "views", "block_rows"))
    if n < 1 or classes < 2 or views < 0 or block_rows < 1:
        raise StoreError("its numbers of examples, classes, views or block rows are impossible")
    axes = (views, n) if views else (n,)
    blocks = -(-n * max(views, 1) // block_rows)
    for name, extent in arrays.items():
        rule = _RULES.get(name) or _RULES.get(name.split("/")[0] + "/*")
        if rule is None or not _NAME.fullmatch(name.rpartition("/")[2]):
            raise StoreError(f"array {name!r} is not known to the format")
        kinds, shape = rule(axes, classes, blocks)
        fits = len(extent.shape) >= len(shape) if name.startswith("features/") else len(extent.shape) == len(shape)
        same = all(want in (-1, got) for want, got in zip(shape, extent.shape, strict=False))
        if extent.dtype.str.lstrip("<|") not in kinds and not (kinds == ("S",) and extent.dtype.kind == "S"):
            raise StoreError(f"array {name!r} is {extent.dtype}, must be one of {', '.join(kinds)}")
        if not fits or not same or extent.offset % max(extent.dtype.alignment, 1):
            raise StoreError(f"array {name!r} has shape {extent.shape}, must be {shape} (-1: any)")
    missing = {"labels", "example_ids", "class_names", "blocks/done", "blocks/checksum"} - set(arrays)
    if missing or not ({"logits", "topk_logits"} & set(arrays)):
        raise StoreError(f"array {min(missing, default='logits')!r} is missing")


_Rule = Callable[[tuple[int, ...], int, int], tuple[tuple[str, ...], tuple[int, ...]]]
_RULES: dict[str, _Rule] = {
    "logits": lambda axes, classes, blocks: (("f4", "f2", "i1"), (*axes, classes)),
    "logits_scale": lambda axes, classes, blocks: (("f4",), axes),
    "topk_logits": lambda axes, classes, blocks: (("f4", "f2"), (*axes, -1)),
    "topk_indices": lambda axes, classes, blocks: (("u2", "u4"), (*axes, -1)),
    "tail_lse": lambda axes, classes, blocks: (("f4",), (*axes, -1)),
    "tail_temperatures": lambda axes, classes, blocks: (("f8",), (-1,)),
    "label_logits": lambda axes, classes, blocks: (("f4",), axes),
    "pixel_hash": lambda axes, classes, blocks: (("u8",), axes),
    "features/*": lambda axes, classes, blocks: (("f4", "f2"), axes),
    "labels": lambda axes, classes, blocks: (("i8",), axes[-1:]),
    "example_ids": lambda axes, classes, blocks: (("i8",), axes[-1:]),
    "class_names": lambda axes, classes, blocks: (("S",), (classes,)),
    "head/weight": lambda axes, classes, blocks: (("f4",), (classes, -1)),
    "blocks/done": lambda axes, classes, blocks: (("u1",), (blocks,)),
    "blocks/checksum": lambda axes, classes, blocks: (("u4",), (blocks,)),
}


def text(value: Any) -> str:
    """Compact JSON of a value, the same on every run."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
