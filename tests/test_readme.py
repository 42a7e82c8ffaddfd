"""The README is true: every command and snippet runs, every number of its results table is in its file."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
REFERENCE = ROOT / "figures" / "studies" / "reference"
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", README, flags=re.DOTALL)
VERIFY = "darkprobe verify digits --out demo"


def commands() -> list[str]:
    return [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines() if line]


def run(command: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", *command.split()] if command.startswith("darkprobe") else command.split()
    return subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the commands were run one after another, all but the two of the default study."""
    directory = tmp_path_factory.mktemp("readme")
    for command in commands():
        if command in ("make demo", VERIFY):
            continue
        done = run(command, directory)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    return directory


def test_the_commands_leave_what_the_readme_says(place: Path) -> None:
    assert (place / "capacity.png").stat().st_size > 5000 and (place / "temperature.svg").exists()


def test_the_snippets_run_where_the_commands_ran(place: Path) -> None:
    snippets = [text for kind, text in BLOCKS if kind == "python"]
    assert len(snippets) == 2
    for snippet in snippets:
        done = subprocess.run([sys.executable, "-W", "error", "-c", snippet], cwd=place, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_default_study_runs_as_the_readme_and_make_demo_say(tmp_path: Path) -> None:
    assert VERIFY in commands() and "darkprobe verify digits --out demo/" in (ROOT / "Makefile").read_text()
    done = run(VERIFY, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1].endswith("demo/report.html")
    found = json.loads((tmp_path / "demo" / "verdicts.json").read_text())
    kept = json.loads((ROOT / "figures" / "studies" / "digits" / "verdicts.json").read_text())
    assert {k: v["verdict"] for k, v in found.items()} == {k: v["verdict"] for k, v in kept.items()}


@pytest.mark.parametrize("study", ["digits", "synthetic"])
def test_the_results_table_is_what_was_measured(study: str) -> None:
    kept = json.loads((REFERENCE / study / "verdicts.json").read_text())
    rows = {line.split("|")[1].strip(): line for line in README.splitlines() if re.match(r"\| [HD]\d", line)}
    assert {key for key in kept if key[0] != "C"} <= set(rows)
    for key, row in rows.items():
        cell = row.split("|")[3 if study == "digits" else 4]
        if key not in kept:
            assert cell.strip() == "-"
            continue
        verdict = kept[key]
        digits, scale = (2, 100) if verdict["unit"] == "accuracy" else (3, 1)
        numbers = [f"{scale * verdict[name]:+.{digits}f}" for name in ("effect", "low", "high")]
        assert cell.strip() == f"**{verdict['verdict']}** {numbers[0]} [{numbers[1]}, {numbers[2]}]"
        assert (
            f"(n = {kept['H1']['n']})"
            in README.split("| H1")[0].splitlines()[-2].split("|")[3 if study == "digits" else 4]
        )


def test_every_planted_control_came_out_as_the_readme_says() -> None:
    kept = json.loads((REFERENCE / "synthetic" / "verdicts.json").read_text())
    found = {key: verdict["verdict"] for key, verdict in kept.items() if key[0] == "C"}
    assert {key: verdict for key, verdict in found.items() if verdict == "confirmed"} == {
        f"C{i}": "confirmed" for i in range(1, 10)
    }
    assert set(found) == {f"C{i}" for i in range(1, 12)}


def interval(row: "pd.Series[float]") -> str:
    return f"{100 * row['effect']:+.2f} [{100 * row['low']:+.2f}, {100 * row['high']:+.2f}]"


def test_the_sentences_numbers_are_what_was_measured() -> None:
    text = " ".join(README.split())
    folder = REFERENCE / "synthetic"
    controls = pd.read_csv(folder / "tables" / "controls.csv").set_index("label")
    for label, words in (("wrong classes permuted", "costs"), ("wrong classes x 0", "completely")):
        shown = interval(controls.loc[label]).replace(" [", " points [" if words == "costs" else " [")
        assert shown in text
    detail = {row["what"]: row for row in json.loads((folder / "verdicts.json").read_text())["H3-fixed"]["detail"]}
    at_two = next(row for what, row in detail.items() if "all at T = 2 " in what)
    assert interval(pd.Series(at_two)).replace(" [", " points [") in text
    for temperature in (8, 16):
        assert next(row for what, row in detail.items() if f"all at T = {temperature} " in what)["high"] < 0


@pytest.mark.parametrize("study", ["digits", "synthetic"])
def test_calibration_across_teachers_is_what_was_measured(study: str) -> None:
    detail = json.loads((REFERENCE / study / "verdicts.json").read_text())["H8"]["detail"]
    at_four = next(row for row in detail if row["what"] == "across teachers, all at T = 4")
    shown = f"{at_four['effect']:+.3f} [{at_four['low']:+.3f}, {at_four['high']:+.3f}] on {study}"
    assert shown in " ".join(README.split())
    others = [row for row in detail if row["what"].startswith("across teachers") and row is not at_four]
    assert study == "digits" or all(row["low"] > 0 for row in others)  # "the other way at other T"
    temperatures = [row["effect"] for row in detail if row["what"].startswith("across temperatures")]
    assert min(temperatures) > 0
