"""`plan_stages`: the networks that a schedule trains, in order, and who teaches each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darkprobe.distill.methods.record import NONE_GIVEN, Value
from darkprobe.distill.methods.registry import Combination
from darkprobe.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One network of a schedule.

    Attributes:
        name: of its directory; empty where it is the only one.
        student: its architecture.
        method: what it learns by, as `resolve_method` reads it; no schedule that trains several networks.
        parameters: of that method.
        given: whether the teachers given at the start teach it.
        earlier: numbers of the stages that teach it.
        added: numbers of the stages to whose logits its own are added.
        seed: added to the seed of the run.
        own_weights: whether the weights of its own method count, whatever was asked for.
    """

    name: str
    student: str
    method: str
    parameters: Mapping[str, Value]
    given: bool = True
    earlier: tuple[int, ...] = ()
    added: tuple[int, ...] = ()
    seed: int = 0
    own_weights: bool = False


def plan_stages(
    combination: Combination,
    *,
    student: str,
    assistants: Sequence[str] = (),
    teachers: int = 1,
    parameters: Mapping[str, Value] = NONE_GIVEN,
) -> tuple[Stage, ...]:
    """The stages of a run; one, unless the method is joined to a schedule that trains several networks.

    takd: assistants and student in a row, each taught by the one before. dgkd: each taught by the teachers given and
    by all before it; terms are dropped for the last one only. generations: `count` students in a row, without a
    teacher at first. reskd: the student, then the residual networks, each added to the sum of those before it.

    Args:
        combination: from `resolve_method`.
        student: architecture.
        assistants: architectures, largest first; of reskd, the residual networks.
        teachers: number of teachers given.
        parameters: as for the whole combination.

    Raises:
        InvalidValueError: the schedule needs assistants or teachers that are not given, or takes none.

    Examples:
        >>> from darkprobe.distill.methods import resolve_method
        >>> stages = plan_stages(resolve_method("takd+kd"), student="mlp-8", assistants=["mlp-32", "mlp-16"])
        >>> [(stage.student, stage.given, stage.earlier) for stage in stages]
        [('mlp-32', True, ()), ('mlp-16', False, (0,)), ('mlp-8', False, (1,))]
    """
    schedule = combination.schedule.name if combination.schedule is not None else ""
    _check(schedule, assistants, teachers)
    settings = combination.split(parameters)
    step = [combination.logit.name] if combination.logit.name in settings else []
    step += [method.name for method in combination.features]
    count = int(settings["generations"]["count"]) if schedule == "generations" else len(assistants) + 1
    chain = [student] * count if schedule == "generations" else [*assistants, student]
    if schedule == "reskd":
        chain = [student, *assistants]
    return tuple(_stage(schedule, place, chain, step, settings, combination) for place in range(count))


def _stage(
    schedule: str,
    place: int,
    chain: Sequence[str],
    step: Sequence[str],
    settings: Mapping[str, Mapping[str, Value]],
    combination: Combination,
) -> Stage:
    """Stage number `place` of the chain."""
    before = tuple(range(place))
    if schedule == "generations" and not place:
        names = [combination.first.name if combination.first is not None else "none"]
    elif schedule in ("takd", "reskd", "generations"):
        names = list(step)
    else:
        names = combination.name.split("+") if schedule != "dgkd" else ["dgkd", *step]
    own = {f"{name}.{key}": value for name in names for key, value in settings.get(name, {}).items()}
    if schedule == "dgkd" and place < len(chain) - 1:
        own["dgkd.drop"] = 0
    in_a_row = schedule in ("takd", "generations")
    return Stage(
        name=f"{place + 1}-{chain[place]}" if len(chain) > 1 else "",
        student=chain[place],
        method="+".join(names),
        parameters=own,
        given=schedule != "generations" and (not in_a_row or not place),
        earlier=before[-1:] if in_a_row else before if schedule == "dgkd" else (),
        added=before if schedule == "reskd" else (),
        seed=place if schedule in ("generations", "reskd") else 0,
        own_weights=schedule == "generations" and not place,
    )


def _check(schedule: str, assistants: Sequence[str], teachers: int) -> None:
    takes = schedule in ("takd", "dgkd", "reskd")
    if assistants and not takes:
        raise InvalidValueError(
            f"distill: `assistant` must go with takd, dgkd or reskd, got {len(assistants)} with "
            f"{schedule or 'no schedule'}. Join one to the method, e.g. takd+kd-hinton, or leave them out."
        )
    if schedule in ("takd", "reskd") and not assistants:
        raise InvalidValueError(
            f"distill: `assistant` must be given for {schedule}, got none. Name one network or more, largest first."
        )
    if schedule == "generations" and teachers:
        raise InvalidValueError(
            f"distill: `teacher` must not be given for generations, which train their own, got {teachers}. Leave it "
            "out; the first generation learns from the labels (generations+tolerant+kd: as a tolerant teacher)."
        )
