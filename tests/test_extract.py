"""Extraction: right numbers, refusals that name what is wrong, and bytes that no kill can change."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from kill_and_resume import model_and_split

from darkprobe.data.split import Split
from darkprobe.errors import DataError, InvalidValueError, StoreError, UnknownNameError
from darkprobe.extract import extract_logits
from darkprobe.store import LogitStore
from darkprobe.store.lock import holding
from darkprobe.store.logit_file import open_file
from darkprobe.store.part_file import lock_path
from darkprobe.zoo import load_model
from darkprobe.zoo.card import Model
from darkprobe.zoo.preprocess import preprocess


@pytest.fixture
def images() -> Split:
    rng = np.random.default_rng(1)
    n = 37
    return Split(
        dataset="pictures",
        name="test",
        kind="image",
        inputs=rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8),
        labels=rng.integers(0, 4, n),
        example_ids=np.arange(n) * 3,
        class_names=tuple("abcd"),
        source="made",
    )


@pytest.fixture
def network() -> Model:
    return load_model("resnet8", input_shape=(3, 8, 8), num_classes=4, seed=0)


def bare(model: Model, split: Split) -> np.ndarray:
    """The plain loop that the store must agree with."""
    with torch.inference_mode():
        return model.module.eval()(preprocess(split.inputs, model.card.preprocessing)).numpy()


def test_logits_are_those_of_the_plain_loop(tmp_path: Path, network: Model, images: Split) -> None:
    path = extract_logits(network, images, tmp_path / "s", batch_size=5)
    entry = open_file(path)
    np.testing.assert_allclose(entry.logits, bare(network, images), atol=1e-5)
    np.testing.assert_array_equal(entry.example_ids, images.example_ids)
    assert entry.attributes["fingerprint"] == images.fingerprint
    assert entry.attributes["guarantee"] == ("to rounding" if torch.cuda.is_available() else "bitwise")
    weight = [m for m in network.module.modules() if isinstance(m, torch.nn.Linear)][-1].weight
    np.testing.assert_array_equal(entry.head_weight, weight.detach().numpy())


def test_batch_size_changes_rounding_only_and_batches_are_blocks(tmp_path: Path, network: Model, images: Split) -> None:
    first, second = (open_file(extract_logits(network, images, tmp_path / str(b), batch_size=b)) for b in (4, 37))
    np.testing.assert_allclose(first.logits, second.logits, atol=1e-5)
    assert first.extents["blocks/done"].shape == (10,) and second.extents["blocks/done"].shape == (1,)


def test_features_of_named_layers_lie_beside_the_logits(tmp_path: Path, network: Model, images: Split) -> None:
    layers = [name for name, layer in network.module.named_modules() if isinstance(layer, torch.nn.Conv2d)][:2]
    entry = open_file(extract_logits(network, images, tmp_path / "s", features=layers, batch_size=8))
    found: list[torch.Tensor] = []
    hook = network.module.get_submodule(layers[1]).register_forward_hook(lambda *args: found.append(args[2]))
    bare(network, images)
    hook.remove()
    assert set(entry.features) == set(layers)
    np.testing.assert_allclose(entry.features[layers[1]], found[0].numpy(), atol=1e-5)
    with pytest.raises(UnknownNameError, match="unknown layer 'nowhere'"):
        extract_logits(network, images, tmp_path / "t", features=["nowhere"])


def test_running_again_does_nothing_and_other_data_are_refused(tmp_path: Path, network: Model, images: Split) -> None:
    path = extract_logits(network, images, tmp_path / "s")
    before = path.stat().st_mtime_ns
    assert extract_logits(network, images, tmp_path / "s") == path and path.stat().st_mtime_ns == before
    with pytest.raises(StoreError, match="another fingerprint"):
        extract_logits(network, images.take(np.arange(30)), tmp_path / "s")
    with pytest.raises(StoreError, match="another precision"):
        extract_logits(network, images, tmp_path / "s", precision="bf16")


def test_model_and_data_that_do_not_fit_are_refused_with_both_shapes(
    tmp_path: Path, network: Model, images: Split
) -> None:
    wrong = load_model("resnet8", input_shape=(3, 8, 8), num_classes=5, seed=0)
    with pytest.raises(DataError, match=r"got 5 outputs of resnet8.s0 and 4 classes of pictures/test"):
        extract_logits(wrong, images, tmp_path / "s")
    wrong = load_model("resnet8", input_shape=(1, 8, 8), num_classes=4, seed=0)
    with pytest.raises(DataError, match=r"must have shape \(1, 8, 8\), which .* takes, got \(3, 8, 8\)"):
        extract_logits(wrong, images, tmp_path / "s")
    lying = Model(card=network.card, module=torch.nn.Sequential(network.module, torch.nn.Linear(4, 7)))
    with pytest.raises(DataError, match=r"must be \(2, 4\), got \(2, 7\)"):
        extract_logits(lying, images, tmp_path / "s")
    assert list((tmp_path / "s").rglob("*.h5*")) == []


class Spoiled(torch.nn.Module):
    """Gives `value` for one example, known by its first feature."""

    def __init__(self, marker: float, value: float) -> None:
        super().__init__()
        self.marker, self.value, self.head = marker, value, torch.nn.Linear(16, 5)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits = self.head(inputs).clone()
        logits[inputs[:, 0] == self.marker, 3] = self.value
        return logits


@pytest.mark.parametrize(
    ("value", "storage", "message"),
    [
        (float("nan"), "float32", r"must be finite, got nan for example 700 \(index 700"),
        (float("inf"), "float32", r"must be finite, got inf for example 700 \(index 700"),
        (7e4, "float16", r"within \+-65504 to be stored as float16, got 70000 for example 700"),
    ],
)
def test_outputs_that_cannot_be_stored_name_the_example(
    tmp_path: Path, value: float, storage: str, message: str
) -> None:
    model, split = model_and_split()
    model = dataclasses.replace(model, module=Spoiled(float(split.inputs[700, 0]), value))
    with pytest.raises(InvalidValueError, match=message):
        extract_logits(model, split, tmp_path / "s", storage=storage, progress=False)  # type: ignore[arg-type]
    assert list((tmp_path / "s").rglob("*.h5")) == []


def test_wrong_settings(tmp_path: Path, network: Model, images: Split) -> None:
    with pytest.raises(UnknownNameError, match="unknown precision 'fp16'"):
        extract_logits(network, images, tmp_path / "s", precision="fp16")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"unknown storage format 'int4'. Did you mean 'int8'"):
        extract_logits(network, images, tmp_path / "s", storage="int4")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match=r"`batch_size` must be at least 1 and .* got 0 and 0"):
        extract_logits(network, images, tmp_path / "s", batch_size=0)


def test_a_second_extractor_refuses_and_says_who_holds_the_file(tmp_path: Path) -> None:
    model, split = model_and_split()
    path = LogitStore(tmp_path / "s", create=True).file_path(model.card, dataset="made", split="train")
    path.parent.mkdir(parents=True)
    holder = rf"is being written by process {os.getpid()} on "
    with holding(lock_path(path)), pytest.raises(StoreError, match=holder):
        extract_logits(model, split, tmp_path / "s", progress=False)
    assert extract_logits(model, split, tmp_path / "s", progress=False) == path


def test_a_part_begun_with_other_settings_is_not_mixed(tmp_path: Path) -> None:
    model, split = model_and_split()
    stop_after(3, model, split, tmp_path / "s")
    with pytest.raises(StoreError, match="begun with another `block_rows`: 16 there, 32 now"):
        extract_logits(model, split, tmp_path / "s", batch_size=32)


def stop_after(calls: int, model: Model, split: Split, directory: Path) -> None:
    """Begins an extraction and interrupts it after so many forward passes."""
    count = 0

    def interrupt(*_: object) -> None:
        nonlocal count
        count += 1
        if count > calls:
            raise KeyboardInterrupt

    handle = model.module.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        extract_logits(model, split, directory, batch_size=16, progress=False)
    handle.remove()


def test_finished_blocks_are_not_run_again(tmp_path: Path) -> None:
    model, split = model_and_split()
    stop_after(41, model, split, tmp_path / "s")  # one of the calls looks at the shapes
    calls: list[int] = []
    handle = model.module.register_forward_pre_hook(lambda *_: calls.append(1))
    extract_logits(model, split, tmp_path / "s", batch_size=16, progress=False)
    handle.remove()
    assert len(calls) == 1 + 94 - 40


def test_a_damaged_block_of_a_part_is_done_again(tmp_path: Path) -> None:
    model, split = model_and_split()
    whole = extract_logits(model, split, tmp_path / "whole", batch_size=16, progress=False)
    stop_after(41, model, split, tmp_path / "s")
    (part,) = (tmp_path / "s").rglob("*.part")
    offset = open_file(part).extents["logits"].offset
    data = bytearray(part.read_bytes())
    data[offset + 100] ^= 4
    part.write_bytes(data)
    path = extract_logits(model, split, tmp_path / "s", batch_size=16, progress=False)
    assert path.read_bytes() == whole.read_bytes()


def kill_and_resume(directory: Path, *, kills: int) -> str:
    script = Path(__file__).with_name("kill_and_resume.py")
    ran = subprocess.run(
        [sys.executable, script, directory, str(kills), "7"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_kills_at_random_moments_change_no_byte(tmp_path: Path) -> None:
    assert "every file as the unbroken one" in kill_and_resume(tmp_path, kills=10)


@pytest.mark.trust
def test_two_hundred_kills_change_no_byte(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    assert "every file as the unbroken one" in kill_and_resume(tmp_path, kills=200)
    record_property("trust", ["faults injected", 200])


def darkprobe(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "darkprobe", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)


def hear_ctrl_c() -> None:
    """Where the tests run in a shell's background, Ctrl-C is ignored by them and by every child."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_command_line_from_nothing_to_a_checked_store(tmp_path: Path) -> None:
    extract = (
        "extract",
        "mlp-8",
        "mlp-16",
        "--seed",
        1,
        "--data",
        "digits",
        "--split",
        "test",
        "--out",
        tmp_path / "s",
    )
    run = darkprobe(*extract)
    out, err = run.communicate()
    assert run.returncode == 0, err
    last = Path(out.splitlines()[-1])
    assert last.is_file() and last.name.startswith("mlp-16.s1-")
    for verb in ("info", "check"):
        run = darkprobe("store", verb, tmp_path / "s")
        out, err = run.communicate()
        assert run.returncode == 0 and out.splitlines()[-1] == str(tmp_path / "s"), err
    data = bytearray(last.read_bytes())
    data[open_file(last).extents["logits"].offset] ^= 1
    last.write_bytes(data)
    run = darkprobe("store", "check", tmp_path / "s")
    out, _ = run.communicate()
    assert run.returncode == 1 and "BAD" in out and "blocks 0 do not match" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("mlp-8", "--seed", "1", "--data", "digit", "--split", "test"), 2, "unknown data"),
        (("mpl-8", "--seed", "1", "--data", "digits", "--split", "test"), 2, "unknown model"),
        (("mlp-8", "--seed", "1", "--data", "digits", "--split", "test", "--precision", "fp8"), 2, "unknown precision"),
        (("mlp-8", "--data", "digits"), 2, "Missing option"),
    ],
)
def test_wrong_usage_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    out = () if "Missing" in message else ("--out", tmp_path / "s")
    run = darkprobe("extract", *arguments, *out)
    _, err = run.communicate()
    assert run.returncode == code and message in err and "Traceback" not in err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_keeps_what_is_finished_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ("extract", "resnet56", "--seed", 1, "--data", "digits", "--batch-size", 1, "--out", tmp_path / "s")
    run = darkprobe(*arguments)
    deadline = time.monotonic() + 600  # a busy machine takes its time to load torch
    while not list((tmp_path / "s").rglob("*.part")) and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.01)
    time.sleep(0.1)
    run.send_signal(number)
    _, err = run.communicate()
    assert run.returncode == 1 and "Traceback" not in err
    assert (
        f"To go on, run: darkprobe extract resnet56 --seed 1 --data digits --batch-size 1 --out {tmp_path / 's'}" in err
    )
