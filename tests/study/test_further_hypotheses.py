"""H5 to H9 on hand-made numbers, and the levels of knowledge against their definition."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax

from darkprobe import targets
from darkprobe.study.further_hypotheses import calibration_tells, chain, dose_response
from darkprobe.study.levels import LEVELS, knowledge_levels, levels_table
from darkprobe.study.verdicts import verdicts

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(6), 50)
LOGITS = RNG.normal(size=(300, 6)) + 3 * np.eye(6)[LABELS] + RNG.normal(size=(6, 6))[LABELS]


def test_a_chain_holds_when_its_weakest_link_does() -> None:
    base = RNG.normal(0.9, 0.01, 20)
    arms = {name: base + gain + RNG.normal(0, 0.001, 20) for name, gain in (("kd", 0), ("ttm", 0.02), ("wttm", 0.021))}
    finding = chain("H6", accuracy=arms, largest="t", delta=0.005)
    assert finding is not None and "wttm minus with ttm" in finding.quantity
    assert finding.estimate.effect == pytest.approx((arms["wttm"] - arms["ttm"]).mean())
    assert [row["what"] for row in finding.detail] == ["ttm - kd", "wttm - ttm"]
    assert chain("H5", accuracy=arms, largest="t", delta=0.005) is None
    assert chain("H6", accuracy={"kd": base, "ttm": base}, largest="t", delta=0.005) is None


def test_the_first_link_is_against_the_form_of_kd_that_the_plan_has() -> None:
    base = RNG.normal(0.9, 0.01, 20)
    arms = {name: base + gain for name, gain in (("kd", 0.03), ("kd-hinton", 0), ("ttm", 0.02), ("wttm", 0.021))}
    finding = chain("H6", accuracy=arms, largest="t", delta=0.005, reference="kd-hinton")
    assert finding is not None
    assert [row["what"] for row in finding.detail] == ["ttm - kd-hinton", "wttm - ttm"]
    assert finding.detail[0]["effect"] == pytest.approx(0.02)


def test_relations_and_confidence_must_both_add_to_be_confirmed() -> None:
    """H5 on its own methods: KD over KD-pt over LS, and KD-sim over LS; one link that fails is enough to refute."""
    base = RNG.normal(0.9, 0.01, 20)
    gains = {"ls": 0.0, "kd-pt": 0.02, "kd": 0.05, "kd-sim": 0.03}
    arms = {name: base + gain + RNG.normal(0, 0.002, 20) for name, gain in gains.items()}
    both = chain("H5", accuracy=arms, largest="t", delta=0.005)
    confidence_adds_nothing = chain(
        "H5", accuracy={**arms, "kd-pt": arms["ls"] - 0.01 + RNG.normal(0, 0.002, 20)}, largest="t", delta=0.005
    )
    assert both is not None and confidence_adds_nothing is not None
    assert [row["what"] for row in both.detail] == ["kd - kd-pt", "kd-pt - ls", "kd-sim - ls"]
    assert "kd-pt minus with ls" in confidence_adds_nothing.quantity
    words = [verdicts([f], fresh_splits=True)["H5"]["verdict"] for f in (both, confidence_adds_nothing)]
    assert words == ["confirmed", "refuted"]


def test_calibration_is_correlated_within_replicates() -> None:
    ece, accuracy = RNG.random((12, 6)), RNG.random((12, 6))
    accuracy[:, 0] = accuracy[:, 1]  # ties
    pairs = [(teacher, t) for teacher in "abc" for t in (2.0, 4.0)]
    finding = calibration_tells(ece, accuracy, pairs=pairs)
    reference = np.mean([stats.spearmanr(e, a).statistic for e, a in zip(ece, accuracy, strict=True)])
    assert finding is not None and finding.estimate.effect == pytest.approx(reference)
    assert calibration_tells(ece[:, :3], accuracy[:, :3], pairs=pairs[:3]) is None
    constant = calibration_tells(ece, np.ones_like(ece), pairs=pairs)
    assert constant is not None and constant.estimate.effect == 0.0


def test_calibration_across_teachers_is_told_from_calibration_across_temperatures() -> None:
    """Teachers whose students are better the better calibrated they are, at temperatures where it is the other way."""
    pairs = [(teacher, t) for teacher in "abc" for t in (2.0, 4.0, 8.0)]
    ece = np.array([[0.1 * "abc".index(teacher) + t for teacher, t in pairs]]) + RNG.normal(0, 1e-3, (8, 9))
    accuracy = np.array([[0.5 - 0.1 * "abc".index(teacher) + t for teacher, t in pairs]]) + RNG.normal(0, 1e-3, (8, 9))
    finding = calibration_tells(ece, accuracy, pairs=pairs)
    assert finding is not None
    found = {row["what"]: row["effect"] for row in finding.detail if row["unit"] == "correlation"}
    assert found == pytest.approx(
        {f"across teachers, all at T = {t}": -1.0 for t in (2, 4, 8)}
        | {f"across temperatures, of {teacher}": 1.0 for teacher in "abc"}
    )


def test_dose_response_is_the_slope_of_each_replicate() -> None:
    dose = np.array([[1.0, 0.5, 0.25, 0.0]] * 10) + RNG.normal(0, 0.01, (10, 4))
    accuracy = 0.6 + 0.04 * dose + RNG.normal(0, 0.002, (10, 4))
    finding = dose_response(dose, accuracy, doses=list("abcd"), delta=0.005)
    slopes = [stats.linregress(d, a).slope for d, a in zip(dose, accuracy, strict=True)]
    assert finding is not None and finding.estimate.effect == pytest.approx(np.mean(slopes))
    assert verdicts([finding], fresh_splits=True)["H9"]["verdict"] == "confirmed"
    flat = dose_response(dose, 0.6 + RNG.normal(0, 0.001, (10, 4)), doses=list("abcd"), delta=0.005)
    assert flat is not None and verdicts([flat], fresh_splits=True)["H9"]["verdict"] == "refuted"
    assert dose_response(dose[:, :2], accuracy[:, :2], doses=list("ab"), delta=0.005) is None


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_levels_add_up_to_the_divergence_from_uniform(temperature: float) -> None:
    levels = knowledge_levels(LOGITS, LABELS, temperature=temperature)
    probs = softmax(LOGITS / temperature, axis=1)
    assert levels.sum() == pytest.approx(np.log(6) - stats.entropy(probs, axis=1).mean(), abs=1e-12)
    assert (levels >= 0).all()


def test_each_edit_takes_the_level_it_is_made_for() -> None:
    clean = knowledge_levels(LOGITS, LABELS, temperature=4.0)
    flat = knowledge_levels(
        np.asarray(targets.scale_wrong(LOGITS, LABELS, factor=0.0, temperature=4.0)), LABELS, temperature=4.0
    )
    assert flat[:2] == pytest.approx(clean[:2], abs=1e-6) and flat[2:] == pytest.approx([0, 0], abs=1e-9)
    sure = knowledge_levels(np.asarray(targets.raise_label(LOGITS, LABELS, amount=40.0)), LABELS, temperature=4.0)
    assert sure[1:].max() < 1e-3 < clean[1:].min()


def test_lost_levels_are_named() -> None:
    """A teacher that is sure of everything beside one whose wrong classes are flat, and a sound one."""
    sure = LOGITS + 40 * np.eye(6)[LABELS]
    flat = np.asarray(targets.scale_wrong(LOGITS, LABELS, factor=0.0, temperature=4.0))
    noisy = [[knowledge_levels(x[keep], LABELS[keep], temperature=4.0) for x in (LOGITS, sure, flat)]
             for keep in (RNG.permutation(300)[:250] for _ in range(4))]  # fmt: skip
    table = levels_table(["sound", "sure", "flat"], np.array(noisy), temperature=4.0)
    said = table.set_index(["teacher", "level"])["diagnosis"]
    assert (said["sound"] == "").all()
    assert said["sure", "example confidence"].startswith("over-confident")
    assert said["flat", "class relations"].startswith("lost") and said["flat", "example confidence"] == ""
    assert list(table["level"].unique()) == list(LEVELS)
