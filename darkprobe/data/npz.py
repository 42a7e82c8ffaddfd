"""`npz:FILE`: arrays in one NumPy archive, read without unpickling.

Keys: `inputs_SPLIT` (uint8 (example, height, width, channel) or (example, height, width), or float (example, feature))
and `labels_SPLIT` ((example,), integer) for each split; optional `ids_SPLIT` ((example,), integer, distinct) and
`class_names` ((cls,), text). Without ids they are made from the content of each row. A file of one split may use the
plain keys `inputs`, `labels`, `ids` and is then called "test".
"""

import zipfile
from pathlib import Path

import numpy as np

from darkprobe.data.images import content_ids
from darkprobe.data.options import dataset_id
from darkprobe.data.sources import register_data
from darkprobe.data.split import Split
from darkprobe.errors import DataError
from darkprobe.numpy_files import check_npz
from darkprobe.types import IntArray

_PREFIX = "inputs_"


def _open(argument: str) -> np.lib.npyio.NpzFile:
    path = Path(argument)
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise DataError(
            f"load_split: npz:FILE must be a readable .npz archive, got {argument}, which is none. Write it with "
            "numpy.savez, or check the path."
        )
    try:
        check_npz(path)
        content = np.load(path, allow_pickle=False)
    except Exception as error:  # whatever the parsers of zip and NumPy stumble over
        raise DataError(
            f"load_split: npz:FILE must be a readable .npz archive, got {argument} ({error}). Write it again."
        ) from error
    assert isinstance(content, np.lib.npyio.NpzFile)  # what is a zip archive opens as one
    return content


def npz_splits(argument: str) -> tuple[str, ...]:
    """Names of the splits in an archive."""
    with _open(argument) as content:
        names = tuple(key.removeprefix(_PREFIX) for key in content.files if key.startswith(_PREFIX))
        if not names and "inputs" in content.files:
            return ("test",)
        if not names:
            raise DataError(
                f"load_split: {argument} must hold `inputs` or `inputs_SPLIT`, got "
                f"{', '.join(content.files) or 'nothing'}. Rename the arrays."
            )
    return names


def read_npz(argument: str, split: str) -> Split:
    """One split of an archive.

    Args:
        argument: path of the archive.
        split: a name that `npz_splits` lists.
    """
    with _open(argument) as content:
        end = f"_{split}" if f"{_PREFIX}{split}" in content.files else ""
        inputs, kind = _inputs(_array(content, f"inputs{end}", argument), argument)
        labels = _integers(_array(content, f"labels{end}", argument), f"labels{end}", argument)
        if len(labels) != len(inputs):
            raise DataError(
                f"load_split: `labels{end}` of {argument} must have one row per input ({len(inputs)}), "
                f"got {len(labels)}. Save them together."
            )
        if f"ids{end}" in content.files:
            ids = _integers(_array(content, f"ids{end}", argument), f"ids{end}", argument)
        else:
            ids = content_ids((row.tobytes() for row in inputs), labels)
        names = _class_names(content, argument)
    return Split(
        dataset=dataset_id(Path(Path(argument).stem), {}),
        name=split,
        kind="image" if kind == "image" else "features",
        inputs=inputs,
        labels=labels,
        example_ids=ids,
        class_names=names,
        source=f"npz:{argument}",
    )


def _array(content: np.lib.npyio.NpzFile, key: str, where: str) -> np.ndarray:
    if key not in content.files:
        raise DataError(f"load_split: {where} must hold `{key}`, got {', '.join(content.files)}. Add the array.")
    try:
        array: np.ndarray = content[key]
    except Exception as error:  # as above: the bytes are decompressed only here
        raise DataError(
            f"load_split: `{key}` of {where} must be a plain array, got one that is damaged or holds Python objects, "
            "which are not read. Save numbers only."
        ) from error
    return array


def _inputs(array: np.ndarray, where: str) -> tuple[np.ndarray, str]:
    if array.dtype == np.uint8 and array.ndim in (3, 4):
        return (array[..., None] if array.ndim == 3 else array), "image"
    if np.issubdtype(array.dtype, np.floating) and array.ndim == 2:
        bad = np.flatnonzero(~np.isfinite(array).all(1))
        if len(bad):
            raise DataError(
                f"load_split: inputs of {where} must be finite, got NaN or infinity in row {bad[0]} ({len(bad)} rows). "
                "Clean the data."
            )
        return array.astype(np.float32, copy=False), "features"
    raise DataError(
        f"load_split: inputs of {where} must be uint8 (example, height, width, channel) or float (example, feature), "
        f"got {array.dtype} {array.shape}. Convert them."
    )


def _integers(array: np.ndarray, key: str, where: str) -> IntArray:
    if not np.issubdtype(array.dtype, np.integer) or array.ndim != 1:
        raise DataError(
            f"load_split: `{key}` of {where} must be integers of shape (example,), got {array.dtype} {array.shape}. "
            "Convert them."
        )
    return array.astype(np.int64, copy=False)


def _class_names(content: np.lib.npyio.NpzFile, where: str) -> tuple[str, ...]:
    """The archive's names; without them, numbers up to the largest label of any split."""
    if "class_names" in content.files:
        return tuple(str(name) for name in _array(content, "class_names", where))
    largest = max(int(_array(content, key, where).max(initial=0)) for key in content.files if key.startswith("labels"))
    return tuple(str(label) for label in range(largest + 1))


register_data(
    "npz",
    read=read_npz,
    splits=npz_splits,
    argument="FILE",
    note="arrays inputs_SPLIT, labels_SPLIT, and where known ids_SPLIT and class_names, in one archive",
)
