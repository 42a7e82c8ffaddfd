"""The part of a data set's name after the colon: `LOCATION[?KEY=VALUE&...]`."""

import re
from collections.abc import Collection
from pathlib import Path

from darkprobe.errors import InvalidValueError, UnknownNameError


def parse_location(dataset: str, argument: str, *, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """The location and the options behind its question mark.

    Args:
        dataset: name of the data set, for messages.
        argument: e.g. "../photos?size=224".
        known: keys that are allowed.

    Raises:
        UnknownNameError: a key is not known.
        InvalidValueError: an option is not KEY=VALUE.

    Examples:
        >>> parse_location("parquet", "photos?size=224&label=kind", known=("size", "label"))
        ('photos', {'size': '224', 'label': 'kind'})
    """
    location, _, query = argument.partition("?")
    options = {}
    for item in filter(None, query.split("&")):
        key, equals, value = item.partition("=")
        if key not in known:
            raise UnknownNameError(f"option of {dataset}", key, known)
        if not equals or not value:
            raise InvalidValueError(f"load_split: option of {dataset} must be KEY=VALUE, got {item!r}. Correct it.")
        options[key] = value
    return location, options


def parse_size(dataset: str, options: dict[str, str]) -> int | None:
    """The option `size` in pixels, or None when it was not given."""
    text = options.get("size")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 4096:
        raise InvalidValueError(
            f"load_split: `size` of {dataset} must be a whole number from 1 to 4096, got {text!r}. Correct it."
        )
    return int(text)


def slug(text: str) -> str:
    """Text with everything but letters, digits, ".", "_" and "-" replaced by "-": fit for a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "data"


def dataset_id(path: Path, options: dict[str, str]) -> str:
    """Id of the data in a folder or file: its name, and the options, which change what is read."""
    chosen = [f"{key}-{value}" for key, value in sorted(options.items())]
    return slug("-".join([path.resolve().name, *chosen]))
