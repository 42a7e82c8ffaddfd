"""A study on a real Dask scheduler whose workers and driver are killed: every cell once, the same table."""

from pathlib import Path

import pandas as pd
import pytest
from killing import kill_driver, killing
from small_study import SMALL

from darkprobe.errors import InvalidValueError
from darkprobe.study import run_study, study_status
from darkprobe.study.engine import engine

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # killed workers leave open sockets behind, which is the point
]


def test_killed_workers_and_a_killed_driver_change_nothing(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1000}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        killing(cluster, every=2.0) as killed,
    ):
        kill_driver("SMALL", cluster.scheduler_address, out, after=2)
        run_study(SMALL, out, dask=cluster.scheduler_address, progress=False)
    assert killed
    assert (out / "verdicts.json").read_bytes() == (finished / "verdicts.json").read_bytes()
    now, undisturbed = (pd.read_csv(d / "runs.csv").drop(columns="seconds") for d in (out, finished))
    pd.testing.assert_frame_equal(now, undisturbed, check_exact=True)
    assert not now.duplicated(["replicate", "teacher", "edit", "control", "method", "parameters"]).any()
    assert study_status(out).left == dict.fromkeys(study_status(out).total, 0)


def test_workers_of_a_cluster_are_not_ours_to_count() -> None:
    with pytest.raises(InvalidValueError, match="`workers` must be left out"), engine(workers=2, dask="tcp://x:1"):
        pass
