"""What is measured of each generation of a chain: accuracy, confidences, and the ensemble so far. Arrays in."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from darkprobe.distill.schedules import ensemble_probs
from darkprobe.metrics import primary_confidence, secondary_confidence
from darkprobe.types import IntArray


def measure_generations(
    logits: Sequence[Mapping[str, Tensor]], labels: Mapping[str, IntArray]
) -> list[dict[str, float]]:
    """One record a generation of one chain.

    Accuracies are fractions, at the last epoch. Confidences are means over examples at T = 1: of the largest
    probability, of the second to fifth, and their difference, the top score difference with K = 5, whatever K the
    teacher was trained with.

    Args:
        logits: of each generation by role ("train", "val", perhaps "test"), (example, cls).
        labels: by role, (example,).

    Returns:
        "{role}_accuracy", "{role}_primary_confidence", "{role}_secondary_confidence" and "{role}_secondary_gap" for
        each role, and where there is a test part "ensemble_accuracy": of the mean probabilities of this generation
        and all before it.
    """
    records = []
    for number, answers in enumerate(logits):
        record: dict[str, float] = {}
        for role, found in answers.items():
            record |= _of_role(role, found, labels[role])
        if "test" in answers:
            together = ensemble_probs([one["test"] for one in logits[: number + 1]])
            record["ensemble_accuracy"] = _accuracy(together, labels["test"])
        records.append(record)
    return records


def _of_role(role: str, logits: Tensor, labels: IntArray) -> dict[str, float]:
    target = torch.from_numpy(labels)
    primary = float(torch.as_tensor(primary_confidence(logits, target)).mean())
    secondary = float(torch.as_tensor(secondary_confidence(logits, target)).mean())
    return {
        f"{role}_accuracy": _accuracy(logits, labels),
        f"{role}_primary_confidence": primary,
        f"{role}_secondary_confidence": secondary,
        f"{role}_secondary_gap": primary - secondary,
    }


def _accuracy(scores: Tensor, labels: IntArray) -> float:
    return float((scores.argmax(-1) == torch.from_numpy(labels)).double().mean())
