"""Methods that are schedules: who teaches whom and when. Their functions are in `distill.schedules`.

On the command line a schedule is joined to the method by which each network learns, `takd+wttm`; `schedules.stages`
says which networks are then trained, in which order.
"""

from dataclasses import replace

from darkprobe.distill import schedules
from darkprobe.distill.methods.record import Convention, Method, Parameter
from darkprobe.distill.methods.registry import register_method

_SCHEDULE = Method(
    name="-",
    kind="schedule",
    summary="",
    formula="",
    convention=Convention(alpha="that of the method each step uses"),
    source="",
    certainty="secondary",
)

register_method(
    replace(
        _SCHEDULE,
        name="generations",
        summary="Networks of one architecture, each from scratch with the one before as its teacher.",
        formula="M^0: labels (+ tolerant term); M^m: (1 - a) CE + a D(M^(m-1) || q), no temperature",
        parameters=(Parameter(name="count", default=4, low=1, high=1000, meaning="generations, the first included"),),
        schedule=schedules.generations,
        step="kd",
        step_parameters={"temperature": 1.0},
        source="Yang, Xie, Qiao, Yuille (2019), arXiv 1805.05551",
        note="`generations+tolerant+kd` begins with a tolerant teacher; without the tolerant term it is born-again "
        "networks. `ensemble_probs` and `frozen_feature_accuracy` judge ensembles of generations and the transfer of "
        "their features.",
    )
)
register_method(
    replace(
        _SCHEDULE,
        name="takd",
        summary="Teacher assistants: teacher, assistants and student in a chain.",
        formula="each step (1 - a) CE + a T^2 KL",
        convention=Convention(factor="T^2", alpha="(1 - a), a", student_temperature="T"),
        schedule=schedules.assistants,
        step="kd-hinton",
        source="Mirzadeh et al. (2020), official code",
        certainty="code",
        note="The best assistant is nearer the mean accuracy than the mean depth. The code averages the KL over "
        "classes too (effective weight / C).",
    )
)
register_method(
    replace(
        _SCHEDULE,
        name="dgkd",
        summary="Densely guided assistants: each learns from the teacher and from all assistants before it.",
        formula="(1 - a) CE + a (KD from the teacher + sum of KD from each assistant)",
        convention=Convention(factor="T^2", alpha="CE x (n + 1) in the text, x 1 in the code", student_temperature="T"),
        parameters=(Parameter(name="drop", default=1, low=0, high=1000, paper="1", meaning="terms dropped per batch"),),
        schedule=schedules.dense_guidance,
        step="kd-hinton",
        step_parameters={"temperature": 5.0},
        source="Son et al. (2021), official code",
        certainty="code",
        note="T 5 in the code. Dropping is for the last network only.",
    )
)
register_method(
    replace(
        _SCHEDULE,
        name="sckd",
        summary="Student-customised gating: a teacher's term counts where its gradient agrees with the labels'.",
        formula="L_CE + sum_i g_i L_i, g_i = [cos(grad L_i, grad L_CE) > phi]",
        convention=Convention(alpha="gates on the weighted terms"),
        parameters=(Parameter(name="threshold", default=0.0, low=-1.0, high=1.0, paper="0", meaning="phi"),),
        schedule=schedules.gated,
        step="kd-hinton",
        source="Zhu and Wang (2021)",
    )
)
register_method(
    replace(
        _SCHEDULE,
        name="reskd",
        summary="Residual students: small networks added one by one to the student's logits.",
        formula="objective(S_0 + ... + S_k) with S_0 ... S_(k-1) frozen",
        schedule=schedules.residual_students,
        step="kd-hinton",
        source="Li et al. (2021)",
        note="Fixed residual networks; no architecture search and no sample-adaptive depth.",
    )
)
register_method(
    replace(
        _SCHEDULE,
        name="eskd",
        summary="Early-stopped teacher: the same recipe at a share of its epochs.",
        formula="teacher trained for share x epochs; the student as by any method",
        parameters=(Parameter(name="share", default=0.25, low=0.001, high=1.0, meaning="of the teacher's epochs"),),
        schedule=schedules.shortened,
        step="kd-hinton",
        source="Cho and Hariharan (2019)",
        note="The teacher is trained by `darkprobe zoo train --recipe early0.25`; `stop-teacher` is the other measure.",
    )
)
register_method(
    replace(
        _SCHEDULE,
        name="stop-teacher",
        summary="The teacher's term is switched off for the last part of the student's training.",
        formula="the method's loss for the first share of the epochs, then CE alone",
        parameters=(Parameter(name="share", default=0.75, low=0.0, high=1.0, meaning="of the epochs, with a teacher"),),
        schedule=schedules.until,
        step="kd-hinton",
        source="Cho and Hariharan (2019)",
        note="When to switch is a choice of the user's; the default is ours.",
    )
)
