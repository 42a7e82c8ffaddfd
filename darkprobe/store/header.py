"""Builds the layout of a logit file from what a writer knows: the one place where a header is composed."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from darkprobe.errors import InvalidValueError
from darkprobe.provenance import versions
from darkprobe.store.schema import FORMAT, FORMAT_VERSION, Layout, RowArray, text
from darkprobe.types import FloatArray, IntArray
from darkprobe.zoo.card import ModelCard

_MAX_NAME = 1024


def make_layout(
    card: ModelCard,
    *,
    dataset: str,
    split: str,
    rows: Mapping[str, np.ndarray | RowArray],
    labels: IntArray,
    example_ids: IntArray,
    class_names: Sequence[str],
    block_rows: int,
    header: Mapping[str, str],
    views: int = 0,
    head_weight: FloatArray | None = None,
    extra: Mapping[str, Any] | None = None,
    effects: Sequence[Mapping[str, Any]] = (),
    whole: Mapping[str, np.ndarray] | None = None,
    stand_in: str = "",
) -> Layout:
    """The layout of one file; nothing in it depends on time, machine, or where the file is written.

    Args:
        card: the model.
        dataset: id of the data set.
        split: name of the split.
        rows: arrays with one row per forward pass: as they are, (view,) example first, or their row type.
        labels: (example,), in [0, cls).
        example_ids: (example,), unique.
        class_names: one per class of the card.
        block_rows: rows per block.
        header: fingerprint, source, storage, command, and precision where it is not float32.
        views: number of views, 0 for none.
        head_weight: (cls, feature) or None.
        extra: JSON-ready facts.
        effects: rows of what the number format does to each metric.
        whole: more arrays that are written at once.
        stand_in: as in `Layout`.

    Raises:
        InvalidValueError: numbers of classes, examples or ids that do not agree, or `extra` that JSON cannot hold.
    """
    n = len(labels)
    _check(card, n=n, example_ids=example_ids, class_names=class_names)
    lead = (views, n) if views else (n,)
    arrays = {"labels": np.asarray(labels, "<i8"), "example_ids": np.asarray(example_ids, "<i8")}
    arrays["class_names"] = _fixed_text(class_names)
    if head_weight is not None:
        arrays["head/weight"] = np.asarray(head_weight, "<f4")
    return Layout(
        header={
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "written_by": f"darkprobe {_versions()['darkprobe']}",
            "dataset": dataset,
            "split": split,
            "values": card.values,
            "precision": "float32",
            **header,
            "card": text(card.as_dict()),
            "versions": text(_versions()),
            "extra": _json(extra or {}),
            "effects": text(list(effects)),
            "examples": n,
            "classes": card.num_classes,
            "views": views,
            "block_rows": block_rows,
        },
        whole={**arrays, **(whole or {})},
        rows={name: _row_array(name, array, lead) for name, array in rows.items()},
        examples=n,
        views=views,
        block_rows=block_rows,
        stand_in=stand_in,
    )


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return versions()


def _row_array(name: str, array: np.ndarray | RowArray, lead: tuple[int, ...]) -> RowArray:
    if isinstance(array, RowArray):
        return array
    if array.shape[: len(lead)] != lead:
        raise InvalidValueError(
            f"store: `{name}` must begin with axes of {lead} ((view,) example), got shape {array.shape}. Give one row "
            "per example, in the order of `example_ids`."
        )
    return RowArray(dtype=array.dtype, shape=array.shape[len(lead) :])


def _check(card: ModelCard, *, n: int, example_ids: IntArray, class_names: Sequence[str]) -> None:
    if len(class_names) != card.num_classes:
        raise InvalidValueError(
            f"store: `class_names` must be {card.num_classes}, as many as {card.model_id} has outputs, got "
            f"{len(class_names)}. Pair the model with data of its own classes."
        )
    if np.shape(example_ids) != (n,) or len(np.unique(example_ids)) != n:
        raise InvalidValueError(
            f"store: `example_ids` must be {n} distinct integers, one per label, got shape {np.shape(example_ids)} "
            f"with {len(np.unique(example_ids))} distinct. Give each example its own id."
        )


def _fixed_text(names: Sequence[str]) -> np.ndarray:
    encoded = [name.encode() for name in names]
    bad = [name for name, data in zip(names, encoded, strict=True) if not 0 < len(data) <= _MAX_NAME or b"\0" in data]
    if bad:
        raise InvalidValueError(
            f"store: `class_names` must be 1 to {_MAX_NAME} bytes without NUL, got {bad[0][:40]!r}. Shorten or fill it."
        )
    return np.array(encoded, dtype=f"S{max(map(len, encoded))}")


def _json(extra: Mapping[str, Any]) -> str:
    try:
        return text(dict(extra))
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"store: `attributes` must be plain JSON values, got something else ({error}). Convert arrays to lists, "
            "and leave NaN out."
        ) from error
