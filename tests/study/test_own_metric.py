"""A metric that the user registered appears in a study's tables, figures and report, without touching another file."""

from pathlib import Path

import numpy as np
import pandas as pd
from small_study import SMALL

from darkprobe.metrics import METRICS, Metric, register_metric
from darkprobe.report import write_report
from darkprobe.study import run_study


def test_a_metric_of_ones_own_is_in_tables_figures_and_report(finished: Path) -> None:
    def gap(logits: np.ndarray, labels: np.ndarray, *, temperature: float) -> np.ndarray:
        return np.asarray(np.ptp(logits, axis=-1) / temperature)

    register_metric(Metric(name="own_gap", function=gap, kind="per_example", summary="Range of the logits.", unit="u"))
    try:
        again = run_study(SMALL, finished, workers=1, progress=False)  # resumes: no training
        profile = pd.read_csv(again / "tables" / "profile.csv")
        rows = profile[(profile["metric"] == "own_gap") & (profile["temperature"] == SMALL.fixed_temperature)]
        assert len(rows) == 2 * len(SMALL.teachers)  # subsets
        assert (rows["value"] > 0).all() and set(rows["unit"]) == {"u"}
        assert (again / "figures" / "capacity_own_gap.png").exists()
        assert "own_gap" in write_report(again).read_text(encoding="utf-8")
    finally:
        METRICS._records.pop("own_gap")
        for left in [*(finished / "figures").glob("capacity_own_gap.*"), *finished.glob("report.html")]:
            left.unlink()
        run_study(SMALL, finished, workers=1, progress=False)
