"""The catalogue of metrics: one frozen record of facts per metric, and the door through which users add theirs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from darkprobe.checks import check_choice
from darkprobe.errors import InvalidTypeError, InvalidValueError
from darkprobe.metrics._kinds import LogitRows
from darkprobe.metrics._per_example import Reader
from darkprobe.metrics.affinity import AffinityMethod
from darkprobe.metrics.estimate import Estimate
from darkprobe.metrics.totals import TotalsForm
from darkprobe.registry import Registry
from darkprobe.types import Array, Certainty, MetricKind

Direction = Literal["higher is better", "lower is better", "descriptive"]
KINDS: tuple[MetricKind, ...] = ("per_example", "pairwise", "dataset")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric and the facts about it.

    Attributes:
        name: as in tables.
        function: `f(logits, labels, *, temperature)` giving (..., example) when per_example and (...) when dataset;
            `f(logits, reference_logits, labels, *, temperature)` giving (..., example) when pairwise.
        kind: one value per example, one per example and pair of models, or one from all examples.
        summary: what it is, in one sentence.
        formula: plain text.
        unit: "fraction", "nats", "probability" or "" for a pure number.
        range: in words, with C the number of classes.
        bounds: the smallest interval that holds it for every C and T.
        direction: which way is better, or "descriptive".
        depends_on_temperature: False when every temperature gives the same value.
        shift_invariant: whether adding a constant to an example's logits leaves it as it is.
        any_subset: whether it says something on examples chosen by being right (accuracy does not).
        binary: whether every value is 0 or 1 (the interval of the mean is then Wilson's).
        edge_cases: ties, two classes, zero probabilities, empty input.
        source: where it comes from.
        certainty: how sure that is.
        not_to_be_confused_with: a neighbour with a similar name.
        read: the same value read off shared sums; None for metrics that need the logits.
        totals: the same value as a function of sums over examples (dataset metrics that have such a form).
        estimate: (example, cls) logits, of which it takes slices, labels (tensor) and the temperature to the value with
            its standard error, for dataset metrics that have one in closed form.
        on_request: left out of the table unless it is asked for by name (it costs more than a line over shared sums).
        class_level: for pairwise metrics with one value per class, (..., cls), instead of one per example.
        affinity: the method of `affinity_matrix` that gives the value for all pairs at once (pairwise metrics).
    """

    name: str
    function: Callable[..., Array]
    kind: MetricKind
    summary: str
    formula: str = ""
    unit: str = ""
    range: str = ""
    bounds: tuple[float, float] = (float("-inf"), float("inf"))
    direction: Direction = "descriptive"
    depends_on_temperature: bool = True
    shift_invariant: bool = True
    any_subset: bool = True
    binary: bool = False
    edge_cases: str = ""
    source: str = ""
    certainty: Certainty = "design"
    not_to_be_confused_with: str = ""
    read: Reader | None = None
    totals: TotalsForm | None = None
    estimate: Callable[[LogitRows, Tensor, float], Estimate] | None = None
    on_request: bool = False
    class_level: bool = False
    affinity: AffinityMethod | None = None

    def __post_init__(self) -> None:
        check_choice("metric kind", self.kind, KINDS)
        if not callable(self.function):
            raise InvalidTypeError(
                f"register_metric: `function` must be callable, got {type(self.function).__name__}. "
                "Give f(logits, labels, *, temperature)."
            )
        if not self.name.isidentifier():
            raise InvalidValueError(
                f"register_metric: `name` must be a word of letters, digits and _, got {self.name!r}. Rename it."
            )


METRICS: Registry[Metric] = Registry("metric")
"""All metrics by name, built in and registered."""


def register_metric(metric: Metric) -> Metric:
    """Adds a metric to the catalogue and returns it; from then on `measure` and `profile` compute it.

    Args:
        metric: its function and facts; a per_example metric takes (example, cls) logits and (example) labels, NumPy
            arrays, with `temperature` by keyword, and answers (example).

    Raises:
        InvalidValueError: the name is taken or is not a word.

    Examples:
        >>> import numpy as np
        >>> gap = Metric(name="gap", kind="per_example", summary="Largest minus smallest logit over T.",
        ...              function=lambda logits, labels, *, temperature: np.ptp(logits, axis=-1) / temperature)
        >>> register_metric(gap).name  # doctest: +SKIP
        'gap'
    """
    return METRICS.register(metric.name, metric)
