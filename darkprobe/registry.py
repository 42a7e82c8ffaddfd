"""One `Registry` class, one instance per kind of thing (models, data sets, metrics, methods, studies).

An entry is a frozen record: a function and the facts about it. Registering a name twice raises; asking for an unknown
one raises with near names. Looking up has no side effects.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from darkprobe.errors import InvalidValueError, UnknownNameError

Record = TypeVar("Record")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which resnet8 comes before resnet20."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


class Registry(Mapping[str, Record], Generic[Record]):
    """A read-only mapping of names to records, filled by `register`.

    Examples:
        >>> colours = Registry[str]("colour")
        >>> colours.register("red", "#f00")
        '#f00'
        >>> colours.match("r*")
        ['red']
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._records: dict[str, Record] = {}

    def register(self, name: str, record: Record) -> Record:
        """Adds `record` under `name` and returns it.

        Raises:
            InvalidValueError: the name is taken.
        """
        if name in self._records:
            raise InvalidValueError(
                f"register: {self.kind} name must be new, got {name!r}, which is taken. Choose another name."
            )
        self._records[name] = record
        return record

    def __getitem__(self, name: str) -> Record:
        try:
            return self._records[name]
        except KeyError:
            raise UnknownNameError(self.kind, name, self._records) from None

    def __contains__(self, name: object) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._records, key=natural_key))

    def __len__(self) -> int:
        return len(self._records)

    def match(self, pattern: str = "*") -> list[str]:
        """Names that match a shell pattern, in natural order."""
        return [name for name in self if fnmatch.fnmatchcase(name, pattern)]
