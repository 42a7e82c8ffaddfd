"""Which layers a method on features joins."""

from collections.abc import Sequence

from torch import nn

from darkprobe.distill.methods import Combination
from darkprobe.errors import InvalidValueError
from darkprobe.store import LogitFile
from darkprobe.zoo import Model
from darkprobe.zoo.features import head_layer


def pair_layers(
    combination: Combination,
    module: nn.Module,
    teachers: Sequence[LogitFile | Model],
    *,
    given: tuple[tuple[str, str], ...] = (),
) -> list[tuple[tuple[str, str], ...]]:
    """For each teacher, pairs (student layer, teacher layer) to tap: those given, else the last ones before the head.

    With several teachers the pairs given are dealt out in order, the same number to each.

    Raises:
        InvalidValueError: none is given, and which one is meant cannot be told; or the pairs cannot be dealt out.
    """
    if given and len(given) % len(teachers):
        raise InvalidValueError(
            f"distill: `layers` must be the same number of pairs for each of {len(teachers)} teachers, got "
            f"{len(given)}. Give the first teacher's pairs, then the next one's."
        )
    if given:
        each = len(given) // len(teachers)
        return [given[place * each : (place + 1) * each] for place in range(len(teachers))]
    own = last_layer(module)
    return [((own, _last_of(combination, teacher)),) for teacher in teachers]


def _last_of(combination: Combination, teacher: LogitFile | Model) -> str:
    if isinstance(teacher, Model):
        return last_layer(teacher.module)
    stored = list(teacher.features)
    if len(stored) != 1:
        raise InvalidValueError(
            f"distill: `layers` must name a layer of the teacher for {combination.name!r}, got none, and its file has "
            f"{', '.join(stored) or 'no features'}. Write STUDENT_LAYER:TEACHER_LAYER, extract with --features, or run "
            "the teacher beside the student (--teacher-live)."
        )
    return stored[0]


def last_layer(module: nn.Module) -> str:
    """Name of the outermost layer that stands before the one with the head.

    Raises:
        InvalidValueError: there is none.
    """
    children = [name for name, _ in module.named_children()]
    head = head_layer(module).split(".")[0]
    before = children[: children.index(head)]
    if not before:
        raise InvalidValueError(
            f"distill: `layers` must be given for {type(module).__name__}, got none, and no layer with a name of its "
            "own stands before its head. Name one of its layers."
        )
    return before[-1]
