"""Methods whose teacher term is a divergence from a softened teacher: plain, KD, TTM, WTTM, ATS and ISATS."""

from torch import Tensor

from darkprobe import targets
from darkprobe.distill import losses
from darkprobe.distill.methods.record import Convention, Method, Parameter
from darkprobe.distill.methods.registry import register_method
from darkprobe.targets import Target
from darkprobe.types import Labels, Logits

TEMPERATURE = Parameter(
    name="temperature", default=4.0, low=0.01, high=1000.0, paper="4 (common); 1-20 swept", meaning="of the teacher"
)
GAMMA = Parameter(
    name="gamma",
    default=0.25,
    low=0.001,
    high=10.0,
    paper="TTM .1-.4, WTTM .1-.4 (CIFAR-100 pairs), WTTM .7-.8 (ImageNet)",
    meaning="power on the teacher's probabilities; 1/gamma is its temperature",
)
TARGET_TEMPERATURE = Parameter(
    name="target_temperature", default=4.0, low=0.01, high=1000.0, paper="1-6 in a grid; demo 4", meaning="of the label"
)
WRONG_TEMPERATURE = Parameter(
    name="wrong_temperature", default=2.0, low=0.01, high=1000.0, paper="1-5 in a grid; demo 2", meaning="of the rest"
)
CENTER = Parameter(
    name="center", default="none", choices=("none", "mean"), paper="none", meaning="take the class mean off first"
)
MIXED = "(1 - a) x cross-entropy + a x teacher term, a = teacher_weight"
ADDED = "cross-entropy + beta x teacher term, beta = teacher_weight"
ISATS_SOURCE = "Fan, Li, Zhan (2026), arXiv 2405.13078, and a press text on it"


def _tempered(logits: Logits, labels: Labels, *, temperature: float) -> Target:
    return targets.temperature_scaling(logits, temperature=temperature)


def _powered(logits: Logits, labels: Labels, *, gamma: float) -> Target:
    return targets.power_transform(logits, gamma=gamma)


def _weighted(logits: Logits, labels: Labels, *, gamma: float) -> Target:
    return targets.power_transform(logits, gamma=gamma)._replace(weights=targets.power_sum(logits, gamma=gamma))


def _hinton(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    return losses.kd(student_logits, teacher_logits, labels, temperature=temperature, student_temperature=temperature)


NONE = register_method(
    Method(
        name="none",
        kind="loss",
        summary="Cross-entropy with the labels; no teacher.",
        formula="0",
        convention=Convention(alpha="cross-entropy alone"),
        teacher_weight=0.0,
        teacherless=True,
        source="the baseline of every comparison",
        certainty="design",
    )
)

LABEL_SMOOTHING = register_method(
    Method(
        name="ls",
        kind="target",
        summary="Label smoothing: the one-hot label mixed with the uniform distribution; the teacher is not used.",
        formula="H(r, q), r = (1 - s) onehot(y) + s / C",
        convention=Convention(alpha="the smoothed labels replace the labels"),
        parameters=(
            Parameter(name="smoothing", default=0.1, low=0.0, high=1.0, paper=".1", meaning="share spread evenly"),
            Parameter(name="spread", default="all", choices=("all", "wrong"), paper="all (text), wrong (Tf-KD's code)"),
        ),
        ce_weight=0.0,
        target=targets.label_smoothing,
        one_label=True,
        teacherless=True,
        source="Szegedy et al. (2016); the two forms as in Zheng and Yang (2024) and Yuan et al. (2020)",
        certainty="code",
    )
)

KD = register_method(
    Method(
        name="kd",
        kind="target",
        summary="Knowledge distillation from the tempered teacher; the student stays at temperature 1 unless told.",
        formula="S^2 D(softmax(f/T) || softmax(z/S)), S = student_temperature",
        convention=Convention(factor="S^2 (1 at the default S)", alpha=MIXED, student_temperature="S, 1 by default"),
        parameters=(
            TEMPERATURE,
            Parameter(
                name="student_temperature",
                default=1.0,
                low=0.01,
                high=1000.0,
                paper="1 (ATS code); T (Hinton)",
                meaning="by which the student's logits are divided",
            ),
        ),
        ce_weight=0.1,
        teacher_weight=0.9,
        target=_tempered,
        loss=losses.kd,
        single_temperature="temperature",
        source="Hinton, Vinyals, Dean (2015), arXiv 1503.02531; S = 1 in ATS's code",
        certainty="code",
        note="At S = 1 it is TTM up to the weight. `kd-hinton` ties S to T.",
    )
)

KD_HINTON = register_method(
    Method(
        name="kd-hinton",
        kind="loss",
        summary="Knowledge distillation with one temperature on teacher and student, times its square.",
        formula="T^2 D(softmax(f/T) || softmax(z/T))",
        convention=Convention(factor="T^2", alpha=MIXED, student_temperature="T"),
        parameters=(TEMPERATURE,),
        ce_weight=0.1,
        teacher_weight=0.9,
        loss=_hinton,
        single_temperature="temperature",
        source="Hinton, Vinyals, Dean (2015), arXiv 1503.02531; a = .9, T = 4 in RepDistiller",
        certainty="code",
    )
)

ATS = register_method(
    Method(
        name="ats",
        kind="target",
        summary="Asymmetric temperature scaling: a higher temperature for the label than for the wrong classes.",
        formula="H(p, q), p = softmax(f_c / tau_c), tau_c = tau1 at the label, tau2 elsewhere",
        convention=Convention(factor="S^2 = 1 (student temperature 1)", alpha=MIXED),
        parameters=(TARGET_TEMPERATURE, WRONG_TEMPERATURE, CENTER),
        ce_weight=0.5,
        teacher_weight=0.5,
        target=targets.ats,
        shift_sensitive=True,
        one_label=True,
        source="Li, Fan et al. (2022), official code",
        certainty="code",
        note="A constant added to an example's logits changes the target unless center=mean.",
    )
)

ISATS = register_method(
    Method(
        name="isats",
        kind="target",
        summary="ATS with each example's own wrong-class temperature, the label's probability kept up.",
        formula="ATS with tau2(x) = argmax over a grid of std_W(p) subject to p_y >= rho p_y(TS at tau1)",
        convention=Convention(factor="S^2 = 1 (student temperature 1)", alpha=MIXED),
        parameters=(
            TARGET_TEMPERATURE,
            Parameter(name="retain", default=0.9, low=0.0, high=1.0, meaning="rho; choose on validation data"),
            CENTER,
        ),
        ce_weight=0.5,
        teacher_weight=0.5,
        target=targets.isats,
        shift_sensitive=True,
        one_label=True,
        source=ISATS_SOURCE,
        certainty="design",
        note="The constraint is our choice: the announced rule has no inner optimum (see isats-literal).",
    )
)

ISATS_MATCHED = register_method(
    Method(
        name="isats-matched",
        kind="target",
        summary="The label's probability of temperature scaling; wrong classes brought to one entropy per example.",
        formula="p_y = TS at T; pt = softmax(f_W / tau2(x)) with H(pt) = the given percentile of H(pt) at T",
        convention=Convention(alpha=MIXED),
        parameters=(
            TEMPERATURE,
            Parameter(name="percentile", default=25.0, low=0.0, high=100.0, meaning="of this teacher's own H(pt)"),
        ),
        ce_weight=0.5,
        teacher_weight=0.5,
        target=targets.isats_matched,
        one_label=True,
        source=ISATS_SOURCE,
        certainty="design",
        note="Unchanged by a constant added to an example's logits. The percentile is over the examples passed.",
    )
)

ISATS_LITERAL = register_method(
    Method(
        name="isats-literal",
        kind="target",
        summary="The announced rule for per-example wrong-class temperatures, unconstrained; for the record.",
        formula="ATS with tau2(x) = argmax over a grid of std_W(p)",
        convention=Convention(factor="S^2 = 1 (student temperature 1)", alpha=MIXED),
        parameters=(TARGET_TEMPERATURE, CENTER),
        ce_weight=0.5,
        teacher_weight=0.5,
        target=targets.isats_literal,
        shift_sensitive=True,
        one_label=True,
        source=ISATS_SOURCE,
        certainty="secondary",
        note="Degenerate: most choices end at the grid's lower end and labels flip.",
    )
)

TTM = register_method(
    Method(
        name="ttm",
        kind="target",
        summary="Transformed teacher matching: power-transformed teacher, student at temperature 1.",
        formula="D(p^ || q), p^_c = p_c^g / sum_j p_j^g",
        convention=Convention(alpha=ADDED),
        parameters=(GAMMA,),
        teacher_weight=36.0,
        target=_powered,
        loss=losses.ttm,
        single_temperature="gamma",
        source="Zheng and Yang (2024), arXiv 2402.11148",
        certainty="text",
        note="beta = a T / (1 - a) makes it KD at (a, T) minus a Renyi entropy of the student: a .9, T 4 -> 36.",
    )
)

WTTM = register_method(
    Method(
        name="wttm",
        kind="target",
        summary="TTM with each example weighted by how spread out its teacher is.",
        formula="U_g(p) D(p^ || q), U_g(p) = sum_c p_c^g on the unscaled teacher",
        convention=Convention(reduction="weighted sum over examples / their number, sum over classes", alpha=ADDED),
        parameters=(GAMMA,),
        teacher_weight=3.0,
        target=_weighted,
        loss=losses.wttm,
        source="Zheng and Yang (2024), arXiv 2402.11148",
        certainty="text",
        note="Paper's (gamma, beta): (.1, 3) for resnet32x4 -> resnet8x4, (.3, 1.5) for resnet56 -> resnet20.",
    )
)
