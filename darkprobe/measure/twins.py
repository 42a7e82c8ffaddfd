"""Seeds of one network in a store, and the ceiling they set for every correlation between models."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from darkprobe.measure.records import Group
from darkprobe.metrics import consistency


def pairs_of(models: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second member of each unordered pair, in the order of tables."""
    first, second = np.triu_indices(models, k=1)
    return first, second


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Which models are the same network trained with another seed: same family and number of parameters.

    Attributes:
        same: (model, model), True for two different models that are twins.
    """

    same: np.ndarray

    @classmethod
    def of(cls, group: Group) -> "Twins":
        """Twins among the records; a record without a family has none."""
        keys = [(r.card.family, r.card.parameters) if r.card.family else None for r in group.records]
        n = len(keys)
        same = [[i != j and keys[i] is not None and keys[i] == keys[j] for j in range(n)] for i in range(n)]
        return cls(same=np.array(same, dtype=bool).reshape(n, n))

    def comparable(self, i: int, j: int) -> bool:
        """Whether both models have a twin and are not each other's."""
        return bool(self.same[i].any() and self.same[j].any() and not self.same[i, j])

    def reliability_weights(self, model: int) -> np.ndarray:
        """(pair,) weights that turn correlations of pairs into the model's mean correlation with its twins."""
        first, second = pairs_of(len(self.same))
        with_twin = ((first == model) & self.same[model, second]) | ((second == model) & self.same[model, first])
        return np.asarray(with_twin / max(1, int(with_twin.sum())))


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """A pair's ceiling and consistency, computed from correlations of all pairs and their floors.

    Attributes:
        pair: index of the pair.
        reliability_a, reliability_b: (pair,) weights that give the two reliabilities.
    """

    pair: int
    reliability_a: np.ndarray
    reliability_b: np.ndarray

    def ceiling(self, correlations: np.ndarray) -> np.ndarray:
        """sqrt(r_AA' r_BB') from (..., pair) correlations; NaN where a reliability is negative."""
        product = np.maximum(correlations @ self.reliability_a, 0) * np.maximum(correlations @ self.reliability_b, 0)
        return np.where(product > 0, np.sqrt(product), np.nan)

    def consistency(self, correlations: np.ndarray, floors: np.ndarray) -> np.ndarray:
        """Consistency from (..., pair) correlations and (..., pair) floors."""
        scaled = consistency(
            correlations[..., self.pair],
            reliability_a=correlations @ self.reliability_a,
            reliability_b=correlations @ self.reliability_b,
            floor=floors[..., self.pair],
        )
        return np.asarray(scaled)

    def gradient(self, correlations: np.ndarray, floors: np.ndarray) -> np.ndarray:
        """Derivative of the consistency by the (2 pair,) vector of correlations and floors, by central differences.

        The function is smooth and of order 1, so a step of 1e-6 leaves nine digits.
        """
        half = len(correlations)
        return _slopes(lambda at: self.consistency(at[:, :half], at[:, half:]), np.concatenate([correlations, floors]))

    def ceiling_gradient(self, correlations: np.ndarray) -> np.ndarray:
        """Derivative of the ceiling by the (pair,) correlations, as in `gradient`."""
        return _slopes(self.ceiling, correlations)


def _slopes(function: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    steps = 1e-6 * np.eye(len(at))
    return np.asarray((function(at + steps) - function(at - steps)) / 2e-6)


def scaled_pairs(group: Group) -> list[Scaled]:
    """The pairs whose consistency can be told: both members have a twin."""
    twins = Twins.of(group)
    return [
        Scaled(
            pair=pair, reliability_a=twins.reliability_weights(int(i)), reliability_b=twins.reliability_weights(int(j))
        )
        for pair, (i, j) in enumerate(zip(*pairs_of(len(group.records)), strict=True))
        if twins.comparable(int(i), int(j))
    ]
