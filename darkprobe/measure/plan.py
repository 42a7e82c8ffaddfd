"""What one measurement computes, and what a pass over the logits leaves of each model."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from darkprobe.measure.moments import Moments
from darkprobe.measure.records import Group
from darkprobe.measure.table import Row
from darkprobe.metrics import Metric
from darkprobe.metrics.soft_label_statistics import SoftLabelStatistics
from darkprobe.types import Subset

Columns = tuple[Callable[[SoftLabelStatistics], Tensor], float]
"""What is kept of each example, (example, column), and the temperature it is read at."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to compute at which temperatures on which examples."""

    metrics: tuple[Metric, ...]
    temperatures: tuple[float, ...]
    subsets: tuple[Subset, ...]
    resamples: int
    seed: int

    def quantities(self) -> list[tuple[Metric, float | None]]:
        """Each per-example metric at each temperature, once where the temperature does not matter."""
        return [(m, t) for m in self.metrics if m.kind == "per_example" for t in self.temperatures_of(m)]

    def temperatures_of(self, metric: Metric) -> tuple[float | None, ...]:
        """The temperatures a metric is computed at."""
        return self.temperatures if metric.depends_on_temperature else (None,)

    def columns(self) -> list[Columns]:
        """What dataset metrics keep of each example, each kind once per temperature."""
        found = [
            (metric.totals.columns, temperature or 1.0)
            for metric in self.metrics
            if metric.totals is not None
            for temperature in self.temperatures_of(metric)
        ]
        return list(dict.fromkeys(found))


@dataclass
class Partial:
    """What one pass leaves of one model: moments by subset, and the columns of dataset metrics."""

    moments: dict[Subset, Moments]
    columns: dict[Columns, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Value:
    """A number with its interval and what it was computed from."""

    value: float
    low: float
    high: float
    n: float


def row_of(
    group: Group,
    model: int,
    metric: str,
    *,
    value: Value,
    temperature: float | None = None,
    subset: str = "all",
    reference: str | None = None,
    unit: str = "",
) -> Row:
    """The row of one number of one model of a group, or of it against a reference."""
    record = group.records[model]
    return Row(
        model=record.card.model_id,
        reference=reference,
        dataset=record.dataset,
        split=record.split,
        metric=metric,
        temperature=temperature,
        subset=subset,
        value=float(value.value),
        low=float(value.low),
        high=float(value.high),
        n=int(value.n),
        unit=unit,
    )
