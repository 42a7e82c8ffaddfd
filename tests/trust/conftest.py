"""The table at the end of `make trust`: inputs tried, faults injected, and what was lost, crashed or silently wrong."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

KEYS = ("inputs tried", "faults injected", "lost results", "crashes", "silent wrongs", "not possible here")
TALLY = "trust"
OF_FAULTS = ("test_faults", "test_dask", "kill", "stop")
"""What names of tests of faults hold."""


@pytest.fixture
def tally(record_property: Any) -> Any:
    """Adds `count` to a line of the table; properties travel from the workers to the one that prints."""

    def add(key: str, count: int) -> None:
        assert key in KEYS
        record_property(TALLY, [key, count])

    return add


def counted(stats: dict[str, Sequence[Any]]) -> Counter[str]:
    """The table from pytest's reports by outcome.

    Tests say how many inputs they tried or faults they injected. One of faults that says nothing injected one, and lost
    something when it fails. Any other that fails without having counted a crash or a wrong value itself is a crash,
    and so is whatever ends a worker process, stops a fixture, or keeps a file of tests from being read.
    """
    table = Counter(dict.fromkeys(KEYS, 0))
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in stats.get(outcome, []):
            name = getattr(report, "nodeid", "")
            if outcome == "skipped":
                table["not possible here"] += any(word in name for word in OF_FAULTS)
                continue
            if getattr(report, "when", "") != "call":
                table["crashes"] += outcome != "passed"  # a worker that died, a fixture, a file that does not load
                continue
            _count(table, report, name=name, failed=outcome == "failed")
    return table


def _count(table: Counter[str], report: Any, *, name: str, failed: bool) -> None:
    told = Counter[str]()
    for key, count in (value for key, value in report.user_properties if key == TALLY):
        told[key] += count
    table.update(told)
    if any(word in name for word in OF_FAULTS):
        table["faults injected"] += not told
        table["lost results"] += failed
    elif failed and not told["crashes"] and not told["silent wrongs"]:
        table["crashes"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table."""
    table = counted(terminalreporter.stats)
    if table["inputs tried"] or table["faults injected"]:
        terminalreporter.section("trust")
        for key in KEYS:
            terminalreporter.write_line(f"{table[key]:>9,}  {key}")
