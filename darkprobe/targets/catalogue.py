"""Transforms by name: `TARGETS`, and `soft_targets`, which calls one."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from darkprobe.errors import InvalidValueError, UnknownNameError
from darkprobe.registry import Registry
from darkprobe.targets.door import Target
from darkprobe.targets.fusion import fused
from darkprobe.targets.isats import instance_temperature, isats, isats_literal, isats_matched
from darkprobe.targets.partial import kd_pt, kd_sim, kd_topk
from darkprobe.targets.power import power_transform
from darkprobe.targets.reshape import class_affinity, discrepancy, standardised
from darkprobe.targets.smoothing import label_smoothing
from darkprobe.targets.temperature import ats, temperature_scaling
from darkprobe.types import Labels, Logits

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Transform:
    """A target transform and how it is called.

    Attributes:
        function: `(logits, *, ...)` or `(logits, labels, *, ...) -> Target`.
    """

    function: Callable[..., Target]

    @property
    def takes_labels(self) -> bool:
        """Whether labels are its second argument."""
        return "labels" in inspect.signature(self.function).parameters

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """Its keyword-only parameters, by name."""
        signature = inspect.signature(self.function).parameters
        return {name: p for name, p in signature.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


TARGETS: Registry[Transform] = Registry("target transform")
"""All transforms by name: the names that `soft_targets` and exports of sharpened labels take."""

_FUNCTIONS: dict[str, Callable[..., Target]] = {
    "ts": temperature_scaling,
    "ats": ats,
    "isats": isats,
    "isats-literal": isats_literal,
    "isats-matched": isats_matched,
    "instance-ts": instance_temperature,
    "power": power_transform,
    "ls": label_smoothing,
    "kd-pt": kd_pt,
    "kd-sim": kd_sim,
    "kd-topk": kd_topk,
    "discrepancy": discrepancy,
    "class-affinity": class_affinity,
    "standardised": standardised,
    "fused": fused,
}
for _name, _function in _FUNCTIONS.items():
    TARGETS.register(_name, Transform(_function))


def soft_targets(
    logits: Logits, labels: Labels | None = None, *, fix: str = "ts", parameters: Mapping[str, Any] = _NOTHING
) -> Target:
    """A teacher's soft labels under a transform called by name.

    Args:
        logits: (..., example, cls), floating, finite: the teacher's.
        labels: (..., example) or (example,), integer; may be left out where the transform does not look at them.
        fix: a name in `TARGETS`, e.g. "ts", "ats", "isats".
        parameters: the transform's keyword parameters, by name.

    Returns:
        `Target` in the kind of `logits`.

    Raises:
        UnknownNameError: the transform, or a parameter's name, is unknown.
        InvalidValueError: labels or a required parameter are missing, or a value is out of range.

    Examples:
        >>> import numpy as np
        >>> soft_targets(np.log([[8.0, 4.0, 4.0]]), fix="ts", parameters={"temperature": 1.0}).probs
        array([[0.5 , 0.25, 0.25]])
    """
    transform = TARGETS[fix]
    known = transform.parameters
    for name in parameters:
        if name not in known:
            raise UnknownNameError(f"parameter of target {fix!r}", name, known)
    missing = [name for name, p in known.items() if p.default is inspect.Parameter.empty and name not in parameters]
    if missing or (transform.takes_labels and labels is None):
        wanted = [*(["labels"] if transform.takes_labels and labels is None else []), *missing]
        raise InvalidValueError(
            f"soft_targets: `{wanted[0]}` must be given for target {fix!r}, got nothing. "
            f"It takes {', '.join(known)}; pass them in `parameters`, labels as the second argument."
        )
    arguments = (logits, labels) if transform.takes_labels else (logits,)
    return transform.function(*arguments, **parameters)
