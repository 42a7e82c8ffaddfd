"""Plans as TOML: what is written reads back equal, down to the text that names results; mistakes are told."""

import json
from pathlib import Path

import pytest

from darkprobe.errors import DataError, InvalidTypeError, InvalidValueError, UnknownNameError
from darkprobe.study import STUDIES, Study, check_names, find_study, read_study, write_study
from darkprobe.study.plan_file import study_from, study_toml

DIGITS = STUDIES["digits"]()


@pytest.mark.parametrize("name", list(STUDIES))
def test_a_written_plan_reads_back_equal(name: str, tmp_path: Path) -> None:
    study = STUDIES[name]()
    write_study(study, tmp_path / "plan.toml")
    again = find_study(str(tmp_path / "plan.toml"))
    assert again == study
    assert json.dumps(again.as_dict()) == json.dumps(study.as_dict())  # 2 and 2.0 name different results
    assert study_from(json.loads(json.dumps(study.as_dict())), source="study.json") == study


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"teecher": 1}, UnknownNameError, "Did you mean 'teachers'"),
        ({"reference": {"methd": "kd", "grid": []}}, UnknownNameError, "unknown key in plan 'methd'. Did you mean"),
        ({"pilot": "many"}, InvalidTypeError, "`pilot` of plan must be right, got 'many'"),
        ({"student_training": {"epochs": 3}}, InvalidTypeError, "`student_training.batch_size` of plan .* got none"),
        ({"delta": -1.0}, InvalidValueError, "`delta` must be a finite number > 0"),
        ({"twins": 99}, InvalidValueError, "`twins` must be between 0"),
    ],
)
def test_mistakes_are_told(change: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        study_from({**DIGITS.as_dict(), **change}, source="plan")


def test_files_that_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="where there is none"):
        read_study(tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(DataError, match="must be a TOML file"):
        read_study(tmp_path / "bad.toml")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'digits'.*path of a \.toml"):
        find_study("digit")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teachers": ["mlp-16", "mpl-32"], "fix_teachers": []}, "mpl-32"),
        ({"fixes": [{"method": "tmm", "grid": DIGITS.reference.grid}]}, "unknown method 'tmm'"),
        ({"fixes": [{"method": "ttm", "grid": [{"gama": 0.5}] * 4}]}, "unknown parameter of ttm 'gama'"),
        ({"controls": [{"label": "a", "group": "", "edit": "flip", "against": "a"}], "control_teacher": "mlp-16"},
         "unknown edit 'flip'"),
        ({"controls": [{"label": "a", "group": "", "against": "b"}], "control_teacher": "mlp-16"}, "unknown control"),
    ],
)  # fmt: skip
def test_names_are_checked_before_anything_runs(change: dict[str, object], message: str) -> None:
    study: Study = study_from({**DIGITS.as_dict(), **change}, source="plan")
    with pytest.raises(UnknownNameError, match=message):
        check_names(study)


def test_built_in_plans_name_what_exists() -> None:
    for name in STUDIES:
        check_names(STUDIES[name]())


def test_a_number_too_large_for_a_float_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    path.write_text(study_toml(DIGITS).replace("temperature = 2.0", f"temperature = 1{'0' * 400}", 1))
    with pytest.raises(InvalidValueError, match=r"huge\.toml must fit into a float"):
        read_study(path)
