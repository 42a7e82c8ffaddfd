"""Stored top-k logits as a teacher: all classes again, the tail's mass spread evenly."""

import numpy as np
import torch

from darkprobe.distill.methods import Method
from darkprobe.distill.methods.record import Value
from darkprobe.errors import InvalidValueError
from darkprobe.store import LogitFile
from darkprobe.types import IntArray


def usable_temperature(entry: LogitFile, method: Method, parameters: dict[str, Value]) -> float:
    """The temperature at which a method looks at a sparse file.

    Raises:
        InvalidValueError: the method needs every class, or looks at a temperature that the file was not made for.
    """
    temperature = method.looks_at(parameters)
    if temperature is None:
        raise InvalidValueError(
            f"distill: `teacher` must hold all classes for method {method.name!r}, whose term asks for every wrong "
            f"class or several temperatures, got {entry.path.name}, which keeps the largest logits only. Choose kd, "
            "kd-hinton, kd-topk, kd-pt or ttm, extract again without a top-k, or run the teacher live (--teacher-live)."
        )
    declared = np.asarray(entry.array("tail_temperatures"), np.float64)
    if not np.isclose(declared, temperature, rtol=1e-9).any():
        listed = ", ".join(f"{t:g}" for t in declared)
        raise InvalidValueError(
            f"distill: `teacher` must be stored for temperature {temperature:g}, at which {method.name!r} looks at it, "
            f"got {entry.path.name} for {listed}. Choose one of these, or extract again with --temperatures "
            f"{temperature:g}."
        )
    return temperature


def even_tail(entry: LogitFile, rows: IntArray, *, view: int, temperature: float) -> torch.Tensor:
    """(example, cls), float32: logits whose softmax at `temperature` has the stored tail spread evenly.

    The kept classes and the label have their probabilities; the others share what is left. So KD at that temperature
    is kd-topk with the stored k (one class more where the label is not among them), and kd-pt is exact. At any other
    temperature these logits mean nothing.

    Args:
        entry: a sparse file.
        rows: (example,), rows of the file.
        view: of the file's views, or 0.
        temperature: one of the declared ones.
    """
    key = (view, rows) if entry.n_views else rows
    kept, label = (np.asarray(entry.array(name)[key], np.float64) for name in ("topk_logits", "label_logits"))
    places = np.asarray(entry.array("topk_indices")[key]).astype(np.int64)
    declared = np.asarray(entry.array("tail_temperatures"), np.float64)
    tail = np.asarray(entry.array("tail_lse")[key], np.float64)[:, np.abs(declared - temperature).argmin()]
    labels = np.asarray(entry.labels)[rows]
    inside = (places == labels[:, None]).any(1)
    left = int(entry.header["classes"]) - kept.shape[1] - ~inside
    # Rounding may put the label's share at or above the whole tail: a hair is left for the rest.
    gap = np.minimum(label / temperature - tail, -1e-6)
    rest = np.where(inside, tail, tail + np.log(-np.expm1(gap)))
    even = temperature * (rest - np.log(np.maximum(left, 1)))
    logits = np.repeat(even[:, None], int(entry.header["classes"]), axis=1)
    np.put_along_axis(logits, places, kept, axis=1)
    outside = np.flatnonzero(~inside)
    logits[outside, labels[outside]] = label[outside]
    return torch.from_numpy(logits.astype(np.float32))
