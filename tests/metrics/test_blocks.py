"""Blocks on threads give what one thread gives, in the caller's mode."""

from collections.abc import Iterator

import pytest
import torch

from darkprobe.metrics._blocks import map_blocks


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("inference", [True, False])
def test_workers_may_write_into_the_callers_tensors(inference: bool) -> None:
    with torch.inference_mode(inference):
        result = torch.zeros(8)

        def fill(index: int) -> bool:
            result[index] = index**2
            return torch.is_grad_enabled()

        graded = map_blocks(fill, range(8))
    assert result.tolist() == [i**2 for i in range(8)]
    assert not any(graded)
