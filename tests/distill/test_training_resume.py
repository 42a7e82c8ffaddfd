"""A run that is killed and taken up again leaves the same bits as an unbroken one; checkpoints are safe to open."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.distill import Checkpoint, DistillConfig, Solo, TrainConfig, distill, fit
from darkprobe.distill.loop import History
from darkprobe.errors import CheckpointError
from darkprobe.zoo import load_model

INPUTS = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
LABELS = (INPUTS @ torch.randn(6, 3, generator=torch.Generator().manual_seed(1))).argmax(-1)


class Stopped(Exception):
    """A kill that a test can catch."""


def network() -> Solo:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Solo(
            nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)),
        )


def train(config: TrainConfig, *, checkpoint: Checkpoint | None = None, stop_at: int = -1) -> tuple[Solo, History]:
    net, seen = network(), [0]

    def loss(logits: Tensor, index: Tensor) -> Tensor:
        seen[0] += 1
        if seen[0] == stop_at:
            raise Stopped
        return functional.cross_entropy(logits[0], LABELS[index])[None]

    def score(present: Solo) -> Tensor:
        return (present(INPUTS).argmax(-1) == LABELS).float().mean(-1)

    history = fit(
        net,
        lambda index, epoch: INPUTS[index],
        loss,
        config=config,
        examples=120,
        order_seeds=(3,),
        evaluate=score,  # type: ignore[arg-type]
        checkpoint=checkpoint,
    )
    return net, history


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["one-cycle", "multi-step", "constant"])
@pytest.mark.parametrize("stop_at", [1, 9, 13, 24])
def test_a_run_stopped_anywhere_ends_in_the_same_bits(
    optimizer: str, schedule: str, stop_at: int, tmp_path: Path
) -> None:
    """Six steps an epoch: stopped in the first step, in mid-epoch, at the start of an epoch, in the last step."""
    config = TrainConfig(
        epochs=4, batch_size=20, learning_rate=0.05, evaluations=5, milestones=(2,), warmup_epochs=1,
        optimizer=optimizer, schedule=schedule,
    )  # type: ignore[arg-type] # fmt: skip
    whole, expected = train(config)
    checkpoint = Checkpoint(tmp_path / "c.pt", identity="x", every_seconds=0.0)
    with pytest.raises(Stopped):
        train(config, checkpoint=checkpoint, stop_at=stop_at)
    assert checkpoint.path.exists() == (stop_at > 1)
    resumed, found = train(config, checkpoint=checkpoint)
    for name, value in whole.state().items():
        assert torch.equal(value, resumed.state()[name]), name
        assert torch.equal(expected.selected[name], found.selected[name]), name
    np.testing.assert_array_equal(expected.scores, found.scores)
    np.testing.assert_array_equal(expected.losses, found.losses)
    np.testing.assert_array_equal(expected.selected_step, found.selected_step)


def test_a_resumed_run_does_only_what_was_left(tmp_path: Path) -> None:
    config = TrainConfig(epochs=4, batch_size=20, learning_rate=0.05)
    checkpoint = Checkpoint(tmp_path / "c.pt", identity="x", every_seconds=0.0)
    with pytest.raises(Stopped):
        train(config, checkpoint=checkpoint, stop_at=20)
    train(config, checkpoint=checkpoint, stop_at=7)  # 24 steps in all, 19 done: it would stop in the 7th of 5


def test_training_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    train(TrainConfig(epochs=1, batch_size=20, learning_rate=0.05))
    assert torch.equal(torch.rand(3), expected)


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    config = TrainConfig(epochs=2, batch_size=20, learning_rate=0.05)
    train(config, checkpoint=Checkpoint(path, identity="one", every_seconds=0.0))
    with pytest.raises(CheckpointError, match="of a run with other settings or data"):
        train(config, checkpoint=Checkpoint(path, identity="two"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="must be a readable state of a run"):
        train(config, checkpoint=Checkpoint(path, identity="one"))


class Hostile:
    """Runs a command when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


def test_a_hostile_checkpoint_is_not_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "c.pt", tmp_path / "ran"
    torch.save({"identity": "x", "state": Hostile(mark)}, path, pickle_module=pickle)
    with pytest.raises(CheckpointError, match="must be a readable state of a run"):
        Checkpoint(path, identity="x").read()
    assert not mark.exists()


def test_a_checkpoint_is_whole_whatever_interrupts_its_writing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c.pt", identity="x")
    checkpoint.write({"step": 1})

    def half(content: object, path: Path) -> None:
        path.write_bytes(b"PK half of a file")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write({"step": 2})
    assert checkpoint.read() == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_memory_bank_and_negatives_are_taken_up_again(tmp_path: Path) -> None:
    """CRD draws negatives and keeps a memory: both must go on where they were."""
    from darkprobe.data import load_split
    from darkprobe.distill.curves import Watch

    train_split, val = load_split("digits", "train"), load_split("digits", "val")
    teacher = load_model("mlp-32", input_shape=(1, 8, 8), num_classes=10, seed=1)
    training = TrainConfig(epochs=3, batch_size=50, learning_rate=0.01, evaluations=3)
    config = DistillConfig(method="ctkd+crd", parameters={"crd.negatives": 32}, training=training, policy="pad1")

    def run(checkpoint: Checkpoint | None, watch: Watch | None = None) -> dict[str, Tensor]:
        found = distill(
            "mlp-8", train_split, teacher, val=val, config=config, checkpoint=checkpoint, watch=watch, device="cpu"
        )
        return dict(found.model.module.state_dict())

    def stop(history: History) -> None:
        if len(history.steps) == 2:
            raise Stopped

    expected = run(None)
    checkpoint = Checkpoint(tmp_path / "c.pt", identity="x", every_seconds=0.0)
    with pytest.raises(Stopped):
        run(checkpoint, stop)
    found = run(checkpoint)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def words(out: Path) -> list[str]:
    flags = ["distill", "--student", "mlp-8", "--data", "digits", "--method", "none", "--epochs", "20"]
    return [*flags, "--out", str(out)]


_FREQUENT = """
import sys, time
from darkprobe.distill import checkpoint, loop
checkpoint.Checkpoint.__init__.__kwdefaults__["every_seconds"] = 0.0
slowly = loop._Run.update
def update(self, losses):
    time.sleep(0.005)  # so that the kill falls into the run whatever else the machine does
    slowly(self, losses)
loop._Run.update = update
from darkprobe.cli import main
main()
"""


def test_the_command_killed_in_mid_run_goes_on_to_the_same_files(tmp_path: Path) -> None:
    """A child is killed by the system; the unbroken run and the resumed one are ordinary runs of this process."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    child = subprocess.Popen(
        [sys.executable, "-c", _FREQUENT, *words(broken)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert CliRunner().invoke(app, words(whole)).exit_code == 0
    deadline = time.monotonic() + 100
    wanted = (broken / "curves.csv", broken / "checkpoint.pt")
    while not all(path.exists() for path in wanted) and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    state = torch.load(broken / "checkpoint.pt", weights_only=True)["state"]
    assert 0 < state["step"] < 20 * 12
    assert not (broken / "result.json").exists()
    assert CliRunner().invoke(app, words(broken)).exit_code == 0
    assert not (broken / "checkpoint.pt").exists()
    for name in ("student.safetensors", "student-selected.safetensors", "curves.csv", "plan.json"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name
