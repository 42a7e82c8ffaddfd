"""Controls as verdicts: on hand-made accuracies, and on students trained from a teacher that was flattened."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from darkprobe.study import STUDIES, Control, run_study
from darkprobe.study.control_verdicts import control_verdicts, harmed_by
from darkprobe.study.diagnoses import relations_lost, rescaling_vanished
from darkprobe.study.further_hypotheses import tolerance_helps
from darkprobe.study.verdicts import verdicts

RNG = np.random.default_rng(3)
FLAT = {"factor": 0.25, "temperature": 4.0}
CONTROLS = (
    Control(label="clean", group="", parameters={"temperature": 4.0}, teacher_weight=0.9),
    Control(label="flat", group="flattened", edit="scale-wrong", edit_parameters=FLAT, parameters={"temperature": 4.0},
            teacher_weight=0.9, expected="lower"),
    Control(label="sharpened again", group="repaired", edit="scale-wrong", edit_parameters=FLAT, method="cf-sharpen",
            parameters={"factor": 4.0, "temperature": 4.0}, teacher_weight=0.9, expected="none"),
    Control(label="shifted", group="nothing", edit="shift", edit_parameters={"scale": 3.0, "seed": 0},
            parameters={"temperature": 4.0}, teacher_weight=0.9, expected="none"),
)  # fmt: skip
STUDY = dataclasses.replace(STUDIES["synthetic"](), controls=CONTROLS)


def spoken(**means: float) -> dict[str, dict[str, object]]:
    base = RNG.normal(0.6, 0.02, 12)
    arms = {name.replace("_", " "): base + mean + RNG.normal(0, 0.002, 12) for name, mean in means.items()}
    return control_verdicts(STUDY, lambda label: arms[label])


def test_planted_harm_and_its_repair_are_confirmed_and_planted_nothing_is_not() -> None:
    found = spoken(clean=0, flat=-0.04, sharpened_again=0, shifted=0)
    assert [v["verdict"] == "confirmed" for v in found.values()] == [True, True, False]
    assert all(v["as_expected"] and v["family"] == "controls" for v in found.values())
    assert "closes 1" in str(found["C2"]["sentence"]) or "closes 9" in str(found["C2"]["sentence"])
    assert harmed_by(STUDY, CONTROLS[2]) is CONTROLS[1] and harmed_by(STUDY, CONTROLS[1]) is None


def test_a_study_that_misses_the_harm_or_finds_it_where_none_was_says_so() -> None:
    missed = spoken(clean=0, flat=0, sharpened_again=0, shifted=-0.04)
    assert [v["as_expected"] for v in missed.values()] == [False, False, False]


@pytest.mark.slow
def test_students_of_a_flattened_teacher_are_worse_and_the_matching_fix_closes_it(tmp_path: Path) -> None:
    small = dataclasses.replace(
        STUDY, teachers=("mlp-32", "mlp-64"), control_teacher="mlp-64", fix_teachers=(), fixes=STUDY.fixes[2:3],
        pilot=1, confirm=6, twins=0,
    )  # fmt: skip
    out = run_study(small, tmp_path / "out", workers=1, progress=False)
    found = json.loads((out / "verdicts.json").read_text())
    controls = {key: verdict for key, verdict in found.items() if verdict["family"] == "controls"}
    assert [v["verdict"] == "confirmed" for v in controls.values()] == [True, True, False]
    assert all(v["as_expected"] for v in controls.values())
    assert found["C1"]["effect"] > 0.01
    assert found["C2"]["effect"] == pytest.approx(found["C1"]["effect"], abs=1e-3)  # an exact inverse closes all


def test_diagnoses_compare_with_the_plain_and_the_smallest_teacher() -> None:
    plain = np.abs(RNG.normal([0.5, 0.2, 0.3, 0.1], 0.01, (8, 4)))
    smoothed = plain * np.array([1.0, 0.8, 0.3, 0.9])
    names = {"recipe": "ls0.1", "architecture": "mlp-64", "temperature": 4.0}
    lost = relations_lost("D2", smoothed, plain, **names)
    assert lost.estimate.effect == pytest.approx(0.3)
    kept = relations_lost("D2", plain * RNG.normal(0.9, 0.01, (8, 1)), plain, **names)
    ladder = np.stack([plain, plain * np.array([1, 0.1, 1, 1])], axis=1) * RNG.normal(1, 0.01, (8, 2, 1))
    gone = rescaling_vanished("D1", ladder, teachers=("mlp-16", "mlp-64"), temperature=4.0)
    words = [verdicts([f], fresh_splits=True)[f.key]["verdict"] for f in (lost, kept, gone)]
    assert words == ["confirmed", "refuted", "confirmed"]


def test_tolerance_needs_both_halves() -> None:
    strict, tolerant = RNG.normal(0.8, 0.002, 10), RNG.normal(0.78, 0.002, 10)
    better, worse = RNG.normal(0.62, 0.002, 10), RNG.normal(0.6, 0.002, 10)
    names = {"recipe": "tolerant0.6", "architecture": "mlp-64", "delta": 0.005}
    both = tolerance_helps(strict=(strict, worse), tolerant=(tolerant, better), **names)
    half = tolerance_helps(strict=(strict, better), tolerant=(tolerant, worse), **names)
    words = [verdicts([f], fresh_splits=True)["H7"]["verdict"] for f in (both, half)]
    assert words == ["confirmed", "refuted"]
