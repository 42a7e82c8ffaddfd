"""`StudentInputs`: the batches a student sees, and the raw images behind them, which a live teacher sees as well."""

import numpy as np
import torch
from torch import Tensor

from darkprobe.data.policy import ViewPolicy
from darkprobe.data.split import Split
from darkprobe.data.views import Mixing, Views
from darkprobe.zoo import Preprocessing, preprocess

_BLOCK = 2**25
"""Bytes of raw images of a view that are made at once; moving their pixels takes many times as much."""


class StudentInputs:
    """Network inputs of an index and epoch; the place of augmentation.

    Epoch e shows view e, or view e mod V where only V views have logits. Clean examples are prepared once and stay on
    the device; images lie in channels-last order there.

    Args:
        split: the training examples.
        preprocessing: of the student.
        policy: augmentation of the views.
        view_seed: of the views.
        count: V, or 0 for a new view every epoch.
        device: where the network is.
    """

    def __init__(
        self,
        split: Split,
        *,
        preprocessing: Preprocessing,
        policy: ViewPolicy,
        view_seed: int,
        count: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.split, self.preprocessing, self.count, self.device = split, preprocessing, count, device
        self.policy = policy
        self.views = None if policy.clean else Views(split, policy=policy, seed=view_seed)
        self.clean = None if self.views else laid_out(preprocess(split.inputs, preprocessing)).to(device)
        self._keeps_view = keeps_views(torch.device(device).type, split.inputs.nbytes)
        self._kept = -1, torch.empty(0)
        self.epoch = 0
        """The epoch of the last batch."""
        self.raw: Tensor = torch.empty(0)
        """Raw inputs of the last batch of views."""

    def view(self, epoch: int) -> int:
        """The view that is shown in an epoch."""
        return epoch % self.count if self.count else epoch

    @property
    def mixes(self) -> bool:
        """Whether an image may hold parts of two examples."""
        return self.policy.mix != "none"

    def mixing(self, index: Tensor, view: int) -> Mixing | None:
        """With whom each example of the batch is mixed in a view, or None where images are not mixed."""
        if self.views is None or not self.mixes:
            return None
        return self.views.mixing(index.cpu().numpy(), view=view)

    def __call__(self, index: Tensor, epoch: int) -> Tensor:
        """(batch, ...), as the student takes them."""
        self.epoch = epoch
        if self.clean is not None:
            return self.clean[index]
        assert self.views is not None
        self.raw = self._of_view(index, self.view(epoch))
        return laid_out(preprocess(self.raw, self.preprocessing))

    def _of_view(self, index: Tensor, view: int) -> Tensor:
        """Raw images of a batch; where a whole view is kept, it is made when it is first shown."""
        assert self.views is not None
        if not self._keeps_view:
            return self.views.images(index.numpy(), view=view, device=str(self.device))
        if view != self._kept[0]:
            self._kept = view, self._whole_view(self._kept[1], view)
        return self._kept[1][index.to(self.device)]

    def _whole_view(self, kept: Tensor, view: int) -> Tensor:
        """Raw images of all examples in a view, in the memory of the view that was kept before, where there is one."""
        assert self.views is not None
        inputs, everyone = self.split.inputs, np.arange(len(self.split))
        if not len(kept):
            kept = torch.empty(inputs.shape, dtype=torch.uint8, device=self.device)
        step = max(1, _BLOCK * len(inputs) // inputs.nbytes)
        for start in range(0, len(inputs), step):
            rows = everyone[start : start + step]
            kept[start : start + step] = self.views.images(rows, view=view, device=str(self.device))
        return kept

    def raw_of(self, index: Tensor) -> Tensor | np.ndarray:
        """The raw inputs of the batch that was shown last, for a network with other preprocessing."""
        if self.views is not None:
            return self.raw
        rows = self.split.inputs[index.numpy()]
        return rows if rows.dtype.kind in "OSU" else torch.from_numpy(np.array(rows)).to(self.device)


def keeps_views(kind: str, size: int) -> bool:
    """Whether all images of a view are made at once and stay on the device: on a GPU, to which many small pieces take
    longer than one large one, up to 1 GiB of raw images (`size`, bytes).
    """
    return kind == "cuda" and size <= 2**30


def laid_out(inputs: Tensor) -> Tensor:
    """The same numbers; images in channels-last order, in which convolutions run faster."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs
