"""Logs with a known best epoch, a known effect and a gain that is selection alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.errors import DataError, UnknownNameError
from darkprobe.study.audit import audit, figures, read_logs


def make_logs(*, validated: bool) -> pd.DataFrame:
    """Twelve seeds; `good` is 2 points better than kd, `same` equal but noisier from epoch to epoch."""
    rng = np.random.default_rng(1)
    rows = []
    for seed in range(12):
        level = 0.7 + rng.normal(0, 0.01)
        for method, gain, noise in (("kd", 0.0, 0.001), ("good", 0.02, 0.001), ("same", 0.0, 0.008)):
            for epoch in range(1, 31):
                accuracy = level + gain + rng.normal(0, noise)
                val = {"val_accuracy": level + gain + rng.normal(0, noise)} if validated else {}
                rows.append({"method": method, "seed": seed, "epoch": epoch, "accuracy": accuracy, **val})
    return pd.DataFrame(rows)


def test_the_three_figures_of_one_run() -> None:
    logs = pd.DataFrame({"method": "a", "seed": 0, "epoch": [3, 1, 2], "accuracy": [0.5, 0.2, 0.6],
                         "val_accuracy": [0.4, 0.9, 0.1]})  # fmt: skip
    row = figures(logs).iloc[0]
    assert (row["last epoch"], row["selected on validation"], row["best on test"]) == (0.5, 0.2, 0.6)
    assert np.isnan(figures(logs.drop(columns="val_accuracy")).iloc[0]["selected on validation"])


def test_effects_are_paired_and_corrected() -> None:
    logs = make_logs(validated=True)
    table = audit(logs, baseline="kd").set_index(["figure", "method"])
    runs = figures(logs).pivot(index="seed", columns="method", values="last epoch")
    reference = stats.ttest_rel(runs["good"], runs["kd"])
    row = table.loc[("last epoch", "good")]
    assert row["p_value"] == pytest.approx(reference.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert row["p_adjusted"] == pytest.approx(2 * row["p_value"]) and row["survives"] == "better"
    assert (table["p_adjusted"] >= table["p_value"]).all()


def test_a_gain_that_is_selection_alone_is_seen_only_on_test() -> None:
    table = audit(make_logs(validated=True), baseline="kd").set_index(["figure", "method"])["survives"]
    assert table["best on test", "same"] == "better"
    assert table["last epoch", "same"] == "not resolved" and table["selected on validation", "same"] == "not resolved"


def test_without_validation_data_that_figure_is_left_out() -> None:
    assert set(audit(make_logs(validated=False), baseline="kd")["figure"]) == {"last epoch", "best on test"}


def test_the_command_says_what_survives(tmp_path: Path) -> None:
    make_logs(validated=True).to_csv(tmp_path / "runs.csv", index=False)
    found = CliRunner().invoke(app, ["audit", str(tmp_path / "runs.csv"), "--csv", str(tmp_path / "out.csv")])
    assert found.exit_code == 0, found.output
    assert "good - kd: +2.0" in found.stdout and ": better" in found.stdout
    assert len(pd.read_csv(tmp_path / "out.csv")) == 6


class TestLogsOfOthers:
    """The same rows under other names, in percents, in other files: the same findings."""

    def told(self, path: Path, *options: str) -> str:
        ran = CliRunner().invoke(app, ["audit", str(path), *options], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    def test_names_and_percents(self, tmp_path: Path) -> None:
        logs = make_logs(validated=True)
        logs.to_csv(tmp_path / "ours.csv", index=False)
        theirs = logs.rename(columns={"method": "algo", "accuracy": "test_top1"})
        theirs = theirs.assign(test_top1=100 * theirs["test_top1"], val_accuracy=100 * theirs["val_accuracy"])
        theirs.assign(accuracy="of training").to_csv(tmp_path / "theirs.tsv", index=False, sep="\t")
        named = ("--column", "method=algo", "--column", "accuracy=test_top1", "--percent")
        assert self.told(tmp_path / "theirs.tsv", *named) == self.told(tmp_path / "ours.csv")

    def test_a_directory_of_other_formats(self, tmp_path: Path) -> None:
        logs = make_logs(validated=False)
        logs.to_csv(tmp_path / "all.csv", index=False)
        (tmp_path / "runs").mkdir()
        logs[logs["method"] == "kd"].to_json(tmp_path / "runs" / "a.jsonl", orient="records", lines=True)
        logs[logs["method"] != "kd"].to_parquet(tmp_path / "runs" / "b.parquet")
        assert self.told(tmp_path / "runs") == self.told(tmp_path / "all.csv")

    def test_the_baseline_too_is_told_what_selection_adds(self, tmp_path: Path) -> None:
        logs = make_logs(validated=False)
        logs.to_csv(tmp_path / "all.csv", index=False)
        runs = figures(logs)
        own = runs[runs["method"] == "kd"]
        gain = 100 * (own["best on test"] - own["last epoch"]).mean()
        assert f"adds {gain:.2f} points to kd (n = 12 seeds)" in self.told(tmp_path / "all.csv")

    def test_refusals(self, tmp_path: Path) -> None:
        make_logs(validated=False).to_csv(tmp_path / "x.csv", index=False)
        with pytest.raises(DataError, match="must have the column 'top1', which is to be read as accuracy"):
            read_logs(tmp_path / "x.csv", columns={"accuracy": "top1"})
        with pytest.raises(UnknownNameError, match="unknown column 'loss'"):
            read_logs(tmp_path / "x.csv", columns={"loss": "accuracy"})
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="must hold logs"):
            read_logs(tmp_path / "empty")
        ran = CliRunner().invoke(app, ["audit", str(tmp_path / "x.csv"), "--column", "accuracy"])
        assert "must be NAME=THEIRS" in str(ran.exception)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="seed"), "Add seed, or say what they are called: --column seed=NAME"),
        (lambda t: pd.concat([t, t.head(1)]), "must stand once in .*, got kd, seed 0, epoch 1 twice"),
        (lambda t: t.assign(accuracy=t["accuracy"] * 100), r"in .* must be fractions"),
    ],
)
def test_tables_that_cannot_be_read(change: object, message: str, tmp_path: Path) -> None:
    change(make_logs(validated=False)).to_csv(tmp_path / "x.csv", index=False)  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        read_logs(tmp_path / "x.csv")


def test_what_cannot_be_compared() -> None:
    logs = make_logs(validated=False)
    with pytest.raises(UnknownNameError, match="unknown method 'KD'"):
        audit(logs, baseline="KD")
    logs.loc[logs["method"] == "good", "seed"] += 100
    with pytest.raises(DataError, match="must share 2 or more seeds with 'kd', got 0"):
        audit(logs, baseline="kd")
