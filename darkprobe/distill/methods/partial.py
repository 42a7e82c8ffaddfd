"""Methods whose target keeps part of the teacher, reshapes it, fuses teachers, or is made without one."""

from dataclasses import replace

from darkprobe import targets
from darkprobe.distill.methods.record import Convention, Method, Parameter
from darkprobe.distill.methods.registry import register_method
from darkprobe.distill.methods.temperature import KD, MIXED, TEMPERATURE
from darkprobe.targets import Target
from darkprobe.types import Labels, Logits

TANG = "Tang et al. (2020), arXiv 2002.03532"


def _topk(logits: Logits, labels: Labels, *, temperature: float, k: float) -> Target:
    return targets.kd_topk(logits, temperature=temperature, k=int(min(k, logits.shape[-1])))


def _standardised(logits: Logits, labels: Labels, *, temperature: float) -> Target:
    return targets.standardised(logits, temperature=temperature)


def _instance(logits: Logits, labels: Labels) -> Target:
    return targets.instance_temperature(logits, labels)


def _fused_probs(logits: Logits, labels: Labels, *, temperature: float, others: Logits) -> Target:
    return targets.fused(logits, others=others, temperature=temperature, space="probs")


def _fused_logits(logits: Logits, labels: Labels, *, temperature: float, others: Logits) -> Target:
    return targets.fused(logits, others=others, temperature=temperature, space="logits")


def _fused_entropy(logits: Logits, labels: Labels, *, temperature: float, others: Logits) -> Target:
    return targets.fused(logits, others=others, temperature=temperature, weighting="entropy")


def _designed(logits: Logits, labels: Labels, *, correct: float, temperature: float) -> Target:
    made = targets.label_smoothing(logits, labels, smoothing=1 - correct, spread="wrong")
    return targets.temperature_scaling(made.probs, temperature=temperature)  # probabilities / T, as the authors do


_OURS = Method(
    name="-",
    kind="target",
    summary="",
    formula="",
    convention=Convention(alpha=MIXED),
    parameters=(TEMPERATURE,),
    ce_weight=KD.ce_weight,
    teacher_weight=KD.teacher_weight,
    source="our own, under the heading 'enlarge distinctness' of Fan, Li, Zhan (2026)",
    certainty="design",
)
"""What the records below share: weights of KD, student at temperature 1."""

_TANG = replace(_OURS, source=TANG, certainty="recall")

register_method(
    replace(
        _TANG,
        name="kd-pt",
        summary="The teacher's confidence alone: p_y kept, the rest spread evenly; no class relations.",
        formula="H(r, q), r_y = p_y at T, r_c = (1 - p_y) / (C - 1)",
        target=targets.kd_pt,
        one_label=True,
        single_temperature="temperature",
        note="Rescales each example's gradient exactly as KD does: the control for distinctness.",
    )
)
register_method(
    replace(
        _TANG,
        name="kd-sim",
        summary="Class relations alone: one target a class, from the cosines of the teacher's class weight vectors.",
        formula="H(r, q), r = softmax(cos(w_y, w_c) / tau_s)",
        parameters=(Parameter(name="sharpness", default=0.3, low=0.001, high=100.0, meaning="tau_s"),),
        target=targets.kd_sim,
        needs=("head_weight",),
        certainty="recall-low",
        one_label=True,
    )
)
register_method(
    replace(
        _TANG,
        name="kd-topk",
        summary="The k largest teacher probabilities, the remaining mass spread evenly.",
        formula="H(r, q), r = p at T on its k largest classes, even elsewhere; k = C is KD",
        parameters=(TEMPERATURE, Parameter(name="k", default=5, low=1, high=1e6, meaning="classes kept, at most C")),
        target=_topk,
        single_temperature="temperature",
    )
)
register_method(
    replace(
        _OURS,
        name="instance-ts",
        summary="One temperature an example, the one with the largest standard deviation over wrong classes.",
        formula="H(p, q), p = softmax(f / tau(x)), tau(x) = argmax over a grid of std_W(p)",
        parameters=(),
        target=_instance,
        one_label=True,
        note="The control for isats: with tied temperatures the optimum is inside the grid.",
    )
)
register_method(
    replace(
        _OURS,
        name="standardised-teacher",
        summary="The teacher's logits brought to mean 0, std 1 per example before tempering; the student's left alone.",
        formula="H(p, q), p = softmax(Z(f) / T), Z(f) = (f - mean) / (std + 1e-7), ddof 1",
        parameters=(replace(TEMPERATURE, default=1.0, paper="2 in the two-sided form"),),
        target=_standardised,
        source="one side of logit standardisation, Sun et al. (2024)",
    )
)
register_method(
    replace(
        _OURS,
        name="discrepancy",
        summary="Wrong classes set further apart at fixed p_y, by a power of their distribution.",
        formula="H(r, q), r_y = p_y at T, r_W = (1 - p_y) pt^a / sum pt^a",
        parameters=(
            TEMPERATURE,
            Parameter(name="power", default=2.0, low=0.0, high=100.0, meaning="a"),
        ),
        target=targets.discrepancy,
        one_label=True,
    )
)
register_method(
    replace(
        _OURS,
        name="class-affinity",
        summary="Each example's wrong-class distribution mixed with the mean over its class, p_y fixed.",
        formula="H(r, q), r_W = (1 - p_y) ((1 - m) pt + m M[y])",
        parameters=(
            TEMPERATURE,
            Parameter(name="mix", default=0.5, low=0.0, high=1.0, meaning="of the class mean"),
        ),
        target=targets.class_affinity,
        one_label=True,
        note="M is the mean over the examples passed: pass the whole training split.",
    )
)
register_method(
    replace(
        _OURS,
        name="fused-probs",
        summary="Several teachers: the mean of their tempered probabilities.",
        formula="H(p, q), p = mean_k softmax(f_k / T)",
        target=_fused_probs,
        needs=("others",),
    )
)
register_method(
    replace(
        _OURS,
        name="fused-logits",
        summary="Several teachers: the mean of their logits, tempered.",
        formula="H(p, q), p = softmax(mean_k f_k / T)",
        target=_fused_logits,
        needs=("others",),
        note="A geometric mean of probabilities: it forgives less where one teacher is sure.",
    )
)
register_method(
    replace(
        _OURS,
        name="fused-entropy",
        summary="Several teachers: the surer one counts for more, example by example.",
        formula="H(p, q), p = sum_k w_k softmax(f_k / T), w_k proportional to exp(-H_k)",
        target=_fused_entropy,
        needs=("others",),
    )
)
register_method(
    replace(
        _OURS,
        name="tf-kd-reg",
        summary="Teacher-free KD by regularisation: a designed teacher with .99 on the label, softened.",
        formula="H(r, q), r = softmax(d / T), d = correct on y, (1 - correct) / (C - 1) elsewhere",
        parameters=(
            Parameter(name="correct", default=0.99, low=0.01, high=1.0, paper=".99", meaning="d at the label"),
            replace(TEMPERATURE, default=20.0, paper="20"),
        ),
        ce_weight=0.9,
        teacher_weight=0.1,
        target=_designed,
        one_label=True,
        teacherless=True,
        source="Yuan et al. (2020), Revisiting KD via label smoothing, official code",
        certainty="code",
        note="The softmax is of probabilities over T, so the target is almost even (.0105 on y for C = 100). The code "
        "averages over classes and multiplies by 100; at C = 100 that is this form.",
    )
)
