"""The tables `affinity` and `gap`: against SciPy on the study's own files, and on gaps planted by hand."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import softmax
from small_study import SMALL

from darkprobe.store import LogitStore
from darkprobe.study.affinity_table import LEVELS, QUANTITIES
from darkprobe.study.arms import Arms
from darkprobe.study.choices import choose, setting_text
from darkprobe.study.gaps import gap_table


def read(directory: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(directory / "tables" / f"{name}.csv")


def spearman_of_classes(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> float:
    """Rows of mean soft labels at T = 4, ranked without the diagonal, averaged: SciPy alone."""
    found = []
    for cls in range(first.shape[1]):
        rows = [np.delete(softmax(x[labels == cls] / 4.0, axis=1).mean(0), cls) for x in (first, second)]
        found.append(stats.spearmanr(*rows).statistic)
    return float(np.mean(found))


def test_affinity_with_the_largest_is_scipys_over_the_twin_replicates(finished: Path) -> None:
    found = []
    for r in SMALL.twin_replicates:
        seed = SMALL.replicate_seed(r)
        entries = LogitStore(finished / "store").entries(f"digits-{seed}", "train")
        plain = {e.card.architecture: e for e in entries if e.card.seed == seed and e.card.recipe == "plain"}
        small, large = plain["mlp-8"], plain["mlp-16"]
        found.append(spearman_of_classes(np.array(small.logits), np.array(large.logits), np.array(large.labels)))
    table = read(finished, "affinity")
    row = table.query("level == 'class' and quantity == 'with_largest'")
    assert len(row) == 1 and row["n"].item() == SMALL.twins
    assert row["value"].item() == pytest.approx(np.mean(found), abs=1e-12)
    reach = stats.t.ppf(0.975, SMALL.twins - 1) * np.std(found, ddof=1) / np.sqrt(SMALL.twins)
    assert row["high"].item() - row["value"].item() == pytest.approx(reach, abs=1e-12)


def test_affinity_has_every_number_of_the_verdict_and_its_bounds(finished: Path) -> None:
    table = read(finished, "affinity").set_index(["level", "quantity", "model"])
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    for level in LEVELS:
        assert set(table.loc[level].index.get_level_values("quantity")) == set(QUANTITIES)
        own, ceiling = table.loc[level, "reliability", "mlp-16"], table.loc[level, "ceiling", "mlp-16"]
        assert ceiling["value"] == pytest.approx(own["value"], abs=1e-9)  # the ceiling of the largest is its own
        assert (level, "consistency", "mlp-16") not in table.index
    detail = {row["what"]: row for row in json.loads((finished / "verdicts.json").read_text())["H2"]["detail"]}
    for level in LEVELS:
        told = detail[f"{level}-level consistency of mlp-8 with mlp-16"]
        row = table.loc[level, "consistency", "mlp-8"]
        shown, said = row[["value", "low", "high"]].tolist(), [told[name] for name in ("effect", "low", "high")]
        assert shown == pytest.approx(said, rel=1e-12)  # older pandas read the last digit otherwise


def test_gaps_are_differences_of_the_runs_and_their_teacher_is_the_pilots(finished: Path) -> None:
    runs = pd.read_csv(finished / "runs.csv", keep_default_na=False)
    gaps = read(finished, "gap").query("quantity == 'gap'").set_index("setting")
    assert list(gaps.index) == ["tuned", "T = 2", "T = 4"]
    kd = runs[(runs["phase"] == "confirm") & (runs["control"] == "") & (runs["parameters"] == '{"temperature": 2.0}')]
    reached = kd.astype({"test_last": float}).pivot(index="replicate", columns="teacher", values="test_last")
    difference = reached["mlp-8"] - reached["mlp-16"]
    row = gaps.loc["T = 2"]
    assert (row["teacher"], row["against"], row["n"]) == ("mlp-8", "mlp-16", SMALL.confirm)
    assert row["value"] == pytest.approx(difference.mean(), abs=1e-12)
    interval = stats.t.interval(0.95, len(difference) - 1, difference.mean(), stats.sem(difference))
    assert (row["low"], row["high"]) == pytest.approx(interval, abs=1e-12)


THREE = dataclasses.replace(SMALL, teachers=("mlp-8", "mlp-12", "mlp-16"), controls=(), control_teacher="", confirm=40)


def planted(*, gap: float, fix: float) -> tuple[pd.DataFrame, Arms]:
    """Runs in which, at T = 2, mlp-12 teaches better than mlp-16 by `gap` and ttm better than KD by `fix`."""
    noise = np.random.default_rng(5)
    rows = []
    arms = [("", "none", {})]
    arms += [(t, "kd", dict(s)) for t in THREE.teachers for s in THREE.reference.grid]
    arms += [("mlp-16", plan.method, dict(s)) for plan in THREE.fixes for s in plan.grid]
    for replicate in range(THREE.pilot + THREE.confirm):
        level = 0.8 + 0.02 * noise.standard_normal()
        for teacher, method, setting in arms:
            accuracy = level + 0.002 * noise.standard_normal()
            at_two = setting.get("temperature") == 2.0
            accuracy += gap * (at_two and teacher == "mlp-12") + fix * (method == "ttm") + 0.05 * (not at_two)
            pilot = replicate < THREE.pilot
            rows.append(
                {"phase": "pilot" if pilot else "confirm", "replicate": replicate, "control": "", "teacher": teacher,
                 "method": method, "parameters": setting_text(setting), "val_last": accuracy,
                 "test_last": np.nan if pilot else accuracy, "test_entropy": 1.0}
            )  # fmt: skip
    runs = pd.DataFrame(rows)
    return runs, Arms(THREE, runs, choose(THREE, runs[runs["phase"] == "pilot"]))


def test_the_share_of_a_planted_gap_has_fiellers_interval() -> None:
    runs, arms = planted(gap=0.02, fix=0.01 - 0.05)  # against KD at T = 2, ttm gains .01: half the gap
    table = gap_table(arms, runs)
    at_two = table[table["setting"] == "T = 2"]
    gap = at_two[at_two["quantity"] == "gap"].iloc[0]
    assert gap["teacher"] == "mlp-12" and gap["low"] < 0.02 < gap["high"]
    share = at_two[(at_two["quantity"] == "share") & (at_two["method"] == "ttm")].iloc[0]
    assert share["interval"] == "Fieller" and share["low"] < share["value"] < share["high"]
    assert share["value"] == pytest.approx(0.5, abs=0.1)
    base = arms.arm("mlp-16", "kd", {"temperature": 2.0})
    added = arms.tuned("mlp-16", "ttm") - base
    lead = arms.arm("mlp-12", "kd", {"temperature": 2.0}) - base
    for end in (share["low"], share["high"]):  # what defines the interval: there the t test is just at 5 %
        assert stats.ttest_1samp(added - end * lead, 0.0).pvalue == pytest.approx(0.05, abs=1e-9)


def test_tuning_the_temperature_counts_as_a_fix_of_a_fixed_one() -> None:
    runs, arms = planted(gap=0.02, fix=0.0)
    fixes = gap_table(arms, runs).query("quantity == 'fix'")
    assert set(fixes[fixes["setting"] == "tuned"]["method"]) == {"ttm", "dkd"}
    tuning = fixes[(fixes["setting"] == "T = 2") & (fixes["method"] == "kd, tuned T")].iloc[0]
    assert tuning["low"] < 0.05 < tuning["high"] and tuning["interval"] == "simultaneous"


@pytest.mark.parametrize(("gap", "why"), [(-0.02, "the largest teacher is the better one"), (0.0, "holds 0")])
def test_without_a_gap_there_is_no_share(gap: float, why: str) -> None:
    runs, arms = planted(gap=gap, fix=0.01)
    everyone = runs["teacher"].eq("mlp-8") & runs["parameters"].eq('{"temperature": 2.0}')
    runs.loc[everyone, ["val_last", "test_last"]] += min(gap, -0.01)  # else mlp-8 would stand in for mlp-12
    arms = Arms(THREE, runs, choose(THREE, runs[runs["phase"] == "pilot"]))
    table = gap_table(arms, runs)
    shares = table[(table["setting"] == "T = 2") & (table["quantity"] == "share")]
    assert len(shares) == 3 and shares[["value", "low", "high"]].isna().all(axis=None)
    assert shares["note"].str.startswith("no gap to close").all() and shares["note"].str.contains(why).all()
