"""The few sums from which every per-example metric of one model's soft labels is a line.

Notation: logits f, label y, wrong classes W (all but y), softmax p = softmax(f / T), and the wrong-class distribution
pt = p_W / (1 - p_y). With m = max_W f, g = (f_W - m) / T and e = exp(g):

    S = sum e,   log odds a = (f_y - m) / T - log S,   p_y = sigmoid(a),   1 - p_y = sigmoid(-a),   pt = e / S.

Nothing is found by subtracting nearly equal numbers: 1 - p_y comes from the wrong classes, variances from deviations,
entropies from sums of terms of one sign. Sums over classes run in float32 for float32 logits at temperatures where
that is exact to 1e-5, in float64 elsewhere; everything after them is float64.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from darkprobe.metrics.wrong_classes import wrong_class_values

_FEW = 5
"""How many of the most likely classes are kept once looked at: the metrics of the catalogue ask for five."""


def needs_float64(temperature: float) -> bool:
    """Whether float32 sums lose more than 1e-5 at this temperature.

    Below 0.4 the rounding of f / T grows into the exponent; far above 1 deviations from the mean drown in it; next to
    T = 1 the Renyi entropy divides by 1 - 1/T.
    """
    return temperature < 0.4 or temperature > 32 or 0 < abs(temperature - 1) < 0.1


def softplus(values: Tensor) -> Tensor:
    """log(1 + exp(x)) to float64 precision; PyTorch's default is linear from x = 20 on, which costs 2e-9."""
    return functional.softplus(values, threshold=500.0)


class SoftLabelBlock:
    """Some rows of logits with their labels, arranged once for all temperatures.

    Args:
        logits: (example, cls), floating, finite.
        labels: (example), int64.
    """

    def __init__(self, logits: Tensor, labels: Tensor) -> None:
        self.logits = logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
        self.labels = labels
        self.classes = logits.shape[-1]
        self._statistics: dict[float, SoftLabelStatistics] = {}

    @cached_property
    def _wrong(self) -> Tensor:
        return wrong_class_values(self.logits, self.labels)

    @cached_property
    def _largest(self) -> tuple[Tensor, Tensor]:
        largest = self._wrong.max(-1, keepdim=True)
        return largest.values, largest.indices

    @property
    def _largest_wrong(self) -> Tensor:
        return self._largest[0]

    @cached_property
    def _centred(self) -> Tensor:
        return self._wrong - self._largest_wrong

    @cached_property
    def margin(self) -> Tensor:
        """f_y minus the largest wrong logit, (example), float64; positive where the model is right."""
        target = self.logits.gather(-1, self.labels.unsqueeze(-1))
        return (target.double() - self._largest_wrong.double()).squeeze(-1)

    def top_wrong(self, k: int) -> Tensor:
        """The k largest wrong logits minus the largest, (example, min(k, cls - 1)), descending, float64."""
        k = min(k, self.classes - 1)
        if k > self._top.shape[-1]:
            self.__dict__["_top"] = self._top_of(k)
        return self._top[:, :k]

    @cached_property
    def _top(self) -> Tensor:
        return self._top_of(min(_FEW, self.classes - 1))

    def _top_of(self, k: int) -> Tensor:
        return self._wrong.topk(k, dim=-1).values.double() - self._largest_wrong.double()

    def at(self, temperature: float) -> "SoftLabelStatistics":
        """The sums at one temperature, computed once."""
        if temperature not in self._statistics:
            self._statistics[temperature] = self._sums(temperature)
        return self._statistics[temperature]

    def _sums(self, temperature: float) -> "SoftLabelStatistics":
        if needs_float64(temperature):
            centred = self._wrong.double() - self._largest_wrong.double()
        else:
            centred = self._centred
        scaled = centred * (1.0 / temperature)
        inherent = torch.softmax(scaled, dim=-1)
        spread = scaled.mul_(inherent).sum(-1).double()  # sum of pt g, every term <= 0
        largest = inherent.gather(-1, self._largest[1])
        # S = 1 / pt_max; where pt_max is near 1, from the share of the others, which keeps its digits there.
        others = inherent.scatter_(-1, self._largest[1], 0.0).sum(-1).double()
        log_total = torch.where(others < 0.5, -torch.log1p(-others), -largest.squeeze(-1).double().log())
        deviations = inherent.scatter_(-1, self._largest[1], largest).sub_(1 / (self.classes - 1))
        squares = torch.linalg.vector_norm(deviations, dim=-1).double().square()
        return SoftLabelStatistics(
            block=self,
            temperature=temperature,
            log_wrong_sum=log_total,
            log_odds=self.margin / temperature - log_total,
            non_ground_truth_entropy=log_total - spread,
            inherent_variance=squares / (self.classes - 1),
        )


@dataclass(frozen=True, kw_only=True)
class SoftLabelStatistics:
    """Sums over the wrong classes of each example of a block at one temperature, and what follows from them.

    Attributes:
        block: the rows they were computed from.
        temperature: T > 0.
        log_wrong_sum: log S, (example), float64; S = sum over W of exp((f - max_W f) / T).
        log_odds: log(p_y / (1 - p_y)), (example), float64.
        non_ground_truth_entropy: H(pt), (example), float64, nats.
        inherent_variance: var over W of pt, ddof = 0, (example), float64.
    """

    block: SoftLabelBlock
    temperature: float
    log_wrong_sum: Tensor
    log_odds: Tensor
    non_ground_truth_entropy: Tensor
    inherent_variance: Tensor

    @property
    def wrong_classes(self) -> int:
        """C - 1."""
        return self.block.classes - 1

    @cached_property
    def nll(self) -> Tensor:
        """-log p_y."""
        return softplus(-self.log_odds)

    @cached_property
    def target_confidence(self) -> Tensor:
        """p_y."""
        return torch.sigmoid(self.log_odds)

    @cached_property
    def non_target_mass(self) -> Tensor:
        """1 - p_y, from the wrong classes."""
        return torch.sigmoid(-self.log_odds)

    @property
    def derived_average(self) -> Tensor:
        """Mean of p over W."""
        return self.non_target_mass / self.wrong_classes

    @cached_property
    def inherent_std(self) -> Tensor:
        """Standard deviation of pt over W."""
        return self.inherent_variance.sqrt()

    @property
    def distinctness_std(self) -> Tensor:
        """Standard deviation of p over W."""
        return self.non_target_mass * self.inherent_std

    @property
    def distinctness_variance(self) -> Tensor:
        """Variance of p over W."""
        return self.non_target_mass.square() * self.inherent_variance

    @property
    def non_ground_truth_entropy_normalised(self) -> Tensor:
        """H(pt) / log(C - 1); undefined (NaN) for two classes."""
        largest = math.log(self.wrong_classes)
        if largest == 0:
            return torch.full_like(self.non_ground_truth_entropy, math.nan)
        return self.non_ground_truth_entropy / largest

    @cached_property
    def entropy(self) -> Tensor:
        """H(p) = H_b(p_y) + (1 - p_y) H(pt)."""
        wrong = softplus(self.log_odds) + self.non_ground_truth_entropy
        return self.target_confidence * self.nll + self.non_target_mass * wrong

    @cached_property
    def log_power_sum(self) -> Tensor:
        """log sum_c p_c(1) ** (1/T), from p_y(T) = p_y(1) ** (1/T) / U."""
        return self.nll - self.block.at(1.0).nll / self.temperature

    @property
    def power_sum(self) -> Tensor:
        """U = sum_c p_c(1) ** (1/T)."""
        return self.log_power_sum.exp()

    @property
    def renyi_entropy(self) -> Tensor:
        """log U / (1 - 1/T); at T = 1 its limit, Shannon's entropy."""
        if self.temperature == 1:
            return self.entropy
        return self.log_power_sum / (1 - 1 / self.temperature)

    @property
    def brier(self) -> Tensor:
        """Sum over all classes of (p_c - 1[c = y]) ** 2."""
        squares = self.wrong_classes * self.inherent_variance + 1 / self.wrong_classes  # sum of pt ** 2
        return self.non_target_mass.square() * (1 + squares)

    @property
    def accuracy(self) -> Tensor:
        """1 where the target's logit is above every other, else 0."""
        return (self.block.margin > 0).double()

    @property
    def confidence(self) -> Tensor:
        """Largest probability, of whichever class."""
        return torch.maximum(self.target_confidence, self.non_target_mass * torch.exp(-self.log_wrong_sum))

    def top_wrong(self, k: int) -> Tensor:
        """Probabilities of the k most likely wrong classes, (example, min(k, cls - 1)), descending."""
        found = self._few_wrong if k <= _FEW else self._wrong_probabilities(k)
        return found[:, :k]

    def top(self, k: int) -> Tensor:
        """Probabilities of the k most likely classes, target included, (example, min(k, cls)), descending."""
        found = self._few if k <= _FEW else self._with_target(self._wrong_probabilities(k))
        return found[:, :k]

    @cached_property
    def _few_wrong(self) -> Tensor:
        return self._wrong_probabilities(_FEW)

    @cached_property
    def _few(self) -> Tensor:
        return self._with_target(self._few_wrong)

    def _wrong_probabilities(self, k: int) -> Tensor:
        inherent = torch.exp(self.block.top_wrong(k) / self.temperature - self.log_wrong_sum.unsqueeze(-1))
        return self.non_target_mass.unsqueeze(-1) * inherent

    def _with_target(self, wrong: Tensor) -> Tensor:
        return torch.cat([self.target_confidence.unsqueeze(-1), wrong], dim=-1).sort(-1, descending=True).values

    @property
    def secondary_confidence(self) -> Tensor:
        """Mean of p_(2), ..., p_(5)."""
        return self.top(5)[:, 1:].mean(-1)

    def top_gap(self, k: int) -> Tensor:
        """p_(1) minus the mean of p_(2), ..., p_(k)."""
        ranked = self.top(k)
        return ranked[:, 0] - ranked[:, 1:].mean(-1)
