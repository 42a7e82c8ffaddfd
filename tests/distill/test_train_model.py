"""Training one teacher: recipes, repeatability, what ends up in its file, and the command."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.data import ViewPolicy, load_split, parse_policy
from darkprobe.distill.config import TrainConfig
from darkprobe.distill.loop import History
from darkprobe.distill.teachers import Trained, default_training, parse_recipe, train_model
from darkprobe.errors import CheckpointError, DataError, InvalidValueError
from darkprobe.zoo import load_model, weights_sha256

SHORT = TrainConfig(epochs=10, batch_size=50, learning_rate=5e-3)


def train(recipe: str = "plain", *, seed: int = 0, config: TrainConfig = SHORT, policy: str = "clean") -> Trained:
    return train_model(
        "mlp-16",
        load_split("digits", "train"),
        load_split("digits", "val"),
        recipe=parse_recipe(recipe),
        config=config,
        policy=parse_policy(policy),
        seed=seed,
        device="cpu",  # where bits are promised
    )


def mean_confidence(trained: Trained) -> float:
    split = load_split("digits", "train")
    with torch.no_grad():
        return float(trained.model.module(trained.model.prepare(split.inputs)).softmax(1).amax(1).mean())


def test_a_plain_teacher_learns_and_repeats_bit_by_bit() -> None:
    first, again, other = train(), train(), train(seed=1)
    assert first.last_accuracy > 0.85
    assert weights_sha256(first.model.module) == weights_sha256(again.model.module)
    assert weights_sha256(other.model.module) != weights_sha256(first.model.module)
    card = first.model.card
    assert (card.model_id, card.family, card.seed) == ("mlp-16.plain-s0", "mlp/plain", 0)
    assert card.weights_sha256 == weights_sha256(first.model.module)
    assert "digits-0/train, 10 epochs, augmentation clean" in card.note


def test_recipes_soften_as_they_say() -> None:
    plain = mean_confidence(train())
    assert mean_confidence(train("ls0.1")) < plain
    assert mean_confidence(train("tolerant0.6")) < plain
    early = train("early0.2")
    assert "2 epochs" in early.model.card.note and early.model.card.family == "mlp/early0.2"


def test_a_share_of_the_learning_rate_is_all_that_such_a_recipe_changes() -> None:
    slow = train("lr0.3")
    by_hand = train(config=replace(SHORT, learning_rate=0.3 * SHORT.learning_rate))
    assert weights_sha256(slow.model.module) == weights_sha256(by_hand.model.module)
    assert weights_sha256(slow.model.module) != weights_sha256(train().model.module)
    assert (slow.model.card.model_id, slow.model.card.family) == ("mlp-16.lr0.3-s0", "mlp/lr0.3")
    assert parse_recipe("lr.3") == parse_recipe("lr0.3")


def test_smoothed_loss_is_the_mix_of_two_cross_entropies() -> None:
    from darkprobe.distill.teachers import _objective

    logits = torch.randn(1, 6, 4, dtype=torch.double)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    log_probs = logits[0].log_softmax(1)
    expected = -(0.9 * log_probs[torch.arange(6), labels] + 0.1 * log_probs.mean(1)).mean()
    found = _objective(parse_recipe("ls0.1"), labels)(logits, torch.arange(6))
    torch.testing.assert_close(found, expected[None])


def test_augmented_training_repeats_and_differs_from_clean() -> None:
    first, again = train(policy="pad1"), train(policy="pad1")
    assert weights_sha256(first.model.module) == weights_sha256(again.model.module)
    assert weights_sha256(first.model.module) != weights_sha256(train().model.module)


def test_colour_images_get_the_recipe_of_the_literature() -> None:
    rng = np.random.default_rng(0)
    digits = load_split("digits", "train")
    import dataclasses

    colour = dataclasses.replace(digits, inputs=rng.integers(0, 256, (600, 32, 32, 3), dtype=np.uint8))
    config, policy = default_training(colour)
    assert (config.epochs, config.milestones, config.warmup_epochs, config.learning_rate) == (
        240,
        (150, 180, 210),
        5,
        0.05,
    )
    assert policy.text == "pad4+flip"
    short, _ = default_training(colour, epochs=24)
    assert (short.epochs, short.milestones) == (24, (15, 18, 21))
    assert default_training(digits)[1] == ViewPolicy()


def test_a_convolutional_teacher_takes_augmented_colour_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "tiny.npz", inputs_train=images, labels_train=np.arange(40) % 4, inputs_val=images[:8],
             labels_val=np.arange(8) % 4)  # fmt: skip
    split, val = (load_split(f"npz:{tmp_path / 'tiny.npz'}", name) for name in ("train", "val"))
    config, policy = default_training(split, epochs=1)
    import dataclasses

    config = dataclasses.replace(config, batch_size=20)
    trained = train_model("resnet8", split, val, recipe=parse_recipe("plain"), config=config, policy=policy, seed=0)
    assert all(torch.isfinite(p).all() for p in trained.model.module.parameters())


@pytest.mark.parametrize("text", ["smooth", "ls", "ls1.5", "ls0.0", "early2", "plain0.1", "lr3", "lr0"])
def test_unknown_recipes_are_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="`recipe` must be plain, early-stopped, tolerant"):
        parse_recipe(text)


def test_too_few_examples_for_a_batch() -> None:
    with pytest.raises(DataError, match="must fill a batch of 1000, got 600 examples"):
        train(config=TrainConfig(epochs=1, batch_size=1000, learning_rate=0.1))


def test_command_writes_a_file_that_loads_with_its_card(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    arguments = ["zoo", "train", "mlp-8", "--data", "digits:2", "--recipe", "ls0.1", "--seed", "5", "--epochs", "2"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == str(out)
    card = load_model(f"mlp-8={out}", input_shape=(1, 8, 8), num_classes=10).card
    assert (card.model_id, card.recipe, card.seed) == ("mlp-8.ls0.1-s5", "ls0.1", 5)
    before = out.read_bytes()
    again = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert isinstance(again.exception, InvalidValueError) and "which exists" in str(again.exception)
    assert out.read_bytes() == before


def test_command_holds_out_a_tenth_where_there_is_no_val(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", inputs_train=rng.standard_normal((100, 6)), labels_train=np.arange(100) % 5)
    arguments = ["zoo", "train", "mlp1-8", "--data", f"npz:{tmp_path / 'd.npz'}", "--epochs", "1"]
    done = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "m.safetensors")])
    assert done.exit_code == 0, done.output
    assert "accuracy on train-90-100" in done.stderr


def test_list_command_shows_sizes_and_refuses_what_matches_nothing() -> None:
    shown = CliRunner().invoke(app, ["zoo", "list", "resnet2*"])
    assert shown.exit_code == 0 and "269,722" in shown.stdout and "40,551,040" in shown.stdout
    nothing = CliRunner().invoke(app, ["zoo", "list", "rsnet20"])
    assert "Did you mean 'resnet20'" in str(nothing.exception)


def test_a_stopped_training_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["darkprobe.distill.teachers"], "_CHECKPOINT_SECONDS", 0.0)
    steps: list[int] = []

    def stop_once(history: History) -> None:
        steps.append(int(history.steps[-1]))
        if len(steps) == 4:
            raise KeyboardInterrupt

    def run(watch: Callable[[History], None] | None = None, *, seed: int = 0) -> Trained:
        return train_model(
            "mlp-16", load_split("digits", "train"), load_split("digits", "val"), recipe=parse_recipe("plain"),
            config=SHORT, policy=ViewPolicy(), seed=seed, checkpoint=tmp_path / "c", watch=watch, device="cpu",
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        run(stop_once)
    with pytest.raises(CheckpointError, match="other settings or data"):
        run(seed=1)
    assert weights_sha256(run(stop_once).model.module) == weights_sha256(train().model.module)
    assert steps == sorted(steps) and len(set(steps)) == SHORT.evaluations
