"""Which stored logits belong to which training example, and the refusals of every other pairing."""

from collections.abc import Sequence

import numpy as np
import torch

from darkprobe.data.policy import ViewPolicy, parse_policy
from darkprobe.data.split import Split
from darkprobe.data.views import Views, pixel_hash
from darkprobe.errors import DataError, InvalidValueError, StoreError
from darkprobe.store import LogitFile
from darkprobe.types import IntArray

_SAMPLE = 64


def stored_policy(entry: LogitFile) -> ViewPolicy:
    """The augmentation that the file's logits were made under; clean where it has no views."""
    return parse_policy(str(entry.attributes["view_policy"])) if entry.n_views else ViewPolicy()


def check_policy(entry: LogitFile, policy: ViewPolicy) -> None:
    """Refuses to let a student see other views than those the logits belong to.

    Raises:
        InvalidValueError: the augmentations differ.
    """
    stored = stored_policy(entry)
    if stored == policy:
        return
    made = f"views under {stored.text}" if entry.n_views else "clean images"
    raise InvalidValueError(
        f"distill: `policy` must be that of the teacher's logits, which are of {made} in {entry.path}, got "
        f"{policy.text}. Train under {stored.text}, extract again with --views V --policy {policy.text}, or run the "
        "teacher beside the student (--teacher-live)."
    )


def check_alike(entries: Sequence[LogitFile]) -> None:
    """Refuses teachers whose stored logits are of different views.

    Raises:
        InvalidValueError: augmentation, seed or number of views differ.
    """
    facts = {
        (stored_policy(entry).text, entry.n_views, entry.attributes.get("view_seed") if entry.n_views else None)
        for entry in entries
    }
    if len(facts) > 1:
        told = "; ".join(f"{views} view(s), {policy}, seed {seed}" for policy, views, seed in sorted(facts, key=str))
        raise InvalidValueError(
            f"distill: `teacher` must be stores of the same views, got {told}. Extract all teachers with the same "
            "--views, --policy and --view-seed."
        )


def paired_rows(entry: LogitFile, split: Split) -> IntArray:
    """(example,), row in the file of each example of the split, matched by id.

    The split may be in another order than the file, or a part of its examples. With views, the pixels of a sample are
    drawn again and compared with the hashes in the file.

    Raises:
        StoreError: the file is of other data, lacks an example, has other labels or pixels.
        DataError: the classes differ.
    """
    if entry.class_names != split.class_names:
        raise DataError(
            f"distill: teacher and data must have the same classes, got {len(entry.class_names)} in {entry.path} and "
            f"{len(split.class_names)} in {split.dataset}/{split.name}, or other names. Load the data they were made "
            f"from: {entry.attributes['source']}."
        )
    order = np.argsort(entry.example_ids)
    place = np.searchsorted(entry.example_ids, split.example_ids, sorter=order).clip(max=len(order) - 1)
    rows: IntArray = order[place]
    same = (entry.example_ids[rows] == split.example_ids) & (entry.labels[rows] == split.labels)
    if entry.dataset != split.dataset or not same.all():
        raise StoreError(
            f"{entry.path} must hold every example of {split.dataset}/{split.name} with its label, got "
            f"{int((~same).sum())} of {len(same)} examples that it lacks or labels otherwise, in data set "
            f"{entry.dataset}. Extract the teacher on the data the student is trained on."
        )
    if entry.n_views:
        _check_pixels(entry, split, rows)
    return rows


def _check_pixels(entry: LogitFile, split: Split, rows: IntArray) -> None:
    views = Views(split, policy=stored_policy(entry), seed=int(entry.attributes["view_seed"]))
    sample = np.unique(np.linspace(0, len(split) - 1, _SAMPLE).astype(int))
    view = entry.n_views - 1
    images = views.images(sample, view=view)
    ids = split.example_ids[sample]
    drawn = [pixel_hash(ids[i : i + 1], images[i : i + 1]) for i in range(len(sample))]
    if not np.array_equal(np.array(drawn, "<u8"), entry.array("pixel_hash")[view, rows[sample]]):
        raise StoreError(
            f"{entry.path} must be of the pixels of {split.dataset}/{split.name}, got others when view {view} was "
            "drawn again. Load the data it was made from, or extract again."
        )


def stored_view(entry: LogitFile, rows: IntArray, *, view: int) -> torch.Tensor:
    """(example, cls), float32: the logits of chosen rows in one view, or of the clean examples where there is none."""
    key = (view, rows) if entry.n_views else rows
    logits = np.asarray(entry.stored_logits[key], np.float32)
    if entry.stored_logits.dtype == np.int8:
        logits = logits * np.asarray(entry.array("logits_scale")[key], np.float32)[:, None]
    return torch.from_numpy(logits)
