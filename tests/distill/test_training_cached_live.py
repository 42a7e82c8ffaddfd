"""Stored logits and a live teacher give one loss, step by step, over whole epochs of augmented images."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from darkprobe.data import Split, parse_policy
from darkprobe.distill import Checkpoint, DistillConfig, Distilled, TrainConfig, distill
from darkprobe.distill.inputs import StudentInputs, keeps_views
from darkprobe.distill.loop import History
from darkprobe.extract import extract_logits
from darkprobe.store.logit_file import open_file
from darkprobe.zoo import Model, load_model, preprocess

POLICY = "window0.5+pad2+flip+jitter0.2"


def made(examples: int, *, seed: int, name: str = "train") -> Split:
    """Colour images whose class is their hue and their brighter half."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, examples)
    images = rng.integers(0, 120, (examples, 16, 16, 3))
    images[np.arange(examples), :, :, labels % 3] += 80
    images[labels == 3, :8] += 50
    return Split(
        dataset="made",
        name=name,
        kind="image",
        inputs=images.clip(0, 255).astype(np.uint8),
        labels=labels,
        example_ids=rng.permutation(10 * examples)[:examples],
        class_names=tuple("abcd"),
        source="made",
    )


@pytest.fixture(scope="module")
def teacher() -> Model:
    return load_model("resnet8", input_shape=(3, 16, 16), num_classes=4, seed=5)


@pytest.mark.parametrize("method", ["kd", "wttm", "dkd", "ats"])
def test_losses_agree_over_whole_epochs(method: str, teacher: Model, tmp_path: Path) -> None:
    """Two views over three epochs, so that a view comes back; the live teacher repeats the same two."""
    train, val = made(192, seed=0), made(64, seed=1, name="val")
    path = extract_logits(
        teacher, train, tmp_path, views=2, policy=POLICY, view_seed=9, batch_size=50, progress=False, device="cpu"
    )
    training = TrainConfig(
        epochs=2, batch_size=32, learning_rate=0.01, optimizer="sgd", schedule="constant", evaluations=12
    )
    config = DistillConfig(method=method, training=training, view_seed=9, policy=POLICY)
    cached, live = (
        distill("resnet8", train, source, val=val, config=config, device="cpu") for source in (open_file(path), teacher)
    )
    assert len(cached.history.losses) == 12  # every step of both epochs was looked at
    np.testing.assert_allclose(cached.history.losses, live.history.losses, atol=1e-5, rtol=1e-5)


def test_another_view_seed_would_have_been_noticed(teacher: Model, tmp_path: Path) -> None:
    train, val = made(96, seed=0), made(32, seed=1, name="val")
    path = extract_logits(teacher, train, tmp_path, views=1, policy=POLICY, view_seed=9, progress=False, device="cpu")
    training = TrainConfig(epochs=1, batch_size=32, learning_rate=0.01, evaluations=3)
    config = DistillConfig(training=training, view_seed=8, policy=POLICY, ce_weight=0.0)
    cached, live = (
        distill("resnet8", train, source, val=val, config=config, device="cpu") for source in (open_file(path), teacher)
    )
    assert abs(cached.history.losses - live.history.losses).max() > 1e-4


def test_stored_view_belongs_to_the_images_of_its_epoch(teacher: Model, tmp_path: Path) -> None:
    """The rows a student is taught with equal the teacher's outputs on the very images it saw, in every epoch."""
    from darkprobe.distill.tutors import CachedTutor

    train = made(48, seed=2)
    path = extract_logits(teacher, train, tmp_path, views=2, policy=POLICY, view_seed=3, progress=False, device="cpu")
    entry = open_file(path)
    mixed = train.take(np.random.default_rng(0).permutation(48))
    tutor = CachedTutor(entry, mixed, layers=[])
    preprocessing = teacher.card.preprocessing
    inputs = StudentInputs(mixed, preprocessing=preprocessing, policy=parse_policy(POLICY), view_seed=3, count=2)
    index = torch.tensor([7, 0, 31, 12])
    seen = []
    for epoch in range(4):
        images = inputs(index, epoch)
        with torch.no_grad():
            expected = teacher.module(images)
        stored, _ = tutor.answer(index, inputs.view(epoch))
        torch.testing.assert_close(stored, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(images, preprocess(inputs.raw_of(index), preprocessing))
        seen.append(images)
    assert torch.equal(seen[0], seen[2]) and not torch.equal(seen[0], seen[1])


def test_a_view_that_is_kept_whole_has_the_images_of_one_made_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept on a GPU alone; forced here, in blocks that do not fit the number of examples."""
    train, index = made(48, seed=2), torch.tensor([47, 0, 31, 12])
    preprocessing = load_model("resnet8", input_shape=(3, 16, 16), num_classes=4, seed=0).card.preprocessing

    def batches() -> list[torch.Tensor]:
        inputs = StudentInputs(
            train, preprocessing=preprocessing, policy=parse_policy(POLICY + "+mixup1"), view_seed=3, count=2
        )
        return [inputs(index, epoch) for epoch in range(3)]

    expected = batches()
    module = sys.modules["darkprobe.distill.inputs"]
    monkeypatch.setattr(module, "keeps_views", lambda kind, size: True)
    monkeypatch.setattr(module, "_BLOCK", 20)
    assert all(torch.equal(kept, made_now) for kept, made_now in zip(batches(), expected, strict=True))


def test_views_are_kept_on_a_gpu_where_they_fit() -> None:
    assert keeps_views("cuda", 50_000 * 3072) and not keeps_views("cuda", 2**30 + 1) and not keeps_views("cpu", 1)


def test_bfloat16_in_channels_last_trains_alike_and_resumes_to_the_same_bits(teacher: Model, tmp_path: Path) -> None:
    train, val = made(48, seed=0), made(8, seed=1, name="val")
    training = TrainConfig(
        epochs=2, batch_size=16, learning_rate=0.02, optimizer="sgd", schedule="constant", evaluations=6
    )

    def run(precision: str, checkpoint: Checkpoint | None = None, *, stop_after: int = -1) -> Distilled:
        def watch(history: History) -> None:
            if len(history.steps) == stop_after:
                raise KeyboardInterrupt

        settings = dataclasses.replace(training, precision=precision)  # type: ignore[arg-type]
        config = DistillConfig(method="wttm", training=settings, policy=POLICY)
        return distill(
            "resnet8", train, teacher, val=val, config=config, checkpoint=checkpoint, watch=watch, device="cpu"
        )

    whole, exact = run("bfloat16"), run("float32")
    np.testing.assert_allclose(whole.history.losses[0], exact.history.losses[0], rtol=0.02)
    assert not np.array_equal(whole.history.losses, exact.history.losses)
    checkpoint = Checkpoint(tmp_path / "c.pt", identity="x", every_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        run("bfloat16", checkpoint, stop_after=4)
    resumed = run("bfloat16", checkpoint)
    np.testing.assert_array_equal(whole.history.losses, resumed.history.losses)
    for name, value in whole.model.module.state_dict().items():
        assert torch.equal(value, resumed.model.module.state_dict()[name]), name
