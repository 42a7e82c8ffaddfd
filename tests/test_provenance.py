"""The command that results carry can be pasted into a shell, and is one for `darkprobe` and `python -m darkprobe`."""

import shlex
import sys

import pytest
import torch

from darkprobe.provenance import command_line, hardware


@pytest.mark.parametrize("program", ["/usr/bin/darkprobe", "/usr/lib/site-packages/darkprobe/__main__.py"])
def test_the_command_can_be_run_again(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    arguments = ["extract", "mlp-64=my weights.pt", "--data", "npz:x.npz?size=32", "--out", "store"]
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    assert shlex.split(command_line()) == ["darkprobe", *arguments]


def test_the_first_gpu_is_named_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert set(hardware()) == {"processor", "cores", "system"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    assert hardware()["accelerator"] == "NVIDIA H200"
