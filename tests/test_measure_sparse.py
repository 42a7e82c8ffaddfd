"""`measure` on sparse files against the dense logits they come from: equal where it says exact, refused elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch

from darkprobe.data.split import Split
from darkprobe.errors import InvalidValueError
from darkprobe.extract import extract_logits
from darkprobe.measure import SoftLabels, measure
from darkprobe.metrics import METRICS
from darkprobe.store import LogitFile
from darkprobe.store.logit_file import open_file
from darkprobe.store.sparse import NEEDS
from darkprobe.zoo.card import Model, ModelCard

N, CLASSES = 500, 40
SINGLE = [name for name in NEEDS if METRICS[name].kind != "pairwise"]


@pytest.fixture(scope="module")
def split() -> Split:
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


def sparse(split: Split, store: Path, *, k: int = 8, storage: str = "float32", name: str = "same") -> LogitFile:
    card = ModelCard(
        architecture=name,
        tag="x",
        line="same",
        parameters=0,
        input_shape=(CLASSES,),
        num_classes=CLASSES,
        weights_sha256="1" * 64,
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


def test_effects_name_every_metric_and_leave_open_what_is_refused(tmp_path: Path, split: Split) -> None:
    rows = sparse(split, tmp_path, storage="float16").attributes["effects"]
    assert {row["metric"] for row in rows} == set(METRICS)
    known = {(row["metric"], row["temperature"]) for row in rows if row["stored"] is not None}
    assert {name for name, _ in known} == set(NEEDS)
    assert ("brier", 2.0) in known and ("brier", 1.0) not in known
    nll = next(row for row in rows if row["metric"] == "nll" and row["temperature"] == 4.0)
    assert nll["stored"] == pytest.approx(nll["exact"], abs=1e-3)
    assert 0 < nll["largest"] < 0.01
