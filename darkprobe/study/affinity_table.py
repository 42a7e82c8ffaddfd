"""The table `affinity` of a study: do teachers of different size agree on which wrong classes are alike?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from darkprobe.study.hypotheses import scaled_between
from darkprobe.study.plan import Study
from darkprobe.study.statistics import jackknife_estimate, mean_estimate

Values = npt.NDArray[np.float64]

LEVELS = ("class", "instance")
QUANTITIES = ("with_largest", "floor", "reliability", "ceiling", "consistency")


def affinity_table(study: Study, correlations: Mapping[str, Values], parameters: Mapping[str, int]) -> pd.DataFrame:
    """Rank correlations of every teacher with the largest one, tidy, at the study's fixed temperature.

    A row's `quantity` is "with_largest" (Spearman with the largest teacher), "floor" (the same after the largest
    teacher's wrong classes were permuted: chance), "reliability" (with a twin of another seed), "ceiling" (geometric
    mean of the teacher's and the largest teacher's reliability: as high as two teachers agree that differ in their
    seeds alone) or "consistency" (0 at the floor, 1 at the ceiling). Correlations lie in [-1, 1]; higher is more
    agreement. The largest teacher has no row "with_largest" and none of "consistency": with itself it agrees.

    Args:
        study: the plan.
        correlations: (replicate, rung) by name, from `softlabels.affinity_with_largest`; replicates with twins only.
        parameters: number of trained parameters by teacher.

    Returns:
        One row a level ("class": mean soft labels of each class; "instance": single training images), quantity and
        teacher, with 95 % intervals over replicates: t for means, jackknife for ceiling and consistency.
    """
    rows: list[dict[str, Any]] = []
    for level in LEVELS:
        with_largest, floor, own = (correlations[f"{level}{name}"] for name in ("", "_floor", "_reliability"))
        for rung, teacher in enumerate(study.teachers):
            columns = (with_largest[:, rung], own[:, rung], own[:, -1], floor[:, rung])
            estimates = {
                "with_largest": mean_estimate(columns[0]),
                "floor": mean_estimate(columns[3]),
                "reliability": mean_estimate(columns[1]),
                "ceiling": jackknife_estimate(_ceiling, columns[1], columns[2]),
                "consistency": jackknife_estimate(scaled_between, *columns),
            }
            if rung == len(study.teachers) - 1:
                estimates = {name: estimates[name] for name in ("floor", "reliability", "ceiling")}
            for name, estimate in estimates.items():
                low, high = estimate.interval()
                rows.append(
                    {
                        "model": teacher,
                        "reference": study.teachers[-1],
                        "dataset": study.name,
                        "split": "train",
                        "level": level,
                        "quantity": name,
                        "temperature": study.fixed_temperature,
                        "subset": "all",
                        "value": estimate.effect,
                        "low": low,
                        "high": high,
                        "n": estimate.n,
                        "unit": "consistency" if name == "consistency" else "correlation",
                        "parameters": parameters[teacher],
                    }
                )
    return pd.DataFrame(rows)


def _ceiling(own: float, largest: float) -> float:
    return float(np.sqrt(max(own * largest, 0.0)))
