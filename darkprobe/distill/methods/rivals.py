"""Methods whose teacher term needs the student's logits: DKD, NKD, DIST, WSLD, rankings, PTLoss, CTKD and others."""

from dataclasses import replace

from torch import Tensor

from darkprobe.distill import losses
from darkprobe.distill.methods.record import Convention, Method, Parameter
from darkprobe.distill.methods.registry import register_method
from darkprobe.distill.methods.temperature import ADDED, KD_HINTON, MIXED, TEMPERATURE

TWO_SIDED = Convention(factor="T^2", alpha=ADDED, student_temperature="T")
ORDER = 5


def _perturbed(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    eps1: float,
    eps2: float,
    eps3: float,
    eps4: float,
    eps5: float,
) -> Tensor:
    coefficients = (eps1, eps2, eps3, eps4, eps5)
    return losses.perturbed(student_logits, teacher_logits, labels, temperature=temperature, coefficients=coefficients)


register_method(
    Method(
        name="dkd",
        kind="loss",
        summary="Decoupled KD: label-against-rest and wrong-class parts weighted apart.",
        formula="T^2 (alpha TCKD + beta NCKD); KD is alpha = 1, beta = 1 - p_y",
        convention=TWO_SIDED,
        parameters=(
            TEMPERATURE,
            Parameter(name="alpha", default=1.0, low=0.0, high=1e4, paper="1", meaning="label against rest"),
            Parameter(name="beta", default=8.0, low=0.0, high=1e4, paper="8; 2 or 6 for some pairs", meaning="wrong"),
            Parameter(
                name="warmup_epochs",
                default=20,
                low=0,
                high=1e6,
                paper="20 of 240",
                meaning="epochs over which the term grows linearly to its weight; 0 for none",
            ),
        ),
        loss=losses.dkd,
        one_label=True,
        source="Zhao et al. (2022), official code",
        certainty="code",
        ramp="warmup_epochs",
        note="In epoch e, counted from 1, the term counts min(e / warmup_epochs, 1); the labels always count in full. "
        "Give fewer epochs of warm-up to a run much shorter than 240. The loss alone (losses.dkd) has none: "
        "multiply it by Method.growth(epoch) in a loop of your own.",
    )
)
register_method(
    Method(
        name="nkd",
        kind="loss",
        summary="Normalised KD: soft label on the label's class, wrong classes renormalised.",
        formula="-p_y log q_y - gamma T^2 sum_W pt_c log qt_c; p_y, q_y at temperature 1, pt, qt at T",
        convention=replace(TWO_SIDED, factor="T^2 on the wrong-class part", student_temperature="1 and T"),
        parameters=(
            replace(TEMPERATURE, default=1.0, paper="1 (ImageNet), 3 (CIFAR-100)"),
            Parameter(name="gamma", default=1.5, low=0.0, high=1e4, paper="1.5; 3.5 on CIFAR-100", meaning="wrong"),
        ),
        loss=losses.nkd,
        one_label=True,
        source="Yang et al. (2023), official code",
        certainty="code",
    )
)
register_method(
    Method(
        name="dist",
        kind="loss",
        summary="DIST: correlation with the teacher's probabilities, within examples and within classes.",
        formula="T^2 (beta (1 - mean_i rho(q_i, p_i)) + gamma (1 - mean_c rho(q_:c, p_:c)))",
        convention=replace(TWO_SIDED, reduction="means of correlations; the second over the batch"),
        parameters=(
            replace(TEMPERATURE, default=1.0, paper="1; 4 in TTM's code"),
            Parameter(name="beta", default=1.0, low=0.0, high=1e4, paper="1", meaning="between classes"),
            Parameter(name="gamma", default=1.0, low=0.0, high=1e4, paper="1", meaning="within classes"),
        ),
        loss=losses.dist,
        source="Huang et al. (2022), code; T^2 as in the code of Zheng and Yang (2024)",
        certainty="code",
        note="Couples the examples of a batch: its value depends on the batch size.",
    )
)
register_method(
    Method(
        name="wsld",
        kind="loss",
        summary="Weighted soft labels: more weight where the student is worse than the teacher.",
        formula="T^2 w H(p_T, q_T), w = 1 - exp(-CE_S(y) / CE_T(y)), no gradient through w",
        convention=TWO_SIDED,
        parameters=(replace(TEMPERATURE, paper="4 (CIFAR), 2 (ImageNet)"),),
        teacher_weight=2.25,
        loss=losses.wsld,
        no_gradcheck="the weight depends on the student and is cut from the gradient",
        one_label=True,
        source="Zhou et al. (2021), official code",
        certainty="code",
        note="Weight 2.25 on CIFAR, 2.5 on ImageNet.",
    )
)
register_method(
    Method(
        name="kd-standardised",
        kind="loss",
        summary="KD between logits standardised per example on both sides.",
        formula="T^2 D(softmax(Z(f)/T) || softmax(Z(z)/T)), Z = (f - mean) / (std + 1e-7), ddof 1",
        convention=TWO_SIDED,
        parameters=(replace(TEMPERATURE, default=2.0, paper="2"),),
        ce_weight=0.1,
        teacher_weight=9.0,
        loss=losses.kd_standardised,
        source="Sun et al. (2024), official code",
        certainty="code",
    )
)
register_method(
    Method(
        name="ranking",
        kind="loss",
        summary="A smooth Kendall tau between teacher and student over pairs of classes; blind to calibration.",
        formula="mean over pairs of -tanh((f_i - f_j)/s_t) tanh((z_i - z_j)/s_s)",
        convention=Convention(reduction="mean over examples and over pairs of classes", alpha=ADDED),
        parameters=(
            Parameter(name="teacher_scale", default=1.0, low=1e-6, high=1e4, meaning="s_t"),
            Parameter(name="student_scale", default=1.0, low=1e-6, high=1e4, meaning="s_s"),
        ),
        loss=losses.ranking,
        source="our own form; the idea of a calibration-insensitive loss: Fan et al. (2024), ICML",
        certainty="design",
    )
)
register_method(
    Method(
        name="list-mle",
        kind="loss",
        summary="The likelihood of the teacher's order of classes under the student (Plackett-Luce).",
        formula="-sum_k [z_(k) - log sum_{j >= k} exp z_(j)], (k) the teacher's k-th class",
        convention=Convention(reduction="mean over examples, sum over ranks", alpha=ADDED),
        teacher_weight=0.1,
        loss=losses.list_mle,
        source="Xia et al. (2008); its use here is our own",
        certainty="design",
    )
)
register_method(
    Method(
        name="ptloss",
        kind="loss",
        summary="Perturbed KL: the leading terms of its series changed, so that a proxy teacher is matched.",
        formula="D(p || q) + sum_c p_c sum_m eps_m (1 - q_c)^m, p at T",
        convention=Convention(alpha=MIXED),
        parameters=(
            replace(TEMPERATURE, default=1.0, paper=""),
            *(
                Parameter(name=f"eps{m}", default=0.0, low=-100.0, high=100.0, meaning=f"on (1 - q)^{m}")
                for m in range(1, ORDER + 1)
            ),
        ),
        ce_weight=0.1,
        teacher_weight=0.9,
        loss=_perturbed,
        source="Zhang et al. (2023), Knowledge distillation with perturbed loss",
        certainty="recall",
        note="Choose eps with losses.search_coefficients on validation data; all 0 is KD.",
    )
)
register_method(
    Method(
        name="ctkd",
        kind="loss",
        summary="Curriculum temperature: one temperature learned against the student, gradient reversed.",
        formula="T^2 D(softmax(f/T) || softmax(z/T)), T = lowest + span sigmoid(theta)",
        convention=replace(TWO_SIDED, alpha=MIXED, student_temperature="T, learned"),
        parameters=(
            Parameter(name="lowest", default=1.0, low=0.01, high=100.0, paper="1", meaning="smallest temperature"),
            Parameter(name="span", default=20.0, low=0.01, high=1000.0, paper="20", meaning="largest minus smallest"),
            Parameter(name="warmup_epochs", default=10.0, low=0.01, high=1e4, paper="10", meaning="of the reversal"),
        ),
        ce_weight=0.1,
        teacher_weight=0.9,
        module=losses.LearnedTemperature,
        no_gradcheck="the gradient of theta is reversed on purpose; the student's is KD's",
        source="Li et al. (2023), official code (global temperature)",
        certainty="code",
    )
)
register_method(
    replace(
        KD_HINTON,
        name="tf-kd-self",
        summary="Teacher-free KD from an earlier copy of the same network: Hinton's form, teacher = same architecture.",
        source="Yuan et al. (2020), Revisiting KD via label smoothing, official code",
        note="The code averages over classes and multiplies by T^2 times 1, 10 or 50; here it is the sum.",
    )
)
