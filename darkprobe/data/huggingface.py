"""`hf:NAME[?image=COLUMN&label=COLUMN&size=N]`: image data sets through the `datasets` library, from its hub or cache.

Code that comes with a data set is never run. "validation" and "valid" are read as "val".
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from darkprobe.data.columns import find_columns
from darkprobe.data.images import EncodedImages
from darkprobe.data.options import parse_location, parse_size, slug
from darkprobe.data.sources import register_data
from darkprobe.data.split import Split
from darkprobe.errors import DataError, MissingDependencyError
from darkprobe.files import content_hash

_OPTIONS = ("image", "label", "size")
_ALIASES = {"validation": "val", "valid": "val"}
_BATCH = 256


def _load(name: str) -> Any:
    """All splits of a data set, by their own names."""
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            "load_split: hf:NAME needs the datasets library. Run: pip install 'darkprobe[data]'"
        ) from error
    try:
        return datasets.load_dataset(name)
    except Exception as error:  # the library raises kinds of many libraries below it
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise DataError(
            f"load_split: hf:NAME must be a data set that the datasets library can load, got {name} ({reason}). "
            "Check the name, and that it is in the cache when there is no network."
        ) from error


def hub_splits(argument: str) -> dict[str, str]:
    """The data set's own name of each split."""
    name, _ = parse_location("hf", argument, known=_OPTIONS)
    return {_ALIASES.get(own, own): own for own in _load(name)}


def read_hub(argument: str, split: str) -> Split:
    """One split of a data set of images.

    Args:
        argument: the data set's name or folder, and options after a question mark.
        split: a name that `hub_splits` lists.
    """
    import datasets

    name, options = parse_location("hf", argument, known=_OPTIONS)
    table = _load(name)[hub_splits(argument)[split]]
    metadata = {b"huggingface": json.dumps({"info": {"features": table.features.to_dict()}}).encode()}
    columns = find_columns(list(table.column_names), metadata, options, name)
    raw = table.cast_column(columns.image, datasets.Image(decode=False))
    labels = np.asarray(table.with_format("numpy")[columns.label][:], dtype=np.int64)
    class_names = columns.class_names or tuple(str(label) for label in range(int(labels.max(initial=0)) + 1))

    def batches() -> Iterator[list[bytes]]:
        for start in range(0, len(raw), _BATCH):
            yield [_bytes(image) for image in raw[start : start + _BATCH][columns.image]]

    found = EncodedImages(
        batches=batches,
        labels=labels,
        class_names=class_names,
        size=parse_size("hf", options),
        key=f"hf-{content_hash([name, split, table._fingerprint, columns.image, columns.label])[:24]}",
        where=f"{name}/{split}",
    )
    chosen = [f"{key}-{value}" for key, value in sorted(options.items())]
    return found.split(dataset=slug("-".join([name, *chosen])), name=split, source=f"hf:{argument}")


def _bytes(image: dict[str, Any]) -> bytes:
    if image["bytes"] is not None:
        return bytes(image["bytes"])
    with open(image["path"], "rb") as file:
        return file.read()


register_data(
    "hf",
    read=read_hub,
    splits=lambda argument: tuple(hub_splits(argument)),
    argument="NAME",
    note="image data sets of the Hugging Face hub, or folders in its layouts, through the datasets library",
)
