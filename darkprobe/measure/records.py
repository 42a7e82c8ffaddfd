"""What is measured: records of one model's logits on one split, from a store or made from arrays, and their pairing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

from darkprobe.checks import check_finite, check_labels
from darkprobe.errors import DataError, InvalidTypeError, InvalidValueError, UnknownNameError
from darkprobe.types import IntArray, Labels, Logits


class Identity(Protocol):
    """What a table needs to know of a model."""

    @property
    def model_id(self) -> str:
        """Name in tables."""

    @property
    def family(self) -> str:
        """Architecture line and recipe."""

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""


class SoftLabelRecord(Protocol):
    """One model's logits on one split; entries of a `LogitStore` and `SoftLabels` are such records."""

    @property
    def card(self) -> Identity:
        """Who the model is."""

    @property
    def dataset(self) -> str:
        """Id of the data set."""

    @property
    def split(self) -> str:
        """Name of the split."""

    @property
    def logits(self) -> Any:
        """(example, cls), floating; a memory map is read block by block."""

    @property
    def labels(self) -> Any:
        """(example,), integers."""

    @property
    def example_ids(self) -> Any:
        """(example,), distinct integers."""

    @property
    def class_names(self) -> Sequence[str]:
        """One per class."""


@dataclass(frozen=True, kw_only=True)
class ModelName:
    """The identity of a model of which no more is known."""

    model_id: str
    family: str = ""
    parameters: int = 0


@dataclass(frozen=True, kw_only=True)
class SoftLabels:
    """A record made from arrays, for those who have logits and no store.

    Attributes:
        model: name in tables.
        logits: (example, cls), floating.
        labels: (example,), integers.
        dataset, split: names in tables.
        ids: (example,), distinct integers, or None for 0, 1, 2, ...
        classes: names, or None for "0", "1", ...
        family, parameters: for curves over capacity; models of one family and size are taken for seeds of one network.

    Examples:
        >>> record = SoftLabels(model="a", logits=np.array([[2.0, 0.0, 1.0]]), labels=np.array([0]))
        >>> record.class_names
        ('0', '1', '2')
    """

    model: str
    logits: Logits
    labels: Labels
    dataset: str = ""
    split: str = ""
    ids: IntArray | None = None
    classes: Sequence[str] | None = None
    family: str = ""
    parameters: int = 0

    @property
    def card(self) -> ModelName:
        """Name, family and size."""
        return ModelName(model_id=self.model, family=self.family, parameters=self.parameters)

    @property
    def example_ids(self) -> IntArray:
        """The ids given, or positions."""
        return np.arange(len(self.labels)) if self.ids is None else self.ids

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names given, or numbers."""
        return tuple(str(c) for c in range(self.logits.shape[-1])) if self.classes is None else tuple(self.classes)


Records: TypeAlias = Path | str | SoftLabelRecord | Iterable[SoftLabelRecord]
"""A store, its path, one record, or several."""


def records_of(
    function: str,
    store: Records,
    *,
    dataset: str | None = None,
    split: str | None = None,
    models: Sequence[str] | None = None,
) -> list[SoftLabelRecord]:
    """The chosen records, in the order of the store.

    Raises:
        UnknownNameError: no record has that dataset, split or model (near names are listed).
        InvalidValueError: there is no record at all.
    """
    records = _opened(function, store)
    if not records:
        raise InvalidValueError(
            f"{function}: `store` must hold at least one model, got none. Run darkprobe extract first."
        )
    if dataset is not None:
        records = _chosen("dataset", dataset, records, [record.dataset for record in records])
    if split is not None:
        records = _chosen("split", split, records, [record.split for record in records])
    if models is not None:
        names = [record.card.model_id for record in records]
        return [record for name in models for record in _chosen("model", name, records, names)]
    return records


def _opened(function: str, store: Records) -> list[SoftLabelRecord]:
    if isinstance(store, str | Path):
        from darkprobe.store import LogitStore  # only a path needs HDF5

        return list(LogitStore(store).entries())
    if _is_record(store):
        return [cast(SoftLabelRecord, store)]
    entries = getattr(store, "entries", None)
    found = list(entries() if callable(entries) else cast(Iterable[SoftLabelRecord], store))
    for item in found:
        if not _is_record(item):
            raise InvalidTypeError(
                f"{function}: `store` must be a path, a LogitStore or records of soft labels, got a sequence with "
                f"{type(item).__name__}. Wrap arrays in darkprobe.measure.SoftLabels."
            )
    return found


def _is_record(value: object) -> bool:
    """Whether it has what a record has, found out without reading the arrays."""
    return {"card", "dataset", "split", "logits", "labels", "example_ids", "class_names"} <= set(dir(value))


def _chosen(kind: str, name: str, records: list[SoftLabelRecord], names: list[str]) -> list[SoftLabelRecord]:
    if name not in names:
        raise UnknownNameError(kind, name, names)
    return [record for record, own in zip(records, names, strict=True) if own == name]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Records of one data set and split whose examples are in the same order.

    Attributes:
        records: one per model.
        order: for each record the positions of the first record's examples, or None where the order is the same.
        labels: (example,), int64, in the order of the first record.
    """

    records: tuple[SoftLabelRecord, ...]
    order: tuple[IntArray | None, ...]
    labels: IntArray

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.records[0].class_names)

    def __len__(self) -> int:
        return len(self.labels)

    def is_sparse(self, model: int) -> bool:
        """Whether only the largest logits of this model are known."""
        return bool(getattr(self.records[model], "is_sparse", False))

    def logits(self, model: int, rows: slice | IntArray) -> Logits:
        """(row, cls) logits of one model for some examples, finite.

        Raises:
            InvalidValueError: a logit is NaN or infinite; the message names model and example.
        """
        record, order = self.records[model], self.order[model]
        chosen = rows if order is None else order[rows]
        read = getattr(record, "read", None)  # a logit file decodes these rows only
        values: Logits = read(chosen) if callable(read) else record.logits[chosen]
        try:
            check_finite("measure", "logits", values)
        except InvalidValueError:
            bad = int(np.argwhere(~np.isfinite(_numpy(values)))[0, 0])
            example = int(_numpy(record.example_ids)[chosen][bad])
            raise InvalidValueError(
                f"measure: `logits` must be finite, got NaN or infinity from {record.card.model_id!r} for the example "
                f"with id {example}. Look at that example's input, or extract again in float32."
            ) from None
        return values


def groups_of(function: str, records: Iterable[SoftLabelRecord]) -> Iterator[Group]:
    """Records by data set and split, checked, with their examples paired by id.

    Raises:
        DataError: two records of a data set and split hold other examples, labels or classes, or share a model id.
    """
    together: dict[tuple[str, str], list[SoftLabelRecord]] = {}
    for record in records:
        together.setdefault((record.dataset, record.split), []).append(record)
    for (dataset, split), members in together.items():
        for member in members:
            _check_shape(function, member)
        names = [member.card.model_id for member in members]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(
                f"{function}: models of {dataset}/{split} must have different names, got {twice!r} twice. "
                "Give one of the checkpoints another tag."
            )
        first = members[0]
        yield Group(
            records=tuple(members),
            order=tuple(_positions(function, first, member) for member in members),
            labels=_numpy(first.labels).astype(np.int64),
        )


def _numpy(values: Any) -> np.ndarray:
    return values if isinstance(values, np.ndarray) else np.asarray(values.cpu() if hasattr(values, "cpu") else values)


def _check_shape(function: str, record: SoftLabelRecord) -> None:
    classes = len(record.class_names)
    if getattr(record, "is_sparse", False):
        views = cast(Any, record).n_views
        shape: tuple[int, ...] = (*((views,) if views else ()), len(record.labels), classes)
    else:
        shape = tuple(getattr(record, "stored_logits" if hasattr(type(record), "stored_logits") else "logits").shape)
    if len(shape) != 2 or shape[-1] != classes or classes < 2:
        raise DataError(
            f"{function}: logits of {record.card.model_id!r} must have shape (example, cls) with {classes} named "
            f"classes, at least 2, got {shape}. Measure the clean view; views are for training."
        )
    check_labels(function, record.labels, shape[:1], classes)


def _positions(function: str, first: SoftLabelRecord, other: SoftLabelRecord) -> IntArray | None:
    """Where the first record's examples stand in the other, or None when in the same places."""
    if other is first:
        return None
    pair = f"{first.card.model_id!r} and {other.card.model_id!r}"
    if tuple(first.class_names) != tuple(other.class_names):
        raise DataError(
            f"{function}: {pair} must have the same classes, got {len(first.class_names)} and "
            f"{len(other.class_names)} names that differ. Compare models of one data set."
        )
    own, wanted = _numpy(other.example_ids), _numpy(first.example_ids)
    if np.array_equal(own, wanted):
        positions = None
    else:
        sorter = np.argsort(own)
        found = sorter[np.searchsorted(own, wanted, sorter=sorter).clip(max=max(0, len(own) - 1))] if len(own) else own
        if len(own) != len(wanted) or not np.array_equal(own[found], wanted):
            raise DataError(
                f"{function}: {pair} must hold the same examples, got {len(wanted)} and {len(own)} with "
                f"{len(np.intersect1d(own, wanted))} in common. Extract both on the same split, or choose `models`."
            )
        positions = found
    labels = _numpy(other.labels)
    if not np.array_equal(labels if positions is None else labels[positions], _numpy(first.labels)):
        raise DataError(
            f"{function}: {pair} must have the same labels for the same examples, got labels that differ. "
            "Extract one of them again."
        )
    return positions
