"""`imagefolder:DIR[?size=N]` and `tiny-imagenet[:DIR][?size=N]`: images in folders named after their classes.

An image folder is `DIR/SPLIT/CLASS/*` or, without splits, `DIR/CLASS/*`, which is read as "train"; classes are numbered
in the order of their names, as torchvision does. Tiny ImageNet is read as it is distributed (`tiny-imagenet-200`); its
official validation images are "test", because the labels of its test images were never published.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from darkprobe.data.cache import files_key
from darkprobe.data.cifar import data_folder
from darkprobe.data.images import EncodedImages
from darkprobe.data.options import dataset_id, parse_location, parse_size
from darkprobe.data.sources import register_data
from darkprobe.data.split import Split
from darkprobe.errors import DataError

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_BATCH = 256
_TINY = "tiny-imagenet-200"


def _read_files(paths: list[Path]) -> Iterator[list[bytes]]:
    for start in range(0, len(paths), _BATCH):
        yield [path.read_bytes() for path in paths[start : start + _BATCH]]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


def folder_splits(argument: str) -> dict[str, Path]:
    """Folder of each split of an image folder."""
    folder = Path(parse_location("imagefolder", argument, known=("size",))[0])
    if not folder.is_dir() or not _folders(folder):
        raise DataError(
            f"load_split: imagefolder:DIR must name a folder with a folder for each class, got {folder}. "
            "Check the path."
        )
    named = {_SPLITS[path.name]: path for path in _folders(folder) if path.name in _SPLITS}
    return named or {"train": folder}


def read_folder(argument: str, split: str) -> Split:
    """One split of an image folder.

    Args:
        argument: the folder, and `size` after a question mark.
        split: a name that `folder_splits` lists.
    """
    location, options = parse_location("imagefolder", argument, known=("size",))
    splits = folder_splits(argument)
    class_names = _class_names(splits)
    labelled = [(path, label) for label, name in enumerate(class_names) for path in _images(splits[split] / name)]
    where = f"{Path(location).resolve().name}/{split}"
    return _encoded("imagefolder", labelled, class_names, size=parse_size("imagefolder", options), where=where).split(
        dataset=dataset_id(Path(location), options), name=split, source=f"imagefolder:{argument}"
    )


def _class_names(splits: dict[str, Path]) -> tuple[str, ...]:
    """Names of the class folders of all splits, sorted: a split may lack some."""
    return tuple(sorted({path.name for folder in splits.values() for path in _folders(folder)}))


def _encoded(
    kind: str, labelled: list[tuple[Path, int]], class_names: tuple[str, ...], *, size: int | None, where: str
) -> EncodedImages:
    paths = [path for path, _ in labelled]
    return EncodedImages(
        batches=lambda: _read_files(paths),
        labels=np.array([label for _, label in labelled], dtype=np.int64),
        class_names=class_names,
        size=size,
        key=files_key(kind, paths),
        where=where,
    )


def read_tiny(argument: str, split: str) -> Split:
    """One split of Tiny ImageNet: 200 classes named by WordNet id, 64x64 pixels.

    Args:
        argument: the folder above `tiny-imagenet-200`, or "", and `size` after a question mark.
        split: "train" or "test" (the official validation images).
    """
    location, options = parse_location("tiny-imagenet", argument, known=("size",))
    folder = data_folder(location) / _TINY
    class_names = tuple(_lines(folder / "wnids.txt"))
    label_of = {name: label for label, name in enumerate(class_names)}
    if split == "train":
        labelled = [(path, label) for name, label in label_of.items() for path in _images(folder / "train" / name)]
    else:
        rows = [line.split("\t") for line in _lines(folder / "val" / "val_annotations.txt")]
        unknown = next((row for row in rows if len(row) < 2 or row[1] not in label_of), None)
        if unknown:
            raise DataError(
                f"load_split: val_annotations.txt must name a file and a class of wnids.txt in each line, got "
                f"{unknown}. Fetch the data set again."
            )
        labelled = [(folder / "val" / "images" / row[0], label_of[row[1]]) for row in rows]
    size = parse_size("tiny-imagenet", options)
    found = _encoded("tiny-imagenet", labelled, class_names, size=size, where=f"tiny-imagenet/{split}")
    return found.split(
        dataset=dataset_id(Path("tiny-imagenet"), options),
        name=split,
        source=f"tiny-imagenet:{argument}" if argument else "tiny-imagenet",
    )


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise DataError(
            f"load_split: tiny-imagenet must be in {path.parent}, got no {path.name} there. Fetch and unpack "
            f"{_TINY}.zip, and give the folder above it as tiny-imagenet:DIR or in DARKPROBE_DATA."
        ) from error


register_data(
    "imagefolder",
    read=read_folder,
    splits=lambda argument: tuple(name for name in ("train", "val", "test") if name in folder_splits(argument)),
    argument="DIR",
    note="images in a folder for each class, with or without folders for splits; ?size=N scales and crops",
)
register_data(
    "tiny-imagenet",
    read=read_tiny,
    splits=lambda argument: ("train", "test"),
    argument="[DIR]",
    note="110,000 colour images of 64x64, 200 classes; test is the official validation part",
)
