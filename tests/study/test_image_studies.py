"""Studies of networks with batch norm: one cell a network, augmented views, editions, smoke on few examples."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from darkprobe.data import Split, register_data
from darkprobe.distill.config import TrainConfig
from darkprobe.errors import InvalidValueError, UnknownNameError
from darkprobe.store import LogitStore
from darkprobe.study import STUDIES, check_names, find_study, run_study, study_status
from darkprobe.study.estimate import count_cells, estimate_study
from darkprobe.study.parts import for_smoke, load_part, with_data
from darkprobe.study.teachers import is_stacked

IMAGES = ("cifar10", "cifar10-wrn", "tiny-imagenet", "tiny-imagenet-wrn")


def blobs(argument: str, split: str) -> Split:
    """Small images whose colour tells the class."""
    rng = np.random.default_rng(["train", "test"].index(split))
    labels = np.arange(160) % 4
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [90, 90, 90]])[labels]
    pixels = (colours[:, None, None] + rng.integers(0, 50, (160, 8, 8, 3))).astype(np.uint8)
    return Split(
        dataset="study-blobs", name=split, kind="image", inputs=pixels, labels=labels, class_names=tuple("rgbx"),
        example_ids=np.arange(160) + 1000 * ["train", "test"].index(split), source="study-blobs",
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    register_data("study-blobs", read=blobs, splits=lambda argument: ("train", "test"))


@pytest.mark.parametrize("name", IMAGES)
def test_the_edition_for_two_cores_says_that_it_is_scaled(name: str) -> None:
    full, small = find_study(name), find_study(name, edition="2-core")
    assert not full.scaled and not full.caution
    assert small.caution.startswith("Scaled study: 2-core edition: 10,000 training images")
    assert small.name == f"{name}-2-core" and small.train == "train[:10000]"
    assert set(small.teachers) < set(full.teachers) and len(small.fixes) < len(full.fixes)
    for study in (full, small):
        assert not is_stacked(study.student) and not study.fresh_splits
        assert study.teacher_training.precision == "auto"  # emulated bfloat16 would take ten times as long


def test_editions_are_of_image_studies_only() -> None:
    with pytest.raises(InvalidValueError, match="`edition` of digits must be full"):
        find_study("digits", edition="2-core")


def test_options_of_the_plans_data_stay_in_force() -> None:
    study = find_study("tiny-imagenet", edition="2-core")
    assert with_data(study, "parquet:x").data == "parquet:x?size=32"
    assert with_data(study, "parquet:x?size=48").data == "parquet:x?size=48"
    assert with_data(find_study("cifar10"), "parquet:x").data == "parquet:x"


def test_a_smoke_run_from_teachers_to_verdicts(tmp_path: Path) -> None:
    study = dataclasses.replace(
        find_study("cifar10"), data="study-blobs", train="train[:128]", val="train[128:]",
        teachers=("resnet8", "resnet14"), control_teacher="resnet14",
    )  # fmt: skip
    small = for_smoke(study)
    tiny = TrainConfig(epochs=1, batch_size=32, learning_rate=0.05, evaluations=1)
    small = dataclasses.replace(small, fixes=small.fixes[:2] + small.fixes[6:7], student_training=tiny,
                                controls=tuple(c for c in small.controls if c.edit in ("none", "recipe"))[:4], twins=0,
                                train="train[:64]")  # fmt: skip
    check_names(small)
    assert small.parts == {"train": "train[:64]", "val": "train[128:160]", "test": "test[0:32]"}
    cells, networks = count_cells(small)
    out = run_study(small, tmp_path / "out", workers=1, progress=False)
    readings = small.confirm
    assert len(list((out / "cells").glob("*.json"))) - readings == sum(cells.values()) <= sum(networks.values())
    assert study_status(out).left == dict.fromkeys(study_status(out).total, 0)
    store = LogitStore(out / "store")
    assert set(store.splits("study-blobs")) == {"train", "train-views", "test"}
    assert {e.n_views for e in store.entries("study-blobs", "train-views")} == {1}
    runs = pd.read_csv(out / "runs.csv", keep_default_na=False)
    confirm = runs[runs["phase"] == "confirm"]
    assert confirm["test_last"].astype(float).between(0, 1).all()
    assert confirm["test_entropy"].astype(float).between(0, np.log(4) + 1e-6).all()
    assert set(runs["teacher_seed"]) == {"", "0", "1", "2"}


def test_networks_with_batch_norm_take_no_edits_and_others_no_views() -> None:
    synthetic = STUDIES["synthetic"]()
    with pytest.raises(InvalidValueError, match="`policy` must be clean"):
        check_names(dataclasses.replace(synthetic, policy="pad4+flip", views=2))
    with pytest.raises(InvalidValueError, match="`views` must be at least 1 with"):
        dataclasses.replace(synthetic, views=2)
    images = dataclasses.replace(find_study("cifar10"), controls=synthetic.controls, control_teacher="resnet110")
    with pytest.raises(UnknownNameError, match="unknown edit"):
        check_names(images)


def test_methods_that_a_study_cannot_run_are_refused_before_it_starts() -> None:
    plan = dataclasses.replace(STUDIES["digits"]().fixes[0], method="takd", grid=({},) * 4)
    with pytest.raises(InvalidValueError, match="`method` must act on one teacher's logits"):
        check_names(dataclasses.replace(STUDIES["digits"](), fixes=(plan,)))


def test_a_part_goes_by_the_name_of_its_role() -> None:
    part = load_part("study-blobs", "train[:40]", "val")
    assert part.name == "val" and len(part) == 40
    assert set(np.unique(part.labels, return_counts=True)[1]) == {10}


def test_the_estimate_times_networks_alone() -> None:
    images = dataclasses.replace(find_study("cifar10"), data="study-blobs", train="train[:128]", val="train[128:]")
    small = for_smoke(images)
    found = estimate_study(dataclasses.replace(small, fixes=small.fixes[:1]))
    assert set(found.seconds) == {"teachers", "assistants", "pilot students", "confirm students"}
    assert all(seconds > 0 for seconds in found.seconds.values()) and found.bytes > 0
