"""`Checkpoint`: a training run put away in mid-epoch and taken up again with the same bits."""

import pickle
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from darkprobe.errors import CheckpointError
from darkprobe.files import replacing


class Checkpoint:
    """One file that always holds the newest whole state of a run; written through a rename, read without running code.

    Args:
        path: the file; need not exist.
        identity: text that is the same for runs that would be the same; a file of another run is refused.
        every_seconds: how old the newest state may get. When it is saved has no influence on any result.
    """

    def __init__(self, path: Path | str, *, identity: str, every_seconds: float = 60.0) -> None:
        self.path, self.identity, self.every_seconds = Path(path), identity, every_seconds
        self._last = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The newest state, or None when there is none.

        Raises:
            CheckpointError: the file is damaged, would run code when opened, or is of another run.
        """
        if not self.path.exists():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            identity, state = content["identity"], dict(content["state"])
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"fit: checkpoint must be a readable state of a run, got {self.path} ({type(error).__name__}). "
                "Delete it to start over."
            ) from error
        if identity != self.identity:
            raise CheckpointError(
                f"fit: checkpoint must be of this run, got {self.path}, which is of a run with other settings or data. "
                "Give the same settings to go on, or another output directory."
            )
        return state

    def due(self) -> bool:
        """Whether the newest state is old enough to write another."""
        return time.monotonic() - self._last >= self.every_seconds

    def write(self, state: Mapping[str, Any]) -> None:
        """Replaces the newest state."""
        with replacing(self.path) as temporary:
            torch.save({"identity": self.identity, "state": dict(state)}, temporary)
        self._last = time.monotonic()

    def remove(self) -> None:
        """Deletes the file, once the run's result is safe."""
        self.path.unlink(missing_ok=True)


@contextmanager
def own_randomness(device: torch.device, *, seed: int) -> Iterator[None]:
    """Draws of layers (dropout) come from `seed` inside; the caller's generators are left as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def random_state(device: torch.device) -> list[torch.Tensor]:
    """States of the generators that layers on this device draw from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def set_random_state(device: torch.device, states: list[torch.Tensor]) -> None:
    """Takes back what `random_state` returned."""
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:  # a run that was begun on the processor has none for a GPU
        torch.cuda.set_rng_state(states[1], device)
