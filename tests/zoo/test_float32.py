"""Blocks of full float32 leave every choice of TF32 that torch knows as it was."""

import subprocess
import sys

CHOICES = """
pass
torch.backends.cudnn.allow_tf32 = False
torch.set_float32_matmul_precision('medium')
if NEW: torch.backends.cudnn.conv.fp32_precision = 'ieee'
if NEW: torch.backends.cuda.matmul.fp32_precision = 'tf32'
if NEW: torch.backends.fp32_precision = 'tf32'
"""

SCRIPT = f"""
import os
import torch
from darkprobe.zoo.float32 import full_float32

NEW = hasattr(torch.backends.cudnn, "conv")

def state():
    backends = torch.backends
    try:
        found = [torch.get_float32_matmul_precision()]
    except RuntimeError:  # torch refuses to say it once a new switch was set
        found = ["refused"]
    if NEW:
        return found + [p.fp32_precision for p in (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)]
    return found + [backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32]

for choice in '''{CHOICES}'''.strip().splitlines():
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0, choice
        continue
    exec(choice)
    before = state()
    with full_float32():
        with full_float32():
            assert set(state()[1:]) <= {{"ieee", False}}, state()
        assert set(state()[1:]) <= {{"ieee", False}}, state()
    assert state() == before, (before, state())
    os._exit(0)
"""


def test_the_choice_of_tf32_comes_back() -> None:
    """Each choice in a process of its own: some cannot be taken back."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
