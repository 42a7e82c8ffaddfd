"""The table of `make trust` counts: runs of made tests that fail in every way end in the numbers they must end in."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MADE = {
    "test_faults_made.py": """
import pytest
def test_kept(tally):
    tally("faults injected", 7)
def test_lost():
    assert False
def test_not_here():
    pytest.skip("no mount")
""",
    "test_inputs_made.py": """
import os
import pytest
@pytest.fixture
def broken():
    raise OSError
def test_sound(tally):
    tally("inputs tried", 1234)
def test_found(tally):
    tally("inputs tried", 10)
    tally("silent wrongs", 2)
    tally("crashes", 3)
    assert False
def test_unexpected(tally):
    tally("inputs tried", 5)
    raise IndexError
def test_fixture(broken):
    pass
""",
    "test_dies_made.py": "import os\ndef test_dies():\n    os._exit(139)\n",
    "test_unread_made.py": "import nothing_of_this_name\n",
}


def table(place: Path, *names: str) -> dict[str, int]:
    shutil.copy(Path(__file__).with_name("conftest.py"), place)
    for name in names:
        (place / name).write_text(MADE[name])
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "--rootdir", place, place]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=place)
    found = re.findall(r"^ *([\d,]+)  ([a-z ]+)$", ran.stdout, re.MULTILINE)
    return {key: int(count.replace(",", "")) for count, key in found}


def test_what_is_lost_crashed_or_wrong_is_counted(tmp_path: Path) -> None:
    assert table(tmp_path, "test_faults_made.py", "test_inputs_made.py") == {
        "inputs tried": 1249,
        "faults injected": 8,
        "lost results": 1,
        "crashes": 5,  # three that were counted, an unexpected error, a fixture
        "silent wrongs": 2,
        "not possible here": 1,
    }


@pytest.mark.parametrize("name", ["test_dies_made.py", "test_unread_made.py"])
def test_a_process_that_dies_and_a_file_that_does_not_load_are_crashes(name: str, tmp_path: Path) -> None:
    found = table(tmp_path, "test_faults_made.py", name)
    assert found["crashes"] == 1 and found["lost results"] == 1
