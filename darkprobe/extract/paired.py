"""`PairedTargets`: a torch dataset in which each stored row stands beside the very pixels it was computed from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from darkprobe.data.policy import parse_policy
from darkprobe.data.split import Split
from darkprobe.data.views import Views
from darkprobe.errors import InvalidValueError, StoreError
from darkprobe.store import LogitFile
from darkprobe.targets import TARGETS, soft_targets

_OF_ALL = ("class-affinity", "isats-matched")
"""Transforms that look at other examples: at all of the class, or at all for the entropy they aim at."""


class PairedTargets(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor, int]]):
    """Raw inputs, soft target (cls,) float32 and label of each (view, example); row `v * examples + i`.

    Examples are matched by id, so the split may be in another order than the file. Views are drawn again from their
    seed, never read from anywhere else.

    Args:
        entry: logits of the clean examples or of views.
        split: the data they were computed from.
        fix: a name in `darkprobe.targets.TARGETS`.
        parameters: of that transform, e.g. {"temperature": 4.0}.

    Raises:
        StoreError: the split is not the data of the file.
        InvalidValueError: the transform looks at all examples at once.
    """

    def __init__(
        self, entry: LogitFile, split: Split, *, fix: str = "ts", parameters: Mapping[str, Any] | None = None
    ) -> None:
        if entry.attributes["fingerprint"] != split.fingerprint:
            raise StoreError(
                f"{entry.path} was made from other data than {split.dataset}/{split.name}. Load the split named "
                f"{entry.attributes['source']!r}."
            )
        place = {int(example): row for row, example in enumerate(split.example_ids)}
        self._rows = np.array([place[int(example)] for example in entry.example_ids])
        self._entry, self._split = entry, split
        self._fix, self._parameters = fix, dict(parameters or ({"temperature": 1.0} if fix == "ts" else {}))
        if fix in _OF_ALL and "entropy" not in self._parameters:
            raise InvalidValueError(
                f"PairedTargets: `fix` must look at one example at a time, got {fix!r}, which looks at all of them. "
                "Write them with `darkprobe store export` instead."
            )
        if "values" in TARGETS[fix].parameters:
            self._parameters.setdefault("values", entry.card.values)
        self._views = None
        if entry.n_views:
            policy = parse_policy(str(entry.attributes["view_policy"]))
            self._views = Views(split, policy=policy, seed=int(entry.attributes["view_seed"]))

    def __len__(self) -> int:
        return self._entry.n_examples * max(self._entry.n_views, 1)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        inputs, targets, labels = self.batch([index])
        return inputs[0], targets[0], int(labels[0])

    def batch(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Raw inputs (batch, ...), targets (batch, cls) and labels (batch,): faster than one row at a time."""
        numbers = np.asarray(indices)
        view, example = numbers // self._entry.n_examples, numbers % self._entry.n_examples
        logits = self._entry.read(example)
        if self._views is None:
            inputs = torch.from_numpy(np.array(self._split.inputs[self._rows[example]]))
        else:
            logits = logits[view, np.arange(len(example))]
            one_by_one = [self._views.images(self._rows[[e]], view=int(v)) for v, e in zip(view, example, strict=True)]
            inputs = torch.cat(one_by_one)
        labels = np.array(self._entry.labels[example])
        target = soft_targets(np.array(logits, np.float32), labels, fix=self._fix, parameters=self._parameters)
        return inputs, torch.as_tensor(target.probs).float(), torch.from_numpy(labels)
