"""Studies of networks with batch norm: one cell a network, augmented views, editions, smoke on few examples."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from darkprobe.data import Split, register_data
from darkprobe.distill import DistillConfig
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.methods import METHODS
from darkprobe.distill.recipes import scaled
from darkprobe.errors import InvalidValueError, UnknownNameError
from darkprobe.store import LogitStore
from darkprobe.study import STUDIES, Control, check_names, find_study, run_study, student_training, study_status
from darkprobe.study.assistants import assistant_key
from darkprobe.study.builtin_images import IMAGE_STUDIES
from darkprobe.study.choices import choose
from darkprobe.study.estimate import count_cells, estimate_study
from darkprobe.study.parts import for_smoke, load_part, with_data
from darkprobe.study.roster import confirm_students, pilot_students
from darkprobe.study.students import Student
from darkprobe.study.teachers import is_stacked


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


@pytest.mark.parametrize("name", sorted(IMAGE_STUDIES.keys() - {"cifar10-long"}))  # which follows cifar10: next test
def test_the_edition_for_two_cores_says_that_it_is_scaled(name: str) -> None:
    full, small = find_study(name), find_study(name, edition="2-core")
    assert not full.scaled and not full.caution
    assert small.caution.startswith("Scaled study: 2-core edition: 10,000 training images")
    assert small.name == f"{name}-2-core" and small.train == "train[:10000]"
    assert set(small.teachers) < set(full.teachers) and len(small.fixes) < len(full.fixes)
    for study in (full, small):
        assert not is_stacked(study.student) and not study.fresh_splits
        assert study.teacher_training.precision == "auto"  # emulated bfloat16 would take ten times as long


@pytest.mark.parametrize("edition", ["full", "2-core"])
def test_students_that_train_longer_differ_in_nothing_else(edition: str) -> None:
    short, long = find_study("cifar10", edition=edition), find_study("cifar10-long", edition=edition)
    check_names(long)
    assert long.name == short.name.replace("cifar10", "cifar10-long")
    assert long.student_training == scaled(short.student_training, epochs=4 * short.student_training.epochs)
    assert f"{long.student_training.epochs} for students" in long.scaled or edition == "full"
    same = {"data", "train", "val", "test", "policy", "views", "student", "teacher_training", "reference",
            "fixed_temperature", "pilot", "confirm", "seed", "control_teacher"}  # fmt: skip
    assert {name: getattr(long, name) for name in same} == {name: getattr(short, name) for name in same}
    assert set(long.teachers) < set(short.teachers) and all(control in short.controls for control in long.controls)


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


def loss_of(student: Student, logits: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with labels and target, as a student trained alone has it, for any size but its own."""
    ce_weight, teacher_weight = student.loss_weights
    target = METHODS[student.method].cached_target(teacher, labels, parameters=student.parameters)
    weights = torch.ones(len(labels)) if target.weights is None else torch.as_tensor(target.weights)
    soft = -(torch.as_tensor(target.probs) * logits.log_softmax(-1)).sum(-1) * weights
    return (ce_weight * functional.cross_entropy(logits, labels, reduction="none") + teacher_weight * soft).mean()


def test_the_two_sizes_of_one_loss_differ_in_nothing_else() -> None:
    """The control pair: the gradient of TTM as published is 37 times that of KD at its temperature and weight."""
    torch.manual_seed(0)
    teacher, labels = 3 * torch.randn(50, 10), torch.randint(10, (50,))
    for study in (find_study("cifar10"), find_study("cifar10", edition="2-core")):
        published = next(c for c in study.controls if c.label == "TTM, 37 times as large")
        fair = next(c for c in study.controls if c.label == published.against)
        gradients = []
        for control in (published, fair):
            logits = torch.randn(50, 10, generator=torch.Generator().manual_seed(1)).requires_grad_()
            student = Student(method=control.method, parameters=control.parameters, edit_parameters={},
                              teacher_weight=control.teacher_weight)  # fmt: skip
            loss_of(student, logits, teacher, labels).backward()
            assert logits.grad is not None
            gradients.append(logits.grad)
        torch.testing.assert_close(gradients[0], 37 * gradients[1])
        assert fair not in study.compared_controls and published in study.compared_controls


@pytest.mark.parametrize("method", ["ttm", "wttm"])
def test_students_that_train_alone_have_a_loss_of_one_size(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those that train side by side: mean mass of labels and target over all views is 1, in the method's shares."""
    rng = np.random.default_rng(0)
    logits, labels = 3 * rng.normal(size=(2, 40, 10)).astype(np.float32), rng.integers(0, 10, 40)
    entry = SimpleNamespace(
        logits=logits, labels=labels, head_weight=None, card=SimpleNamespace(file_stem="t", values="logits")
    )
    asked: list[DistillConfig] = []
    monkeypatch.setattr(student_training, "LogitStore", lambda path: SimpleNamespace(entries=lambda *where: [entry]))
    monkeypatch.setattr(student_training, "distill", lambda *given, config, **more: asked.append(config))
    plain = Student(stem="t", method=method, parameters={"gamma": 0.5}, edit_parameters={})
    split = blobs("", "train")
    shared = {"policy": "pad4+flip", "architecture": "resnet8", "seed": 0,
              "training": {"epochs": 1, "batch_size": 8, "learning_rate": 0.1}}  # fmt: skip
    for student in (plain, plain.of_common_size(), dataclasses.replace(plain, loss_size=10.0)):
        student_training.distilled(shared, student, {"train": split, "val": split}, Path("nowhere"))
    published, sized, large = asked
    assert (published.ce_weight, published.teacher_weight) == plain.loss_weights
    assert published.teacher_weight / published.ce_weight == pytest.approx(sized.teacher_weight / sized.ce_weight)
    powers = np.exp(0.5 * (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))).sum(-1)  # sum of p^gamma
    mean_weight = powers.mean() if method == "wttm" else 1.0
    for config, size in ((sized, 1), (large, 10)):
        assert config.ce_weight + config.teacher_weight * mean_weight == pytest.approx(size, rel=1e-5)


def test_only_losses_of_another_size_have_another_address() -> None:
    shares = Student(method="kd", parameters={"temperature": 2.0}, edit_parameters={}, teacher_weight=0.9)
    assert shares.of_common_size() is shares and "loss_size" not in shares.determinants()
    live = Student(method="dkd", parameters={"beta": 2.0}, edit_parameters={})
    assert live.of_common_size() is live
    own = Student(method="ttm", parameters={"gamma": 0.5}, edit_parameters={})
    assert own.of_common_size().determinants() == own.determinants() | {"loss_size": 1.0}


def test_controls_of_size_have_the_sizes_they_say() -> None:
    study = find_study("cifar10", edition="2-core")
    found = {c.label: c for c in study.controls if c.method == "wttm"}
    (label, small), (_, large) = found.items()
    assert (small.loss_size, large.loss_size, large.against) == (1.0, None, label)
    assert dataclasses.replace(large, label=label, group="", loss_size=1.0) == small
    stems = {key: "x" for t in study.teachers for key in [("teacher", t, 1), ("twin", t, 1), ("lr0.3", t, 1)]}
    helping = {assistant_key(c, 1): "x" for c in study.controls if c.edit == "assistant"}
    pilot = pd.DataFrame(
        {"teacher": s.teacher, "method": s.name or s.method, "parameters": s.setting, "val_last": 0.5}
        for s in pilot_students(study, 1, stems)
    )
    students = confirm_students(study, 1, stems | helping, choices=choose(study, pilot))
    sizes = {s.control: s.loss_size for s in students if s.method == "wttm"}
    assert sizes == {"": 1.0, label: 1.0, large.label: None}


def test_a_size_that_nothing_would_have_is_refused_before_training() -> None:
    images, stacked = find_study("cifar10", edition="2-core"), find_study("synthetic")
    for study, method, parameters in ((images, "dkd", {"beta": 2.0}), (stacked, "ttm", {"gamma": 0.5})):
        sized = Control(label="sized", group="x", method=method, parameters=parameters, loss_size=1.0)
        with pytest.raises(InvalidValueError, match="`loss_size` of 'sized' must be None"):
            check_names(dataclasses.replace(study, controls=(*study.controls, sized)))
    check_names(images)
    with pytest.raises(InvalidValueError, match="loss_size"):
        Control(label="none left", group="x", loss_size=0.0)
