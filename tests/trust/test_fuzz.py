"""The fuzzer's short form, and the long one for `make trust`."""

import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fuzz import failures, fuzz, outcome
from subjects import pages, parquet

SILENT = "WRONG VALUES"


def tell(tally: Any, results: Counter[str]) -> None:
    """Into the table of `make trust`."""
    wrong = sum(results[name] for name in failures(results) if name.startswith(SILENT))
    tally("inputs tried", sum(results.values()))
    tally("silent wrongs", wrong)
    tally("crashes", sum(results[name] for name in failures(results)) - wrong)


def test_damaged_files_are_refused_or_read_right(tally: Any) -> None:
    results = fuzz(1500, seed=11)
    tell(tally, results)
    assert failures(results) == []
    assert results["refused"] > 500 and results["right"] > 50, "the mutations are all of one kind"


@pytest.mark.trust
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_damaged_files(seed: int, tally: Any) -> None:
    results = fuzz(10_000, seed=seed)
    tell(tally, results)
    assert failures(results) == []


@pytest.mark.trust
def test_damaged_parquet_files(tally: Any) -> None:
    results = fuzz(200, seed=0, only=lambda folder: [parquet(folder)])
    tell(tally, results)
    assert failures(results) == [] and results["refused"] > 50


def test_pages_of_damaged_studies(tally: Any) -> None:
    results = fuzz(60, seed=3, only=pages)
    tell(tally, results)
    assert failures(results) == [] and results["refused"] > 10 and results["read"] > 10


@pytest.mark.trust
def test_two_thousand_pages_of_damaged_studies(tally: Any) -> None:
    results = fuzz(2000, seed=0, only=pages)
    tell(tally, results)
    assert failures(results) == []


def test_the_fuzzer_can_find_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    path.write_bytes(b"x")
    assert outcome(path, lambda path: {"a": b"2"}, {"a": b"1"}) == SILENT
    assert outcome(path, lambda path: [][0], {}).startswith("CRASH IndexError")
    tracemalloc.start()
    assert outcome(path, lambda path: {"a": bytes(20 << 20)}, None) == "MEMORY"
    tracemalloc.stop()
