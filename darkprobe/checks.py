"""Checks at the public doors. Inside, arrays are trusted and not looked at again.

Each check names the function that complains, what was expected, what came and what to do, and returns nothing unless
it says so. Arrays may be NumPy arrays or torch tensors.
"""

import os
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from darkprobe.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from darkprobe.types import Array, IntArray


def is_tensor(value: object) -> bool:
    """Whether `value` is a torch tensor, found out without importing torch."""
    return type(value).__module__.startswith("torch") and hasattr(value, "detach")


def check_array(function: str, name: str, value: Any) -> None:
    """Refuses what is neither a NumPy array nor a torch tensor."""
    if not (isinstance(value, np.ndarray) or is_tensor(value)):
        raise InvalidTypeError(
            f"{function}: `{name}` must be a NumPy array or a torch tensor, got {type(value).__name__}. "
            f"Convert it with numpy.asarray or torch.as_tensor."
        )


def is_floating(value: Array) -> bool:
    """Whether the array holds floating-point numbers."""
    if isinstance(value, np.ndarray):
        return bool(np.issubdtype(value.dtype, np.floating))
    return bool(value.is_floating_point())


def is_integer(value: Array) -> bool:
    """Whether the array holds integers (booleans excluded)."""
    if isinstance(value, np.ndarray):
        return bool(np.issubdtype(value.dtype, np.integer))
    return not value.is_floating_point() and not value.is_complex() and str(value.dtype) != "torch.bool"


def check_finite(function: str, name: str, value: Array) -> None:
    """Refuses NaN and infinity and says at which index the first one stands.

    The sum is finite when every element is, but for overflow; only when it is not are the elements looked at.
    """
    value = value if isinstance(value, np.ndarray) else value.detach()
    with np.errstate(all="ignore"):
        if np.isfinite(float(value.sum())):
            return
    array = value if isinstance(value, np.ndarray) else value.float().cpu().numpy()
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        first = tuple(int(i) for i in bad[0])
        raise InvalidValueError(
            f"{function}: `{name}` must be finite, got {array[first]} at index {first} "
            f"({len({int(row[0]) for row in bad})} of {array.shape[0]} rows affected). "
            "Look at that example's input, or extract again in float32."
        )


def check_logits(function: str, logits: Any, *, name: str = "logits", ndim: int | None = 2) -> None:
    """Refuses anything but a finite floating array of shape (..., example, cls) with at least 2 classes.

    Args:
        function: who complains.
        logits: what to check.
        name: how the caller calls it.
        ndim: the exact number of axes, or None for two or more.
    """
    check_array(function, name, logits)
    wrong_rank = logits.ndim != ndim if ndim is not None else logits.ndim < 2
    if wrong_rank or logits.shape[-1] < 2:
        axes = "(example, cls)" if ndim == 2 else "(..., example, cls)"
        raise InvalidValueError(
            f"{function}: `{name}` must have shape {axes} with at least 2 classes, got {tuple(logits.shape)}. "
            "Add the missing axis or drop the extra one."
        )
    if not is_floating(logits):
        raise InvalidTypeError(
            f"{function}: `{name}` must be floating point, got {logits.dtype}. Convert it to float32."
        )
    check_finite(function, name, logits)


def check_labels(function: str, labels: Any, shape: tuple[int, ...], classes: int, *, name: str = "labels") -> None:
    """Refuses anything but integers of the given shape in [0, classes)."""
    check_array(function, name, labels)
    if tuple(labels.shape) != tuple(shape):
        raise InvalidValueError(
            f"{function}: `{name}` must have shape {tuple(shape)}, one label per example, got {tuple(labels.shape)}. "
            "Check that labels and logits come from the same split."
        )
    if not is_integer(labels):
        raise InvalidTypeError(f"{function}: `{name}` must be integers, got {labels.dtype}. Convert them to int64.")
    if int(np.prod(shape)) == 0:
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        array = labels if isinstance(labels, np.ndarray) else labels.detach().cpu().numpy()
        first = tuple(int(i) for i in np.argwhere((array < 0) | (array >= classes))[0])
        raise InvalidValueError(
            f"{function}: `{name}` must lie in [0, {classes}), got {int(array[first])} at index {first}. "
            "Check that model and data have the same classes."
        )


def check_probs(function: str, probs: Any, *, name: str = "probs") -> None:
    """Refuses anything but rows in [0, 1] that sum to 1 within 1e-4 (float16 sums no closer)."""
    check_logits(function, probs, name=name, ndim=None)
    low, high = float(probs.min()), float(probs.max())
    sums = probs.sum(-1)
    off = float(abs(sums - 1).max())
    if low < 0 or high > 1 + 1e-6 or off > 1e-4:
        raise InvalidValueError(
            f"{function}: `{name}` must be probabilities (in [0, 1], rows summing to 1), got range "
            f"[{low:.4g}, {high:.4g}] and a row sum off by {off:.2g}. Pass logits to the function that takes logits, "
            "or normalise the rows first."
        )


def check_positive(function: str, name: str, value: float) -> None:
    """Refuses numbers that are not finite and greater than 0 (temperatures, rates, scales)."""
    if not np.isfinite(value) or value <= 0:
        raise InvalidValueError(
            f"{function}: `{name}` must be a finite number > 0, got {value}. Choose a positive one."
        )


def check_fraction(function: str, name: str, value: float) -> None:
    """Refuses numbers outside [0, 1]."""
    if not 0 <= value <= 1:
        raise InvalidValueError(
            f"{function}: `{name}` must lie in [0, 1], got {value}. Give a fraction, not a percent."
        )


def check_temperatures(function: str, temperatures: Iterable[float]) -> tuple[float, ...]:
    """Returns the temperatures as floats; refuses an empty list and values that are not > 0."""
    values = tuple(float(t) for t in temperatures)
    if not values:
        raise InvalidValueError(f"{function}: `temperatures` must hold at least one number, got none. Give e.g. 1,4.")
    for value in values:
        check_positive(function, "temperature", value)
    return values


def check_choice(kind: str, value: str, choices: Collection[str]) -> None:
    """Refuses a name that is not among `choices`, with near names."""
    if value not in choices:
        raise UnknownNameError(kind, value, choices)


def whole_numbers(function: str, name: str, values: Any) -> IntArray:
    """The values as int64; tables give whole numbers as floating ones, but none may be missing or in between.

    Raises:
        InvalidValueError: one is no whole number: which.
    """
    found = np.asarray(values)
    if found.dtype.kind in "iu" and not (found.dtype == np.uint64 and (found > np.iinfo(np.int64).max).any()):
        return found.astype("<i8")
    exact = np.abs(found) < 2.0**53 if found.dtype.kind == "f" else np.zeros(found.shape, dtype=bool)
    bad = np.argwhere(~(exact & (found == np.round(found))) if found.dtype.kind == "f" else ~exact)
    if len(bad):
        place = tuple(int(i) for i in bad[0])
        raise InvalidValueError(
            f"{function}: `{name}` must be whole numbers, one for each example, got {found[place]!s} at index "
            f"{place[0]}. Give the missing ones, or leave those examples out."
        )
    return found.astype("<i8")


def check_room(function: str, what: str, *, classes: int, needed: int) -> None:
    """Refuses what would take more than half of the machine's memory: `needed` bytes grow with the square of `classes`.

    Without it, a store of very many classes ends in the kernel's killer, or in an error that names no cause.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory // 2:
        raise InvalidValueError(
            f"{function}: `logits` must have fewer classes for {what}, got {classes:,}, which needs "
            f"{needed / 1e9:,.0f} GB; this machine has {memory / 1e9:,.0f}. Ask for other metrics by name, e.g. "
            "spearman and distinctness_std."
        )
