"""Faults of the world around an extraction: a full disk, a read-only directory, two writers, a full GPU."""

import contextlib
import dataclasses
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from kill_and_resume import model_and_split

from darkprobe.errors import DarkprobeError, StoreError
from darkprobe.extract import extract_logits
from darkprobe.store import LogitStore
from darkprobe.store.logit_file import open_file
from darkprobe.zoo.card import Model

NOBODY = 65534
HOLD = """
import sys, time
from pathlib import Path
from darkprobe.store.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A small file system of its own; the test is skipped where mounting is not allowed."""
    place.mkdir()
    ran = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True)
    if ran.returncode:
        pytest.skip(f"mounting is not allowed here: {ran.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_an_error_before_the_first_pass_and_leaves_nothing(tmp_path: Path) -> None:
    model, split = model_and_split()
    with mounted(tmp_path / "small", "size=32k") as place:
        with pytest.raises(StoreError, match=r"No space left on device.*Free space"):
            extract_logits(model, split, place / "s", progress=False)
        assert [path for path in place.rglob("*") if path.is_file()] == []


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    model, split = model_and_split()
    refused = pytest.raises(StoreError, match=r"fixed/s cannot be made \(Read-only file system\)")
    with mounted(tmp_path / "fixed", "size=1m,ro") as place, refused:
        extract_logits(model, split, place / "s", progress=False)


@contextlib.contextmanager
def unprivileged() -> Iterator[Path]:
    """A directory of a user whose rights bind: tests that run as root are nobody for as long."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        if os.geteuid():
            yield Path(name)
            return
        os.chown(name, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


def test_a_directory_without_the_right_to_write_is_named(tmp_path: Path) -> None:
    model, split = model_and_split()
    with unprivileged() as place:
        place.chmod(0o500)
        with pytest.raises(StoreError, match=rf"{place}.* cannot be made \(Permission denied\)"):
            extract_logits(model, split, place / "s", progress=False)
        assert list(place.iterdir()) == []


def test_permission_that_is_lost_halfway_is_named_and_what_was_done_is_kept(tmp_path: Path) -> None:
    model, split = model_and_split()
    whole = extract_logits(model, split, tmp_path / "whole", batch_size=16, progress=False).read_bytes()
    with unprivileged() as place:
        home, calls = place / "s" / "made" / "train", 0

        def take_away(*_: object) -> None:
            nonlocal calls
            calls += 1
            if calls == 30:
                home.chmod(0o500)

        handle = model.module.register_forward_pre_hook(take_away)
        with pytest.raises(StoreError, match=r"Permission denied.*finished blocks are kept"):
            extract_logits(model, split, place / "s", batch_size=16, progress=False)
        home.chmod(0o700)
        before, calls = calls, 31
        path = extract_logits(model, split, place / "s", batch_size=16, progress=False)
        handle.remove()
        assert path.read_bytes() == whole
        assert before >= 94 and calls - 31 < 94, "finished blocks were run again"


def test_a_file_size_limit_is_an_error_not_a_crash(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from kill_and_resume import model_and_split\n"
        "from darkprobe.extract import extract_logits\n"
        "from darkprobe.errors import StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "model, split = model_and_split()\n"
        "try:\n"
        f"    extract_logits(model, split, {str(tmp_path / 's')!r}, progress=False)\n"
        "except StoreError as error:\n"
        "    print('refused:', error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0 and ran.stdout.startswith("refused:"), ran.stderr
    assert list((tmp_path / "s").rglob("*.h5")) == []
    assert hasattr(resource, "RLIMIT_FSIZE")


def test_two_processes_on_one_file_and_a_killed_holder_does_not_block(tmp_path: Path) -> None:
    model, split = model_and_split()
    path = LogitStore(tmp_path / "s", create=True).file_path(model.card, dataset="made", split="train")
    path.parent.mkdir(parents=True)
    lock = path.with_name(f".{path.name}.part.lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=f"is being written by process {holder.pid} on "):
        extract_logits(model, split, tmp_path / "s", progress=False)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert lock.exists()
    assert extract_logits(model, split, tmp_path / "s", progress=False).exists()


class Small(torch.nn.Module):
    """A network on a device whose memory holds eight examples."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = torch.nn.Linear(16, 5)
        self.sizes: list[int] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(inputs))
        if len(inputs) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.head(inputs)


def test_a_full_device_halves_the_batch_and_gives_the_same(tmp_path: Path) -> None:
    model, split = model_and_split()
    small = Small()
    path = extract_logits(dataclasses.replace(model, module=small), split, tmp_path / "s", progress=False)
    with torch.inference_mode():
        expected = small.head(torch.from_numpy(split.inputs)).numpy()
    np.testing.assert_allclose(open_file(path).logits, expected, atol=1e-5)
    assert max(small.sizes) == 256 and 8 in small.sizes


def test_a_device_that_does_not_hold_one_example_says_so(tmp_path: Path) -> None:
    class None_(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model, split = model_and_split()
    with pytest.raises(DarkprobeError, match=r"one example of made through slow.x does not fit in the memory of cpu"):
        extract_logits(Model(card=model.card, module=None_()), split, tmp_path / "s", progress=False)


def test_a_clock_that_jumps_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, split = model_and_split()
    whole = extract_logits(model, split, tmp_path / "whole", batch_size=16, progress=False)
    jumps = iter(range(0, 10**9, 86_400))
    monkeypatch.setattr("time.time", lambda: 4e9 - next(jumps))
    jumped = extract_logits(model, split, tmp_path / "s", batch_size=16, progress=False)
    assert jumped.read_bytes() == whole.read_bytes()


def test_a_file_cut_short_after_it_was_opened_is_found_when_read(tmp_path: Path) -> None:
    model, split = model_and_split()
    path = extract_logits(model, split, tmp_path / "s", progress=False)
    entry = open_file(path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreError, match=r"do not match their checksums|cut short"):
        _ = entry.logits
    path.unlink()
    with pytest.raises(StoreError, match="moved or removed"):
        _ = entry.logits
