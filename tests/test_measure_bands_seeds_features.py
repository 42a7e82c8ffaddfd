"""Simultaneous bands, variance between seeds, and geometry of stored features."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from scipy import stats

from darkprobe.errors import DataError, InvalidValueError
from darkprobe.measure import SoftLabels, between_seeds, measure, measure_features, temperature_bands
from darkprobe.measure.bands import _critical_value
from darkprobe.measure.moments import JointMoments
from darkprobe.metrics import entropy, feature_compactness, linear_cka


def record(name: str, seed: int, **facts: object) -> SoftLabels:
    shared, own = np.random.default_rng(0), np.random.default_rng(seed)
    labels = shared.integers(0, 5, 300)
    logits = shared.normal(size=(300, 5)) + own.normal(size=5) * 0.5 + own.normal(size=(300, 5)) * 0.5
    return SoftLabels(model=name, logits=logits, labels=labels, **facts)  # type: ignore[arg-type]


class TestBands:
    def test_critical_values_between_one_and_many_independent_points(self) -> None:
        values = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 5000)))
        found = _critical_value(JointMoments.of(values), seed=0)
        assert found == pytest.approx(stats.norm.ppf((1 + 0.95 ** (1 / 6)) / 2), abs=0.03)  # independent: exact form
        alike = values[:1].repeat(6, 1)
        assert _critical_value(JointMoments.of(alike), seed=0) == pytest.approx(1.96, abs=0.03)

    def test_the_curve_is_measures_and_the_band_wider(self) -> None:
        one = record("a", 1)
        band = temperature_bands(one, "entropy", temperatures=[0.5, 1.0, 4.0])
        single = measure(one, metrics=["entropy"], temperatures=[0.5, 1.0, 4.0], subsets=["all"])
        np.testing.assert_allclose(band["value"], single["value"])
        assert (band["low"] < single["low"]).all() and (band["high"] > single["high"]).all()

    def test_the_whole_truth_is_inside_in_nearly_all_samples(self) -> None:
        temperatures = [0.5, 1.0, 2.0, 8.0]
        rng = np.random.default_rng(0)
        everyone = rng.normal(size=(200_000, 4)) * 2
        truth = [entropy(everyone, np.zeros(200_000, dtype=int), temperature=t).mean() for t in temperatures]
        hits = 0
        for _ in range(100):
            sample = SoftLabels(model="a", logits=rng.normal(size=(200, 4)) * 2, labels=np.zeros(200, dtype=int))
            band = temperature_bands(sample, "entropy", temperatures=temperatures)
            hits += bool(((band["low"] <= truth) & (truth <= band["high"])).all())
        assert hits >= 89

    def test_other_kinds_are_refused(self) -> None:
        with pytest.raises(InvalidValueError, match="must be per_example, got 'ece'"):
            temperature_bands(record("a", 1), "ece", temperatures=[1.0])


class TestSeeds:
    def layout(self, seeds: int, *, between: float, examples: float, both: float) -> list[SoftLabels]:
        """Two classes, so that -log odds is the one free number: a two-way layout with known components."""
        rng = np.random.default_rng(seeds)
        labels = np.zeros(4000, dtype=int)
        shared = rng.normal(size=4000) * examples
        found = []
        for seed in range(seeds):
            odds = 2 + rng.normal() * between + shared + rng.normal(size=4000) * both
            logits = np.stack([odds, np.zeros(4000)], axis=1)
            found.append(SoftLabels(model=f"s{seed}", logits=logits, labels=labels, family="mlp", parameters=10))
        return found

    def test_seeds_and_examples_are_told_apart(self) -> None:
        records = self.layout(40, between=0.3, examples=1.0, both=0.5)
        found = between_seeds(records, metrics=["target_confidence"], temperatures=[1.0]).iloc[0]
        values = np.stack([1 / (1 + np.exp(r.logits[:, 1] - r.logits[:, 0])) for r in records])
        assert found.value == pytest.approx(values.mean()) and (found.seeds, found.n) == (40, 4000)
        low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values.mean(1)))
        np.testing.assert_allclose([found.low, found.high], [low, high])
        assert found.example_error == pytest.approx(stats.sem(values.mean(0)), rel=1e-3)
        assert found.between_seed_std == pytest.approx(values.mean(1).std(ddof=1), rel=0.02)  # chance adds little here

    def test_without_seed_effect_chance_is_taken_off(self) -> None:
        records = self.layout(40, between=0.0, examples=1.0, both=2.0)
        found = between_seeds(records, metrics=["target_confidence"], temperatures=[1.0]).iloc[0]
        means = measure(records, metrics=["target_confidence"], temperatures=[1.0], subsets=["all"])["value"]
        assert found.between_seed_std < 0.6 * means.std(ddof=1)

    def test_the_interval_of_the_spread_covers_it(self) -> None:
        """150 stores of 4 seeds and 300 examples; the truth by Gauss-Hermite quadrature over examples and seeds."""
        at, weight = np.polynomial.hermite_e.hermegauss(60)
        weight = weight / weight.sum()
        confidence = 1 / (1 + np.exp(-(2 + 0.3 * at[:, None] + np.hypot(1.0, 0.5) * at)))  # (seed, example)
        means = confidence @ weight
        truth = np.sqrt(weight @ (means - weight @ means) ** 2)
        rng, covered = np.random.default_rng(5), 0
        for _ in range(150):
            shared = rng.normal(size=300)
            odds = 2 + 0.3 * rng.normal(size=(4, 1)) + shared + 0.5 * rng.normal(size=(4, 300))
            records = [
                SoftLabels(
                    model=f"s{seed}",
                    logits=np.stack([own, np.zeros(300)], axis=1),
                    labels=np.zeros(300, dtype=int),
                    family="mlp",
                    parameters=10,
                )
                for seed, own in enumerate(odds)
            ]
            found = between_seeds(records, metrics=["target_confidence"], temperatures=[1.0]).iloc[0]
            assert found.std_low <= found.between_seed_std <= found.std_high
            covered += bool(found.std_low <= truth <= found.std_high)
        assert 0.89 <= covered / 150 <= 0.99

    def test_one_seed_has_no_spread(self) -> None:
        found = between_seeds(record("a", 1, family="mlp", parameters=3))
        assert found["between_seed_std"].isna().all() and found["std_high"].isna().all() and (found["seeds"] == 1).all()
        with pytest.raises(InvalidValueError, match="must be per_example, got 'ece'"):
            between_seeds(record("a", 1), metrics=["ece"])


@dataclass(frozen=True, kw_only=True)
class WithFeatures(SoftLabels):
    """A record with stored features, as a logit file has them."""

    features: dict[str, np.ndarray] = field(default_factory=dict)
    head_weight: np.ndarray | None = None


class TestFeatures:
    def records(self) -> list[WithFeatures]:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 4, 200)
        centres = rng.normal(size=(4, 6))
        found = []
        for name, noise in (("loose", 2.0), ("tight", 0.5)):
            pooled = centres[labels] + rng.normal(size=(200, 6)) * noise
            maps = pooled[:, :, None, None] + rng.normal(size=(200, 6, 2, 2)) * 1e-9
            found.append(
                WithFeatures(
                    model=name, logits=pooled @ centres.T, labels=labels, features={"pool": maps}, head_weight=centres
                )
            )
        return found

    def test_rows_and_intervals(self) -> None:
        records = self.records()
        table = measure_features(records, resamples=40)
        rows = {(row.model, row.metric): row for row in table.itertuples()}
        loose, tight = rows["loose", "feature_compactness"], rows["tight", "feature_compactness"]
        pooled = [r.features["pool"].mean((2, 3)) for r in records]
        assert loose.value == pytest.approx(feature_compactness(pooled[0], records[0].labels))
        assert tight.high < loose.low
        assert rows["tight", "weight_alignment"].value > 0.9
        assert rows["loose", "linear_cka"].value == pytest.approx(linear_cka(*pooled))
        assert rows["loose", "linear_cka"].reference == "tight"

    def test_refusals(self) -> None:
        with pytest.raises(DataError, match="must hold features, got none"):
            measure_features(record("a", 1))
        with pytest.raises(DataError, match="features of layer 'stem', got pool"):
            measure_features(self.records(), layers="stem")
