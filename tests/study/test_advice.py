"""Advice from soft labels whose best temperature is known by construction; its score against outcomes made by hand; and
what the documentation says of that score, against the tables.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from darkprobe import advise
from darkprobe.cli import app
from darkprobe.cli.tables import number
from darkprobe.errors import DataError, InvalidValueError
from darkprobe.store import LogitStore
from darkprobe.study import backtest, read_study
from darkprobe.study.backtest import BASELINES, conclusion, read_case
from darkprobe.study.best_temperature import TEMPERATURES, temperature_of_most_distinct
from darkprobe.study.outcomes import read_outcome
from darkprobe.study.profiles import Profile
from darkprobe.study.rule import Case, learn, read_rule, reference_arm, write_rule
from darkprobe.zoo import load_model

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 8, 400)
LOGITS = RNG.normal(size=(400, 8)) + 6.0 * np.eye(8)[LABELS]


def sigma(logits: np.ndarray, temperature: float) -> float:
    z = np.exp(logits / temperature - (logits / temperature).max(1, keepdims=True))
    probs = z / z.sum(1, keepdims=True)
    return float(np.mean([np.delete(p, y).std() for p, y in zip(probs, LABELS, strict=True)]))


def test_the_best_temperature_is_where_a_plain_loop_finds_distinctness_largest() -> None:
    best = temperature_of_most_distinct(LOGITS, LABELS)
    reference = [sigma(LOGITS, t) for t in TEMPERATURES]
    assert best.temperature == TEMPERATURES[int(np.argmax(reference))]
    assert best.curve == pytest.approx(reference, rel=1e-5)
    assert best.low <= best.temperature <= best.high
    assert best.share(best.temperature) == pytest.approx(1.0)


def test_logits_twice_as_large_want_twice_the_temperature() -> None:
    once, twice = temperature_of_most_distinct(LOGITS, LABELS), temperature_of_most_distinct(2 * LOGITS, LABELS)
    assert twice.temperature == 2 * once.temperature
    assert twice.distinctness == pytest.approx(once.distinctness, rel=1e-5)


def test_advice_from_a_store(finished: Path, tmp_path: Path) -> None:
    import shutil

    dataset = sorted(p.name for p in (finished / "store").iterdir())[-1]
    shutil.copytree(finished / "store" / dataset, tmp_path / dataset)
    table = advise(tmp_path, student="mlp1-8")
    assert table["rank"].tolist() == list(range(1, len(table) + 1)) and table["score"].is_monotonic_decreasing
    top = table.iloc[0]
    assert top["temperature"] == top["best_temperature"] and top["why"].startswith("its wrong classes are most")
    assert top["accuracy_low"] < top["accuracy"] < top["accuracy_high"]
    assert (table["method"] == "kd").all() and (table["capacity_ratio"] > 0).all()
    found = CliRunner().invoke(app, ["advise", str(tmp_path), "--student", "mlp1-8", "--csv", str(tmp_path / "a.csv")])
    assert found.exit_code == 0, found.output
    assert pd.read_csv(tmp_path / "a.csv")["model"].tolist() == table["model"].tolist()
    accuracy = number(*(top[f"accuracy{end}"] for end in ("", "_low", "_high")))
    assert "advice for mlp1-8" in found.stdout and accuracy in found.stdout and "most distinct" in found.stdout
    with pytest.raises(DataError, match="training logits of one data set, got"):
        advise(finished / "store", student="mlp1-8")


def test_a_teacher_that_lost_class_relations_is_named_in_the_reasons(tmp_path: Path) -> None:
    alike = 3.0 * np.eye(8)[(LABELS + 1) % 8]  # every class has a neighbour; only one of the teachers tells
    store = LogitStore(tmp_path, create=True)
    for name, relations, part in (("mlp-16", alike, "train"), ("mlp-32", 0.0, "train")):
        card = load_model(name, input_shape=(1, 8, 8), num_classes=8, seed=0).card
        store.add(
            card, dataset="made", split=part, logits=(LOGITS + relations).astype(np.float32), labels=LABELS,
            example_ids=np.arange(len(LABELS)), class_names=tuple("abcdefgh"), fingerprint="0" * 64, source="made",
        )  # fmt: skip
    table = advise(store, student="mlp1-8").set_index("model")
    warned = table["why"].str.contains("CAUTION: lost which classes are alike")
    assert warned[warned].index.unique().str.startswith("mlp-32").all() and warned.any()
    assert not warned[table.index.str.startswith("mlp-16")].any() and warned[table.index.str.startswith("mlp-32")].all()


def test_backtest_measures_what_was_lost(finished: Path) -> None:
    table, losses = backtest([finished])
    assert table["rule"].tolist() == ["untaught", *BASELINES]  # no other study to learn from
    outcome = read_outcome(finished)
    best = max(v.mean() for v in [*outcome.arms.values(), *outcome.tuned.values()])
    for _, row in table.iterrows():
        chosen = outcome.arms[row["teacher"], row["method"], row["temperature"]].mean()
        assert row["regret"] == pytest.approx(best - chosen) and row["regret"] >= 0
        assert row["low"] <= row["regret"] <= row["high"] and -1 <= row["rank_correlation"] <= 1
    assert (table.loc[1:, "temperature"] == 4.0).all()
    own = losses[losses["rule"] == "untaught"]
    assert own["teacher"].tolist() == ["mlp-8", "mlp-16", "all"]
    assert own["loss"].iloc[-1] == pytest.approx(own["loss"].iloc[:-1].mean())
    assert set(losses["rule"]) == {"untaught", "T = 4"}


def test_a_study_of_another_form_of_kd_is_refused_by_name(finished: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished, tmp_path / "hinton")
    plan = json.loads((tmp_path / "hinton" / "study.json").read_text())
    plan["reference"]["method"] = "kd-hinton"
    (tmp_path / "hinton" / "study.json").write_text(json.dumps(plan))
    with pytest.raises(DataError, match=r"hinton' must be 'kd', got 'kd-hinton'\. Leave it out"):
        backtest([finished, tmp_path / "hinton"])


def test_runs_of_students_do_not_change_the_advice(finished: Path, tmp_path: Path) -> None:
    """No peeking: with every student's accuracy turned round, the same choice is made, only its score differs; so too
    for the rule that was learnt from other studies.
    """
    import shutil

    for name in ("turned", "other"):
        shutil.copytree(finished, tmp_path / name)
    runs = pd.read_csv(tmp_path / "turned" / "runs.csv", keep_default_na=False)
    runs["test_last"] = [1 - float(v) if v else "" for v in runs["test_last"].astype(str)]
    runs.to_csv(tmp_path / "turned" / "runs.csv", index=False)
    same = ["rule", "teacher", "method", "temperature"]
    found = [backtest([d, tmp_path / "other"])[0].iloc[:6][same] for d in (finished, tmp_path / "turned")]
    assert found[0]["rule"].tolist() == ["advice", "untaught", *BASELINES]
    pd.testing.assert_frame_equal(*found)


def case(finished: Path, seed: int, *, peak: float, fix: float) -> Case:
    """A study made by hand: students are best at `peak` times the teacher's T*, a better teacher teaches better, and
    TTM adds `fix`.
    """
    rng = np.random.default_rng(seed)
    teachers = [f"mlp-{2**i}" for i in range(4, 8)]
    profiles, arms = {}, {}
    for place, teacher in enumerate(teachers):
        star = float(rng.choice(TEMPERATURES[8:20]))
        shares = tuple(np.exp(-(np.log2(np.array(TEMPERATURES) / star) ** 2) / 4).tolist())
        profiles[teacher] = Profile(
            accuracy=0.8 + 0.01 * place, ece=0.1, distinctness=0.05, doublings=place, parameters=100,
            best_temperature=star, shares=shares,
        )  # fmt: skip
        for method, gain in (("kd", 0.0), ("ttm", fix)):
            for t in (2.0, 4.0, 8.0, 16.0):
                mean = 0.7 + 0.01 * place + gain - 0.01 * np.log2(t / (peak * star)) ** 2
                arms[teacher, method, t] = mean + rng.normal(0, 0.001, 6)
    outcome = read_outcome(finished)
    return Case(outcome=replace(outcome, arms=arms), profiles=profiles)


def test_a_rule_learns_where_the_best_temperature_lies_and_which_fix_helps(finished: Path) -> None:
    learnt = learn([case(finished, seed, peak=2.0, fix=0.01) for seed in range(6)])
    assert learnt.methods == ("kd", "ttm") and 0 < learnt.half_width() < 0.05
    new = case(finished, 99, peak=2.0, fix=0.01)
    arms = list(new.outcome.arms)
    gains = learnt.gains(new.profiles, arms)
    reached = np.array([new.outcome.arms[arm].mean() for arm in arms])
    base = reached[arms.index(reference_arm(new.profiles))]
    assert reached.max() - reached[gains.argmax()] < 0.005
    assert arms[int(gains.argmax())][1] == "ttm"
    assert abs(gains.max() - (reached[gains.argmax()] - base)) < learnt.half_width()
    assert np.corrcoef(gains, reached)[0, 1] > 0.9


def test_a_rule_is_kept_in_a_file(finished: Path, tmp_path: Path) -> None:
    learnt = learn([case(finished, seed, peak=1.0, fix=0.0) for seed in range(3)])
    write_rule(learnt, tmp_path / "rule.json")
    assert read_rule(tmp_path / "rule.json") == learnt


def test_advice_that_was_taught_predicts_gains(finished: Path, tmp_path: Path) -> None:
    import shutil

    dataset = sorted(p.name for p in (finished / "store").iterdir())[-1]
    shutil.copytree(finished / "store" / dataset, tmp_path / dataset)
    table = advise(tmp_path, student="mlp1-8", learn=[finished] * 3)
    assert set(table["method"]) == {"kd", "ttm"} and table["gain"].is_monotonic_decreasing
    assert (table["gain_low"] <= table["gain"]).all() and (table["gain"] <= table["gain_high"]).all()
    assert "3 studies predict" in table["why"].iloc[0] and not table["why"].str.contains("extrapolation").any()


def test_advice_taught_by_studies_of_other_teachers_says_that_it_extrapolates(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LogitStore(tmp_path, create=True)
    card = load_model("mlp-16", input_shape=(1, 8, 8), num_classes=8, seed=0).card
    for part in ("train", "test"):
        store.add(
            card, dataset="made", split=part, logits=LOGITS.astype(np.float32), labels=LABELS,
            example_ids=np.arange(len(LABELS)), class_names=tuple("abcdefgh"), fingerprint="0" * 64, source="made",
        )  # fmt: skip
    rule = learn([read_case(finished)])
    wanted = [profile.best_temperature for profile in read_case(finished).profiles.values()]
    assert rule.best_temperatures == (min(wanted), max(wanted))
    own = temperature_of_most_distinct(LOGITS, LABELS).temperature
    for ends, warned in (((own, own), False), ((3 * own, 4 * own), True), ((0.1, own / 3), True)):
        other = replace(rule, best_temperatures=ends)
        monkeypatch.setattr("darkprobe.study.advice.learn_rule", lambda _, other=other: other)
        why = advise(store, student="mlp1-8", learn=[finished])["why"]
        said = f"CAUTION: an extrapolation, teachers of the studies learnt from want T = {ends[0]:.3g} to {ends[1]:.3g}"
        assert why.str.contains(said, regex=False).tolist() == [warned] * len(why)
    assert not advise(store, student="mlp1-8")["why"].str.contains("extrapolation").any()


def test_it_says_when_it_is_no_better() -> None:
    rows = [{"study": s, "rule": r, "regret": 0.01 if r == "advice" else 0.02 if r != "most distinct" else other}
            for s, other in (("a", 0.001), ("b", 0.002)) for r in ("advice", *BASELINES)]  # fmt: skip
    assert "advice: does not beat the best of the four baselines over 2 studies" in conclusion(pd.DataFrame(rows))
    with pytest.raises(InvalidValueError, match="1 or more finished studies"):
        backtest([])


def regrets() -> pd.DataFrame:
    """Points of regret, (study, rule), as committed."""
    table = pd.read_csv(ROOT / "benchmarks" / "backtest" / "regret.csv")
    return 100 * table.pivot(index="study", columns="rule", values="regret")


def test_the_documentation_says_of_the_advice_what_its_tables_say() -> None:
    said = " ".join((ROOT / "docs" / "studies.md").read_text().split())
    table, points = pd.read_csv(ROOT / "benchmarks" / "backtest" / "regret.csv"), regrets()
    taught, untaught = conclusion(table).splitlines()
    best = points[list(BASELINES)].mean().idxmin()
    low, high = taught.split("points (")[-1].rstrip(").").split(" to ")
    for sentence in (
        f"Over these {len(points)} studies the taught advice lost {points['advice'].mean():.2f} points",
        f"({best} teacher, T = 4) {points[best].mean():.2f}; it lost less in {(points['advice'] < points[best]).sum()} "
        f"of {len(points)} studies, by {(points[best] - points['advice']).mean():.2f} points",
        f"(95 % interval over studies {low} to {high})",
        f"Untaught it lost {points['untaught'].mean():.2f} points",
        f"interval of its gain, {untaught.split('points (')[-1].split(')')[0]}, holds 0",
    ):
        assert sentence in said
    assert "the interval holds 0" in untaught and "the interval holds 0" not in taught


def test_the_documentation_says_where_the_advice_fails_and_what_was_new() -> None:
    said = " ".join((ROOT / "docs" / "studies.md").read_text().split())
    points, folder = regrets(), ROOT / "benchmarks" / "backtest"
    new, lost = points.loc["synthetic-many"], points.loc["synthetic-noise"]
    assert (
        f"There the taught advice lost {new['advice']:.2f} points, the best simple rule "
        f"{new[list(BASELINES)].min():.2f}, and the untaught advice {new['untaught']:.2f} as well" in said
    )
    assert f"lost {lost['advice']:.2f} points, the most accurate teacher at T = 4, there the smallest, " in said
    assert f"there the smallest, {lost['most accurate']:.2f}." in said
    assert points.index[points["advice"] > points[list(BASELINES)].min(axis=1)].tolist() == ["synthetic-noise"]
    table = pd.read_csv(folder / "regret.csv").set_index(["study", "rule"])["teacher"]
    plans = {study: read_study(folder / f"{study}.toml") for study in points.index}
    assert all(table[study, "advice"] == plan.teachers[-1] for study, plan in plans.items())
    assert table["synthetic-noise", "most accurate"] == plans["synthetic-noise"].teachers[0]
    losses = pd.read_csv(folder / "temperatures.csv")
    each, mean = losses[losses["teacher"] != "all"], losses[losses["teacher"] == "all"].groupby("rule")["loss"].mean()
    used = each.loc[each["rule"] == "advice", "used"]
    assert f"T = {used.iloc[0]:g} for all {len(used)} teachers" in said and used.nunique() == 1
    assert (
        f"that lost {100 * mean['advice']:.2f} points on average, T = 4 lost {100 * mean['T = 4']:.2f} and the "
        f"untaught prediction {100 * mean['untaught']:.2f}." in said
    )


def test_the_tables_of_the_backtest_are_of_one_run_over_all_plans() -> None:
    folder = ROOT / "benchmarks" / "backtest"
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["studies"] == sorted(path.stem for path in folder.glob("*.toml")) == regrets().index.tolist()
    assert "\n".join(facts["conclusion"]) == conclusion(pd.read_csv(folder / "regret.csv"))
