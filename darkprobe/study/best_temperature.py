"""A teacher's best temperature from its logits alone: where its wrong classes are most distinct."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from darkprobe.metrics.soft_label_statistics import SoftLabelBlock

TEMPERATURES = tuple(2.0 ** (k / 4) for k in range(-4, 27))
"""Temperatures that are tried: .5 to 90, four a doubling."""

EXAMPLES = 5000
"""Examples that are looked at: sigma's standard error is then below 1 % of it."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class BestTemperature:
    """Where a teacher's wrong classes are most distinct.

    Attributes:
        temperature: T*.
        low, high: 95 % bootstrap interval over examples.
        distinctness: mean std over wrong classes at T*, probability.
        curve: (temperature,), the mean at each of `TEMPERATURES`.
    """

    temperature: float
    low: float
    high: float
    distinctness: float
    curve: Values

    def share(self, temperature: float) -> float:
        """Distinctness at a temperature as a share of that at T*, interpolated in log T."""
        return float(np.interp(np.log2(temperature), np.log2(TEMPERATURES), self.curve)) / self.distinctness


def some_examples(n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """At most `EXAMPLES` of n examples, drawn without replacement, in order."""
    return np.sort(rng.choice(n, min(EXAMPLES, n), replace=False))


def temperature_of_most_distinct(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], *, seed: int = 0
) -> BestTemperature:
    """T* = argmax over `TEMPERATURES` of the mean distinctness, with a bootstrap interval over examples.

    Args:
        logits: (example, cls); at most `EXAMPLES` of them, drawn at random, are used.
        labels: (example,).
        seed: of the draw and the bootstrap.

    References:
        Distinctness: Li et al., 2022, Asymmetric temperature scaling (arXiv 2210.04427) [code]; choosing T by it: our
        choice [design].
    """
    rng = np.random.default_rng(seed)
    chosen = some_examples(len(labels), rng)
    block = SoftLabelBlock(
        torch.from_numpy(np.asarray(logits[chosen])), torch.from_numpy(np.asarray(labels[chosen]).astype(np.int64))
    )
    sigma = np.stack([block.at(t).distinctness_std.double().numpy() for t in TEMPERATURES])  # (temperature, example)
    curve = sigma.mean(1)
    counts = rng.multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)), size=200)
    resampled = np.array(TEMPERATURES)[(counts @ sigma.T).argmax(1)]
    low, high = np.quantile(resampled, [0.025, 0.975], method="inverted_cdf")
    best = int(curve.argmax())
    return BestTemperature(
        temperature=TEMPERATURES[best], low=float(low), high=float(high), distinctness=float(curve[best]), curve=curve
    )
