"""Where a result came from: command, versions, machine, time. Written beside every figure and into every store."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from darkprobe._version import __version__

_LIBRARIES = ("torch", "numpy", "scipy", "pandas", "h5py", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of darkprobe, Python and the libraries that decide its numbers."""
    found = {"darkprobe": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:  # an optional part is absent
            continue
    return found


def command_line() -> str:
    """The command that runs now, as a shell takes it, with the program's directory left out.

    `python -m darkprobe` and `darkprobe` are one command, and leave one name.
    """
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return shlex.join([name, *sys.argv[1:]])


def commit() -> str | None:
    """The git commit of the checkout this package runs from, with "+" when files differ from it, or None."""
    here = Path(__file__).resolve().parent
    if not (here.parent / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "-C", here, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
        changed = subprocess.run(["git", "-C", here, "diff", "--quiet", "HEAD", "--", "."], capture_output=True)
    except OSError:  # git is not installed
        return None
    return head.stdout.strip() + ("+" if changed.returncode else "") if head.returncode == 0 else None


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def hardware() -> dict[str, Any]:
    """The machine: processor, its cores, system, and where torch has been imported and sees one, the first GPU."""
    found = {"processor": processor(), "cores": os.cpu_count(), "system": platform.platform()}
    torch = sys.modules.get("torch")  # what did not import it did not compute on a GPU
    if torch is not None and torch.cuda.is_available():
        found["accelerator"] = torch.cuda.get_device_name()
    return found


def guarantee(device: str) -> Literal["bitwise", "to rounding"]:
    """How closely the same command repeats a result, given the same versions, kind of processor, seed and batch size.

    Args:
        device: kind of the torch device, e.g. "cpu" or "cuda".

    Returns:
        "bitwise" on the processor: same bits, whatever the number of workers and the points where it was stopped;
        "to rounding" elsewhere, where kernels may add up in another order each time.

    Examples:
        >>> guarantee("cpu"), guarantee("cuda")
        ('bitwise', 'to rounding')
    """
    return "bitwise" if device == "cpu" else "to rounding"


def provenance(**facts: Any) -> dict[str, Any]:
    """What produced a result, as JSON-ready values; `facts` (seeds, seconds, n) are added as given."""
    return {
        "command": command_line(),
        "commit": commit(),
        "versions": versions(),
        "hardware": hardware(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }
