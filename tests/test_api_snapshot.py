"""The public names and signatures are those of the committed snapshot: an interface changes on purpose or not at all.

python tests/test_api_snapshot.py      writes the snapshot anew, to be read in the change's diff
"""

import difflib
import inspect
import typing
from pathlib import Path

import darkprobe

SNAPSHOT = Path(__file__).parent / "api_snapshot.txt"


def lines() -> list[str]:
    """One line for each public function, class, and public member of a class."""
    told = []
    for name in sorted(darkprobe.__all__):
        value = getattr(darkprobe, name)
        told.append(f"{name}{_signature(value)}" if callable(value) else f"{name}: {type(value).__name__}")
        if inspect.isclass(value):
            members = [(m, v) for m, v in inspect.getmembers(value) if not m.startswith("_") and _ours(value, m)]
            told += [f"{name}.{member}{_signature(held) if callable(held) else ''}" for member, held in members]
    return told


def _ours(owner: type, member: str) -> bool:
    homes = [base.__module__ for base in owner.__mro__ if member in vars(base)]
    return bool(homes) and homes[0].startswith("darkprobe")


def _signature(value: typing.Any) -> str:
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""


def test_the_public_interface_is_the_committed_one() -> None:
    committed = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    changed = [line for line in difflib.unified_diff(committed, lines(), lineterm="", n=0) if line[:1] in "+-"][2:]
    assert not changed, (
        "the public interface changed; if that is meant, run `python tests/test_api_snapshot.py`, and keep the "
        "deprecation policy of CHANGELOG.md for what goes away:\n" + "\n".join(changed)
    )


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(lines()) + "\n", encoding="utf-8")
