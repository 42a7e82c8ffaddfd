"""Metrics class by class, class relations against hierarchies, and the hierarchies themselves."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from darkprobe.errors import DataError, InvalidValueError, UnknownNameError
from darkprobe.measure import (
    SoftLabels,
    class_paths,
    compare,
    compare_by_class,
    measure,
    measure_by_class,
    measure_hierarchy,
    readable_names,
)
from darkprobe.measure import instance_level as instance_level_module
from darkprobe.measure import one_pass as one_pass_module
from darkprobe.metrics import (
    block_structure,
    class_affinity_matrix,
    cophenetic_correlation,
    path_distances,
    superclasses_of,
    weight_cosines,
)


@dataclass(frozen=True, kw_only=True)
class WithHead(SoftLabels):
    """A record with the weights of its last layer."""

    head_weight: np.ndarray | None = None


NAMES = ("cat", "dog", "ship", "truck", "horse", "airplane")


def record(name: str, seed: int, **facts: object) -> WithHead:
    """Two superclasses: animals lean to animals."""
    shared, own = np.random.default_rng(0), np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), 60)
    group = np.array([0, 0, 1, 1, 0, 1])
    weight = np.stack([np.eye(2)[g] * 2 + shared.normal(size=2) * 0.3 for g in group])
    logits = 2.0 * (group[labels][:, None] == group) + shared.normal(size=(360, 6)) + own.normal(size=(360, 6)) * 0.5
    logits[np.arange(360), labels] += 2
    return WithHead(model=name, logits=logits, labels=labels, classes=NAMES, head_weight=weight, **facts)  # type: ignore[arg-type]


class TestByClass:
    def test_the_rows_are_those_of_the_class_alone(self) -> None:
        one = record("a", 1)
        table = measure_by_class(one, temperatures=[4.0])
        for own, name in enumerate(NAMES):
            kept = one.labels == own
            alone = SoftLabels(model="a", logits=one.logits[kept], labels=one.labels[kept], classes=NAMES)
            expected = measure(alone, temperatures=[4.0], subsets=["all"], resamples=2).set_index("metric")
            found = table[table["subset"] == f"class {name}"].set_index("metric")
            assert (found["n"] == 60).all() and len(found) == 5
            for column in ("value", "low", "high"):
                np.testing.assert_allclose(found[column], expected.loc[found.index, column], rtol=1e-12)

    def test_pairs_and_small_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        records = [record("a", 1), record("b", 2), record("c", 3)]
        table = compare_by_class(records, temperatures=[2.0])
        assert len(table) == 3 * 6 * 3  # pairs, classes, metrics
        kept = records[0].labels == 2
        alone = [
            SoftLabels(model=r.model, logits=r.logits[kept], labels=r.labels[kept], classes=NAMES) for r in records
        ]
        expected = compare(alone, metrics=["spearman", "agreement"], subsets=["all"])
        for metric in ("spearman", "agreement"):
            found = table[(table["subset"] == "class ship") & (table["metric"] == metric)]
            wanted = expected[expected["metric"] == metric]
            assert list(found["reference"]) == list(wanted["reference"]) == ["b", "c", "c"]
            for column in ("value", "low", "high"):
                np.testing.assert_allclose(found[column], wanted[column], rtol=1e-6)
        monkeypatch.setattr(one_pass_module, "rows_per_block", lambda logits: 7)
        monkeypatch.setattr(instance_level_module, "rows_per_block", lambda logits: 21)
        again = compare_by_class(records, temperatures=[2.0])
        np.testing.assert_allclose(again["value"], table["value"], rtol=1e-12)

    def test_a_class_without_examples_is_left_out(self) -> None:
        one = record("a", 1)
        kept = one.labels != 3
        part = SoftLabels(model="a", logits=one.logits[kept], labels=one.labels[kept], classes=NAMES)
        assert "class truck" not in set(measure_by_class(part)["subset"])

    def test_refusals(self) -> None:
        with pytest.raises(InvalidValueError, match="per_example with a value for each example, got 'ece'"):
            measure_by_class(record("a", 1), metrics=["ece"])
        with pytest.raises(InvalidValueError, match="pairwise with a value for each example, got 'class_affinity'"):
            compare_by_class([record("a", 1), record("b", 2)], metrics=["class_affinity"])
        with pytest.raises(InvalidValueError, match="at least two models"):
            compare_by_class(record("a", 1))


class TestHierarchy:
    def test_the_rows_are_the_functions_of_the_catalogue(self) -> None:
        one = record("a", 1)
        table = measure_hierarchy(one, "cifar10", temperatures=[4.0], resamples=50).set_index("metric")
        matrix = class_affinity_matrix(one.logits, one.labels, temperature=4.0)
        paths = class_paths("cifar10", NAMES)
        assert table.loc["cophenetic_correlation", "value"] == pytest.approx(
            cophenetic_correlation(matrix, path_distances(paths))
        )
        assert table.loc["block_structure", "value"] == pytest.approx(block_structure(matrix, superclasses_of(paths)))
        for name in ("cophenetic_correlation", "block_structure"):
            assert table.loc[name, "low"] <= table.loc[name, "value"] <= table.loc[name, "high"]
            assert table.loc[name, "value"] > 0.8  # the records are made so
        weights = table.loc["weight_block_structure"]
        assert weights["value"] == 1.0 and np.isnan(weights["low"]) and np.isnan(weights["temperature"])
        assert weights["n"] == 6  # classes

    def test_small_blocks_give_the_same_numbers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one = record("a", 1)
        whole = measure_hierarchy(one, "cifar10", resamples=10)
        monkeypatch.setattr(one_pass_module, "rows_per_block", lambda logits: 7)
        np.testing.assert_allclose(measure_hierarchy(one, "cifar10", resamples=10)["value"], whole["value"])

    def test_the_interval_is_as_wide_as_samples_differ(self) -> None:
        """The spread of block structure over fresh samples, against the mean width of its intervals."""
        rng = np.random.default_rng(0)
        labels = np.repeat(np.arange(6), 60)
        group = np.array([0, 0, 1, 1, 0, 1])
        values, widths = [], []
        for _ in range(25):
            logits = 0.3 * (group[labels][:, None] == group) + rng.normal(size=(360, 6)) * 1.5
            row = (
                measure_hierarchy(
                    SoftLabels(model="a", logits=logits, labels=labels, classes=NAMES),
                    "cifar10",
                    temperatures=[4.0],
                    resamples=30,
                )
                .set_index("metric")
                .loc["cophenetic_correlation"]
            )
            values.append(row["value"])
            widths.append((row["high"] - row["low"]) / (2 * stats.norm.ppf(0.975)))
        assert np.mean(widths) == pytest.approx(np.std(values), rel=0.4)


class TestBuiltInHierarchies:
    def test_wordnet_holds_the_classes_of_tiny_imagenet(self, shared_data: Path) -> None:
        with (shared_data / "tiny-imagenet-100" / "classes.tsv").open() as lines:
            rows = list(csv.reader(lines, delimiter="\t"))
        names = [row[1] for row in rows]
        paths = class_paths("wordnet", names)
        assert all(path[0] == "n00001740" and path[-1] == name for path, name in zip(paths, names, strict=True))
        assert list(readable_names(names)) == [row[2].split(",")[0] for row in rows]

    def test_wordnets_relations(self) -> None:
        goldfish, bullfrog, cat, bus = "n01443537", "n01641577", "n02123045", "n04146614"
        distances = path_distances(class_paths("wordnet", [goldfish, bullfrog, cat, bus]))
        assert distances[0, 1] < distances[0, 3] and distances[2, 1] < distances[2, 3]
        assert "vertebrate" in readable_names(class_paths("wordnet", [goldfish])[0])
        assert "conveyance" in readable_names(class_paths("wordnet", [bus])[0])

    def test_wordnet_has_two_hundred_classes_and_superclasses_of_five_or_more(self) -> None:
        from darkprobe.measure.hierarchies import _wordnet

        names = sorted(_wordnet())
        assert len(names) == 200
        paths = class_paths("wordnet", names)
        below = {group: sum(group in path for path in paths) for group in set(superclasses_of(paths))}
        assert all(count >= 5 for count in below.values())

    def test_files(self, tmp_path: Path) -> None:
        file = tmp_path / "tree.csv"
        file.write_text("trout,fish,animal\nbee,animal\nhammer,tool\n\n")
        assert class_paths(str(file), ["bee", "trout"]) == (("animal", "bee"), ("animal", "fish", "trout"))
        with pytest.raises(UnknownNameError, match=r"unknown class 'trouts'.*'trout'"):
            class_paths(str(file), ["trouts"])
        file.write_text("trout\n")
        with pytest.raises(DataError, match="got 'trout' alone in line 1"):
            class_paths(str(file), ["trout"])
        with pytest.raises(UnknownNameError, match=r"unknown hierarchy 'wordnets'.*'wordnet'"):
            class_paths("wordnets", ["trout"])

    def test_the_table_is_made_from_wordnets_format(self, tmp_path: Path) -> None:
        from darkprobe.data.wordnet_table import read_nouns, table

        file = tmp_path / "data.noun"
        file.write_text(
            "  1 a licence\n"
            "00000001 03 n 01 entity 0 000 | all\n"
            "00000002 05 n 02 gold_fish 0 Carassius 0 002 @ 00000001 n 0000 ~ 00000003 n 0000 | a fish\n"
        )
        assert table(read_nouns(file), ["n00000002"]).splitlines()[1:] == [
            "wnid\tparent\twords\tclass",
            "n00000001\t\tentity\t0",
            "n00000002\tn00000001\tgold fish, Carassius\t1",
        ]


def test_weight_cosines_ignore_a_common_vector() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 7))
    found = weight_cosines(weight)
    np.testing.assert_allclose(weight_cosines(weight * 3 + np.arange(7)), found, atol=1e-12)
    centred = weight - weight.mean(0)
    assert found[0, 1] == pytest.approx(
        centred[0] @ centred[1] / np.linalg.norm(centred[0]) / np.linalg.norm(centred[1])
    )
    with pytest.raises(InvalidValueError, match=r"shape \(cls, feature\)"):
        weight_cosines(weight[0])
