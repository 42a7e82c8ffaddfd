"""Consistency: a correlation between two models read against its floor (chance) and its ceiling (seed noise)."""

import numpy as np
import torch

from darkprobe.metrics._kinds import as_label_tensor, as_tensor, in_kind_of
from darkprobe.metrics.wrong_classes import wrong_class_values
from darkprobe.types import Array, Labels, Logits


def consistency(
    correlation: Array | float,
    *,
    reliability_a: Array | float,
    reliability_b: Array | float,
    floor: Array | float = 0.0,
) -> Array:
    """Correlation of two models on the scale from chance (0) to what seed noise allows (1).

    (r_AB - floor) / (sqrt(r_AA' r_BB') - floor), where r_AA' compares the same network trained with two seeds: the
    correction for attenuation, with the value by chance taken off both ends.

    Args:
        correlation: r_AB, in [-1, 1]; any shape.
        reliability_a, reliability_b: r_AA' and r_BB', in (0, 1].
        floor: r of unrelated orders, e.g. with permuted wrong classes or with examples shuffled within their class.

    Returns:
        The shape of the arguments broadcast, float64; 0 = chance, 1 = as alike as two seeds of one network. May exceed
        1 by estimation noise: it is not clipped. NaN where a reliability is negative or the ceiling is not above the
        floor, because then nothing can be said.

    Examples:
        >>> consistency(0.72, reliability_a=0.8, reliability_b=0.8).round(6)
        np.float64(0.9)

    References:
        Spearman, 1904 (attenuation) [recall]; the floor in it is our choice [design].
    """
    r_ab, r_aa, r_bb, low = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (correlation, reliability_a, reliability_b, floor))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        ceiling = np.sqrt(np.where((r_aa < 0) | (r_bb < 0), np.nan, r_aa * r_bb))
        scaled = (r_ab - low) / np.where(ceiling > low, ceiling - low, np.nan)
    return np.asarray(scaled)


def permuted_wrong_classes(logits: Logits, labels: Labels, *, seed: int = 0) -> Logits:
    """The logits with the wrong classes of each example in random order: a teacher whose affinities mean nothing.

    p_y, distinctness and entropies stay; which class is near which is lost.

    Args:
        logits: (example, cls), floating.
        labels: (example), integers in [0, cls).
        seed: decides the order.

    Returns:
        (example, cls), the dtype of `logits`.
    """
    values = as_tensor(logits)
    index = as_label_tensor(labels, values)
    keys = np.random.default_rng(seed).random((len(values), values.shape[-1] - 1), dtype=np.float32)
    order = torch.from_numpy(keys.argsort(-1)).to(values.device)
    wrong = wrong_class_values(values, index).gather(-1, order)
    whole = torch.cat([values[:, :1], wrong], dim=-1)  # the place of the label still holds whatever stood there
    target = values.gather(-1, index.unsqueeze(-1))
    moved = whole.gather(-1, index.unsqueeze(-1))
    whole[:, :1] = moved
    return in_kind_of(whole.scatter_(-1, index.unsqueeze(-1), target), logits)


def shuffled_within_class(labels: Labels, *, seed: int = 0) -> Array:
    """A random order of the examples that keeps each one's label: what stays alike after it is class-level only.

    Args:
        labels: (example), integers.
        seed: decides the order.

    Returns:
        (example), int64 positions, with labels[positions] == labels.
    """
    own = as_tensor(labels).cpu().numpy()
    keys = np.random.default_rng(seed).random(len(own))
    positions = np.empty(len(own), dtype=np.int64)
    positions[np.argsort(own, kind="stable")] = np.lexsort((keys, own))
    return in_kind_of(torch.from_numpy(positions), labels)
