"""The registry of methods, and names joined by "+"."""

import dataclasses
from collections.abc import Mapping

from darkprobe.distill.methods.record import NONE_GIVEN, Method, Value
from darkprobe.errors import InvalidValueError
from darkprobe.registry import Registry

METHODS: Registry[Method] = Registry("method")
"""All methods by name; `register_method` adds one."""


def register_method(method: Method) -> Method:
    """Adds a method under its name and returns it.

    Raises:
        InvalidValueError: the name is taken, or holds "+", which joins methods.
    """
    if "+" in method.name:
        raise InvalidValueError(
            f'register_method: `name` must not hold "+", got {method.name!r}. It joins methods; use "-" instead.'
        )
    return METHODS.register(method.name, method)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Combination:
    """Methods that act together: at most one on logits, any number on features, at most one schedule.

    Attributes:
        name: the names joined by "+".
        logit: the method on logits; the schedule's own, or "none", when none is named.
        features: the methods on features, in the order given.
        schedule: who teaches whom and when, or None for one student.
        first: what the first generation is trained by beside the labels, a method of kind "teacher", or None.
    """

    name: str
    logit: Method
    features: tuple[Method, ...] = ()
    schedule: Method | None = None
    first: Method | None = None

    @property
    def parts(self) -> tuple[Method, ...]:
        """The methods named, and the one by which each network of a schedule learns."""
        named = self.logit.name in self.name.split("+") or (self.schedule is not None and self.logit.name != "none")
        before = tuple(part for part in (self.schedule, self.first) if part is not None)
        return (*before, *((self.logit,) if named else ()), *self.features)

    def split(self, parameters: Mapping[str, Value] = NONE_GIVEN) -> dict[str, dict[str, Value]]:
        """Resolved parameters of each part, by its name.

        In a combination a parameter may be written `part.name` ("crd.weight"). Written plainly ("gamma") it belongs to
        the only part that has it, and to the first part where several have it.

        Raises:
            UnknownNameError: a name belongs to no part.
        """
        own: dict[str, dict[str, Value]] = {part.name: {} for part in self.parts}
        if self.schedule is not None and self.logit.name in own and self.logit.name not in self.name.split("+"):
            own[self.logit.name].update(self.schedule.step_parameters)
        for name, value in parameters.items():
            first, dot, rest = name.partition(".")
            if dot and first in own:
                own[first][rest] = value
            else:
                own[self._owner(name)][name] = value
        return {part.name: part.resolved(own[part.name]) for part in self.parts}

    def _owner(self, name: str) -> str:
        having = [part.name for part in self.parts if name in {parameter.name for parameter in part.parameters}]
        return having[0] if len(having) == 1 else self._main.name

    @property
    def _main(self) -> Method:
        """The part that a plain parameter is taken for: the method on logits, else the first part."""
        return self.logit if self.logit in self.parts else self.parts[0]


def resolve_method(name: str) -> Combination:
    """The method, or the methods joined by "+", of that name: `wttm`, `crd`, `wttm+crd`, `takd+wttm`.

    Raises:
        UnknownNameError: a name is unknown.
        InvalidValueError: more than one of them acts on logits or is a schedule, or one is named twice.

    Examples:
        >>> [part.name for part in resolve_method("takd").parts]
        ['takd', 'kd-hinton']
    """
    names = name.split("+")
    methods = [METHODS[part] for part in names]
    of: dict[str, list[Method]] = {kind: [] for kind in ("schedule", "teacher", "feature", "logit")}
    for method in methods:
        of[method.kind if method.kind in of else "logit"].append(method)
    if of["teacher"] and not any(method.name == "generations" for method in of["schedule"]):
        of["logit"] += of.pop("teacher")  # a teacher in training is a student of its own term
        of["teacher"] = []
    crowded = next((found for kind, found in of.items() if kind != "feature" and len(found) > 1), [])
    if crowded or len(set(names)) != len(names):
        raise InvalidValueError(
            f"resolve_method: `name` must join at most one method on logits and at most one schedule with methods on "
            f"features, each once, got {name!r}. Drop one of {[method.name for method in crowded or methods]}."
        )
    schedule = of["schedule"][0] if of["schedule"] else None
    own = METHODS[schedule.step] if schedule is not None and not of["feature"] else METHODS["none"]
    return Combination(
        name=name,
        logit=of["logit"][0] if of["logit"] else own,
        features=tuple(of["feature"]),
        schedule=schedule,
        first=of["teacher"][0] if of["teacher"] else None,
    )
