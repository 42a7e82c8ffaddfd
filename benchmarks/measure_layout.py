"""What gradients laid out channels-first cost a training step: pools against a mean and a slice, in turn.

    python benchmarks/measure_layout.py [--models resnet8 resnet20 vgg8-bn-half] [--batch 32] [--precision bfloat16]

One thread; processor seconds, best of the rounds.
"""

import argparse
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darkprobe.zoo import build_module, resnet, vgg, wide_resnet
from darkprobe.zoo.pooling import every_other_pixel, mean_over_pixels

_SHAPE, _CLASSES, _STEPS = (3, 32, 32), 10, 20


def sliced(features: Tensor, stride: int) -> Tensor:
    """Every `stride`-th pixel, by a slice."""
    return features[:, :, ::stride, ::stride]


def averaged(features: Tensor) -> Tensor:
    """Mean over pixels, by a mean."""
    return features.mean((2, 3))


def use(choose: object, mean: object) -> None:
    """Has the networks use these two functions."""
    for module in (resnet, vgg, wide_resnet):
        vars(module)["mean_over_pixels"] = mean
    vars(resnet)["every_other_pixel"] = choose


def seconds_a_step(network: nn.Module, images: Tensor, labels: Tensor, precision: torch.dtype) -> float:
    """Processor seconds of one training step."""
    optimiser = torch.optim.SGD(network.parameters(), 0.1, 0.9, fused=True)
    start = time.process_time()
    for _ in range(_STEPS):
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
            logits = network(images)
        torch.autograd.backward(F.cross_entropy(logits.float(), labels))
        optimiser.step()
    return (time.process_time() - start) / _STEPS


def main() -> None:
    """Prints a line a network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", default=["resnet8", "resnet20", "vgg8-bn-half", "wrn16-1"])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    torch.set_num_threads(1)
    ways = {"pools": (every_other_pixel, mean_over_pixels), "mean and slice": (sliced, averaged)}
    images = torch.randn(given.batch, *_SHAPE).to(memory_format=torch.channels_last)
    labels = torch.randint(0, _CLASSES, (given.batch,))
    for name in given.models:
        network = build_module(name, input_shape=_SHAPE, num_classes=_CLASSES, seed=0).train()
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(given.rounds):
            for way, functions in ways.items():
                use(*functions)
                best[way] = min(best[way], seconds_a_step(network, images, labels, getattr(torch, given.precision)))
        rates = ", ".join(f"{way} {given.batch / seconds:,.0f} images/s" for way, seconds in best.items())
        print(f"{name}, batch {given.batch}, {given.precision}: {rates}, {best['mean and slice'] / best['pools']:.2f}x")


if __name__ == "__main__":
    main()
