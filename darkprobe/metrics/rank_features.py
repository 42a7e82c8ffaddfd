"""Vectors whose cosine is a rank correlation: one idea for Kendall, Spearman, Pearson and top-k overlap.

* Kendall's tau-b of two score vectors is the cosine of their vectors of pairwise signs sign(s_j - s_i): the dot product
  counts concordant minus discordant pairs, the squared lengths count the pairs that are not tied.
* Spearman's rho is the cosine of centred average ranks, Pearson's r that of centred values, top-k overlap that of the
  indicators of the k largest.

So all pairs of M models are one Gram matrix, and each model's vector is made once.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from darkprobe.checks import check_room

Features = Callable[[Tensor], Tensor]
"""Scores (..., item) to a vector per row, (..., feature)."""


def pair_signs(scores: Tensor) -> Tensor:
    """sign(s_j - s_i) for each unordered pair of items once, (..., n (n - 1) / 2), in {-1, 0, 1}.

    Pair (i, i + d mod n) for lags d = 1, ..., n // 2; for even n the last lag meets every pair twice, and its second
    half is cut off. Windows into the scores, wrapped around, are a view: one subtraction makes all pairs.
    """
    n = scores.shape[-1]
    half = n // 2
    pairs = scores.shape[:-1].numel() * n * half
    check_room("pair_signs", "pairs of classes", classes=n, needed=pairs * scores.element_size())
    wrapped = torch.cat([scores, scores[..., :half]], dim=-1)
    windows = wrapped.unfold(-1, n, 1)[..., 1:, :]  # (..., half, n): row d - 1 holds s_(i + d)
    signs = (windows - scores.unsqueeze(-2)).sign_().flatten(-2)
    return signs[..., : n * (n - 1) // 2]


def centred_ranks(scores: Tensor) -> Tensor:
    """Average ranks minus their mean, (..., item); tied items share the mean of their ranks."""
    n = scores.shape[-1]
    ordered, order = scores.sort(-1)
    position = torch.arange(n, device=scores.device, dtype=torch.float32).expand_as(ordered)
    tied = ordered[..., 1:] == ordered[..., :-1]
    if bool(tied.any()):
        position = _mean_position(position, tied)
    ranks = torch.empty(scores.shape, device=scores.device, dtype=torch.float32)
    return ranks.scatter_(-1, order, position - (n - 1) / 2)


def _mean_position(position: Tensor, tied: Tensor) -> Tensor:
    """Mean of the first and last position of the run of equal values that each sorted position belongs to."""
    edge = torch.ones_like(position[..., :1], dtype=torch.bool)
    starts = torch.cat([edge, ~tied], dim=-1)
    ends = torch.cat([~tied, edge], dim=-1)
    n = position.shape[-1]
    first = torch.where(starts, position, 0.0).cummax(-1).values
    last = torch.where(ends, position, float(n)).flip(-1).cummin(-1).values.flip(-1)
    return (first + last) / 2


def centred_values(scores: Tensor) -> Tensor:
    """Values minus their mean, (..., item)."""
    return scores - scores.mean(-1, keepdim=True)


def top_indicators(k: int) -> Features:
    """A function that marks the k largest items with 1; of tied items the first found."""

    def indicators(scores: Tensor) -> Tensor:
        top = scores.topk(min(k, scores.shape[-1]), dim=-1).indices
        return torch.zeros(scores.shape, dtype=torch.float32, device=scores.device).scatter_(-1, top, 1.0)

    return indicators


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine along the last axis, float64; NaN where a vector is zero (all tied, or constant)."""
    # Dot products of signs and ranks are exact in float32; a norm would round its square root.
    dot, own, other = (
        torch.linalg.vecdot(a, b).double() for a, b in ((first, second), (first, first), (second, second))
    )
    return torch.clamp(dot / (own * other).sqrt(), -1, 1)


def cosine_matrix(vectors: Tensor) -> Tensor:
    """Cosines of all pairs along the second to last axis, (..., vector, vector), float64; NaN as in `cosine`."""
    gram = (vectors @ vectors.transpose(-1, -2)).double()
    lengths = gram.diagonal(dim1=-2, dim2=-1).sqrt()
    return (gram / (lengths.unsqueeze(-1) * lengths.unsqueeze(-2))).clamp(-1, 1)
