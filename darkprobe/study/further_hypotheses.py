"""H5 to H9 as estimates over replicates; each is tested where the study has the students it needs."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

from darkprobe.study.hypotheses import Finding, Row, own_row
from darkprobe.study.statistics import Estimate, mean_estimate, replicates_for

Values = npt.NDArray[np.float64]

CHAINS = {
    "H5": (
        "Class relations and instance confidence each add to what a student learns.",
        (("kd", "kd-pt"), ("kd-pt", "ls"), ("kd-sim", "ls")),
    ),
    "H6": ("Matching the transformed teacher beats KD, and weighting it by example beats that.",
           (("ttm", "kd"), ("wttm", "ttm"))),
}  # fmt: skip
"""Claims that one method beats another along a chain: (claim, (better, worse) ...). "kd" is the plan's reference."""


def chain(
    key: str,
    *,
    accuracy: dict[str, Values],
    largest: str,
    delta: float,
    reference: str = "kd",
    entropy: Mapping[str, Values] | None = None,
) -> Finding | None:
    """H5 or H6 from student test accuracies (replicate,) by method, each tuned, from the largest teacher.

    The claim holds when every link holds, so the weakest one is tested (intersection-union).

    Args:
        key: "H5" or "H6".
        accuracy: by method.
        largest: name of the teacher.
        delta: smallest difference of interest.
        reference: the form of KD that stands for it; "kd-hinton" divides the student's logits by T as well.
        entropy: students' mean entropy on the test split, nats (replicate,), by method; shown for H6.

    Returns:
        None where the study has not both methods of at least two links.
    """
    claim, named = CHAINS[key]
    links = [(reference if a == "kd" else a, reference if b == "kd" else b) for a, b in named]
    found = {(a, b): accuracy[a] - accuracy[b] for a, b in links if a in accuracy and b in accuracy}
    if len(found) < 2:
        return None
    estimates = {link: mean_estimate(values) for link, values in found.items()}
    weakest = min(estimates, key=lambda link: _t_value(estimates[link]))
    better, worse = weakest
    rows, reading = _entropies(key, entropy, found)
    return Finding(
        key=key,
        claim=claim,
        quantity=f"student test accuracy with {better} minus with {worse}, both tuned, from {largest} (weakest link)",
        unit="accuracy",
        estimate=estimates[weakest],
        direction=1,
        refuted_beyond=delta,
        test="intersection-union over links, paired t over replicates",
        more_seeds=replicates_for(found[weakest], half_width=delta),
        reading=reading,
        detail=[*(own_row(f"{a} - {b}", estimate, "accuracy") for (a, b), estimate in estimates.items()), *rows],
    )


def _entropies(
    key: str, entropy: Mapping[str, Values] | None, links: Iterable[tuple[str, str]]
) -> tuple[list[Row], str]:
    """H6's second half: whether students are less sure under the method that matches the transformed teacher."""
    if key != "H6" or entropy is None or any(np.isnan(values).any() for values in entropy.values()):
        return [], ""
    found = {(a, b): mean_estimate(entropy[a] - entropy[b]) for a, b in links}
    rows = [own_row(f"student entropy, {a} - {b}", estimate, "nats") for (a, b), estimate in found.items()]
    said = [f"{a} {'raises' if e.effect > 0 else 'lowers'} it by {abs(e.effect):.3f} nats against {b}"
            for (a, b), e in found.items()]  # fmt: skip
    return rows, f"Student entropy on test images: {'; '.join(said)}."


def tolerance_helps(
    *, strict: tuple[Values, Values], tolerant: tuple[Values, Values], recipe: str, architecture: str, delta: float
) -> Finding:
    """H7 from (teacher test accuracy, student test accuracy), (replicate,) each, of strict and tolerant teachers.

    Both halves must hold, so the weaker one is tested (intersection-union). This is the first generation.
    """
    halves = {
        f"teacher: strict - {recipe}": strict[0] - tolerant[0],
        f"student: of {recipe} - of strict": tolerant[1] - strict[1],
    }
    estimates = {what: mean_estimate(values) for what, values in halves.items()}
    weaker = min(estimates, key=lambda what: _t_value(estimates[what]))
    return Finding(
        key="H7",
        claim="The strict teacher is more accurate, and the tolerant teacher's student is better.",
        quantity=f"test accuracy, {weaker} ({architecture}; the weaker half)",
        unit="accuracy",
        estimate=estimates[weaker],
        direction=1,
        refuted_beyond=delta,
        test="intersection-union over both halves, paired t over replicates",
        more_seeds=replicates_for(halves[weaker], half_width=delta),
        detail=[own_row(what, estimate, "accuracy") for what, estimate in estimates.items()],
    )


def _t_value(estimate: Estimate) -> float:
    return estimate.effect / max(estimate.error, 1e-12)


def calibration_tells(ece: Values, accuracy: Values, *, pairs: list[tuple[str, float]]) -> Finding | None:
    """H8 from the calibration error of soft labels on held-out examples and the test accuracy of their students.

    The pairs differ in teacher and in temperature, and temperature moves both quantities, so that details hold the
    same correlation across teachers at one temperature and across temperatures of one teacher, where there are three.

    Args:
        ece: (replicate, pair), of the teacher at the temperature, in [0, 1].
        accuracy: (replicate, pair), of the student.
        pairs: (teacher, temperature).

    Returns:
        None with fewer than four pairs.
    """
    if len(pairs) < 4:
        return None
    parts = {
        f"across teachers, all at T = {t:g}": [p[1] == t for p in pairs] for t in dict.fromkeys(t for _, t in pairs)
    }
    parts |= {
        f"across temperatures, of {teacher}": [p[0] == teacher for p in pairs]
        for teacher in dict.fromkeys(teacher for teacher, _ in pairs)
    }
    detail = [own_row(f"ECE of {teacher} at T = {t:g}", mean_estimate(ece[:, i]), "ECE")
              for i, (teacher, t) in enumerate(pairs)]  # fmt: skip
    detail += [
        own_row(what, mean_estimate(_rank_correlation(ece[:, part], accuracy[:, part])), "correlation")
        for what, part in parts.items()
        if sum(part) >= 3
    ]
    return Finding(
        key="H8",
        claim="The better calibrated soft labels are, the better their students.",
        quantity="Spearman correlation of soft-label ECE with student test accuracy "
        f"over {len(pairs)} pairs of teacher and temperature, within a replicate",
        unit="correlation",
        estimate=mean_estimate(_rank_correlation(ece, accuracy)),
        direction=-1,
        test="t over per-replicate correlations",
        detail=detail,
    )


def _rank_correlation(a: Values, b: Values) -> Values:
    """Spearman's within each row, (replicate, ...) to (replicate,); 0 where one of the two is constant."""
    ranks = [np.apply_along_axis(stats.rankdata, 1, values) for values in (a, b)]
    centred = [r - r.mean(1, keepdims=True) for r in ranks]
    scale = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    found: Values = (centred[0] * centred[1]).sum(1) / np.where(scale > 0, scale, np.inf)
    return found


def dose_response(dose: Values, accuracy: Values, *, doses: list[str], delta: float) -> Finding | None:
    """H9 from counterfactual teachers that differ in distinctness at the same confidence.

    Args:
        dose: (replicate, dose), mean distinctness as a share of the unedited teacher's.
        accuracy: (replicate, dose), student test accuracy.
        doses: what each is.
        delta: smallest difference of interest.

    Returns:
        None with fewer than three doses.
    """
    if len(doses) < 3:
        return None
    centred = dose - dose.mean(1, keepdims=True)
    slopes = (centred * accuracy).sum(1) / (centred**2).sum(1)
    share = [own_row(f"distinctness of {d}", mean_estimate(dose[:, i]), "fraction") for i, d in enumerate(doses)]
    reached = [own_row(f"accuracy from {d}", mean_estimate(accuracy[:, i]), "accuracy") for i, d in enumerate(doses)]
    return Finding(
        key="H9",
        claim="Student accuracy rises with distinctness at fixed confidence.",
        quantity="change of student test accuracy from no distinctness to the teacher's own, by the line through "
        f"{len(doses)} doses",
        unit="accuracy",
        estimate=mean_estimate(slopes),
        direction=1,
        refuted_beyond=delta,
        test="t over per-replicate slopes",
        more_seeds=replicates_for(slopes, half_width=delta),
        reading="The doses are edits of one teacher that keep p_y, so the effect is of distinctness and nothing else.",
        detail=[*share, *reached],
    )
