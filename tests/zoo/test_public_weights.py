"""Weights that others trained, on data that others made: the accuracies known for this copy of CIFAR-10."""

from pathlib import Path

import pytest
import torch

from darkprobe.data import load_split
from darkprobe.zoo import Model, load_model, preprocess


def accuracy(model: Model, folder: Path) -> float:
    split = load_split(f"parquet:{folder / 'cifar10'}", "test")
    module, right = model.module.to(memory_format=torch.channels_last), 0
    with torch.inference_mode():
        for start in range(0, len(split), 500):
            images = preprocess(split.inputs[start : start + 500], model.card.preprocessing)
            predicted = module(images.contiguous(memory_format=torch.channels_last)).argmax(1).numpy()
            right += int((predicted == split.labels[start : start + 500]).sum())
    return right / len(split)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [("resnet20", "resnet20-12fca82f.th", 0.8103)],  # the larger one's is tested with its metrics
)
def test_public_resnets_have_their_known_accuracy(shared_data: Path, name: str, file: str, expected: float) -> None:
    model = load_model(f"{name}={shared_data / 'pretrained' / file}", input_shape=(3, 32, 32), num_classes=10)
    assert model.card.tag == file.split("-")[1].removesuffix(".th")
    assert accuracy(model, shared_data) == pytest.approx(expected, abs=1e-4)
