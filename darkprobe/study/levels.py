"""What a teacher's soft labels hold beyond the label, in nats and in four parts that add up; and what is missing.

E KL(p || uniform) is split along the chain uniform -> label smoothing at the mean p_y -> each example's own p_y ->
the class's mean wrong-class distribution -> p. The parts are the levels of knowledge of Tang et al., 2020 (arXiv
2002.03532), made additive [design].
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import entr, softmax

from darkprobe.study.statistics import mean_estimate

LEVELS = ("label smoothing", "example confidence", "class relations", "example relations")

LOST = 0.1
"""A level counts as lost below this share of the ladder's largest [design]."""

Values = npt.NDArray[np.float64]


def knowledge_levels(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], *, temperature: float) -> Values:
    """Nats of each of `LEVELS`, (level,), all >= 0; they sum to log C minus the mean entropy.

    Args:
        logits: (example, cls).
        labels: (example,).
        temperature: above 0.
    """
    classes = logits.shape[1]
    probs = softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    wrong = np.arange(classes) != labels[:, None]
    label_prob = probs[~wrong]
    rest = np.where(wrong, probs, 0.0)
    mass = rest.sum(1)
    own = entr(rest / np.maximum(mass, 1e-300)[:, None]).sum(1)
    of_class = np.zeros((classes, classes))
    np.add.at(of_class, labels, rest)
    totals = of_class.sum(1, keepdims=True)
    shared = entr(of_class / np.maximum(totals, 1e-300)).sum(1)[labels]
    mean = label_prob.mean()
    spread = np.log(classes - 1)
    return np.array(
        [
            np.log(classes) - _binary(mean) - (1 - mean) * spread,
            _binary(mean) - _binary(label_prob).mean(),
            (mass * (spread - shared)).mean(),
            (mass * (shared - own)).mean(),
        ]
    )


def _binary(p: Values | float) -> Values:
    return np.asarray(entr(p) + entr(1 - np.asarray(p)))


def levels_table(teachers: list[str], levels: Values, *, temperature: float) -> pd.DataFrame:
    """Tidy table of levels (replicate, teacher, level) with t intervals, and in words which teacher lost what."""
    means = levels.mean(0)
    rows = []
    for t, teacher in enumerate(teachers):
        for i, level in enumerate(LEVELS):
            low, high = (e := mean_estimate(levels[:, t, i])).interval()
            rows.append(
                {"teacher": teacher, "level": level, "temperature": temperature, "value": e.effect, "low": low,
                 "high": high, "n": e.n, "unit": "nats", "diagnosis": _diagnosis(means, t, i)}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _diagnosis(means: Values, teacher: int, level: int) -> str:
    if level == 0 or means[teacher, level] >= LOST * means[:, level].max():
        return ""
    if LEVELS[level] == "example confidence":
        return "over-confident: how sure it is hardly differs between examples, so it rescales nothing"
    return f"lost: less than {LOST:.0%} of what the ladder's richest teacher tells"
