"""Alignment with people and its ceiling, a student's gradient factors, and the warning about signs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from darkprobe.errors import DataError, InvalidValueError, UnknownNameError
from darkprobe.measure import SoftLabels, measure, measure_people, measure_student, read_votes, sign_conflicts
from darkprobe.metrics import human_alignment, split_half_alignment


def people(examples: int = 500, classes: int = 8, votes: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True shares, votes drawn from them, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, examples)
    scores = rng.normal(size=(classes, classes))[labels] * 1.5 + rng.normal(size=(examples, classes))
    scores[np.arange(examples), labels] += 3
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return shares, np.stack([rng.multinomial(votes, row) for row in shares]), labels


class TestPeople:
    def test_it_is_scipys_correlation_and_missing_without_a_wrong_vote(self) -> None:
        shares, counts, labels = people()
        counts[0] = 0
        counts[0, labels[0]] = 60
        logits = np.log(shares)
        wrong = np.arange(8) != labels[:, None]
        for method, function in (("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
            found = human_alignment(logits, counts, labels, method=method)  # type: ignore[arg-type]
            assert np.isnan(found[0])
            ordered = [i for i in range(500) if np.ptp(counts[i][wrong[i]]) > 0]
            assert 0 not in ordered and np.isnan(np.delete(found, ordered)).all()
            expected = [function(logits[i][wrong[i]], counts[i][wrong[i]]).statistic for i in ordered]
            np.testing.assert_allclose(found[ordered], expected, atol=1e-6)
        found = human_alignment(logits, counts, labels, method="pearson", temperature=2.0)
        scaled = np.exp(logits / 2)
        expected = [np.corrcoef(scaled[i][wrong[i]], counts[i][wrong[i]])[0, 1] for i in ordered]
        np.testing.assert_allclose(found[ordered], expected, atol=1e-9)

    def test_a_perfect_model_reaches_the_ceiling(self) -> None:
        shares, counts, labels = people(examples=2000)
        record = SoftLabels(model="truth", logits=np.log(shares), labels=labels)
        table = measure_people(record, counts, temperatures=[1.0], resamples=20).set_index("metric")
        for metric in ("human_pearson", "human_class_affinity"):
            assert table.loc[metric, "value"] == pytest.approx(table.loc[f"{metric}_ceiling", "value"], abs=0.03)
        assert (
            table.loc["human_pearson", "low"] < table.loc["human_pearson", "value"] < table.loc["human_pearson", "high"]
        )
        noise = SoftLabels(model="noise", logits=np.random.default_rng(1).normal(size=(2000, 8)), labels=labels)
        other = measure_people(noise, counts, temperatures=[1.0], resamples=20).set_index("metric")
        assert other.loc["human_spearman", "low"] < 0 < other.loc["human_spearman", "high"]

    def test_halves_of_the_votes_are_even_and_repeat(self) -> None:
        _, counts, labels = people(examples=50)
        first = split_half_alignment(counts, labels, splits=3, seed=1)
        np.testing.assert_array_equal(first, split_half_alignment(counts, labels, splits=3, seed=1))
        with pytest.raises(InvalidValueError, match="must be whole numbers of people"):
            split_half_alignment(counts / 3, labels)

    def test_votes_of_other_examples_are_refused(self) -> None:
        shares, counts, labels = people()
        record = SoftLabels(model="a", logits=np.log(shares), labels=labels)
        with pytest.raises(DataError, match="rows do not belong together"):
            measure_people(record, counts[np.random.default_rng(0).permutation(500)])
        with pytest.raises(InvalidValueError, match=r"must have shape \(500, 8\)"):
            measure_people(record, counts[:10])
        with pytest.raises(InvalidValueError, match="must be not negative"):
            human_alignment(np.log(shares), -counts, labels)

    def test_reading_files(self, tmp_path: Path) -> None:
        _, counts, _ = people(examples=5)
        np.save(tmp_path / "h-counts.npy", counts)
        np.save(tmp_path / "h-probs.npy", counts / 60)
        np.save(tmp_path / "alone.npy", counts / 60)
        votes, found = read_votes(tmp_path / "h-probs.npy")
        np.testing.assert_array_equal(found, counts)
        np.testing.assert_allclose(votes * 60, counts)
        assert read_votes(tmp_path / "alone.npy")[1] is None
        assert read_votes(tmp_path / "h-counts.npy")[1] is not None
        (tmp_path / "text.npy").write_text("no array")
        with pytest.raises(DataError, match=r"text.npy cannot be read as .npy"):
            read_votes(tmp_path / "text.npy")


class TestStudent:
    def records(self) -> list[SoftLabels]:
        shares, _, labels = people()
        noise = np.random.default_rng(3).normal(size=shares.shape)
        logits = {"student": np.log(shares) / 2 + noise / 3, "teacher": np.log(shares) * 2, "twin": np.log(shares) / 2}
        return [SoftLabels(model=name, logits=values, labels=labels) for name, values in logits.items()]

    def test_the_quartiles_and_the_correlation_with_difficulty(self) -> None:
        from darkprobe.metrics import nll, rescaling_factor

        records = self.records()
        table = measure_student(records, "student", temperatures=[4.0])
        row = table[table["model"] == "teacher"].set_index("metric")
        labels = records[0].labels
        weights = rescaling_factor(records[0].logits, records[1].logits, labels, temperature=4.0)
        assert row.loc["rescaling_factor_median", "value"] == pytest.approx(np.median(weights))
        assert (
            row.loc["rescaling_factor_median", "low"] < np.median(weights) < row.loc["rescaling_factor_median", "high"]
        )
        difficulty = np.mean([nll(r.logits, labels) for r in records], axis=0)
        rank = row.loc["rescaling_factor_difficulty"]
        assert rank.value == pytest.approx(stats.spearmanr(weights, difficulty).statistic)
        assert rank.low < rank.value < rank.high and rank.value < 0  # easy examples gain weight
        assert set(table["model"]) == {"teacher", "twin"} and set(table["reference"]) == {"student"}

    def test_names(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown model 'pupil'"):
            measure_student(self.records(), "pupil")
        with pytest.raises(InvalidValueError, match="a teacher beside 'student'"):
            measure_student(self.records()[:1], "student")


class TestSigns:
    def test_a_flip_between_variance_and_std_is_told(self) -> None:
        """One model spreads its mass evenly over examples; the other puts it all into a few."""
        even = np.tile([0.8, 0.15, 0.05], (100, 1))
        few = np.tile([0.98, 0.012, 0.008], (100, 1))
        few[:10] = [0.3, 0.65, 0.05]
        labels = np.zeros(100, dtype=int)
        records = [SoftLabels(model=n, logits=np.log(p), labels=labels) for n, p in (("even", even), ("few", few))]
        conflicts = sign_conflicts(measure(records, temperatures=[1.0], resamples=2))
        assert len(conflicts) == 1
        assert ("distinctness_variance", "all") in conflicts[0].lower
        assert ("distinctness_std", "all") in conflicts[0].higher
        assert "decides which model is the more distinct: few by" in str(conflicts[0])

    def test_no_flip_no_word(self) -> None:
        probs = np.tile([0.8, 0.15, 0.05], (10, 1))
        labels = np.zeros(10, dtype=int)
        twice = [SoftLabels(model=n, logits=np.log(probs) * s, labels=labels) for n, s in (("a", 1.0), ("b", 1.0))]
        assert sign_conflicts(measure(twice, temperatures=[1.0], resamples=2)) == []
        assert sign_conflicts(pd.DataFrame(measure(twice[0], resamples=2))) == []
