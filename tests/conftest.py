"""Fixtures every test may use: the shared real data, and one thread a process so that timing and bits are steady."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, so that a red run shows a change and not its luck; DARKPROBE_EXPLORE=1 draws new ones.
settings.register_profile("steady", derandomize="DARKPROBE_EXPLORE" not in os.environ)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared"
    root = Path(os.environ.get("DARKPROBE_SHARED", default)) / "data"
    if not root.is_dir():
        pytest.skip(f"no shared data at {root}: set DARKPROBE_SHARED to the folder that holds data/")
    return root
