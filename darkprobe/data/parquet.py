"""`parquet:DIR[?image=COLUMN&label=COLUMN&size=N]`: images in the layout in which Hugging Face keeps them.

Files are `DIR/SPLIT-*.parquet`, `DIR/SPLIT.parquet` or the same under `DIR/data`; "validation" and "valid" are read as
"val". Rows keep the order of the files. Decoded pixels, labels and ids are kept in the cache (`cache.py`).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from darkprobe.data.cache import files_key
from darkprobe.data.columns import find_columns
from darkprobe.data.images import EncodedImages
from darkprobe.data.options import dataset_id, parse_location, parse_size
from darkprobe.data.sources import register_data
from darkprobe.data.split import Split
from darkprobe.errors import DataError, MissingDependencyError
from darkprobe.types import IntArray

_ROWS = 256
_ALIASES = {"validation": "val", "valid": "val"}


def parquet_files(folder: Path) -> dict[str, list[Path]]:
    """Files of each split, by name; splits in the order train, val, test, others."""
    found: dict[str, list[Path]] = {}
    for place in (folder, folder / "data"):
        for path in sorted(place.glob("*.parquet")):
            stem = re.split(r"-\d+-of-\d+", path.stem)[0]
            name = stem if stem == path.stem and "-" not in stem else stem.split("-")[0]
            found.setdefault(_ALIASES.get(name, name), []).append(path)
    order = [name for name in ("train", "val", "test") if name in found]
    return {name: found[name] for name in [*order, *sorted(set(found) - set(order))]}


def _folder(argument: str) -> tuple[Path, dict[str, str]]:
    text, options = parse_location("parquet", argument, known=("image", "label", "size"))
    folder = Path(text)
    if not folder.is_dir() or not parquet_files(folder):
        raise DataError(
            f"load_split: parquet:DIR must name a folder with SPLIT-*.parquet files, got {text}. Check the path."
        )
    return folder, options


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError("load_split: parquet needs pyarrow. Run: pip install 'darkprobe[data]'") from error
    return pyarrow.parquet


def _schema(path: Path) -> Any:
    import pyarrow

    try:
        return _parquet().read_schema(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or ["no reason given"])[0]
    return DataError(
        f"load_split: {path.name} must be a readable parquet file, got one that is not ({reason}). Fetch it again."
    )


def _images(paths: list[Path], column: str) -> Iterator[list[bytes]]:
    """Encoded bytes of every row, some at a time."""
    import pyarrow

    for path in paths:
        for encoded in _batches(path, column):
            if pyarrow.types.is_struct(encoded.type) and encoded.type.get_field_index("bytes") >= 0:
                encoded = encoded.field("bytes")
            binary = pyarrow.types.is_binary(encoded.type) or pyarrow.types.is_large_binary(encoded.type)
            if not binary or encoded.null_count:
                got = f"{encoded.null_count} rows without bytes" if binary else str(encoded.type)
                raise DataError(
                    f"load_split: column {column} of {path.name} must hold encoded images in every row, got {got}. "
                    "Embed the images in the file."
                )
            yield encoded.to_pylist()


def _labels(paths: list[Path], column: str) -> IntArray:
    import pyarrow

    parts = [np.empty(0, dtype=np.int64)]
    for path in paths:
        for values in _batches(path, column):
            if not pyarrow.types.is_integer(values.type) or values.null_count:
                got = f"{values.null_count} rows without one" if values.null_count else str(values.type)
                raise DataError(
                    f"load_split: column {column} of {path.name} must hold a whole number in every row, got {got}. "
                    "Choose another with ?label=COLUMN."
                )
            parts.append(np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64))
    return np.concatenate(parts)


def _batches(path: Path, column: str) -> Iterator[Any]:
    """Arrow arrays of one column, some rows at a time; a damaged file becomes a DataError that names it."""
    import pyarrow

    try:
        with _parquet().ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS, columns=[column]):
                yield batch.column(0)
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _class_names(declared: tuple[str, ...], files: dict[str, list[Path]], column: str) -> tuple[str, ...]:
    """The declared names; without them, numbers up to the largest label of any split."""
    if declared:
        return declared
    largest = max(int(_labels(paths, column).max(initial=0)) for paths in files.values())
    return tuple(str(label) for label in range(largest + 1))


def read_parquet(argument: str, split: str) -> Split:
    """One split of a folder of parquet files.

    Args:
        argument: the folder, and options after a question mark: `image` and `label` name columns, `size` gives the
            side to which images are scaled (shorter side, bicubic) and cropped (centre).
        split: a name that `parquet_files` lists.
    """
    folder, options = _folder(argument)
    files = parquet_files(folder)
    paths, where, size = files[split], f"{folder.resolve().name}/{split}", parse_size("parquet", options)
    columns = find_columns(list(_schema(paths[0]).names), _schema(paths[0]).metadata or {}, options, paths[0].name)
    found = EncodedImages(
        batches=lambda: _images(paths, columns.image),
        labels=_labels(paths, columns.label),
        class_names=_class_names(columns.class_names, files, columns.label),
        size=size,
        key=files_key("parquet", paths, columns.image, columns.label),
        where=where,
    )
    return found.split(dataset=dataset_id(folder, options), name=split, source=f"parquet:{argument}")


register_data(
    "parquet",
    read=read_parquet,
    splits=lambda argument: tuple(parquet_files(_folder(argument)[0])),
    argument="DIR",
    note="images in Hugging Face parquet layout; ?size=N scales and crops, ?image= and ?label= choose columns",
)
