"""The logits of one replicate's teachers, and what is measured on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from darkprobe import metrics
from darkprobe.measure.one_pass import example_values
from darkprobe.metrics.soft_label_statistics import SoftLabelBlock
from darkprobe.store import LogitStore

SHOWN = ("distinctness_std", "non_target_mass", "inherent_std", "non_ground_truth_entropy")
"""Metrics of the curves: distinctness with its two factors, and the entropy of the shape."""

SUBSETS = ("all", "common")


def own_metrics() -> tuple[str, ...]:
    """The metrics of one value per example that the user registered."""
    built_in = {metric.name for metric in metrics.BUILT_IN}
    return tuple(m.name for m in metrics.METRICS.values() if m.kind == "per_example" and m.name not in built_in)


Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Logits of one replicate's teachers on one split, smallest first.

    Attributes:
        logits: (rung, example, cls).
        labels: (example,).
        parameters: (rung,), number of trained parameters.
    """

    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    parameters: tuple[int, ...]


def read_ladder(store: LogitStore, place: tuple[str, str], stems: Sequence[str]) -> Ladder:
    """The logits of the models with these file stems, in the order given; `place` is (data set, split)."""
    entries = {entry.card.file_stem: entry for entry in store.entries(*place)}
    found = [entries[stem] for stem in stems]
    return Ladder(
        logits=np.stack([np.array(e.logits) for e in found]),
        labels=np.array(found[0].labels),
        parameters=tuple(e.card.parameters for e in found),
    )


def curves(ladder: Ladder, names: Sequence[str], temperatures: Sequence[float]) -> Values:
    """Means over examples of the named metrics, (subset, metric, temperature, rung); NaN where no example counts."""
    rungs, examples, classes = ladder.logits.shape
    labels = torch.from_numpy(ladder.labels)
    block = SoftLabelBlock(torch.from_numpy(ladder.logits).reshape(-1, classes), labels.repeat(rungs))
    common = (ladder.logits.argmax(-1) == ladder.labels).all(0)
    shown = [metrics.METRICS[name] for name in names]
    out = np.empty((len(SUBSETS), len(shown), len(temperatures), rungs))
    for t, temperature in enumerate(temperatures):
        for m, metric in enumerate(shown):
            values = example_values(block, metric, temperature).double().reshape(rungs, examples).numpy()
            out[0, m, t] = values.mean(-1)
            out[1, m, t] = values[:, common].mean(-1) if common.any() else np.nan  # no example is right everywhere
    return out


def affinity_with_largest(ladder: Ladder, twins: Ladder, *, temperature: float, seed: int) -> Mapping[str, Values]:
    """Rank correlations that consistency is made of, (rung,) each.

    Returns:
        "class": class-level Spearman of each rung with the largest teacher; "class_reliability": of each rung with its
        twin; "class_floor": with the largest after its wrong classes were permuted; and the same at instance level
        with the prefix "instance".
    """
    largest = ladder.logits[-1:]
    permuted = np.asarray(metrics.permuted_wrong_classes(largest[0], ladder.labels, seed=seed))[None]
    pairs = {
        "": (ladder.logits, largest),
        "_reliability": (ladder.logits, twins.logits),
        "_floor": (ladder.logits, permuted),
    }
    out: dict[str, Values] = {}
    for name, (first, second) in pairs.items():
        matrices = [metrics.class_affinity_matrix(x, ladder.labels, temperature=temperature) for x in (first, second)]
        rungs = len(ladder.logits)
        other = np.broadcast_to(np.asarray(matrices[1]), (rungs, *np.shape(matrices[0])[1:])).copy()
        out[f"class{name}"] = np.asarray(metrics.class_affinity_correlation(np.asarray(matrices[0]), other))
        wide = np.broadcast_to(second, first.shape).copy()
        out[f"instance{name}"] = np.asarray(metrics.affinity(first, wide, ladder.labels, method="spearman")).mean(-1)
    return out
