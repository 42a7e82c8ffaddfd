"""The fuzzer's short form, and the long one for `make trust`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_store import fuzz, outcome


def failures(results: dict[str, int]) -> list[str]:
    return [name for name in results if not name.islower()]


def test_damaged_files_are_refused_or_read_right() -> None:
    results = fuzz(1500, seed=11)
    assert failures(results) == []
    assert results["refused"] > 500 and results["right"] > 50, "the mutations are all of one kind"


@pytest.mark.trust
@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_thousand_damaged_files(seed: int) -> None:
    results = fuzz(25_000, seed=seed)
    print(dict(results))
    assert failures(results) == []


def test_the_fuzzer_can_find_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    path.write_bytes(b"x")
    assert outcome(path, lambda path: {"a": b"2"}, {"a": b"1"}) == "WRONG VALUES"
    assert outcome(path, lambda path: [][0], {}).startswith("CRASH IndexError")
