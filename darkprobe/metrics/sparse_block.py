"""`SparseLabelBlock`: the sums of `SoftLabelBlock` where only the k largest logits of each row are known.

Beside them a row has the logit of its label and, for declared temperatures T, L(T) = log sum exp(z / T) over the
classes that were left out. The sum over the wrong classes at T is that of the kept ones plus exp L(T), less the label's
term when the label was left out; the sum of its squares at T is the same at T / 2, as exp(z / T)^2 = exp(z / (T / 2)).
What needs more than these two sums is not here. [derived]
"""

import math
from functools import cached_property

import torch
from torch import Tensor

from darkprobe.metrics.soft_label_statistics import SoftLabelBlock, SoftLabelStatistics


class SparseLabelBlock(SoftLabelBlock):
    """Some sparse rows with their labels.

    At declared temperatures statistics are those of the dense rows, but for the non-ground-truth entropy, which is NaN,
    and the inherent variance, which is NaN where T / 2 is not declared. At other temperatures only the margin is known,
    and the rest is NaN. With float16 storage all is as exact as the kept logits are.

    Args:
        kept: (example, k), floating, k >= 2, descending: the largest logits.
        indices: (example, k), integer: their classes.
        tail: (example, temperature): L at each declared temperature.
        temperatures: the declared ones, in the order of `tail`.
        label_logits: (example,): the logit of the label.
        labels: (example,), int64.
        classes: number of all classes, more than k.
    """

    def __init__(
        self,
        kept: Tensor,
        indices: Tensor,
        tail: Tensor,
        *,
        temperatures: tuple[float, ...],
        label_logits: Tensor,
        labels: Tensor,
        classes: int,
    ) -> None:
        super().__init__(kept.double(), labels)
        self.classes = classes
        self._own = indices == labels.unsqueeze(-1)
        self._indices = indices
        self._label = label_logits.double()
        self._tails = {t: tail[:, place].double() for place, t in enumerate(temperatures)}

    @cached_property
    def _wrong(self) -> Tensor:
        """(example, k): kept wrong logits, -inf in the place of the label."""
        return self.logits.masked_fill(self._own, -math.inf)

    @cached_property
    def margin(self) -> Tensor:
        """As for dense rows. Which class is largest is known exactly, also where rounding made two logits equal."""
        margin = self._label - self._largest_wrong.squeeze(-1)
        own, tied = self._own[:, 0], self.logits[:, 0] == self.logits[:, 1]
        least = margin.clamp(min=torch.finfo(margin.dtype).tiny)
        return torch.where(own & ~tied, least, torch.where(own, margin, margin.clamp(max=0)))

    @property
    def ranks(self) -> Tensor:
        """(example, cls), float32, all classes: numbers in the order of the logits, equal below the largest k.

        The label stands above the other classes that were left out. The two largest are equal where the label is
        among them and not known to be larger. Whatever asks for no more than the order of the largest k - 1 wrong
        classes and of the label gets from them what it gets from the logits.
        """
        rows, k = self.logits.shape
        scores = torch.full((rows, self.classes), -float(k + 1), device=self.logits.device)
        scores.scatter_(-1, self.labels.unsqueeze(-1), -float(k))
        order = -torch.arange(k, dtype=scores.dtype, device=scores.device).repeat(rows, 1)
        tied = (self.logits[:, 0] == self.logits[:, 1]) & (self.margin <= 0)
        order[tied, 1] = 0.0
        return scores.scatter_(-1, self._indices, order)

    def _top_of(self, k: int) -> Tensor:
        largest = self._wrong.topk(min(k, self._wrong.shape[-1]), dim=-1).values
        return largest - self._largest_wrong

    def top_wrong(self, k: int) -> Tensor:
        """As for dense rows, as many as are kept; -inf where the label takes the place of one."""
        return self._top_of(k)

    def _sums(self, temperature: float) -> SoftLabelStatistics:
        total = self._wrong_sum(temperature)
        log_total = total.log()
        wrong = self.classes - 1
        if temperature / 2 in self._tails:
            shares = self._wrong_sum(temperature / 2) / total.square()
            variance = ((shares - 1 / wrong) / wrong).clamp(min=0)
        else:
            variance = torch.full_like(total, math.nan)
        return SoftLabelStatistics(
            block=self,
            temperature=temperature,
            log_wrong_sum=log_total,
            log_odds=(self._label - self._largest_wrong.squeeze(-1)) / temperature - log_total,
            non_ground_truth_entropy=torch.full_like(total, math.nan),
            inherent_variance=variance,
        )

    def _wrong_sum(self, temperature: float) -> Tensor:
        """Sum over the wrong classes of exp((z - largest wrong z) / T), (example,)."""
        if temperature not in self._tails:
            return torch.full_like(self._label, math.nan)
        largest = self._largest_wrong.squeeze(-1)
        kept = ((self._wrong - self._largest_wrong) / temperature).exp().sum(-1)
        tail = (self._tails[temperature] - largest / temperature).exp()
        own = ((self._label - largest) / temperature).exp().masked_fill(self._own.any(-1), 0.0)
        return kept + (tail - own).clamp(min=0)
