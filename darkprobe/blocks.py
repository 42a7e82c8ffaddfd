"""Working on blocks of rows side by side: one thread per core, and each operation inside a block on that thread.

Blocks fit a core's cache. Splitting every small operation over cores instead would make them wait for each other
thousands of times a second, which on a busy machine costs more than the work.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_pool_in_use = threading.Lock()


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Kept from call to call: a new thread also begins with no memory of its own, and asking for it takes long."""
    everybody = threading.Barrier(threads)

    def work_alone() -> None:
        torch.get_num_threads()  # a thread's first look at the number overwrites what it was set to
        torch.set_num_threads(1)
        everybody.wait()

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="darkprobe-blocks")
    for started in [pool.submit(work_alone) for _ in range(threads)]:
        started.result()
    torch.set_num_threads(before)  # the workers' setting is also what new threads start with
    return pool


def _forget_pool() -> None:
    """In a process made by fork, where the pool's threads do not exist."""
    global _pool_in_use
    _pool.cache_clear()
    _pool_in_use = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


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
        return list(_pool(threads).map(call, items))
    finally:
        _pool_in_use.release()
