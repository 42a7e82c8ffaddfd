"""The registry of data sets, and `load_split`, which turns a name such as "digits:3" into a `Split`.

Owns names, parts of splits and the messages about them. Each reader has its own file.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from darkprobe.data.order import stratified_part
from darkprobe.data.split import Split
from darkprobe.errors import DataError, InvalidValueError, UnknownNameError
from darkprobe.registry import Registry


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """One kind of data.

    Attributes:
        name: what stands before the colon, e.g. "parquet".
        argument: what stands after it, in words for a list, e.g. "SEED" or "DIR"; in brackets when optional.
        splits: names of the splits there are, given the argument.
        read: (argument, split) to the split; called only with a split that `splits` names.
        note: one line for a list.
    """

    name: str
    argument: str
    splits: Callable[[str], tuple[str, ...]]
    read: Callable[[str, str], Split]
    note: str


DATASETS: Registry[DataSource] = Registry("data set")


def register_data(
    name: str,
    *,
    read: Callable[[str, str], Split],
    splits: Callable[[str], tuple[str, ...]],
    argument: str = "",
    note: str = "",
) -> DataSource:
    """Adds a data set to those that `load_split` knows and returns its record.

    Args:
        name: what the user writes, before the colon.
        read: called as `read(argument, split)`; `argument` is what stands after the colon, or "".
        splits: called as `splits(argument)`; names of the splits there are.
        argument: the argument in words, e.g. "DIR" or "[SEED]"; empty when there is none.
        note: one line for a list.
    """
    return DATASETS.register(name, DataSource(name=name, argument=argument, splits=splits, read=read, note=note))


def list_data() -> list[str]:
    """Names of data sets with the argument they take, e.g. "parquet:DIR"."""
    return [name + (f":{source.argument}" if source.argument else "") for name, source in DATASETS.items()]


def find_source(name: str) -> tuple[DataSource, str]:
    """The record of a data set and the argument in its name.

    Raises:
        UnknownNameError: no such data set; near names are given.
        InvalidValueError: an argument is missing, or there is one too many.
    """
    head, _, argument = name.partition(":")
    if head not in DATASETS:
        raise UnknownNameError("data set", name, list_data())
    source = DATASETS[head]
    if not argument and source.argument and not source.argument.startswith("["):
        raise InvalidValueError(
            f"load_split: `name` must be {head}:{source.argument}, got {name!r}. Say what to read after the colon."
        )
    if argument and not source.argument:
        raise InvalidValueError(f"load_split: `name` must be {head!r} alone, got {name!r}. Leave out the argument.")
    return source, argument


def load_split(name: str, split: str, *, wait: bool = True) -> Split:
    """The examples of one split of a data set.

    Args:
        name: e.g. "digits", "digits:3", "parquet:../data/cifar10"; `list_data` lists them.
        split: a split of the data set, or a part of one. `train[:45000]` and `train[45000:]` (counts) or
            `train[:0.9]` and `train[0.9:]` (fractions) cut a split in two that share no example; classes keep their
            shares, and which example falls where depends on its id alone, not on the order of rows.
        wait: for all pixels. Without it, encoded images that are not in the cache yet are decoded meanwhile, and
            whoever reads a row of `inputs` waits for that row: made for `extract_logits`.

    Raises:
        UnknownNameError: no such data set.
        DataError: no such split (the message says which there are), or the data is damaged.

    Examples:
        >>> load_split("digits:1", "test").input_shape
        (1, 8, 8)
    """
    source, argument = find_source(name)
    whole, start, stop = _parse_split(split)
    splits = source.splits(argument)
    if whole not in splits:
        hint = "Ask for one of these."
        if whole == "val" and "train" in splits:
            hint = "Hold a part of train out yourself: 'train[:0.9]' to train on and 'train[0.9:]' as validation."
        raise DataError(f"load_split: `split` of {name} must be one of {', '.join(splits)}, got {split!r}. {hint}")
    found = source.read(argument, whole)
    found = found.decoded() if wait else found
    return found if start is None and stop is None else stratified_part(found, start, stop)


def _parse_split(split: str) -> tuple[str, float | int | None, float | int | None]:
    match = re.fullmatch(r"([^\[\]]+)(?:\[([\d.]*):([\d.]*)\])?", split)
    if not match:
        raise InvalidValueError(
            f"load_split: `split` must look like 'train', 'train[:45000]' or 'train[0.9:]', got {split!r}. Correct it."
        )
    whole, start, stop = match.groups()
    return whole, _bound(start, split), _bound(stop, split)


def _bound(text: str | None, split: str) -> float | int | None:
    if not text:
        return None
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise InvalidValueError(
            f"load_split: `split` must have counts or fractions in brackets, got {split!r}. Correct it."
        ) from None
