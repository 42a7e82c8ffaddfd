"""Damages real files in ways that know their structure, and looks at what the readers make of them.

    python tests/trust/fuzz.py COUNT SEED

Allowed outcomes: an error of darkprobe's own that names the file, or the right values (for formats without a checksum:
any values). Anything else - another exception, other values, a second of time, memory beyond twice the file - is a
failure, and its recipe is printed.
"""

import random
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations import damage
from subjects import Contents, Subject, subjects

from darkprobe.errors import DarkprobeError

SECONDS, OVERHEAD = 1.0, 8 << 20


def outcome(path: Path, read: Callable[[Path], Contents], right: Contents | None) -> str:
    """What came of reading one damaged file; `right` is None where the format cannot tell a changed value."""
    tracemalloc.reset_peak()
    start, size = time.process_time(), path.stat().st_size
    try:
        found = read(path)
        result = "read" if right is None else "right" if found == right else "WRONG VALUES"
    except DarkprobeError as error:
        result = "refused" if path.name in str(error) else f"UNNAMED {error}"
    except Exception as error:  # exactly what is looked for
        result = f"CRASH {type(error).__name__}: {str(error)[:300]}"
    if time.process_time() - start > SECONDS:
        result = "SLOW"
    if tracemalloc.get_traced_memory()[1] > 2 * size + OVERHEAD:
        result = "MEMORY"
    return result


def fuzz(count: int, seed: int, *, only: Callable[[Path], Sequence[Subject]] = subjects) -> Counter[str]:
    """Outcomes of that many damaged files; a failure's recipe is in its key."""
    rng, results = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reader may warn of what it then refuses
        drawn = list(only(Path(name)))
        sound = {one.path: one.path.read_bytes() for one in drawn}
        right = [one.read(one.path) if one.checked else None for one in drawn]
        chances = [one.weight for one in drawn]
        tracemalloc.start()
        for number in range(count):
            chosen = rng.choices(range(len(drawn)), chances)[0]
            subject = drawn[chosen]
            path = _damaged_copy(subject, damage(sound[subject.path], rng), Path(name))
            result = outcome(path, subject.read, right[chosen])
            path.unlink()  # the next has a new inode, so that nothing is taken for verified
            if Path(name) in subject.path.parents:
                path.write_bytes(sound[subject.path])
            results[result if result.islower() else f"{result} ({path.name}, input {number} of seed {seed})"] += 1
        tracemalloc.stop()
    return results


def _damaged_copy(subject: Subject, data: bytes, folder: Path) -> Path:
    """In place where the file was made for this run, since readers look at its neighbours; else beside the others."""
    path = subject.path if folder in subject.path.parents else folder / f"damaged{subject.path.suffix}"
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path


def failures(results: Counter[str]) -> list[str]:
    """The outcomes that are not allowed."""
    return [name for name in results if not name.islower()]


def main(arguments: list[str]) -> int:
    """Prints the table of outcomes."""
    results = fuzz(int(arguments[0]), int(arguments[1]))
    for name, number in sorted(results.items()):
        print(f"{number:>8,}  {name}")
    return 1 if failures(results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
