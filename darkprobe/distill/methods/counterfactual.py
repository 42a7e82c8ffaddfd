"""Counterfactual teachers as methods: KD from a teacher in which one property was changed and the rest held."""

from dataclasses import replace

from darkprobe import targets
from darkprobe.distill.methods.record import Convention, Method, Parameter
from darkprobe.distill.methods.registry import register_method
from darkprobe.distill.methods.temperature import KD, MIXED, TEMPERATURE
from darkprobe.targets import Target
from darkprobe.types import Labels, Logits


def _permuted(logits: Logits, labels: Labels, *, temperature: float, seed: float) -> Target:
    changed = targets.permute_wrong(logits, labels, seed=int(seed))
    return targets.temperature_scaling(changed, temperature=temperature)


def _scaled(logits: Logits, labels: Labels, *, temperature: float, factor: float) -> Target:
    changed = targets.scale_wrong(logits, labels, factor=factor, temperature=temperature)
    return targets.temperature_scaling(changed, temperature=temperature)


def _swapped(logits: Logits, labels: Labels, *, temperature: float, other: Logits) -> Target:
    changed = targets.swap_wrong(logits, labels, other=other, temperature=temperature)
    return targets.temperature_scaling(changed, temperature=temperature)


def _matched(logits: Logits, labels: Labels, *, temperature: float, std: float) -> Target:
    changed, _ = targets.match_std(logits, labels, std=std, temperature=temperature)
    return targets.temperature_scaling(changed, temperature=temperature)


def _raised(logits: Logits, labels: Labels, *, temperature: float, amount: float) -> Target:
    changed = targets.raise_label(logits, labels, amount=amount)
    return targets.temperature_scaling(changed, temperature=temperature)


def _factor(default: float) -> Parameter:
    return Parameter(name="factor", default=default, low=0.0, high=1000.0, meaning="of the wrong classes' logits")


_OURS = Method(
    name="-",
    kind="target",
    summary="",
    formula="",
    convention=Convention(alpha=MIXED),
    ce_weight=KD.ce_weight,
    teacher_weight=KD.teacher_weight,
    source="our own",
    certainty="design",
    note="A control, not a fix.",
)

register_method(
    replace(
        _OURS,
        name="cf-permute",
        summary="Counterfactual: wrong classes permuted within each example; spread and p_y kept, affinity gone.",
        formula="KD at T from f with f_W permuted",
        parameters=(TEMPERATURE, Parameter(name="seed", default=0, low=0, high=2**31, meaning="of the permutation")),
        target=_permuted,
        one_label=True,
        note="A control, not a fix. The permutation belongs to the row: permute the whole split at once.",
    )
)
register_method(
    replace(
        _OURS,
        name="cf-flatten",
        summary="Counterfactual: wrong classes brought closer together at fixed p_y(T).",
        formula="KD at T from f_W * factor + b, b such that p_y(T) stays",
        parameters=(TEMPERATURE, _factor(0.25)),
        target=_scaled,
        one_label=True,
    )
)
register_method(
    replace(
        _OURS,
        name="cf-sharpen",
        summary="Counterfactual: wrong classes set further apart at fixed p_y(T).",
        formula="KD at T from f_W * factor + b, b such that p_y(T) stays",
        parameters=(TEMPERATURE, _factor(2.0)),
        target=_scaled,
        one_label=True,
    )
)
register_method(
    replace(
        _OURS,
        name="cf-swap",
        summary="Counterfactual: this teacher's p_y(T) with another teacher's wrong-class distribution.",
        formula="KD at T from (p_y of this teacher, pt of the other)",
        parameters=(TEMPERATURE,),
        target=_swapped,
        needs=("other",),
        one_label=True,
    )
)
register_method(
    replace(
        _OURS,
        name="cf-match-std",
        summary="Counterfactual: the mean distinctness of a teacher brought to a given value at fixed p_y(T).",
        formula="KD at T from f_W * g + b, g such that the mean std over wrong classes at T is std",
        parameters=(TEMPERATURE, Parameter(name="std", default=0.02, low=1e-6, high=0.5, meaning="mean distinctness")),
        target=_matched,
        one_label=True,
        note="A control, not a fix. Refused where this p_y does not allow that std.",
    )
)
register_method(
    replace(
        _OURS,
        name="cf-confident",
        summary="Counterfactual: a constant added to the label's logit, wrong classes untouched.",
        formula="KD at T from f with f_y + amount",
        parameters=(TEMPERATURE, Parameter(name="amount", default=4.0, low=-1000.0, high=1000.0, meaning="added")),
        target=_raised,
        one_label=True,
    )
)
