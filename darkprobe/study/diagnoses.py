"""Tang's two diagnoses on trained teachers, in the form of verdicts.

A label-smoothed teacher that lost its class relations; an over-confident teacher whose rescaling signal vanished.
"Lost" and "vanished" mean: less than `LOST_BELOW` of the comparison's nats are left [design].
Source: Tang et al., 2020 (arXiv 2002.03532) [secondary]; the nats are those of `levels.py`.
"""

import numpy as np
import numpy.typing as npt

from darkprobe.study.hypotheses import Finding, own_row
from darkprobe.study.levels import LEVELS
from darkprobe.study.statistics import mean_estimate

LOST_BELOW = 0.5
"""Share of a level's nats below which it counts as lost."""

Values = npt.NDArray[np.float64]


def relations_lost(
    key: str, smoothed: Values, plain: Values, *, recipe: str, architecture: str, temperature: float
) -> Finding:
    """Whether a teacher trained by `recipe` lost the class relations of the plain teacher of its size.

    Args:
        key: of the verdict.
        smoothed, plain: nats by level, (replicate, level).
        recipe, architecture: which teachers.
        temperature: at which the levels were taken.
    """
    kept = _share(smoothed, plain)
    return Finding(
        key=key,
        claim=f"The teacher trained by {recipe} lost its class relations.",
        quantity=f"class relations (nats at T = {temperature:g}) of {architecture} trained by {recipe}, as a share of "
        "those of the same network trained plainly",
        unit="ratio",
        estimate=mean_estimate(kept[:, LEVELS.index("class relations")]),
        direction=-1,
        null=LOST_BELOW,
        refuted_beyond=LOST_BELOW,
        test="paired t over per-replicate shares",
        detail=[own_row(f"{level} kept", mean_estimate(kept[:, i]), "ratio") for i, level in enumerate(LEVELS)],
    )


def rescaling_vanished(key: str, levels: Values, *, teachers: tuple[str, ...], temperature: float) -> Finding:
    """Whether the largest teacher's confidence still tells examples apart as the smallest's does.

    Args:
        key: of the verdict.
        levels: nats, (replicate, teacher, level), smallest teacher first.
        teachers: names.
        temperature: at which the levels were taken.
    """
    at = LEVELS.index("example confidence")
    shares = levels[:, :, at] / np.maximum(levels[:, :1, at], 1e-12)
    return Finding(
        key=key,
        claim="The largest teacher is over-confident: its rescaling signal vanished.",
        quantity=f"example confidence (nats at T = {temperature:g}) of {teachers[-1]} as a share of {teachers[0]}'s",
        unit="ratio",
        estimate=mean_estimate(shares[:, -1]),
        direction=-1,
        null=LOST_BELOW,
        refuted_beyond=LOST_BELOW,
        test="paired t over per-replicate shares",
        detail=[own_row(f"{t} / {teachers[0]}", mean_estimate(shares[:, i]), "ratio")
                for i, t in enumerate(teachers)],
    )  # fmt: skip


def _share(part: Values, whole: Values) -> Values:
    return np.asarray(part / np.maximum(whole, 1e-12))
