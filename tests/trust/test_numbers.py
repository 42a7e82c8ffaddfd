"""Numbers under stress: every metric of the catalogue, and tables of them, on logits and labels at the edge."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkprobe.errors import DataError, InvalidValueError
from darkprobe.measure import SoftLabels, compare, measure
from darkprobe.metrics import BUILT_IN, Metric
from darkprobe.store import LogitStore
from darkprobe.store.importing import import_outputs
from darkprobe.store.logit_file import open_file
from darkprobe.zoo.card import ModelCard

Case = tuple[np.ndarray, np.ndarray, np.ndarray]
QUADRATIC = {"kendall", "weighted_tau", "class_affinity"} | {m.name for m in BUILT_IN if m.name.startswith("level_")}
"""Metrics whose memory grows with the square of the number of classes."""


def case(name: str, *, examples: int = 40, classes: int = 5) -> Case:
    """Logits of two models and labels."""
    examples, classes = {"one example": (1, 5), "two classes": (40, 2)}.get(name, (examples, classes))
    rng = np.random.default_rng(7)
    pair = rng.normal(size=(2, examples, classes)) * {"large": 1e4, "subnormal": 1e-42}.get(name, 3.0)
    if name.startswith("all equal"):
        pair = np.full_like(pair, 1e4 if "large" in name else 0.0)
    if name == "ties":
        pair = np.round(pair)
    labels = rng.integers(0, classes, examples)
    return (*pair.astype(np.float32), labels % 2 if name == "a class that never occurs" else labels)  # type: ignore[return-value]


CASES = [
    *("large", "subnormal", "all equal", "all equal and large", "ties"),
    *("two classes", "one example", "a class that never occurs"),
]


def values(metric: Metric, given: Case, dtype: type, temperature: float) -> np.ndarray:
    first, second, labels = given[0].astype(dtype), given[1].astype(dtype), given[2]
    arrays = (first, second, labels) if metric.kind == "pairwise" else (first, labels)
    return np.asarray(metric.function(*arrays, temperature=temperature))


def check(metric: Metric, given: Case, temperature: float) -> None:
    """Finite and in its range, or NaN where the catalogue says when; and what the same numbers in float64 give."""
    found = values(metric, given, np.float32, temperature)
    low, high = metric.bounds
    defined = found[~np.isnan(found)]
    assert np.isfinite(defined).all() or "inf" in metric.edge_cases, metric.edge_cases
    assert (defined >= low - 1e-12).all() and (defined <= high + 1e-12).all()
    if len(defined) < found.size and not metric.class_level:  # by class, a class without examples has no value
        assert "NaN" in metric.edge_cases, metric.edge_cases
    exact = values(metric, given, np.float64, temperature)
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("metric", BUILT_IN, ids=lambda metric: metric.name)
def test_every_metric_gives_a_number_or_says_that_there_is_none(metric: Metric, name: str) -> None:
    for temperature in (0.5, 4.0):
        check(metric, case(name), temperature)


@pytest.mark.parametrize("metric", [m for m in BUILT_IN if m.name not in QUADRATIC], ids=lambda metric: metric.name)
def test_two_hundred_thousand_classes(metric: Metric) -> None:
    check(metric, case("many", examples=2, classes=200_000), 2.0)


@pytest.mark.parametrize("name", sorted(QUADRATIC))
def test_too_many_classes_for_pairs_of_them_are_refused_before_memory_is_taken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1 << 20}.__getitem__)
    (metric,) = (metric for metric in BUILT_IN if metric.name == name)
    with pytest.raises(InvalidValueError, match=r"must have fewer classes.*which needs .* GB"):
        values(metric, case("many", examples=2, classes=200_000), np.float32, 2.0)
    check(metric, case("few"), 2.0)


@pytest.mark.parametrize("name", CASES)
def test_tables_say_how_many_examples_and_no_infinity_but_where_a_metric_has_one(name: str) -> None:
    first, second, labels = case(name)
    records = [
        SoftLabels(model=model, logits=logits, labels=labels, dataset="d", split="t")
        for model, logits in (("a", first), ("b", second))
    ]
    for table in (measure(records, resamples=20), compare(records, resamples=20)):
        infinite = np.isinf(table[["value", "low", "high"]].to_numpy(float)).any(1)
        assert len(table) and set(table["metric"][infinite]) <= {"fitted_temperature"}
        assert (table["n"] <= len(labels)).all()
        ends = table.dropna(subset=["value", "low", "high"])
        assert (ends["low"] <= ends["value"] + 1e-9).all() and (ends["value"] <= ends["high"] + 1e-9).all()
        nothing = table[table["n"] == 0]
        assert nothing["value"].isna().all()


def model(classes: int) -> ModelCard:
    return ModelCard(
        architecture="made",
        tag="x",
        line="made",
        parameters=1,
        input_shape=(4,),
        num_classes=classes,
        weights_sha256="0" * 64,
    )


@pytest.mark.parametrize("labels", [[0, -1, 2], [0, 5, 2], [0.0, np.nan, 2.0], [0.0, 1.5, 2.0], [0, 1], ["a", "", "c"]])
def test_labels_that_are_missing_for_some_examples_are_refused(labels: list[Any], tmp_path: Path) -> None:
    given = {"dataset": "d", "split": "t", "example_ids": np.arange(3), "class_names": list("abc")}
    given |= {"source": "made", "fingerprint": "f" * 64, "logits": np.zeros((3, 3), np.float32)}
    store = LogitStore(tmp_path / "s", create=True)
    with pytest.raises((InvalidValueError, DataError), match="labels"):
        store.add(model(3), labels=np.array(labels), **given)  # type: ignore[arg-type]
    np.savez(tmp_path / "a.npz", logits=given["logits"], labels=np.array(labels))
    with pytest.raises((InvalidValueError, DataError), match="labels"):
        import_outputs(tmp_path / "a.npz", tmp_path / "t", card=model(3), values="logits", dataset="d", split="t")
    assert list(tmp_path.rglob("*.h5")) == []


def test_a_file_without_labels_says_how_to_give_them(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 3), np.float32))
    given = {"card": model(3), "values": "logits", "dataset": "d", "split": "t"}
    with pytest.raises(DataError, match=r"a\.npy holds no labels. Give them with the data set"):
        import_outputs(tmp_path / "a.npy", tmp_path / "s", **given)  # type: ignore[arg-type]
    path = import_outputs(tmp_path / "a.npy", tmp_path / "s", labels=np.array([0, 0, 0]), **given)  # type: ignore[arg-type]
    assert open_file(path).labels.tolist() == [0, 0, 0]
