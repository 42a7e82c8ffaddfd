"""One student: what it is paired with, what it minimises, what is refused, what is left on disk."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.data import Split, load_split
from darkprobe.data.order import stratified_part
from darkprobe.data.policy import ViewPolicy
from darkprobe.distill import RECIPES, DistillConfig, TrainConfig, distill
from darkprobe.distill.teachers import parse_recipe, train_model
from darkprobe.errors import DataError, InvalidValueError, MissingDependencyError, StoreError
from darkprobe.extract import extract_logits
from darkprobe.store import LogitStore
from darkprobe.store.logit_file import LogitFile, open_file
from darkprobe.zoo import Model, load_model, save_model, weights_sha256

SHORT = TrainConfig(epochs=6, batch_size=50, learning_rate=0.015, evaluations=6)


@pytest.fixture(scope="module")
def parts() -> dict[str, Split]:
    return {name: load_split("digits", name) for name in ("train", "val", "test")}


@pytest.fixture(scope="module")
def teacher(parts: dict[str, Split]) -> Model:
    training = TrainConfig(epochs=15, batch_size=50, learning_rate=5e-3)
    return train_model(
        "mlp-64",
        parts["train"],
        parts["val"],
        recipe=parse_recipe("plain"),
        config=training,
        policy=ViewPolicy(),
        seed=0,
    ).model


@pytest.fixture(scope="module")
def stored(teacher: Model, parts: dict[str, Split], tmp_path_factory: pytest.TempPathFactory) -> LogitFile:
    folder = tmp_path_factory.mktemp("store")
    return open_file(extract_logits(teacher, parts["train"], folder, features=["act2"], progress=False))


@pytest.fixture(scope="module")
def views(teacher: Model, parts: dict[str, Split], tmp_path_factory: pytest.TempPathFactory) -> LogitFile:
    folder = tmp_path_factory.mktemp("views")
    path = extract_logits(teacher, parts["train"], folder, views=3, policy="pad1", view_seed=4, progress=False)
    return open_file(path)


def shuffled(split: Split) -> Split:
    return split.take(np.random.default_rng(0).permutation(len(split)))


def test_a_student_learns_and_its_card_says_from_whom(
    parts: dict[str, Split], stored: LogitFile, teacher: Model
) -> None:
    config = DistillConfig(method="wttm", parameters={"gamma": 0.3}, training=SHORT, seed=2)
    found = distill("mlp-16", parts["train"], stored, val=parts["val"], test=parts["test"], config=config)
    card = found.model.card
    assert found.test_last is not None and found.test_last > 0.85
    assert (card.method, card.parent, card.recipe, card.seed) == ("wttm", "mlp-64.plain-s0", "wttm", 2)
    assert card.weights_sha256 == weights_sha256(found.model.module)
    assert found.selected.card.tag.endswith("-selected")
    assert found.val_selected == found.history.scores.max() >= found.val_last
    inputs = found.model.prepare(parts["test"].inputs)
    right = found.model.module(inputs).argmax(1).numpy() == parts["test"].labels
    assert found.test_last == pytest.approx(right.mean())


def test_rows_are_paired_by_id_whatever_their_order(parts: dict[str, Split], stored: LogitFile) -> None:
    """The teacher's logits reach the examples they were computed from: the loss of an untrained student tells."""
    from darkprobe.distill.pairing import paired_rows, stored_view

    mixed = shuffled(parts["train"])
    for split in (parts["train"], mixed, stratified_part(mixed, None, 0.5)):
        logits = stored_view(stored, paired_rows(stored, split), view=0).numpy()
        place = {int(example): row for row, example in enumerate(stored.example_ids)}
        expected = np.stack([stored.logits[place[int(example)]] for example in split.example_ids])
        np.testing.assert_array_equal(logits, expected)


@pytest.mark.parametrize("method", ["kd", "ats", "wttm", "dkd", "kd-hinton", "ls", "none"])
def test_the_first_loss_is_the_methods_own(method: str, parts: dict[str, Split], stored: LogitFile) -> None:
    from darkprobe.distill.loop import epoch_order
    from darkprobe.distill.methods import METHODS
    from darkprobe.zoo import build_module

    one = dataclasses.replace(SHORT, epochs=1, evaluations=12)  # a look after every step
    config = DistillConfig(method=method, training=one)
    found = distill("mlp-16", parts["train"], stored, val=parts["val"], config=config)
    index = epoch_order(0, 0, 600)[:50]
    module = build_module("mlp-16", input_shape=(1, 8, 8), num_classes=10, seed=0)
    student = module(found.model.prepare(parts["train"].inputs[index]))
    labels = torch.from_numpy(parts["train"].labels[index])
    rows = np.array([list(stored.example_ids).index(i) for i in parts["train"].example_ids[index]])
    teacher_logits = torch.from_numpy(np.array(stored.logits[rows]))
    record = METHODS[method]
    if record.is_cached():  # the cross-entropy form, which differs from the divergence by what no student changes
        target = record.cached_target(teacher_logits, labels)
        weights = 1.0 if target.weights is None else torch.as_tensor(target.weights)
        soft = (weights * functional.cross_entropy(student, torch.as_tensor(target.probs), reduction="none")).mean()
    else:
        soft = record.teacher_term(student, teacher_logits, labels)
    hard = functional.cross_entropy(student, labels)
    growth = 1 / 20 if method == "dkd" else 1.0  # the first of 20 epochs of warm-up
    expected = record.ce_weight * hard + growth * record.teacher_weight * soft
    assert found.history.losses[0, 0] == pytest.approx(expected.item(), rel=1e-5)


def test_weights_given_take_the_place_of_the_methods_own(parts: dict[str, Split], stored: LogitFile) -> None:
    losses = []
    for ce, weight in ((1.0, 0.0), (0.0, 1.0), (2.0, 3.0)):
        config = DistillConfig(
            method="kd",
            training=dataclasses.replace(SHORT, epochs=1, evaluations=12),
            ce_weight=ce,
            teacher_weight=weight,
        )
        losses.append(distill("mlp-16", parts["train"], stored, val=parts["val"], config=config).history.losses[0, 0])
    assert losses[2] == pytest.approx(2 * losses[0] + 3 * losses[1], rel=1e-5)


@pytest.mark.parametrize("epochs", [3, 4])
def test_labels_alone_on_stored_views_are_no_teacher_where_each_epoch_has_its_view(
    epochs: int, parts: dict[str, Split], views: LogitFile
) -> None:
    """Three views are stored, so that the fourth epoch shows the first one again and a student alone a new one."""
    training = dataclasses.replace(SHORT, epochs=epochs, evaluations=epochs)
    common = {"training": training, "policy": "pad1"}
    labels = DistillConfig(method="kd", ce_weight=1.0, teacher_weight=0.0, **common)
    alone = DistillConfig(method="none", view_seed=4, **common)
    stored, fresh = (
        distill("mlp-16", parts["train"], teacher, val=parts["val"], config=config).history.losses
        for teacher, config in ((views, labels), (None, alone))
    )
    np.testing.assert_allclose(stored[:3], fresh[:3], rtol=1e-4)
    assert len(stored) == epochs
    assert np.allclose(stored[3:], fresh[3:], rtol=1e-4) == (epochs == 3)


@pytest.mark.parametrize("method", ["ctkd", "kd+crd", "kd-sim", "fitnet"])
def test_methods_with_parts_of_their_own_train_live_and_cached_alike(
    method: str, parts: dict[str, Split], stored: LogitFile, teacher: Model
) -> None:
    parameters = {"crd.negatives": 64} if method == "kd+crd" else {}
    config = DistillConfig(
        method=method, parameters=parameters, training=dataclasses.replace(SHORT, epochs=2, evaluations=2)
    )
    cached, live = (
        distill("mlp-16", parts["train"], source, val=parts["val"], config=config) for source in (stored, teacher)
    )
    np.testing.assert_allclose(cached.history.losses, live.history.losses, rtol=1e-4)


def test_clean_logits_are_not_paired_with_augmented_images(parts: dict[str, Split], stored: LogitFile) -> None:
    config = DistillConfig(training=SHORT, policy="pad1")
    with pytest.raises(InvalidValueError, match=r"which are of clean images in .* got pad1\. Train under clean"):
        distill("mlp-16", parts["train"], stored, val=parts["val"], config=config)


@pytest.mark.parametrize("policy", ["clean", "pad2"])
def test_views_are_not_paired_with_other_views(policy: str, parts: dict[str, Split], views: LogitFile) -> None:
    config = DistillConfig(training=SHORT, policy=policy)
    with pytest.raises(InvalidValueError, match="of views under pad1 in"):
        distill("mlp-16", parts["train"], views, val=parts["val"], config=config)


def test_views_drawn_from_other_pixels_are_refused(parts: dict[str, Split], views: LogitFile) -> None:
    inputs = parts["train"].inputs.copy()
    inputs[:, 4, 4] ^= 1
    other = dataclasses.replace(parts["train"], inputs=inputs)
    with pytest.raises(StoreError, match="must be of the pixels of"):
        distill("mlp-16", other, views, val=parts["val"], config=DistillConfig(training=SHORT))


def test_other_data_is_refused(parts: dict[str, Split], stored: LogitFile) -> None:
    config = DistillConfig(training=SHORT)
    with pytest.raises(StoreError, match="must hold every example of digits-0/val with its label, got 600 of 600"):
        distill("mlp-16", parts["val"], stored, val=parts["val"], config=config)
    labels = (parts["train"].labels + 1) % 10
    wrong = dataclasses.replace(parts["train"], labels=labels)
    with pytest.raises(StoreError, match="labels otherwise"):
        distill("mlp-16", wrong, stored, val=parts["val"], config=config)
    named = dataclasses.replace(parts["train"], class_names=tuple("abcdefghij"))
    with pytest.raises(DataError, match="must have the same classes"):
        distill("mlp-16", named, stored, val=parts["val"], config=config)


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_coarse_stores_teach_almost_the_same(
    storage: str, teacher: Model, parts: dict[str, Split], stored: LogitFile, tmp_path: Path
) -> None:
    path = extract_logits(teacher, parts["train"], tmp_path, storage=storage, progress=False)  # type: ignore[arg-type]
    config = DistillConfig(training=dataclasses.replace(SHORT, epochs=1, evaluations=12))
    coarse, exact = (
        distill("mlp-16", parts["train"], entry, val=parts["val"], config=config) for entry in (open_file(path), stored)
    )
    assert coarse.history.losses[0, 0] == pytest.approx(exact.history.losses[0, 0], rel=0.01)
    assert coarse.history.losses[0, 0] != exact.history.losses[0, 0]


def test_a_live_teacher_is_refused_for_targets_of_the_whole_split(parts: dict[str, Split], teacher: Model) -> None:
    config = DistillConfig(method="isats-matched", training=SHORT)
    with pytest.raises(InvalidValueError, match=r"whose targets depend on all examples\. Use stored logits"):
        distill("mlp-16", parts["train"], teacher, val=parts["val"], config=config)


@pytest.mark.parametrize(
    ("method", "told"),
    [("eskd", "zoo train --recipe early0.25"), ("takd", "trains several networks"), ("generations", "trains several")],
)
def test_methods_for_other_commands_are_refused(method: str, told: str) -> None:
    with pytest.raises(InvalidValueError, match=told):
        DistillConfig(method=method, training=SHORT)


def test_settings_that_cannot_be_are_refused(parts: dict[str, Split], stored: LogitFile) -> None:
    with pytest.raises(InvalidValueError, match="`teacher_weight` must be a finite number >= 0"):
        DistillConfig(training=SHORT, teacher_weight=-1.0)
    with pytest.raises(InvalidValueError, match="`teacher` must be given for method 'kd'"):
        distill("mlp-16", parts["train"], None, val=parts["val"], config=DistillConfig(training=SHORT))
    layers = DistillConfig(method="fitnet", training=SHORT, layers=(("act1", "act1"),))
    with pytest.raises(InvalidValueError, match=r"must hold features of layer act1, got .* with act2"):
        distill("mlp-16", parts["train"], stored, val=parts["val"], config=layers)
    long = DistillConfig(training=dataclasses.replace(SHORT, batch_size=601))
    with pytest.raises(DataError, match="must fill a batch of 601, got 600"):
        distill("mlp-16", parts["train"], stored, val=parts["val"], config=long)


def test_recipes_are_the_protocols_and_scale() -> None:
    from darkprobe.distill.recipes import scaled

    crd, ats = RECIPES["crd"].training, RECIPES["ats"].training
    assert (crd.epochs, crd.batch_size, crd.learning_rate, crd.milestones) == (240, 64, 0.05, (150, 180, 210))
    assert (crd.optimizer, crd.weight_decay, crd.warmup_epochs) == ("sgd", 5e-4, 0)
    assert (ats.batch_size, ats.warmup_epochs) == (128, 5)
    assert RECIPES["crd"].training_for("mobilenetv2").learning_rate == 0.01
    assert RECIPES["crd"].training_for("resnet20").learning_rate == 0.05
    assert RECIPES["fast"].training.epochs * 10 == crd.epochs
    short = scaled(ats, epochs=48)
    assert (short.milestones, short.warmup_epochs, short.evaluations) == ((30, 36, 42), 1, 48)
    with pytest.raises(InvalidValueError, match="`epochs` must be at least 1"):
        scaled(ats, epochs=0)


def test_tensorboard_reads_the_curves_that_were_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Written by torch's writer and read back by TensorBoard's own reader."""
    import sys

    from darkprobe.distill.curves import tensorboard_curves
    from darkprobe.distill.loop import History

    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    history = History(
        steps=np.array([5, 10]),
        scores=np.array([[0.5], [0.75]]),
        losses=np.array([[2.0], [1.0]]),
        selected={},
        selected_step=np.array([10]),
    )
    first = dataclasses.replace(history, steps=history.steps[:1], scores=history.scores[:1], losses=history.losses[:1])
    watch = tensorboard_curves(tmp_path, steps_per_epoch=5)
    for so_far in (first, history):
        watch(so_far)
    found = reader.EventAccumulator(str(tmp_path))
    found.Reload()
    told = {name: [(event.step, event.value) for event in found.Scalars(name)] for name in found.Tags()["scalars"]}
    assert told == {
        "train/loss": [(5, 2.0), (10, 1.0)],
        "val/accuracy": [(5, 0.5), (10, 0.75)],
        "epoch": [(5, 1.0), (10, 2.0)],
    }
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError, match="needs tensorboard"):
        tensorboard_curves(tmp_path, steps_per_epoch=5)


def invoke(*arguments: object) -> tuple[object, Path]:
    out = Path(str(arguments[-1]))
    done = CliRunner().invoke(app, ["distill", *map(str, arguments[:-1]), "--out", str(out)])
    return done, out


def test_the_command_leaves_student_logits_and_curves_and_does_nothing_twice(stored: LogitFile, tmp_path: Path) -> None:
    flags = ["--teacher", stored.path.parents[2], "--student", "mlp-16", "--data", "digits", "--method", "wttm+crd"]
    flags += ["--parameter", "gamma=0.2", "--parameter", "crd.negatives=64", "--layers", "act2:act2", "--epochs", 2]
    done, out = invoke(*flags, tmp_path / "one")
    assert done.exit_code == 0, done.output  # type: ignore[attr-defined]
    path = out / "student.safetensors"
    assert done.stdout.splitlines()[-1] == str(path)  # type: ignore[attr-defined]
    assert "U_g(p)" in done.stderr  # type: ignore[attr-defined]
    card = load_model(f"mlp-16={path}", input_shape=(1, 8, 8), num_classes=10).card
    assert (card.method, card.parent) == ("wttm+crd", "mlp-64.plain-s0")
    result = json.loads((out / "result.json").read_text())
    assert result["provenance"]["guarantee"] == ("to rounding" if torch.cuda.is_available() else "bitwise")
    (entry,) = LogitStore(out / "store").entries("digits-0", "test")
    assert (np.array(entry.logits).argmax(1) == entry.labels).mean() == pytest.approx(result["test_last"])
    assert result["n_test"] == len(entry.labels) and entry.card.weights_sha256 == card.weights_sha256
    assert f"test {result['test_last']:.4f}" in done.stdout  # type: ignore[attr-defined]
    lines = (out / "curves.csv").read_text().splitlines()
    assert lines[0] == "step,epoch,train_loss,val_accuracy" and len(lines) == 3
    before = path.read_bytes()
    again, _ = invoke(*flags, out)
    assert "nothing to do" in again.stderr and path.read_bytes() == before  # type: ignore[attr-defined]
    other, _ = invoke(*flags, "--seed", 1, out)
    assert "must be a new directory or hold this very run" in str(other.exception)  # type: ignore[attr-defined]


def test_the_command_extracts_views_or_runs_live_and_both_train_the_same_student(
    teacher: Model, tmp_path: Path
) -> None:
    weights = save_model(teacher, tmp_path / "t.safetensors")
    flags = ["--teacher", f"mlp-64={weights}", "--student", "mlp-16", "--data", "digits", "--policy", "pad1"]
    flags += ["--epochs", 2]
    refused, _ = invoke(*flags, tmp_path / "no")
    assert "`--views` must be given when the student sees augmented images (pad1)" in str(refused.exception)  # type: ignore[attr-defined]
    curves = []
    for name, extra in (("views", ["--views", 2]), ("live", ["--teacher-live"])):
        done, out = invoke(*flags, *extra, tmp_path / name)
        assert done.exit_code == 0, done.output  # type: ignore[attr-defined]
        curves.append(np.loadtxt(out / "curves.csv", delimiter=",", skiprows=1))
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-4)


def test_the_command_says_which_flags_do_not_go_together(stored: LogitFile, tmp_path: Path) -> None:
    store = stored.path.parents[2]
    flags = ["--teacher", store, "--student", "mlp-16", "--data", "digits"]
    cases = {
        "`--teacher-live` must go with a teacher given as a model": ["--teacher-live"],
        "`--parameter` must be NAME=VALUE": ["--parameter", "gamma"],
        "unknown parameter of method 'kd' 'gama'": ["--parameter", "gama=1"],
        "`--layers` must be pairs STUDENT:TEACHER": ["--layers", "act2"],
        "unknown model 'resnet*'": ["--teacher-model", "resnet*"],
    }
    for told, extra in cases.items():
        done, _ = invoke(*flags, *extra, tmp_path / "x")
        assert told in str(done.exception), (told, done.exception)  # type: ignore[attr-defined]
        assert not (tmp_path / "x").exists()
