"""A network's pass forward and back, recorded once as CUDA graphs and replayed in every step.

A step of a small network is hundreds of small kernels, and a processor takes longer to launch them than a GPU to run
them; a replay launches them all at once. What is recorded is fixed: shape and layout of the batch, the training mode,
and one pass back for each pass forward, whose gradients the next one overwrites.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

_WARM_UP = 3
"""Passes before the recording, in which libraries load and choose their kernels."""


class Recording:
    """`module` in training mode as two CUDA graphs. A call gives its logits; going back from them sets the gradients of
    its parameters (it does not add to them). Buffers (batch normalisation) and random state are left as they were.

    Args:
        module: on a GPU, in training mode, without hooks. What it does may not depend on values (`.item()`), nor on
            random numbers or counters kept on the processor, which would stay as they are now.
        inputs: a batch of the shape and layout of every batch to come; its values do not matter.
        coarse: whether the pass runs in bfloat16.
    """

    def __init__(self, module: nn.Module, inputs: Tensor, *, coarse: bool) -> None:
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.inputs, buffers = inputs.clone(), list(module.buffers())
        before = [value.clone() for value in buffers]
        self.start = torch.zeros((), device=inputs.device, requires_grad=True)
        try:
            with torch.random.fork_rng(devices=[inputs.device]), torch.cuda.device(inputs.device):
                self._record(module, coarse=coarse)
        finally:
            for value, old in zip(buffers, before, strict=True):
                value.copy_(old)

    def _record(self, module: nn.Module, *, coarse: bool) -> None:
        def forward() -> Tensor:
            with torch.autocast("cuda", torch.bfloat16, enabled=coarse, cache_enabled=False):
                logits: Tensor = module(self.inputs)
            return logits

        main, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(main)
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                torch.autograd.grad(forward().float().square().sum(), self.parameters, allow_unused=True)
        main.wait_stream(side)
        self.ahead, self.back = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.ahead, stream=side):
            logits = forward()
        self.given = torch.zeros_like(logits)
        with torch.cuda.graph(self.back, pool=self.ahead.pool(), stream=side):
            found = torch.autograd.grad(logits, self.parameters, self.given, allow_unused=True)
            self.gradients = [_laid_out_like(p, gradient) for p, gradient in zip(self.parameters, found, strict=True)]
        self.logits = logits.detach()

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits of a batch, until the next call."""
        logits: Tensor = _Replayed.apply(self.start, inputs, self)  # type: ignore[no-untyped-call]
        return logits


def _laid_out_like(parameter: Tensor, gradient: Tensor | None) -> Tensor | None:
    """The gradient in the layout of its parameter, which fused optimisers ask for; None where it has none."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


class _Replayed(Function):
    """The replay as autograd sees it. `start` asks for a gradient, so that there is a way back; it gets none."""

    @staticmethod
    def forward(ctx: Any, start: Tensor, inputs: Tensor, recording: Recording) -> Tensor:
        ctx.recording = recording
        recording.inputs.copy_(inputs)
        recording.ahead.replay()
        return recording.logits.detach()

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[None, None, None]:
        recording = ctx.recording
        recording.given.copy_(given[0])
        recording.back.replay()
        for parameter, gradient in zip(recording.parameters, recording.gradients, strict=True):
            parameter.grad = gradient
        return None, None, None
