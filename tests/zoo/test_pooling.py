"""Pools of the networks: the values of a slice and of a mean, and gradients that stay channels-last."""

import pytest
import torch

from darkprobe.zoo.pooling import every_other_pixel, mean_over_pixels


@pytest.mark.parametrize("size", [(1, 1), (5, 4), (7, 7), (8, 32)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_are_those_of_a_slice_and_of_a_mean(size: tuple[int, int], dtype: torch.dtype) -> None:
    features = torch.randn(3, 6, *size, generator=torch.Generator().manual_seed(0)).to(dtype)
    for stride in (1, 2, 3):
        assert torch.equal(every_other_pixel(features, stride), features[:, :, ::stride, ::stride])
    torch.testing.assert_close(
        mean_over_pixels(features).double(), features.double().mean((2, 3)), rtol=1e-2, atol=1e-2
    )
    if dtype is not torch.bfloat16:
        torch.testing.assert_close(mean_over_pixels(features), features.mean((2, 3)))


def test_gradients_stay_channels_last() -> None:
    features = torch.randn(2, 8, 6, 6).to(memory_format=torch.channels_last).requires_grad_()
    for taken in (every_other_pixel(features, 2).square(), mean_over_pixels(features).square()):
        (gradient,) = torch.autograd.grad(taken.sum(), features, retain_graph=True)
        assert gradient.is_contiguous(memory_format=torch.channels_last)
