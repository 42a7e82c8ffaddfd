"""Methods on inner features: FitNet, RKD, SP, AT, ITRD, CRD and CRD against several teachers."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from darkprobe.distill import feature_losses
from darkprobe.distill.feature_losses import Bridge, Shape
from darkprobe.distill.methods.record import Convention, Method, Parameter
from darkprobe.distill.methods.registry import register_method

WEIGHTED = "cross-entropy + (a method on logits) + weight x feature term, summed over pairs of layers"


def _fitnet(student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape], labels: Tensor) -> nn.Module:
    shapes = feature_losses.pairs(student_shapes, teacher_shapes)
    return Bridge([feature_losses.Hint(student, teacher) for student, teacher in shapes])


def _rkd(
    student_shapes: Sequence[Shape],
    teacher_shapes: Sequence[Shape],
    labels: Tensor,
    *,
    distance_weight: float,
    angle_weight: float,
) -> nn.Module:
    loss = partial(_pooled_relational, distance_weight=distance_weight, angle_weight=angle_weight)
    return Bridge([loss for _ in feature_losses.pairs(student_shapes, teacher_shapes)])


def _pooled_relational(student: Tensor, teacher: Tensor, *, distance_weight: float, angle_weight: float) -> Tensor:
    return feature_losses.relational(
        feature_losses.pooled(student),
        feature_losses.pooled(teacher),
        distance_weight=distance_weight,
        angle_weight=angle_weight,
    )


def _sp(student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape], labels: Tensor) -> nn.Module:
    return Bridge([feature_losses.similarity for _ in feature_losses.pairs(student_shapes, teacher_shapes)])


def _at(student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape], labels: Tensor, *, power: float) -> nn.Module:
    loss = partial(feature_losses.attention, power=power)
    return Bridge([loss for _ in feature_losses.pairs(student_shapes, teacher_shapes)])


def _itrd(
    student_shapes: Sequence[Shape],
    teacher_shapes: Sequence[Shape],
    labels: Tensor,
    *,
    alpha: float,
    correlation_weight: float,
    mutual_weight: float,
) -> nn.Module:
    return Bridge(
        [
            feature_losses.InformationTheoretic(
                student,
                teacher,
                alpha=alpha,
                correlation_weight=correlation_weight,
                mutual_weight=mutual_weight,
            )
            for student, teacher in feature_losses.pairs(student_shapes, teacher_shapes)
        ]
    )


def _crd(
    student_shapes: Sequence[Shape],
    teacher_shapes: Sequence[Shape],
    labels: Tensor,
    *,
    width: float,
    negatives: float,
    temperature: float,
    momentum: float,
) -> nn.Module:
    return Bridge(
        [
            feature_losses.Contrast(
                student,
                teacher,
                labels=labels,
                width=int(width),
                negatives=int(negatives),
                temperature=temperature,
                momentum=momentum,
                seed=layer,
            )
            for layer, (student, teacher) in enumerate(feature_losses.pairs(student_shapes, teacher_shapes))
        ]
    )


def _crd_multi(
    student_shapes: Sequence[Shape],
    teacher_shapes: Sequence[Shape],
    labels: Tensor,
    *,
    width: float,
    negatives: float,
    temperature: float,
    momentum: float,
) -> nn.Module:
    everywhere = list(student_shapes) * len(teacher_shapes) if len(student_shapes) == 1 else student_shapes
    return _crd(
        everywhere,
        teacher_shapes,
        labels,
        width=width,
        negatives=negatives,
        temperature=temperature,
        momentum=momentum,
    )


def _weight(default: float) -> Parameter:
    return Parameter(
        name="weight", default=default, low=0.0, high=1e7, paper=f"{default:g}", meaning="of the term in the objective"
    )


CRD_PARAMETERS = (
    _weight(0.8),
    Parameter(name="width", default=128, low=1, high=65536, paper="128", meaning="of the embedding"),
    Parameter(name="negatives", default=16384, low=1, high=1e7, paper="16384", meaning="drawn for each example"),
    Parameter(name="temperature", default=0.07, low=1e-3, high=100.0, paper=".07", meaning="of the similarity"),
    Parameter(name="momentum", default=0.5, low=0.0, high=0.9999, paper=".5", meaning="of the memory"),
)

register_method(
    Method(
        name="fitnet",
        kind="feature",
        summary="FitNet: the student's features, through a trained map, equal the teacher's.",
        formula="mean (r(A_S) - A_T)^2",
        convention=Convention(reduction="mean over all elements", alpha=WEIGHTED),
        parameters=(_weight(100.0),),
        feature=_fitnet,
        source="Romero et al. (2015); one stage as in mdistiller",
        certainty="code",
    )
)
register_method(
    Method(
        name="rkd",
        kind="feature",
        summary="Relational KD: the batch's pairwise distances and triplet angles as the teacher has them.",
        formula="w_d huber(d_ij / mean d) + w_a huber(cos angle_ijk), pooled features",
        convention=Convention(reduction="means over pairs and triplets of the batch", alpha=WEIGHTED),
        parameters=(
            _weight(1.0),
            Parameter(name="distance_weight", default=25.0, low=0.0, high=1e6, paper="25", meaning="of distances"),
            Parameter(name="angle_weight", default=50.0, low=0.0, high=1e6, paper="50", meaning="of angles"),
        ),
        feature=_rkd,
        source="Park et al. (2019); numbers as in mdistiller",
        certainty="code",
    )
)
register_method(
    Method(
        name="sp",
        kind="feature",
        summary="Similarity-preserving: the batch's Gram matrix as the teacher has it.",
        formula="||G_T - G_S||_F^2 / b^2, G row-normalised",
        convention=Convention(reduction="mean over pairs of the batch", alpha=WEIGHTED),
        parameters=(_weight(3000.0),),
        feature=_sp,
        source="Tung and Mori (2019); weight as in mdistiller",
        certainty="code",
    )
)
register_method(
    Method(
        name="at",
        kind="feature",
        summary="Attention transfer: where in space the features are large.",
        formula="mean (a_S - a_T)^2, a = normalise(mean over channels of |A|^p)",
        convention=Convention(reduction="mean over examples and places", alpha=WEIGHTED),
        parameters=(
            _weight(1000.0),
            Parameter(name="power", default=2.0, low=0.1, high=10.0, paper="2", meaning="p"),
        ),
        feature=_at,
        source="Zagoruyko and Komodakis (2017); weight as in mdistiller",
        certainty="code",
    )
)
register_method(
    Method(
        name="itrd",
        kind="feature",
        summary="Information-theoretic: correlation with the teacher's features and the information both share.",
        formula="w_c log2 sum_d |c_d - 1|^(2 alpha) + w_m sum (G_S^2 - G_ST^2)",
        convention=Convention(reduction="over the batch", alpha=WEIGHTED),
        parameters=(
            _weight(1.0),
            Parameter(name="alpha", default=1.01, low=0.01, high=10.0, paper="1.01 like, 1.5 unlike architectures"),
            Parameter(name="correlation_weight", default=2.0, low=0.0, high=1e6, paper="2", meaning="w_c"),
            Parameter(name="mutual_weight", default=1.0, low=0.0, high=1e6, paper="1 or 0", meaning="w_m"),
        ),
        feature=_itrd,
        source="Miles et al. (2021), code as in TTM's repository",
        certainty="code",
    )
)
register_method(
    Method(
        name="crd",
        kind="feature",
        summary="Contrastive: an example's embedding told apart from other examples', with a memory bank.",
        formula="-log h+/(h+ + N/M) - sum_neg log (N/M)/(h- + N/M), h = exp(g_T.g_S/tau)/Z, both anchors",
        convention=Convention(reduction="mean over examples, sum over negatives", alpha=WEIGHTED),
        parameters=CRD_PARAMETERS,
        feature=_crd,
        one_label=True,
        source="Tian, Krishnan, Isola (2020), official code",
        certainty="code",
    )
)
register_method(
    Method(
        name="crd-multi",
        kind="feature",
        summary="CRD against several teachers' features at once; one layer of the student serves all.",
        formula="sum over teachers of CRD",
        convention=Convention(reduction="mean over examples, sum over negatives and teachers", alpha=WEIGHTED),
        parameters=CRD_PARAMETERS,
        feature=_crd_multi,
        one_label=True,
        source="our own form of multi-teacher contrast; CRD as above",
        certainty="design",
        note="Pass one teacher shape, and one teacher feature, a teacher; repeat the student's feature for each.",
    )
)
