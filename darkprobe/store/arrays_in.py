"""Reads arrays from .npy, .npz, .csv, .parquet and .safetensors files of others; nothing in them is ever run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from darkprobe.errors import DataError, MissingDependencyError, UnknownNameError
from darkprobe.numpy_files import check_npy, check_npz
from darkprobe.store.guarded import read_in_child


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Arrays of a file by name: one called "values" for .npy, one per key, or one per column of a table.

    Raises:
        DataError: the file is missing, damaged, or holds Python objects.
        UnknownNameError: the suffix is not one of those read.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise UnknownNameError("file suffix", path.suffix, _READERS)
    try:
        return _READERS[path.suffix](path)
    except (DataError, MissingDependencyError):
        raise
    except Exception as error:  # every reader has exceptions of its own; a damaged file must end in ours
        raise DataError(
            f"{path} cannot be read as {path.suffix} ({_first_line(error)}). Check the file, or write it again."
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def _npy(path: Path) -> dict[str, np.ndarray]:
    check_npy(path)
    return {"values": np.load(path, mmap_mode="r", allow_pickle=False)}


def _npz(path: Path) -> dict[str, np.ndarray]:
    check_npz(path)
    with np.load(path, allow_pickle=False) as loaded:
        return {name: loaded[name] for name in loaded.files}


def _csv(path: Path) -> dict[str, np.ndarray]:
    import pandas as pd

    return {str(name): column.to_numpy() for name, column in pd.read_csv(path).items()}


def _parquet(path: Path) -> dict[str, np.ndarray]:
    return read_in_child(path)


def parquet_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a .parquet file; a column of equally long lists is a matrix. `read_arrays` calls it in a child."""
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingDependencyError("reading .parquet needs pyarrow. Run: pip install 'darkprobe[data]'") from error
    table = parquet.read_table(path, partitioning=None)
    found = {}
    for name in table.column_names:
        values = table[name].to_numpy()
        found[name] = np.stack(list(values)) if values.dtype == object and isinstance(values[0], np.ndarray) else values
    return found


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        message = "reading .safetensors needs safetensors. Run: pip install 'darkprobe[zoo]'"
        raise MissingDependencyError(message) from error
    return dict(load_file(path))


_READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".parquet": _parquet,
    ".safetensors": _safetensors,
}
