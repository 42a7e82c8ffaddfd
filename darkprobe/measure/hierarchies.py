"""Hierarchies over classes: built in for CIFAR-10, CIFAR-100 and WordNet ids, or read from a file."""

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from darkprobe.errors import DataError, UnknownNameError
from darkprobe.metrics.hierarchy import CIFAR100_SUPERCLASSES

CIFAR10_SUPERCLASSES: Mapping[str, tuple[str, ...]] = {
    "animal": ("bird", "cat", "deer", "dog", "frog", "horse"),
    "vehicle": ("airplane", "automobile", "ship", "truck"),
}
"""Animals and vehicles: our own grouping of the ten classes."""

HIERARCHIES = ("cifar10", "cifar100", "wordnet")

Paths = tuple[tuple[str, ...], ...]
"""For each class, in label order, the names from the root down to the class itself."""


def class_paths(hierarchy: str, class_names: Sequence[str]) -> Paths:
    """The path of each class from the root of a hierarchy down to itself.

    Args:
        hierarchy: "cifar10" (animals and vehicles), "cifar100" (its 20 superclasses), "wordnet" (hypernyms of WordNet
            ids, for the 200 classes of Tiny ImageNet), or a CSV file with a line per class: its name, then the names
            above it, nearest first, e.g. `trout,fish,animal`.
        class_names: in label order.

    Returns:
        One path per class, e.g. ("animal", "fish", "trout").

    Raises:
        UnknownNameError: no such hierarchy or file, or a class that it lacks.
        DataError: the file has a line without a name above the class.

    Examples:
        >>> class_paths("cifar10", ["cat", "truck"])
        (('animal', 'cat'), ('vehicle', 'truck'))
    """
    if hierarchy == "wordnet":
        known = _wordnet()
    elif hierarchy in HIERARCHIES:
        groups = CIFAR10_SUPERCLASSES if hierarchy == "cifar10" else CIFAR100_SUPERCLASSES
        known = {name: (group, name) for group, names in groups.items() for name in names}
    elif Path(hierarchy).is_file():
        known = _from_file(Path(hierarchy))
    else:
        raise UnknownNameError(
            "hierarchy", hierarchy, HIERARCHIES, "Or give a CSV file: class, then the names above it."
        )
    for name in class_names:
        if name not in known:
            raise UnknownNameError(
                "class", name, known, f"The hierarchy {hierarchy} must hold every class of the data."
            )
    return tuple(known[name] for name in class_names)


def readable_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """First word of each WordNet id that is known here; other names as they are.

    Examples:
        >>> readable_names(["n01443537", "dog"])
        ('goldfish', 'dog')
    """
    words = _words()
    return tuple(words.get(name, name) for name in class_names)


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = (resources.files("darkprobe.data") / "wordnet.tsv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(csv.DictReader(lines, delimiter="\t"))


@cache
def _words() -> dict[str, str]:
    return {row["wnid"]: row["words"].partition(",")[0] for row in _rows()}


@cache
def _wordnet() -> dict[str, tuple[str, ...]]:
    parent = {row["wnid"]: row["parent"] for row in _rows()}
    found = {}
    for row in _rows():
        path = [row["wnid"]]
        while parent[path[-1]]:
            path.append(parent[path[-1]])
        if row["class"] == "1":
            found[row["wnid"]] = tuple(reversed(path))
    return found


def _from_file(path: Path) -> dict[str, tuple[str, ...]]:
    found = {}
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"class_paths: {path} must be a CSV file, got {error}. Write one line per class.") from None
    for number, line in enumerate(lines, start=1):
        names = [name.strip() for name in line if name.strip()]
        if len(names) == 1:
            raise DataError(
                f"class_paths: {path} must name a class and what is above it, got {names[0]!r} alone in line {number}. "
                "Write e.g. trout,fish,animal."
            )
        if names:
            found[names[0]] = tuple(reversed(names))
    return found
