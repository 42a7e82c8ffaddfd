"""Blocks side by side: in order, as if one after another, also in a process made by fork."""

import multiprocessing
import threading
from collections.abc import Iterator

import pytest
import torch

from darkprobe.blocks import map_blocks


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def _square(item: int) -> int:
    return item * item


def _thread_names() -> set[str]:
    return set(map_blocks(lambda _: threading.current_thread().name, range(50)))


def test_results_come_in_order_and_from_threads_of_the_pool() -> None:
    assert map_blocks(_square, range(100)) == [i * i for i in range(100)]
    assert all(name.startswith("darkprobe-blocks") for name in _thread_names())


def test_one_item_or_one_thread_needs_no_pool() -> None:
    assert map_blocks(lambda _: threading.current_thread(), [0]) == [threading.current_thread()]
    torch.set_num_threads(1)
    assert set(map_blocks(lambda _: threading.current_thread(), range(9))) == {threading.current_thread()}


def test_a_map_inside_a_map_runs_on_the_thread_it_is_called_from() -> None:
    found = map_blocks(lambda i: (map_blocks(_square, range(i)), torch.get_num_threads()), range(5))
    assert found == [([j * j for j in range(i)], 1) for i in range(5)]
    assert torch.get_num_threads() == 2


def test_an_error_reaches_the_caller_and_the_next_map_works() -> None:
    with pytest.raises(ZeroDivisionError):
        map_blocks(lambda i: 1 // i, range(9))
    assert map_blocks(_square, range(3)) == [0, 1, 4]
    assert _thread_names() != {threading.current_thread().name}, "the pool was given back"


@pytest.mark.parametrize("inference", [True, False])
def test_blocks_run_without_gradients_and_may_write_into_the_callers_tensors(inference: bool) -> None:
    with torch.inference_mode(inference):
        result = torch.zeros(8)

        def fill(index: int) -> tuple[bool, bool]:
            result[index] = index**2
            return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

        modes = map_blocks(fill, range(8))
    assert result.tolist() == [i**2 for i in range(8)]
    assert modes == [(False, inference)] * 8


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_a_process_made_by_fork_has_a_pool_of_its_own() -> None:
    map_blocks(_square, range(9))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_thread_names).get(timeout=60)
