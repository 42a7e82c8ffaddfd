"""Dataset metrics that are functions of sums over examples: computed once, resampled by weights.

Such a metric reads a few columns per example off the statistics, turns them into features, and is a function of the
features' totals. The bootstrap then is one matrix product of resampling weights with the features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from darkprobe.checks import check_positive
from darkprobe.metrics._kinds import in_kind_of
from darkprobe.metrics._per_example import checked_rows, map_soft_label_blocks
from darkprobe.metrics.soft_label_statistics import SoftLabelStatistics
from darkprobe.types import Array, Labels, Logits


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """What is summed over examples, and the metric as a function of the sums.

    Attributes:
        values: (example, feature), float32 or float64.
        value: totals (..., feature) -> (...), float64; facts of the whole sample may be closed over.
        debiased: the same with the bias by noise taken off, where there is one: the interval is built on it.
    """

    values: Tensor
    value: Callable[[Tensor], Tensor]
    debiased: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class TotalsForm:
    """A dataset metric as a function of totals.

    Attributes:
        columns: statistics of a block -> (example, column), float64: what has to be kept of each example.
        features: columns of all examples -> what is summed.
        shares: forms with the same word here have the same `Features.values`, which are then made and resampled once.
    """

    columns: Callable[[SoftLabelStatistics], Tensor]
    features: Callable[[Tensor], Features]
    shares: str


def evaluate_totals(
    function: str, form: TotalsForm, logits: Logits, labels: Labels, *, temperature: float = 1.0
) -> Array:
    """The metric on all examples of each leading index, (...), float64; NaN without examples."""
    check_positive(function, "temperature", temperature)
    rows, index = checked_rows(function, logits, labels)
    lead, examples = tuple(logits.shape[:-2]), logits.shape[-2]
    if rows.numel() == 0:
        return in_kind_of(torch.full(lead, torch.nan, dtype=torch.float64, device=rows.device), logits)
    with torch.no_grad():
        kept = map_soft_label_blocks(lambda block: form.columns(block.at(temperature)), rows, index)
        columns = torch.cat(kept)
        found = [
            value_of(form.features(columns[start : start + examples])) for start in range(0, len(columns), examples)
        ]
    return in_kind_of(torch.stack(found).reshape(lead), logits)


def value_of(features: Features) -> Tensor:
    """The metric on the sample itself."""
    return features.value(features.values.sum(0, dtype=torch.float64))
