"""Writes soft targets for any trainer: .npy, .parquet or .safetensors, each with ids and labels beside."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from darkprobe.errors import MissingDependencyError, StoreError, UnknownNameError
from darkprobe.files import replacing
from darkprobe.types import IntArray, PerExample, Probs


def export_targets(
    path: Path | str,
    probs: Probs,
    *,
    labels: IntArray,
    example_ids: IntArray,
    class_names: tuple[str, ...],
    weights: PerExample | None = None,
) -> Path:
    """Path of the file that holds soft targets, in the order of `example_ids`.

    .npy holds the probabilities alone, with `NAME.ids.npy` beside it; .safetensors holds `probs`, `labels` and
    `example_ids`; .parquet has columns `example_id`, `label` and `probs` (a list per row). Weights, where there are
    any, are `NAME.weights.npy`, the array `weights`, or the column `weight`.

    Args:
        path: the file to write; its suffix says how.
        probs: (example, cls), rows sum to 1.
        labels: (example,).
        example_ids: (example,).
        class_names: one per class; metadata of .parquet and .safetensors.
        weights: (example,), of each example's term, or None where every example weighs 1.

    Raises:
        UnknownNameError: another suffix.
        StoreError: the file is there already.
    """
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise UnknownNameError("file suffix", path.suffix, _WRITERS)
    if path.exists():
        raise StoreError(f"{path} is there already. Delete it or choose another name.")
    arrays = {
        "probs": np.asarray(probs, np.float32),
        "labels": np.array(labels),
        "example_ids": np.array(example_ids),
    }
    if weights is not None:
        arrays["weights"] = np.asarray(weights, np.float32)
    with replacing(path) as temporary:
        _WRITERS[path.suffix](temporary, arrays, class_names)
    if path.suffix == ".npy":
        for name, key in (("ids", "example_ids"), ("weights", "weights")):
            if key in arrays:
                with replacing(path.with_suffix(f".{name}.npy")) as temporary, temporary.open("wb") as file:
                    np.save(file, arrays[key])
    return path


def _npy(path: Path, arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
    with path.open("wb") as file:
        np.save(file, arrays["probs"])


def _parquet(path: Path, arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("writing .parquet needs pyarrow. Run: pip install 'darkprobe[data]'") from error
    probs = arrays["probs"]
    rows = pa.FixedSizeListArray.from_arrays(pa.array(probs.reshape(-1)), probs.shape[1])
    columns = {"example_id": pa.array(arrays["example_ids"]), "label": pa.array(arrays["labels"]), "probs": rows}
    if "weights" in arrays:
        columns["weight"] = pa.array(arrays["weights"])
    table = pa.table(columns).replace_schema_metadata({"class_names": "\n".join(names)})
    parquet.write_table(table, path)


def _safetensors(path: Path, arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        message = "writing .safetensors needs safetensors. Run: pip install 'darkprobe[zoo]'"
        raise MissingDependencyError(message) from error
    save_file(arrays, path, metadata={"class_names": "\n".join(names)})


_WRITERS: dict[str, Callable[[Path, dict[str, np.ndarray], tuple[str, ...]], None]] = {
    ".npy": _npy,
    ".parquet": _parquet,
    ".safetensors": _safetensors,
}
