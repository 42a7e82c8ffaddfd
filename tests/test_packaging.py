"""What is pinned agrees: the constraints with the lock, the floors of setup.cfg with the oldest versions."""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
READERS = {"pyarrow", "pillow", "safetensors"}
"""Extras that the tests of the core read files with."""
READERS = {"pyarrow", "pillow", "safetensors"}
"""Extras that the tests of the core read files with."""


def pinned(name: str) -> dict[str, str]:
    """Package to version, names as registries normalise them."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return {re.sub(r"[-_.]+", "-", n).lower(): v for n, v in re.findall(r"^([\w.-]+)==([\w.+!]+)", text, re.MULTILINE)}


def test_the_lock_has_the_versions_of_the_constraints_each_with_hashes() -> None:
    assert pinned("requirements.lock") == pinned("constraints.txt"), "run `make lock`"
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text(encoding="utf-8").strip())
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_oldest_versions_are_the_floors_of_setup_cfg() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    oldest = pinned("constraints-oldest.txt")
    needed = floors(config["options"]["install_requires"])
    files = {
        name: floor
        for name, floor in floors("".join(config["options.extras_require"].values())).items()
        if name in READERS
    }
    assert needed and set(files) == READERS
    assert all(oldest[name].startswith(version) for name, version in (needed | files).items())


def floors(requirements: str) -> dict[str, str]:
    """Package to the oldest version that is allowed."""
    return dict(re.findall(r"^([\w-]+)>=([\d.]+)$", requirements, re.MULTILINE))
