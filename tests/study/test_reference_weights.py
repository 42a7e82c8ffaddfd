"""The reference at other teacher weights: is a fix more than a weight that nobody tuned?"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import SMALL

from darkprobe.errors import InvalidValueError
from darkprobe.study import read_study, run_study
from darkprobe.study.choices import Choices, choose
from darkprobe.study.outcomes import read_outcome
from darkprobe.study.plan_file import write_study
from darkprobe.study.roster import confirm_students, pilot_students
from darkprobe.study.runs import to_table
from darkprobe.study.students import student_cells

WEIGHTED = dataclasses.replace(
    SMALL, name="weighted", reference_weights=(0.5, 1.0), controls=(), control_teacher="", twins=0
)
ALL_KD = ["kd", "kd at weight 0.5", "kd at weight 1.0"]


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(WEIGHTED, tmp_path_factory.mktemp("weights") / "out", workers=1, progress=False)


def runs_of(directory: Path) -> pd.DataFrame:
    return pd.read_csv(directory / "runs.csv", keep_default_na=False, na_values={"test_last": ""})


def best_setting(pilot: pd.DataFrame, method: str) -> tuple[float, str]:
    means = pilot[pilot["method"] == method].groupby("parameters")["val_last"].mean()
    return float(means.max()), str(means.idxmax())


def test_the_verdict_compares_the_fix_with_the_best_weight_of_the_pilot(weighted: Path) -> None:
    """Every step again with pandas and SciPy, from runs.csv alone."""
    runs = runs_of(weighted)
    of_largest = runs[(runs["teacher"] == "mlp-16") & (runs["control"] == "")]
    pilot, confirm = (of_largest[of_largest["phase"] == phase] for phase in ("pilot", "confirm"))
    weight = max(ALL_KD, key=lambda name: best_setting(pilot, name)[0])
    fix = max(("ttm", "dkd"), key=lambda name: best_setting(pilot, name)[0])
    reached = {
        name: confirm[(confirm["method"] == name) & (confirm["parameters"] == best_setting(pilot, name)[1])]
        .sort_values("replicate")["test_last"]
        .to_numpy()
        for name in (*ALL_KD, fix)
    }
    difference = reached[fix] - reached[weight]
    low, high = stats.t.interval(0.95, 3, loc=difference.mean(), scale=stats.sem(difference))
    verdict = json.loads((weighted / "verdicts.json").read_text())["H4-weight"]
    assert verdict["n"] == 4
    assert (verdict["effect"], verdict["low"], verdict["high"]) == pytest.approx((difference.mean(), low, high))
    rows = {row["what"]: row["effect"] for row in verdict["detail"]}
    assert rows["kd at weight 0.5 - kd"] == pytest.approx(np.mean(reached["kd at weight 0.5"] - reached["kd"]))
    assert set(rows) == {f"{name} - {weight}" for name in ("ttm", "dkd")} | {f"{name} - kd" for name in ALL_KD[1:]}
    choices = json.loads((weighted / "study.json").read_text())["choices"]
    assert choices["weighed"] == weight


def test_students_of_a_weight_learn_at_that_weight_and_from_the_largest_teacher_alone(weighted: Path) -> None:
    runs = runs_of(weighted)
    for name, weight in zip(ALL_KD[1:], WEIGHTED.reference_weights, strict=True):
        own = runs[runs["method"] == name]
        assert set(own["teacher"]) == {"mlp-16"} and set(own["teacher_weight"]) == {str(weight)}
        assert own[own["phase"] == "pilot"].groupby("replicate")["parameters"].nunique().tolist() == [2, 2]
        assert len(own[own["phase"] == "confirm"]) == WEIGHTED.confirm
    values = runs[runs["phase"] == "confirm"].groupby("method")["test_last"].mean()
    assert len({values[name] for name in ALL_KD}) == 3  # the weight reaches the loss


def test_tables_hold_the_weights_and_advice_leaves_them_out(weighted: Path) -> None:
    """Rules name a teacher, a method and a temperature; a best arm that none of them can name would be no regret."""
    accuracy = pd.read_csv(weighted / "tables" / "accuracy.csv", keep_default_na=False)
    assert {"kd at weight 0.5", "kd at weight 1.0"} <= set(accuracy["method"])
    outcome = read_outcome(weighted)
    assert {method for _, method in outcome.tuned} == {"kd", "ttm", "dkd"}


def test_a_study_without_weights_says_nothing_of_them(finished: Path) -> None:
    assert "H4-weight" not in json.loads((finished / "verdicts.json").read_text())
    assert "kd at weight" not in (finished / "tables" / "effects.csv").read_text()


def test_a_name_in_tables_is_no_part_of_a_students_address(weighted: Path) -> None:
    """So that cells of a study go on counting after weights were added to its plan, where students train alone."""
    choices = choose(WEIGHTED, runs_of(weighted).query("phase == 'pilot'"))
    stems = {("teacher", t, WEIGHTED.replicate_seed(2)): f"{t}.plain-s2-00000000" for t in WEIGHTED.teachers}
    plain = dataclasses.replace(WEIGHTED, reference_weights=())
    for make in (pilot_students, lambda *given: confirm_students(*given, choices=choices)):
        with_weights, without = (make(study, 2, stems) for study in (WEIGHTED, plain))
        members = [student.determinants() for student in with_weights]
        assert all(student.determinants() in members for student in without)
        named = [student for student in with_weights if student.name.startswith("kd at weight")]
        assert "name" not in named[0].determinants()
        renamed = [dataclasses.replace(student, name="") for student in with_weights]
        cells = [student_cells(WEIGHTED, 2, some, read_test=True) for some in (with_weights, renamed)]
        assert [cell.addresses for cell in cells[0]] == [cell.addresses for cell in cells[1]]


def test_ties_go_to_the_weight_that_the_reference_has() -> None:
    """Without a reason to move, the plan's own weight stays."""
    rows = [
        {"teacher": student.teacher, "method": student.name or student.method, "parameters": student.setting,
         "val_last": 0.5}
        for student in pilot_students(WEIGHTED, 0, {("teacher", t, 0): "x" for t in WEIGHTED.teachers})
    ]  # fmt: skip
    found: Choices = choose(WEIGHTED, to_table(rows))
    assert found.weighed == "kd" and found.fix == "ttm"


@pytest.mark.parametrize("weights", [(0.9,), (0.5, 0.5), (0.0,), (1.5,)])
def test_weights_that_cannot_be_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(InvalidValueError, match="`reference_weights` must be above 0 and at most 1, each once"):
        dataclasses.replace(WEIGHTED, reference_weights=weights)


def test_a_weight_needs_one_to_be_compared_with() -> None:
    own = dataclasses.replace(WEIGHTED.reference, teacher_weight=None)
    with pytest.raises(InvalidValueError, match="`reference` must then have"):
        dataclasses.replace(WEIGHTED, reference=own)


def test_a_method_stands_once_in_a_plan() -> None:
    """Tables tell them apart by name alone."""
    twice = (SMALL.fixes[0], dataclasses.replace(SMALL.fixes[0], teacher_weight=0.5))
    with pytest.raises(InvalidValueError, match="every method must stand once"):
        dataclasses.replace(SMALL, fixes=twice)


def test_a_whole_number_is_the_same_weight_before_and_after_a_file(tmp_path: Path) -> None:
    whole = dataclasses.replace(WEIGHTED, reference_weights=(0.5, 1))
    write_study(whole, tmp_path / "plan.toml")
    stems = {("teacher", t, 0): "x" for t in WEIGHTED.teachers}
    named = [
        [s.determinants() for s in pilot_students(study, 0, stems)]
        for study in (whole, read_study(tmp_path / "plan.toml"))
    ]
    assert json.dumps(named[0]) == json.dumps(named[1])


def test_a_plan_with_weights_reads_back_equal(tmp_path: Path) -> None:
    write_study(WEIGHTED, tmp_path / "plan.toml")
    assert read_study(tmp_path / "plan.toml") == WEIGHTED
