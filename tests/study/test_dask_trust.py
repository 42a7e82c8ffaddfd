"""A study of more than two hundred cells on three Dask workers, one killed every few seconds, the driver twice."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from killing import kill_driver, killing
from small_study import MANY

from darkprobe.study import run_study, study_status
from darkprobe.study.estimate import count_cells

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.trust,
    pytest.mark.filterwarnings("ignore"),  # killed workers leave open sockets behind, which is the point
]

KILL_EVERY = float(os.environ.get("DARKPROBE_KILL_EVERY", "5"))
"""Seconds; give more where a worker needs longer than that to start."""


def test_two_hundred_cells_survive_killed_workers_and_a_driver_killed_twice(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    import dask

    assert sum(count_cells(MANY)[0].values()) >= 200
    undisturbed = run_study(MANY, tmp_path / "undisturbed", workers=1, progress=False)
    out = tmp_path / "out"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1000}),
        distributed.LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster,
        killing(cluster, every=KILL_EVERY) as killed,
    ):
        for _ in range(2):
            kill_driver("MANY", cluster.scheduler_address, out, after=40)
        run_study(MANY, out, dask=cluster.scheduler_address, progress=False)
    assert len(killed) >= 3
    assert (out / "verdicts.json").read_bytes() == (undisturbed / "verdicts.json").read_bytes()
    now, before = (pd.read_csv(d / "runs.csv").drop(columns="seconds") for d in (out, undisturbed))
    pd.testing.assert_frame_equal(now, before, check_exact=True)
    assert not now.duplicated(["replicate", "teacher", "edit", "control", "method", "parameters"]).any()
    assert study_status(out).left == dict.fromkeys(study_status(out).total, 0)
    record_property("trust", ["faults injected", len(killed) + 2])
