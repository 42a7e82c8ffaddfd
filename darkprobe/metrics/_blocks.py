"""Working on blocks of rows side by side: one thread per core, and each operation inside a block on that thread.

Blocks fit a core's cache. Splitting every small operation over cores instead would make them wait for each other
thousands of times a second, which on a busy machine costs more than the work.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_pool_in_use = threading.Lock()


def _work_alone() -> None:
    torch.set_num_threads(1)


def map_blocks(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`function` of each item, in order; on as many threads as PyTorch would use, each without gradients.

    Inference mode is of one thread; the workers take over the caller's, since they write into tensors of the caller.

    Args:
        function: touches nothing that another call of it writes.
        items: the blocks.
    """

    inference = torch.is_inference_mode_enabled()

    def call(item: Item) -> Result:
        with torch.inference_mode(inference), torch.no_grad():
            return function(item)

    threads = min(torch.get_num_threads(), len(items))
    if threads < 2 or not _pool_in_use.acquire(blocking=False):  # inside another map, or beside one: take turns
        return [call(item) for item in items]
    try:
        with ThreadPoolExecutor(threads, initializer=_work_alone) as pool:
            return list(pool.map(call, items))
    finally:
        # The workers' setting is also what new threads start with.
        torch.set_num_threads(torch.get_num_threads())
        _pool_in_use.release()
