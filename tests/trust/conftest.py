"""The table at the end of `make trust`: inputs tried, faults injected, and what was lost, crashed or silently wrong."""

from collections import Counter
from typing import Any

import pytest

KEYS = ("inputs tried", "faults injected", "lost results", "crashes", "silent wrongs")
TALLY = "trust"
OF_FAULTS = ("test_faults", "test_dask", "kill")
"""What names of tests of faults hold."""


@pytest.fixture
def tally(record_property: Any) -> Any:
    """Adds `count` to a line of the table; properties travel from the workers to the one that prints."""

    def add(key: str, count: int) -> None:
        assert key in KEYS
        record_property(TALLY, [key, count])

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table. Tests of faults say how many they injected, or injected one; one that fails lost something."""
    table = Counter(dict.fromkeys(KEYS, 0))
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            if getattr(report, "when", "") != "call":
                continue
            told = [value for name, value in report.user_properties if name == TALLY]
            for key, count in told:
                table[key] += count
            if any(word in report.nodeid for word in OF_FAULTS):
                table["faults injected"] += not told
                table["lost results"] += outcome == "failed"
    if table["inputs tried"] or table["faults injected"]:
        terminalreporter.section("trust")
        for key in KEYS:
            terminalreporter.write_line(f"{table[key]:>9,}  {key}")
