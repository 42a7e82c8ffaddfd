"""Teacher assistants: who teaches whom, one cell each, counted and resumed like others, refused where none can be."""

import dataclasses
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from small_study import SMALL

from darkprobe.data import load_split
from darkprobe.distill import DistillConfig, distill
from darkprobe.distill.config import TrainConfig
from darkprobe.errors import UnknownNameError
from darkprobe.store import LogitStore
from darkprobe.study import Control, check_names, find_study, run_study, study_status, write_study
from darkprobe.study.cells import Ledger
from darkprobe.study.estimate import count_cells, estimate_study
from darkprobe.study.parts import for_smoke

HELD = {"temperature": 4.0}
CLEAN = Control(label="clean", group="", parameters=HELD, teacher_weight=0.9)
ASSISTED = Control(label="assisted", group="assistant", edit="assistant", edit_parameters={"architecture": "mlp-8"},
                   parameters=HELD, teacher_weight=0.9)  # fmt: skip
BRIEF = TrainConfig(epochs=2, batch_size=50, learning_rate=5e-3, evaluations=1)
STUDY = dataclasses.replace(
    SMALL, name="assisted", controls=(CLEAN, ASSISTED), teacher_training=BRIEF, student_training=BRIEF,
    fixes=SMALL.fixes[:1], pilot=1, confirm=2, twins=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def assisted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(STUDY, tmp_path_factory.mktemp("assisted") / "out", workers=1, progress=False)


def cells_of(directory: Path, kind: str) -> list[dict[str, object]]:
    found = [json.loads(path.read_text()) for path in sorted((directory / "cells").glob("*.json"))]
    return [cell for cell in found if cell["kind"] == kind]


def test_the_control_teacher_teaches_the_assistant_by_the_controls_method(assisted: Path) -> None:
    """What a cell stored is what `distill` gives for the same teacher, method and setting, done by hand."""
    cell = cells_of(assisted, "assistants")[0]
    seed = cell["shared"]["seed"]
    train, val = (load_split(f"digits:{seed}", name) for name in ("train", "val"))
    store = LogitStore(assisted / "store")
    by_stem = {entry.card.file_stem: entry for entry in store.entries(train.dataset, "train")}
    teacher = by_stem[cell["members"][0]["stem"]]
    assert (teacher.card.architecture, teacher.card.recipe, teacher.card.seed) == ("mlp-16", "plain", seed)
    settings = DistillConfig(method="kd", parameters=HELD, ce_weight=0.1, teacher_weight=0.9, training=BRIEF, seed=seed)
    by_hand = distill("mlp-8", train, teacher, val=val, config=settings, device="cpu").model
    kept = by_stem[cell["results"][0]["stem"]].card
    assert (kept.weights_sha256, kept.parent) == (by_hand.card.weights_sha256, f"mlp-16.s{seed}")
    assert kept.method == kept.recipe == "kd"


def test_its_students_learn_from_its_logits_and_stand_beside_the_clean_ones(assisted: Path) -> None:
    taught = {cell["results"][0]["stem"] for cell in cells_of(assisted, "assistants")}
    students = [member for cell in cells_of(assisted, "students") for member in cell["members"]]
    of_assistants = [student for student in students if student["stem"] in taught]
    assert {student["stem"] for student in of_assistants} == taught and len(taught) == STUDY.confirm
    assert all(s["edit"] == "none" and s["edit_parameters"] == {} and s["teacher_weight"] == 0.9 for s in of_assistants)
    runs = pd.read_csv(assisted / "runs.csv", keep_default_na=False)
    rows = runs[runs["control"] == "assisted"]
    assert set(rows["teacher"]) == {"mlp-8"} and set(rows["phase"]) == {"confirm"} and len(rows) == STUDY.confirm
    table = pd.read_csv(assisted / "tables" / "controls.csv", keep_default_na=False)
    assert "assisted" in set(table.astype(str).stack())


def test_the_ladder_itself_is_not_touched_by_assistants(assisted: Path, tmp_path: Path) -> None:
    """With the control left out, everything else keeps its address and its bits."""
    shutil.copytree(assisted, tmp_path / "without")
    before = {path.name for path in (tmp_path / "without" / "cells").glob("*.json")}
    run_study(dataclasses.replace(STUDY, controls=(CLEAN,)), tmp_path / "without", workers=1, progress=False)
    assert {path.name for path in (tmp_path / "without" / "cells").glob("*.json")} == before
    old, now = (pd.read_csv(d / "runs.csv", keep_default_na=False) for d in (assisted, tmp_path / "without"))
    kept = old[old["control"] != "assisted"].reset_index(drop=True)
    pd.testing.assert_frame_equal(now, kept, check_exact=True)
    for name in ("accuracy", "levels", "profile", "teachers"):
        assert (assisted / "tables" / f"{name}.csv").read_text() == (
            tmp_path / "without" / "tables" / f"{name}.csv"
        ).read_text()


def test_counted_before_during_and_after(assisted: Path) -> None:
    cells, networks = count_cells(STUDY)
    assert cells["assistants"] == networks["assistants"] == STUDY.confirm
    readings = STUDY.confirm  # no networks, and therefore not counted
    assert sum(cells.values()) + readings == len(list((assisted / "cells").glob("*.json")))
    status = study_status(assisted)
    assert status.total == status.done == networks and status.seconds_left == 0
    found = estimate_study(STUDY)
    assert found.seconds["assistants"] > 0
    assert found.bytes > estimate_study(dataclasses.replace(STUDY, controls=(CLEAN,))).bytes


@pytest.mark.parametrize("lost", ["result", "logits and student"])
def test_a_lost_assistant_is_trained_again_alone(assisted: Path, tmp_path: Path, lost: str) -> None:
    shutil.copytree(assisted, tmp_path / "again")
    cell = cells_of(assisted, "assistants")[0]
    stem = cell["results"][0]["stem"]
    if lost == "result":
        (path,) = (p for p in (tmp_path / "again" / "cells").glob("*.json")
                   if json.loads(p.read_text())["sha256"] == cell["sha256"])  # fmt: skip
        path.unlink()
        assert study_status(tmp_path / "again").left["assistants"] == 1
    else:  # without a student that needs them, nobody would miss the logits
        for path in (tmp_path / "again" / "store").rglob(f"{stem}.h5"):
            path.unlink()
        (taught,) = (p for p in (tmp_path / "again" / "cells").glob("*.json")
                     if json.loads(p.read_text())["kind"] == "students" and stem in p.read_text())  # fmt: skip
        taught.unlink()
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "again" / "cells").glob("*.json")}
    run_study(STUDY, tmp_path / "again", workers=1, progress=False)
    changed = [p for p in (tmp_path / "again" / "cells").glob("*.json") if p.stat().st_mtime_ns != times.get(p.name)]
    expected = {"assistants"} if lost == "result" else {"assistants", "students"}
    assert {json.loads(p.read_text())["kind"] for p in changed} == expected and len(changed) == len(expected)
    assert list((tmp_path / "again" / "store").rglob(f"{stem}.h5"))
    assert (tmp_path / "again" / "verdicts.json").read_bytes() == (assisted / "verdicts.json").read_bytes()
    assert len(Ledger(tmp_path / "again")._results) == sum(count_cells(STUDY)[1].values()) + STUDY.confirm


def test_a_plan_with_an_assistant_round_trips_and_its_smoke_run_has_one(tmp_path: Path) -> None:
    write_study(STUDY, tmp_path / "plan.toml")
    assert find_study(str(tmp_path / "plan.toml")) == STUDY
    larger = dataclasses.replace(ASSISTED, edit_parameters={"architecture": "mlp-32"})
    wide = dataclasses.replace(STUDY, teachers=("mlp-8", "mlp-16", "mlp-32", "mlp-64"), control_teacher="mlp-64",
                               controls=(CLEAN, larger))  # fmt: skip
    check_names(wide)
    small = for_smoke(wide)
    check_names(small)
    assert count_cells(small)[0]["assistants"] == small.confirm


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"architecture": "mlp-16"}, r"unknown assistant \(edit_parameters.architecture\) 'mlp-16'"),
        ({"architecture": "mlp-9"}, r"unknown assistant .*'mlp-9'. Did you mean 'mlp-8'"),
        ({}, r"unknown assistant .*''"),
    ],
)
def test_an_assistant_must_stand_below_the_control_teacher(parameters: dict[str, str], message: str) -> None:
    wrong = dataclasses.replace(ASSISTED, edit_parameters=parameters)
    with pytest.raises(UnknownNameError, match=message):
        check_names(dataclasses.replace(STUDY, controls=(CLEAN, wrong)))
