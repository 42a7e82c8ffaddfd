"""The tidy tables: pairing, subsets, streaming, intervals, what users add, and what is refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from darkprobe.errors import DataError, InvalidTypeError, InvalidValueError, UnknownNameError
from darkprobe.measure import SoftLabels, compare, measure
from darkprobe.measure import one_pass as one_pass_module
from darkprobe.measure.intervals import ClassBootstrap, wilson_interval
from darkprobe.measure.moments import JointMoments, Moments
from darkprobe.measure.table import COLUMNS
from darkprobe.metrics import METRICS, Metric, consistency, distinctness_std, register_metric


def logits_of(
    seed: int, *, examples: int = 400, classes: int = 10, shift: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits that share class and example structure between seeds, and labels that do not change with the seed."""
    shared, own = np.random.default_rng(0), np.random.default_rng(seed + 1)
    labels = shared.integers(0, classes, examples)
    logits = shared.normal(size=(classes, classes))[labels] + shared.normal(size=(examples, classes))
    logits = logits + 0.7 * own.normal(size=(examples, classes))
    logits[np.arange(examples), labels] += shift
    return logits.astype(np.float32), labels


def record(name: str, seed: int = 0, **facts: object) -> SoftLabels:
    logits, labels = logits_of(seed)
    return SoftLabels(model=name, logits=logits, labels=labels, dataset="d", split="test", **facts)  # type: ignore[arg-type]


def one(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1, table
    return table.iloc[0]


class TestMeasure:
    def test_the_columns_and_the_mean_with_its_t_interval(self) -> None:
        one_record = record("a")
        table = measure(one_record, metrics=["distinctness_std"], temperatures=[4.0])
        assert tuple(table.columns) == COLUMNS
        values = distinctness_std(one_record.logits, one_record.labels, temperature=4.0)
        row = one(table, metric="distinctness_std", subset="all")
        low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        np.testing.assert_allclose([row.value, row.low, row.high], [values.mean(), low, high], rtol=1e-9)
        assert (row.n, row.unit, row.reference) == (400, "probability", None)

    def test_distinctness_brings_its_factors(self) -> None:
        table = measure(record("a"), metrics=["distinctness_std"], temperatures=[4.0], subsets=["all"])
        assert set(table["metric"]) == {"distinctness_std", "non_target_mass", "inherent_std"}

    def test_subsets_hold_the_examples_they_say(self) -> None:
        records = [record("a"), record("b", 1)]
        right = [r.logits.argmax(1) == r.labels for r in records]
        table = measure(records, metrics=["entropy", "accuracy"], temperatures=[1.0])
        n = {(row.model, row.subset): row.n for row in table[table["metric"] == "entropy"].itertuples()}
        assert n["a", "correct"] == right[0].sum() and n["b", "correct"] == right[1].sum()
        assert n["a", "common"] == n["b", "common"] == (right[0] & right[1]).sum()
        assert set(table[table["metric"] == "accuracy"]["subset"]) == {"all"}
        assert table[table["metric"] == "accuracy"]["temperature"].isna().all()

    def test_models_are_paired_by_example_ids(self) -> None:
        first, second = record("a"), record("b", 1)
        order = np.random.default_rng(5).permutation(400)
        shuffled = SoftLabels(
            model="b", logits=second.logits[order], labels=second.labels[order], ids=order, dataset="d", split="test"
        )
        for function in (measure, compare):
            straight, paired = function([first, second], resamples=50), function([first, shuffled], resamples=50)
            pd.testing.assert_frame_equal(straight, paired, rtol=1e-9)

    def test_small_blocks_give_the_same_numbers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        records = [record("a"), record("b", 1)]
        whole = measure(records, resamples=50)
        monkeypatch.setattr(one_pass_module, "rows_per_block", lambda logits: 7)
        pd.testing.assert_frame_equal(measure(records, resamples=50), whole, rtol=1e-12)

    def test_a_metric_of_ones_own_appears(self) -> None:
        def gap(logits: np.ndarray, labels: np.ndarray, *, temperature: float) -> np.ndarray:
            return np.ptp(logits, axis=-1) / temperature

        def spread(logits: np.ndarray, labels: np.ndarray, *, temperature: float) -> float:
            return float(logits.std() / temperature)

        register_metric(Metric(name="own_gap", function=gap, kind="per_example", summary="Range of the logits."))
        register_metric(Metric(name="own_spread", function=spread, kind="dataset", summary="Spread of all logits."))
        try:
            one_record = record("a")
            table = measure(one_record, temperatures=[2.0], resamples=40)
            assert one(table, metric="own_gap", subset="all").value == pytest.approx(
                np.ptp(one_record.logits, axis=1).mean() / 2
            )
            row = one(table, metric="own_spread")
            assert row.value == pytest.approx(one_record.logits.std() / 2)
            assert row.low < row.value < row.high
        finally:
            for name in ("own_gap", "own_spread"):
                METRICS._records.pop(name)

    @pytest.mark.parametrize("world", ["over-confident", "by class", "slightly", "calibrated"])
    def test_the_intervals_of_calibration_errors_cover(self, world: str) -> None:
        """95 % intervals of a population's calibration error hold it in nearly all of 100 samples of fixed class sizes.

        "by class": half of the classes are under-confident, half over-confident. "calibrated": the truth is 0, which is
        the hardest, because every estimate lies above it.
        """
        shift = {"over-confident": -0.1, "slightly": -0.02, "calibrated": 0.0}.get(world)
        truth, names = 0.1054 if shift is None else -shift, ("ece", "ece_equal_mass", "ece_debiased")
        hits = dict.fromkeys(names, 0)
        labels = np.arange(1000) % 10
        for seed in range(100):
            rng = np.random.default_rng(seed)
            confidence = rng.uniform(0.5, 1.0, 1000)
            by_class = np.where(labels < 5, np.minimum(confidence + 0.1, 1), confidence - 0.3)
            correct = rng.random(1000) < (by_class if shift is None else confidence + shift)
            predicted = np.where(correct, labels, (labels + 1) % 10)
            logits = np.repeat(np.log((1 - confidence) / 9)[:, None], 10, axis=1)
            logits[np.arange(1000), predicted] = np.log(confidence)
            table = measure(
                SoftLabels(model="a", logits=logits, labels=labels), metrics=names, temperatures=[1.0], resamples=200
            )
            for row in table.itertuples():
                assert row.low <= row.value <= row.high
                hits[row.metric] += bool(row.low <= truth <= row.high)
        least = 84 if world == "calibrated" else 88
        assert all(count >= least for count in hits.values()), hits

    def test_fitted_temperature_recovers_the_truth_with_its_interval(self) -> None:
        rng = np.random.default_rng(0)
        logits = rng.normal(size=(4000, 5)) * 4
        probs = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum(1, keepdims=True)
        labels = (probs.cumsum(1) < rng.random(4000)[:, None]).sum(1)
        row = measure(SoftLabels(model="a", logits=logits, labels=labels), metrics=["fitted_temperature"]).iloc[0]
        assert row.low < 2.5 < row.high and row.high - row.low < 0.3
        assert np.isnan(row.temperature)

    def test_names_are_checked_with_near_ones(self) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown metric 'distinctness'.*'distinctness_std'"):
            measure(record("a"), metrics=["distinctness"])
        with pytest.raises(UnknownNameError, match="unknown subset 'right'"):
            measure(record("a"), subsets=["right"])  # type: ignore[list-item]
        with pytest.raises(UnknownNameError, match=r"unknown split 'train'\. Known: test"):
            measure(record("a"), split="train")
        with pytest.raises(UnknownNameError, match="unknown model 'b'"):
            measure(record("a"), models=["b"])
        with pytest.raises(InvalidValueError, match="'kendall', which needs two"):
            measure(record("a"), metrics=["kendall"])
        with pytest.raises(InvalidValueError, match="`temperature` must be a finite number > 0, got -1"):
            measure(record("a"), temperatures=[-1])
        with pytest.raises(InvalidTypeError, match="got a sequence with ndarray"):
            measure([np.zeros((2, 3))])  # type: ignore[list-item]
        with pytest.raises(InvalidValueError, match="at least one model, got none"):
            measure([])

    def test_a_bad_logit_is_named_by_model_and_example(self) -> None:
        logits, labels = logits_of(0)
        logits[17, 3] = np.inf
        bad = SoftLabels(model="a", logits=logits, labels=labels, ids=np.arange(400) + 1000)
        with pytest.raises(InvalidValueError, match="from 'a' for the example with id 1017"):
            measure(bad)

    def test_other_examples_labels_or_classes_are_refused(self) -> None:
        first = record("a")
        logits, labels = logits_of(1)

        def other(**facts: object) -> SoftLabels:
            given = {"model": "b", "logits": logits, "labels": labels, "dataset": "d", "split": "test", **facts}
            return SoftLabels(**given)  # type: ignore[arg-type]

        with pytest.raises(DataError, match="must hold the same examples, got 400 and 400 with 300 in common"):
            measure([first, other(ids=np.arange(400) + 100)])
        with pytest.raises(DataError, match="must have the same labels"):
            measure([first, other(labels=(labels + 1) % 10)])
        with pytest.raises(DataError, match="must have the same classes"):
            measure([first, other(classes=[f"c{i}" for i in range(10)])])
        with pytest.raises(DataError, match="different names, got 'a' twice"):
            measure([first, other(model="a")])
        with pytest.raises(DataError, match=r"must have shape \(example, cls\) with 10 named classes"):
            measure(other(logits=logits[None], classes=[str(c) for c in range(10)]))

    def test_no_examples_give_no_numbers(self) -> None:
        empty = SoftLabels(model="a", logits=np.zeros((0, 4)), labels=np.zeros(0, dtype=int))
        table = measure(empty)
        assert (table["n"] == 0).all() and table["value"].isna().all()


class TestCompare:
    def test_rank_correlations_match_scipy(self) -> None:
        records = [record("a"), record("b", 1)]
        table = compare(records, metrics=["kendall", "spearman"], subsets=["all"])
        labels = records[0].labels
        wrong = np.arange(10) != labels[:, None]
        pairs = [(records[0].logits[i][wrong[i]], records[1].logits[i][wrong[i]]) for i in range(400)]
        for name, function in (("kendall", stats.kendalltau), ("spearman", stats.spearmanr)):
            values = np.array([function(*pair).statistic for pair in pairs])
            row = one(table, metric=name)
            assert row.value == pytest.approx(values.mean(), abs=1e-6)
            low, high = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
            np.testing.assert_allclose([row.low, row.high], [low, high], atol=1e-6)

    def test_the_scale_from_chance_to_seed_noise(self) -> None:
        sizes = {"a": 10, "b": 10, "c": 20, "d": 20}
        records = [record(name, seed, family="mlp", parameters=p) for seed, (name, p) in enumerate(sizes.items())]
        table = compare(records, metrics=["spearman", "class_affinity"], temperatures=[4.0], subsets=["all"])
        cross = table[(table["model"] == "a") & (table["reference"] == "c")]
        r = {row.metric: row for row in cross.itertuples()}
        assert r["spearman_floor_permuted"].low < 0 < r["spearman_floor_permuted"].high
        assert 0 < r["spearman_floor_within_class"].value < r["spearman"].value
        mean = {(row.model, row.reference): row.value for row in table[table["metric"] == "spearman"].itertuples()}
        expected = consistency(
            mean["a", "c"],
            reliability_a=mean["a", "b"],
            reliability_b=mean["c", "d"],
            floor=r["spearman_floor_permuted"].value,
        )
        assert r["spearman_consistency"].value == pytest.approx(float(expected))
        assert r["spearman_consistency"].low < 1 < r["spearman_consistency"].high  # all four are alike by design
        assert r["class_affinity_consistency"].low < 1 < r["class_affinity_consistency"].high
        twins = table[(table["model"] == "a") & (table["reference"] == "b")]
        assert not twins["metric"].str.contains("consistency").any()

    def test_the_consistency_interval_matches_a_bootstrap(self) -> None:
        records = [
            record(n, s, family="mlp", parameters=p) for s, (n, p) in enumerate(zip("abcd", (1, 1, 2, 2), strict=True))
        ]
        row = one(
            compare(records, metrics=["spearman"], subsets=["all"]),
            model="a",
            reference="c",
            metric="spearman_consistency",
        )
        from darkprobe.metrics import affinity_matrix

        matrix = affinity_matrix(np.stack([r.logits for r in records]), records[0].labels, method="spearman")
        ceiling = one(
            compare(records, metrics=["spearman"], subsets=["all"]), model="a", reference="c", metric="spearman_ceiling"
        )
        rng = np.random.default_rng(0)
        draws = [matrix[..., rng.integers(0, 400, 400)].mean(-1) for _ in range(500)]
        spread = np.std([np.sqrt(m[0, 1] * m[2, 3]) for m in draws])
        assert (ceiling.high - ceiling.low) / (2 * 1.96) == pytest.approx(spread, rel=0.2)
        spread = np.std([m[0, 2] / np.sqrt(m[0, 1] * m[2, 3]) for m in draws])
        assert (row.high - row.low) / (2 * 1.96) == pytest.approx(spread, rel=0.25)

    def test_a_model_with_itself_is_one_and_divergence_zero(self) -> None:
        first = record("a")
        twin = SoftLabels(model="b", logits=first.logits * 2 + 5, labels=first.labels, dataset="d", split="test")
        table = compare([first, twin], temperatures=[1.0], subsets=["all"])
        for name in ("kendall", "spearman", "top3_overlap", "agreement"):
            assert one(table, metric=name).value == pytest.approx(1)
        assert one(table, metric="kl_from_reference").value > 0.01

    def test_classes_without_examples_are_left_out(self) -> None:
        labels = logits_of(0)[1]
        keep = labels != 3
        records = [
            SoftLabels(model=n, logits=logits_of(s)[0][keep], labels=labels[keep]) for n, s in (("a", 0), ("b", 1))
        ]
        row = one(
            compare(records, metrics=["class_affinity"], temperatures=[4.0], subsets=["all"]), metric="class_affinity"
        )
        assert row.n == keep.sum() and row.low <= row.value <= row.high

    def test_one_model_is_refused(self) -> None:
        with pytest.raises(InvalidValueError, match="at least two models"):
            compare(record("a"))
        with pytest.raises(InvalidValueError, match="'entropy', which is of one"):
            compare([record("a"), record("b", 1)], metrics=["entropy"])


class TestPieces:
    def test_moments_merge_to_those_of_the_whole(self) -> None:
        values = torch.randn(3, 100, dtype=torch.float64) + 1e6
        values[1, 3] = torch.nan
        parts = Moments.empty(3)
        for block in values.split(13, dim=1):
            parts = parts.merge(Moments.of(block))
        whole = Moments.of(values)
        np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-14)
        np.testing.assert_allclose(parts.standard_error(), whole.standard_error(), rtol=1e-9)
        assert parts.count.tolist() == [100, 99, 100]
        joint = JointMoments.empty(3)
        for block in values.split(13, dim=1):
            joint = joint.merge(JointMoments.of(block))
        kept = values[:, ~values.isnan().any(0)].numpy()
        np.testing.assert_allclose(joint.covariance_of_means(), np.cov(kept) / kept.shape[1], rtol=1e-6)

    def test_resamples_keep_the_size_of_every_class(self) -> None:
        labels = np.array([2, 0, 0, 2, 2, 1])
        bootstrap = ClassBootstrap(labels=labels, resamples=3000)
        weights = np.concatenate(list(bootstrap.weights()))[:, np.argsort(bootstrap.order)]
        for own in range(3):
            np.testing.assert_array_equal(weights[:, labels == own].sum(1), (labels == own).sum())
        np.testing.assert_allclose(weights.mean(0), 1, atol=0.1)
        assert weights[:, 1].var() == pytest.approx(0.5, abs=0.05)  # binomial, 2 draws among 2

    def test_wilson_is_the_one_of_scipy_and_not_empty_at_the_ends(self) -> None:
        low, high = wilson_interval(np.array([0.0, 0.3, 1.0]), np.array([50, 50, 50]))
        for share, a, b in zip((0, 15, 50), low, high, strict=True):
            expected = stats.binomtest(share, 50).proportion_ci(method="wilson")
            np.testing.assert_allclose([a, b], [expected.low, expected.high], atol=1e-12)

    def test_arrays_alone_do_not_load_hdf5(self) -> None:
        code = (
            "import sys, numpy as np; from darkprobe.measure import SoftLabels, measure;"
            "measure(SoftLabels(model='a', logits=np.eye(4), labels=np.arange(4))); assert 'h5py' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
