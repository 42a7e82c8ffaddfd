"""Run by torchrun: the pixel hash of one view, each rank loading its share in batches through its own loader.

Usage: view_hashes.py BATCH WORKERS. Rank 0 prints the hash of the whole view in hexadecimal.
"""

import os
import sys

import numpy as np
import torch
import torch.distributed as dist

from darkprobe.data import Split, Views, parse_policy, pixel_hash

EXAMPLES = 300
POLICY = "window0.25+pad2+flip+jitter0.4+mixup0.2"


class Examples(torch.utils.data.Dataset[tuple[int, torch.Tensor]]):
    """Row number and pixels of each of some examples in one view."""

    def __init__(self, rows: range) -> None:
        rng = np.random.default_rng(0)
        split = Split(
            dataset="noise",
            name="train",
            kind="image",
            inputs=rng.integers(0, 256, (EXAMPLES, 12, 10, 3), dtype=np.uint8),
            labels=np.zeros(EXAMPLES, np.int64),
            example_ids=rng.choice(2**40, EXAMPLES, replace=False) - 2**39,
            class_names=("a",),
            source="test",
        )
        self.views, self.rows = Views(split, policy=parse_policy(POLICY), seed=3), rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> tuple[int, torch.Tensor]:
        return self.__getitems__([place])[0]

    def __getitems__(self, places: list[int]) -> list[tuple[int, torch.Tensor]]:
        """A whole batch at once, as torch asks for it."""
        rows = [self.rows[place] for place in places]
        return list(zip(rows, self.views.images(rows, view=5), strict=True))


def loaded_hash(rows: range, *, batch: int, workers: int) -> int:
    """The hash of these rows, batch by batch."""
    examples = Examples(rows)
    context = "spawn" if workers else None
    loader = torch.utils.data.DataLoader(
        examples, batch_size=batch, num_workers=workers, multiprocessing_context=context
    )
    ids = examples.views.split.example_ids
    return sum(pixel_hash(ids[numbers.numpy()], pixels) for numbers, pixels in loader) % 2**64


def main(batch: int, workers: int) -> None:
    """Adds the hashes of all ranks, in two halves of 32 bits because torch adds no unsigned 64."""
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    own = loaded_hash(range(rank * EXAMPLES // ranks, (rank + 1) * EXAMPLES // ranks), batch=batch, workers=workers)
    halves = torch.tensor([own & 0xFFFFFFFF, own >> 32])
    dist.all_reduce(halves)
    if rank == 0:
        print(f"{(int(halves[0]) + (int(halves[1]) << 32)) % 2**64:016x}")
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(int(sys.argv[1]), int(sys.argv[2]))
