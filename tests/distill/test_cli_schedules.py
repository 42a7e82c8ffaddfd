"""`darkprobe distill` with several teachers, schedules, mixed images and sparse stores."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.data import load_split
from darkprobe.data.policy import ViewPolicy
from darkprobe.distill import TrainConfig, resolve_method
from darkprobe.distill.schedules.stages import plan_stages
from darkprobe.distill.teachers import parse_recipe, train_model
from darkprobe.errors import InvalidValueError
from darkprobe.store import LogitStore
from darkprobe.zoo import load_model, save_model


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trained teachers as files, and one store with the logits of both."""
    folder = tmp_path_factory.mktemp("schedules")
    train, val = load_split("digits", "train"), load_split("digits", "val")
    training = TrainConfig(epochs=12, batch_size=50, learning_rate=5e-3, evaluations=1)
    for name in ("mlp-64", "mlp-32"):
        found = train_model(
            name, train, val, recipe=parse_recipe("plain"), config=training, policy=ViewPolicy(), seed=0
        )  # fmt: skip
        save_model(found.model, folder / f"{name}.safetensors")
    models = [f"{name}={folder}/{name}.safetensors" for name in ("mlp-64", "mlp-32")]
    done = CliRunner().invoke(app, ["extract", *models, "--data", "digits", "--out", str(folder / "store")])
    assert done.exit_code == 0, done.output
    return folder


def run(out: Path, *flags: object, student: str = "mlp-8") -> Result:
    words = ["distill", "--data", "digits", "--student", student, *map(str, flags), "--out", str(out)]
    return CliRunner().invoke(app, words)


def ran(out: Path, *flags: object, student: str = "mlp-8") -> Result:
    done = run(out, *flags, student=student)
    assert done.exit_code == 0, (done.output, done.exception)
    return done


def plan(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((path / "plan.json").read_text())
    return found


def test_assistants_stand_in_a_row_and_a_second_run_does_nothing(place: Path, tmp_path: Path) -> None:
    flags = ["--teacher", f"mlp-64={place}/mlp-64.safetensors", "--method", "takd+kd", "--assistant", "mlp-16"]
    flags += ["--parameter", "temperature=2", "--epochs", 12]
    done = ran(tmp_path / "o", *flags)
    last = tmp_path / "o/2-mlp-8/student.safetensors"
    assert done.stdout.splitlines()[-1] == str(last)
    card = load_model(f"mlp-8={last}", input_shape=(1, 8, 8), num_classes=10).card
    assert card.parent is not None and card.parent.startswith("mlp-16.kd-mlp-64") and card.method == "kd"
    assert plan(tmp_path / "o/2-mlp-8")["config"]["parameters"]["kd.temperature"] == 2  # type: ignore[index]
    table = pd.read_csv(tmp_path / "o/stages.csv")
    assert list(table["student"]) == ["mlp-16", "mlp-8"] and (table["test_last"] > 0.6).all()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "o").rglob("student*")}
    again = ran(tmp_path / "o", *flags)
    assert again.stderr.count("nothing to do") == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    other = run(tmp_path / "o", *flags, "--assistant", "mlp-12")
    assert "must be a new directory or hold this very run" in str(other.exception)


@pytest.mark.parametrize("live", [False, True])
def test_dense_guidance_comes_from_all_before_in_the_same_views(place: Path, tmp_path: Path, live: bool) -> None:
    how = ["--teacher-live"] if live else ["--views", 2]
    ran(
        tmp_path, "--teacher", f"mlp-64={place}/mlp-64.safetensors", "--method", "dgkd+kd", "--assistant", "mlp-32",
        "--assistant", "mlp-16", "--policy", "pad1", "--epochs", 2, *how,
    )  # fmt: skip
    teachers = plan(tmp_path / "3-mlp-8")["teachers"]
    assert [found["model"].split(".")[0] for found in teachers] == ["mlp-64", "mlp-32", "mlp-16"]  # type: ignore[attr-defined]
    assert all(found["live"] == live for found in teachers)  # type: ignore[attr-defined]
    if not live:
        assert {(found["views"], found["view_policy"]) for found in teachers} == {(2, "pad1")}  # type: ignore[attr-defined]
    drops = [plan(tmp_path / name)["config"]["parameters"]["dgkd.drop"] for name in ("1-mlp-32", "3-mlp-8")]  # type: ignore[index]
    assert drops == [0, 1]


def test_generations_begin_with_a_tolerant_teacher_and_their_ensemble_is_told(tmp_path: Path) -> None:
    ran(tmp_path, "--method", "generations+tolerant+kd", "--parameter", "count=3", "--epochs", 10, student="mlp-16")
    table = pd.read_csv(tmp_path / "stages.csv")
    assert list(table["method"]) == ["tolerant", "kd", "kd"]
    test = load_split("digits", "test")
    logits = [
        np.array(LogitStore(tmp_path / name / "store").entries("digits-0", "test")[0].logits)
        for name in ("1-mlp-16", "2-mlp-16", "3-mlp-16")
    ]
    entry = LogitStore(tmp_path / "1-mlp-16/store").entries("digits-0", "test")[0]
    assert np.array_equal(entry.labels, test.labels)
    mean = sum(torch.from_numpy(one).softmax(-1) for one in logits)
    assert table["ensemble_test"].iloc[-1] == pytest.approx((mean.argmax(-1).numpy() == test.labels).mean())  # type: ignore[union-attr]
    assert table["ensemble_test"].iloc[0] == pytest.approx(table["test_last"].iloc[0])
    assert len({load_model(f"mlp-16={tmp_path / path}", input_shape=(1, 8, 8), num_classes=10).card.weights_sha256
                for path in table["path"]}) == 3  # fmt: skip


def test_residual_students_add_up_and_their_sum_is_in_the_store(place: Path, tmp_path: Path) -> None:
    ran(
        tmp_path, "--teacher", place / "store", "--teacher-model", "mlp-64*", "--method", "reskd", "--assistant",
        "mlp-4", "--epochs", 8,
    )  # fmt: skip
    table = pd.read_csv(tmp_path / "stages.csv")
    assert list(table["student"]) == ["mlp-8", "mlp-4"]
    store = LogitStore(tmp_path / "2-mlp-4/store")
    summed = store.entries("digits-0", "test", model="*-summed")[0]
    (own,) = [entry for entry in store.entries("digits-0", "test") if entry.path != summed.path]
    first = LogitStore(tmp_path / "1-mlp-8/store").entries("digits-0", "test")[0]
    np.testing.assert_allclose(summed.logits, np.asarray(own.logits) + first.logits, rtol=1e-5, atol=1e-5)
    assert table["test_last"].iloc[1] == pytest.approx((summed.logits.argmax(1) == summed.labels).mean())


@pytest.mark.parametrize("method", ["fused-probs", "sckd+kd", "cf-swap"])
def test_several_teachers_of_one_store(method: str, place: Path, tmp_path: Path) -> None:
    models = ["--teacher-model", "mlp-64*", "--teacher-model", "mlp-32*"]
    done = ran(tmp_path / "o", "--teacher", place / "store", *models, "--method", method, "--epochs", 3)
    assert [found["model"] for found in plan(tmp_path / "o")["teachers"]] == ["mlp-64.plain-s0", "mlp-32.plain-s0"]  # type: ignore[attr-defined]
    assert done.stdout.splitlines()[-1].endswith("student.safetensors")


def test_mixed_images_from_the_command_line(place: Path, tmp_path: Path) -> None:
    teacher = ["--teacher", f"mlp-64={place}/mlp-64.safetensors", "--policy", "pad1+mixup0.4", "--epochs", 2]
    curves = []
    for name, how in (("cached", ["--views", 2]), ("live", ["--teacher-live"])):
        ran(tmp_path / name, *teacher, "--method", "kd", *how)
        curves.append(pd.read_csv(tmp_path / name / "curves.csv")["train_loss"])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-4)
    refused = run(tmp_path / "x", *teacher, "--method", "ats", "--teacher-live")
    assert "must not ask for the one label of an example when images are mixed" in str(refused.exception)
    assert not [path for path in (tmp_path / "x").rglob("*") if path.is_file()]  # the next try may use the directory
    in_a_row = run(tmp_path / "x", *teacher, "--method", "takd+ats", "--assistant", "mlp-16", "--teacher-live")
    assert "must not ask for the one label" in str(in_a_row.exception)
    assert not [path for path in (tmp_path / "x").rglob("*") if path.is_file()]


def test_a_sparse_store_teaches_at_its_temperatures(place: Path, tmp_path: Path) -> None:
    model = f"mlp-64={place}/mlp-64.safetensors"
    words = ["extract", model, "--data", "digits", "--out", str(tmp_path / "s"), "--top-k", "3", "--temperatures", "2"]
    assert CliRunner().invoke(app, words).exit_code == 0
    teacher = ["--teacher", tmp_path / "s", "--epochs", 3]
    ran(tmp_path / "sparse", *teacher, "--method", "kd", "--parameter", "temperature=2")
    refused = run(tmp_path / "x", *teacher, "--method", "dist")
    assert "must hold all classes for method 'dist'" in str(refused.exception)


def test_teachers_of_their_own_term_and_a_teacher_that_stops(place: Path, tmp_path: Path) -> None:
    ran(tmp_path / "tolerant", "--method", "tolerant", "--epochs", 2)
    teacher = ["--teacher", place / "store", "--teacher-model", "mlp-64*"]
    ran(tmp_path / "stop", *teacher, "--method", "stop-teacher+wttm", "--parameter", "share=0.5", "--epochs", 2)
    refused = run(tmp_path / "eskd", *teacher, "--method", "eskd+kd")
    assert "zoo train --recipe early0.25" in str(refused.exception)


def test_schedules_say_what_they_need() -> None:
    cases = {
        "`assistant` must be given for takd": ("takd", [], 1),
        "`assistant` must go with takd, dgkd or reskd, got 1 with no schedule": ("kd", ["mlp-8"], 1),
        "got 1 with generations": ("generations", ["mlp-8"], 0),
        "`teacher` must not be given for generations": ("generations", [], 1),
    }
    for told, (method, assistants, teachers) in cases.items():
        with pytest.raises(InvalidValueError, match=told):
            plan_stages(resolve_method(method), student="mlp-4", assistants=assistants, teachers=teachers)
    with pytest.raises(InvalidValueError, match="at most one schedule"):
        resolve_method("takd+dgkd")


def test_paper_values_are_taken_where_no_step_is_named() -> None:
    (stage,) = plan_stages(resolve_method("dgkd"), student="mlp-4", teachers=2)
    assert stage.method == "dgkd+kd-hinton" and stage.parameters["kd-hinton.temperature"] == 5.0
    first, second = plan_stages(resolve_method("generations"), student="mlp-4", parameters={"count": 2}, teachers=0)
    assert (first.method, second.method, second.parameters["kd.temperature"]) == ("none", "kd", 1.0)
