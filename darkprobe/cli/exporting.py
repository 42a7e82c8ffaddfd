"""What `darkprobe store export` writes: one teacher's soft labels, or several teachers', after a fix called by name."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from darkprobe.distill.methods import Method
    from darkprobe.store import LogitFile
    from darkprobe.targets import Target

Given = Mapping[str, float | str]


def target_of(entries: "Sequence[LogitFile]", *, fix: str, given: Given) -> "Target":
    """Soft targets of the first file's examples.

    Args:
        entries: one file of clean examples a teacher, the teacher itself first.
        fix: a method that acts on the target, whose parameters have defaults, or else a name in `targets.TARGETS`.
        given: parameters by name.

    Raises:
        UnknownNameError: no such method, or no such parameter.
        InvalidValueError: the method acts on something else than the target, or on another number of teachers.
    """
    from darkprobe.distill.methods import METHODS
    from darkprobe.errors import InvalidValueError, UnknownNameError
    from darkprobe.targets import TARGETS, soft_targets

    teacher = entries[0]
    if fix in METHODS and METHODS[fix].target is not None:
        return _by_method(METHODS[fix], entries, given)
    if fix in METHODS:
        raise InvalidValueError(
            f"export: `--fix` must act on the target, got {fix!r}, which acts on the {METHODS[fix].kind}. Choose one "
            "that `darkprobe methods list --kind target` prints."
        )
    if fix not in TARGETS:
        named = [name for name in METHODS.match("*") if METHODS[name].target is not None]
        raise UnknownNameError("target transform", fix, sorted({*named, *TARGETS}))
    if len(entries) > 1:
        raise InvalidValueError(
            f"export: {fix!r} takes one teacher, got {len(entries)}. Give one --model, or choose e.g. fused-probs."
        )
    settings: dict[str, Any] = dict(given or ({"temperature": 1.0} if fix == "ts" else {}))
    if "values" in TARGETS[fix].parameters:
        settings.setdefault("values", teacher.card.values)
    return soft_targets(_dense(teacher), teacher.labels, fix=fix, parameters=settings)


def _by_method(method: "Method", entries: "Sequence[LogitFile]", given: Given) -> "Target":
    from darkprobe.errors import InvalidValueError

    wanted = 2 if "other" in method.needs else None
    enough = len(entries) == wanted if wanted else len(entries) > 1 if "others" in method.needs else len(entries) == 1
    if not enough:
        number = "two teachers" if wanted else "two teachers or more" if "others" in method.needs else "one teacher"
        raise InvalidValueError(
            f"export: {method.name!r} takes {number}, got {len(entries)}. Give each by --model, the teacher first."
        )
    teacher, inputs = entries[0], {}
    if "head_weight" in method.needs:
        if teacher.head_weight is None:
            raise InvalidValueError(
                f"export: {method.name!r} needs the weights of the teacher's last layer, got a file without them "
                f"({teacher.path.name}). Choose another fix."
            )
        inputs["head_weight"] = np.array(teacher.head_weight)
    others = [_paired(other, teacher) for other in entries[1:]]
    if "other" in method.needs:
        inputs["other"] = others[0]
    if "others" in method.needs:
        inputs["others"] = np.stack(others)
    parameters = method.resolved(given)
    logits = _sparse(teacher, method, parameters) if teacher.is_sparse else _dense(teacher)
    return method.cached_target(
        logits, np.array(teacher.labels), parameters=parameters, inputs=inputs, values=teacher.card.values
    )


def _sparse(entry: "LogitFile", method: "Method", parameters: dict[str, Any]) -> np.ndarray:
    """Logits of all classes at the one temperature that the method looks at, the tail spread evenly."""
    from darkprobe.distill.sparse_rows import even_tail, usable_temperature

    temperature = usable_temperature(entry, method, parameters)
    return even_tail(entry, np.arange(entry.n_examples), view=0, temperature=temperature).numpy()


def _dense(entry: "LogitFile") -> np.ndarray:
    return np.asarray(entry.logits, np.float32)


def _paired(other: "LogitFile", teacher: "LogitFile") -> np.ndarray:
    """The other teacher's logits, its examples in the order of the first one's."""
    from darkprobe.errors import InvalidValueError

    place = {int(example): row for row, example in enumerate(other.example_ids)}
    rows = [place.get(int(example), -1) for example in teacher.example_ids]
    if min(rows, default=0) < 0 or other.class_names != teacher.class_names:
        raise InvalidValueError(
            f"export: {other.card.model_id!r} must hold the examples and classes of {teacher.card.model_id!r}, got "
            "others. Extract both on the same split."
        )
    return _dense(other)[rows]
