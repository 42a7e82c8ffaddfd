"""`measure` on sparse files against the dense logits they come from: equal where it says exact, refused elsewhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.data.split import Split
from darkprobe.errors import InvalidValueError
from darkprobe.extract import extract_logits
from darkprobe.measure import (
    SoftLabels,
    capacity_bands,
    compare,
    compare_by_class,
    measure,
    measure_by_class,
    temperature_bands,
)
from darkprobe.metrics import METRICS
from darkprobe.store import LogitFile
from darkprobe.store.logit_file import open_file
from darkprobe.store.sparse import NEEDS
from darkprobe.zoo.card import Model, ModelCard

N, CLASSES = 500, 40
SINGLE = [name for name in NEEDS if METRICS[name].kind != "pairwise"]


@pytest.fixture(scope="module")
def split() -> Split:
    return made_split()


def made_split() -> Split:
    rng = np.random.default_rng(0)
    logits = (2 * rng.standard_t(4, size=(N, CLASSES))).astype(np.float32)
    labels = np.where(rng.random(N) < 0.6, logits.argmax(1), rng.integers(0, CLASSES, N))  # some are not among the kept
    return Split(
        dataset="made",
        name="train",
        kind="features",
        inputs=logits,
        labels=labels,
        example_ids=np.arange(N),
        class_names=tuple(map(str, range(CLASSES))),
        source="made",
    )


def sparse(
    split: Split, store: Path, *, k: int = 8, storage: str = "float32", name: str = "same", weights: str = "1"
) -> LogitFile:
    card = ModelCard(
        architecture=name,
        tag="x",
        line="same",
        parameters=0,
        input_shape=(CLASSES,),
        num_classes=CLASSES,
        weights_sha256=weights * 64,
    )
    model = Model(card=card, module=torch.nn.Identity())
    path = extract_logits(
        model,
        split,
        store,
        top_k=k,
        temperatures=(1, 2, 4),
        storage=storage,
        progress=False,
        device="cpu",  # type: ignore[arg-type]
    )
    return open_file(path)


def dense(split: Split) -> SoftLabels:
    return SoftLabels(
        model="same.x", logits=split.inputs, labels=split.labels, dataset="made", split="train", ids=split.example_ids
    )


@pytest.mark.parametrize("name", SINGLE)
def test_what_is_called_exact_is_equal_to_the_dense_value_and_its_interval(
    tmp_path: Path, split: Split, name: str
) -> None:
    arguments = {"metrics": [name], "temperatures": [2.0, 4.0], "resamples": 50}
    got, wanted = (measure(record, **arguments) for record in (sparse(split, tmp_path), dense(split)))  # type: ignore[arg-type]
    assert len(got) == len(wanted) > 0
    for column in ("metric", "temperature", "subset", "n"):
        assert got[column].tolist() == wanted[column].tolist() or got[column].isna().all()
    np.testing.assert_allclose(got[["value", "low", "high"]], wanted[["value", "low", "high"]], rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "temperature", "k", "reason"),
    [
        ("entropy", 4.0, 8, "it needs every class"),
        ("fitted_temperature", 1.0, 8, "it needs every class"),
        ("nll", 3.0, 8, "it is exact at declared T, and 1, 2, 4 are"),
        ("brier", 1.0, 8, "it is exact where T and T/2 are declared"),
        ("secondary_confidence", 4.0, 4, "it needs 5 kept classes, and 4 are kept"),
    ],
)
def test_what_is_not_known_is_refused_by_name_and_left_out_otherwise(
    tmp_path: Path, split: Split, name: str, temperature: float, k: int, reason: str
) -> None:
    entry = sparse(split, tmp_path, k=k)
    with pytest.raises(InvalidValueError, match=rf"{name} is not known from the sparse logits of 'same.x': {reason}"):
        measure(entry, metrics=[name], temperatures=[temperature])
    table = measure(entry, temperatures=[temperature], resamples=10)
    assert name not in set(table["metric"])
    assert "accuracy" in set(table["metric"])
    assert not table["value"].isna().any()


def test_half_precision_keeps_who_is_right_and_is_near(tmp_path: Path, split: Split) -> None:
    got = measure(sparse(split, tmp_path, storage="float16"), temperatures=[2.0], resamples=10)
    wanted = measure(dense(split), temperatures=[2.0], resamples=10)
    both = got.merge(wanted, on=["metric", "temperature", "subset"], how="left").dropna(subset=["value_y"])
    assert len(both) == len(got)
    right = both[both["metric"] == "accuracy"]
    assert right["value_x"].tolist() == pytest.approx(right["value_y"].tolist(), abs=1e-12)
    np.testing.assert_allclose(both["value_x"], both["value_y"], rtol=0.02, atol=1e-4)


def test_a_sparse_file_beside_a_dense_record_is_measured_on_common_examples(tmp_path: Path, split: Split) -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(N)
    other = SoftLabels(
        model="other",
        logits=(split.inputs + rng.normal(size=split.inputs.shape).astype(np.float32))[order],
        labels=split.labels[order],
        dataset="made",
        split="train",
        ids=split.example_ids[order],
    )
    names = ["non_target_mass", "entropy"]
    table = measure([other, sparse(split, tmp_path)], temperatures=[4.0], subsets=["common"], resamples=10)
    full = measure([other, dense(split)], metrics=names, temperatures=[4.0], subsets=["common"])
    for model, metric in (("other", "entropy"), ("other", "non_target_mass"), ("same.x", "non_target_mass")):
        (got,), (wanted,) = (
            t.loc[(t["model"] == model) & (t["metric"] == metric), "value"].tolist() for t in (table, full)
        )
        assert got == pytest.approx(wanted, rel=1e-5)
    assert "entropy" not in set(table.loc[table["model"] == "same.x", "metric"])


PAIRS = ["agreement", "top1_overlap", "top3_overlap", "top5_overlap"]


def other_split(split: Split) -> Split:
    """The outputs of another model; where it is right, the label is at times tied with the class that is next."""
    logits = split.inputs + np.random.default_rng(2).normal(size=split.inputs.shape).astype(np.float32)
    first, second = np.argsort(-logits, 1)[:, :2].T
    tied = np.flatnonzero(first == split.labels)[::10]
    logits[tied, second[tied]] = logits[tied, first[tied]]
    return replace(split, inputs=logits)


class TestPairs:
    def records(self, split: Split, store: Path, k: int) -> tuple[list[Any], list[Any]]:
        """Two sparse files, and the dense logits they come from."""
        other = other_split(split)
        few = [sparse(split, store, k=k), sparse(other, store, k=k, name="other", weights="2")]
        return few, [dense(split), replace(dense(other), model="other.x")]

    def test_order_among_the_largest_is_that_of_dense_logits(self, tmp_path: Path, split: Split) -> None:
        few, full = self.records(split, tmp_path, 6)
        got, wanted = (compare(records, metrics=PAIRS) for records in (few, full))
        assert set(PAIRS) < set(got["metric"]) and set(got["subset"]) == {"all", "common"}
        pd.testing.assert_frame_equal(got, wanted)
        got, wanted = compare_by_class(few), compare_by_class(full, metrics=["agreement"])
        pd.testing.assert_frame_equal(got, wanted)

    def test_a_dense_model_beside_a_sparse_one(self, tmp_path: Path, split: Split) -> None:
        few, full = self.records(split, tmp_path, 4)
        got, wanted = compare([full[0], few[1]]), compare(full, metrics=["agreement", "top1_overlap", "top3_overlap"])
        pd.testing.assert_frame_equal(got, wanted)

    def test_what_needs_every_class_is_refused_by_name(self, tmp_path: Path, split: Split) -> None:
        few, _ = self.records(split, tmp_path, 4)
        with pytest.raises(
            InvalidValueError, match=r"compare: spearman is not known from the sparse logits of 'same.x'"
        ):
            compare(few, metrics=["spearman"])
        with pytest.raises(InvalidValueError, match=r"top5_overlap .* needs 6 kept classes, and 4 are kept"):
            compare(few, metrics=["top5_overlap"])

    def test_the_command_says_what_is_left_out(self, tmp_path: Path, split: Split) -> None:
        self.records(split, tmp_path, 4)
        told = CliRunner().invoke(app, ["compare", str(tmp_path), "--by", "class"], catch_exceptions=False).stdout
        assert "agreement" in told and "top-3" in told and "needs every class" in told and "nan" not in told

    def test_by_class_leaves_out_what_is_not_known(self, tmp_path: Path, split: Split) -> None:
        few, full = self.records(split, tmp_path, 6)
        got = measure_by_class(few[0], temperatures=[4.0])
        names = ["accuracy", "non_target_mass", "inherent_std", "distinctness_std"]
        wanted = measure_by_class(full[0], metrics=names, temperatures=[4.0])
        pd.testing.assert_frame_equal(got, wanted, rtol=2e-4, atol=1e-6)


def test_bands_hold_known_temperatures_alone_and_equal_the_dense_ones(tmp_path: Path, split: Split) -> None:
    few, full = sparse(split, tmp_path), dense(split)  # of T = 1, 2 and 4, so that T/2 is declared for 2 and 4
    got = temperature_bands(few, "distinctness_std", temperatures=[1.0, 2.0, 4.0, 8.0])
    wanted = temperature_bands(full, "distinctness_std", temperatures=[2.0, 4.0])
    columns = ["temperature", "value", "low", "high", "n"]
    pd.testing.assert_frame_equal(got[columns], wanted[columns], rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("ask", "who"),
    [
        (lambda entry: temperature_bands(entry, "distinctness_std", temperatures=[8.0]), "temperature_bands"),
        (lambda entry: capacity_bands(entry, "distinctness_std", temperature=8.0), "capacity_bands"),
        (lambda entry: measure_by_class(entry, metrics=["entropy"]), "measure_by_class"),
    ],
)
def test_a_table_of_nothing_that_is_known_is_refused(
    tmp_path: Path, split: Split, ask: Callable[[LogitFile], object], who: str
) -> None:
    with pytest.raises(InvalidValueError, match=rf"^{who}: \w+ is not known from the sparse logits of 'same.x'"):
        ask(sparse(split, tmp_path))


def test_bands_of_sparse_and_dense_models_side_by_side(tmp_path: Path) -> None:
    n = 4500  # more rows than a block of a sparse file has, fewer than a dense one has
    rng = np.random.default_rng(1)
    logits = rng.standard_t(4, size=(n, CLASSES)).astype(np.float32)
    large = replace(
        made_split(), inputs=logits, labels=rng.integers(0, CLASSES, n), example_ids=np.arange(n), _fingerprint="1" * 64
    )
    few, full = sparse(large, tmp_path, name="few"), dense(large)
    got = capacity_bands([few, full], "distinctness_std", temperature=4.0)
    np.testing.assert_allclose(got["value"].iloc[0], got["value"].iloc[1], rtol=2e-4)
    assert set(got["n"]) == {n}
    assert len(temperature_bands([few, full], "distinctness_std", temperatures=[2.0, 4.0])) == 4


def test_effects_name_every_metric_and_leave_open_what_is_refused(tmp_path: Path, split: Split) -> None:
    rows = sparse(split, tmp_path, storage="float16").attributes["effects"]
    assert {row["metric"] for row in rows} == set(METRICS)
    known = {(row["metric"], row["temperature"]) for row in rows if row["stored"] is not None}
    assert {name for name, _ in known} == set(NEEDS)
    assert ("brier", 2.0) in known and ("brier", 1.0) not in known
    nll = next(row for row in rows if row["metric"] == "nll" and row["temperature"] == 4.0)
    assert nll["stored"] == pytest.approx(nll["exact"], abs=1e-3)
    assert 0 < nll["largest"] < 0.01
