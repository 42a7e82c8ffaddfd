"""Whether everything a plan names exists, found out before hours of training."""

from collections.abc import Collection

from darkprobe.checks import check_choice
from darkprobe.data.policy import parse_policy
from darkprobe.distill.methods import METHODS
from darkprobe.distill.teachers import parse_recipe
from darkprobe.errors import InvalidValueError
from darkprobe.study.objective import EDITS
from darkprobe.study.plan import Control, Study
from darkprobe.study.teachers import is_stacked
from darkprobe.zoo import find_architecture


def check_names(study: Study) -> None:
    """Refuses architectures, methods, parameters, edits and control labels that do not exist, with near names."""
    for architecture in (*study.teachers, study.student):
        find_architecture(architecture)
    plans = [(p.method, set().union(*p.grid)) for p in (study.reference, *study.fixes)]
    for method, parameters in [*plans, *((c.method, set(c.parameters)) for c in study.controls)]:
        _check_method(method, parameters)
    labels = [control.label for control in study.controls]
    if len(set(labels)) < len(labels):
        raise InvalidValueError(f"Study: `controls` must have labels of their own, got {labels}. Rename the doubles.")
    parse_policy(study.policy)
    stacked = all(is_stacked(architecture) for architecture in (*study.teachers, study.student))
    alone = not any(is_stacked(architecture) for architecture in (*study.teachers, study.student))
    if study.views and not alone:
        raise InvalidValueError(
            f"Study: `policy` must be clean for networks without batch norm, got {study.policy!r}: they train side by "
            "side on the examples themselves. Leave policy and views out."
        )
    for control in study.controls:
        check_choice("edit", control.edit, ["none", "twin", "recipe", "assistant", *(EDITS if stacked else ())])
        check_choice("control", control.against, labels)
        if control.loss_size is not None and (not alone or not METHODS[control.method].is_cached(control.parameters)):
            raise InvalidValueError(
                f"Study: `loss_size` of {control.label!r} must be None, got {control.loss_size}: only students with "
                "batch norm, which train alone, and losses with a fixed target have a size to set. Leave it out."
            )
        if control.edit == "recipe":
            parse_recipe(control.recipe)
        if control.edit == "assistant":
            smaller = study.teachers[: study.teachers.index(study.control_teacher)]
            check_choice("assistant (edit_parameters.architecture)", _assistant(control), smaller)


def _assistant(control: Control) -> str:
    return str(control.edit_parameters.get("architecture", ""))


def _check_method(method: str, parameters: Collection[str]) -> None:
    record = METHODS[method]
    trains = record.kind in ("teacher", "schedule", "feature") or record.module is not None
    if trains or set(record.needs) - {"head_weight"}:
        raise InvalidValueError(
            f"Study: `method` must act on one teacher's logits and train nothing else, got {method!r}. Run it with "
            "`darkprobe distill`."
        )
    for name in parameters:
        check_choice(f"parameter of {method}", name, [parameter.name for parameter in record.parameters])
