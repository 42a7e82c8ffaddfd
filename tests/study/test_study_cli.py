"""verify --dry-run and --smoke, study show and status."""

import dataclasses
import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from darkprobe.cli import app
from darkprobe.study import STUDIES, study_status, write_study
from darkprobe.study.cells import Ledger
from darkprobe.study.estimate import count_cells

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def smoked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("smoke") / "out"
    found = RUNNER.invoke(app, ["verify", "digits", "--smoke", "--out", str(out), "--workers", "1"])
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines()[-1] == str(out / "report.html")
    return out


def test_smoke_says_so_everywhere(smoked: Path) -> None:
    verdicts = json.loads((smoked / "verdicts.json").read_text())
    assert all(v["sentence"].startswith("Smoke run, no evidence.") for v in verdicts.values())
    plan = json.loads((smoked / "study.json").read_text())
    assert plan["name"] == "digits-smoke" and plan["smoke"] is True
    assert "digits-smoke" in (smoked / "report.html").read_text()


def test_status_of_a_finished_and_of_a_broken_off_study(smoked: Path) -> None:
    status = study_status(smoked)
    assert status.done == status.total == count_cells(STUDIES["digits"]().for_smoke())[1]
    assert status.running == 0 and status.seconds_left == 0
    cells = [(p, json.loads(p.read_text())) for p in (smoked / "cells").glob("*.json")]
    path, lost = next((p, c) for p, c in cells if c["shared"].get("read_test"))
    text = path.read_text()
    path.unlink()
    try:
        status = study_status(smoked)
        missing = len({json.dumps(m, sort_keys=True) for m in lost["members"]})
        assert status.left == {"teachers": 0, "pilot students": 0, "confirm students": missing}
        assert status.seconds_left is not None and status.seconds_left > 0
        shown = RUNNER.invoke(app, ["study", "status", str(smoked)]).stdout
        assert "confirm students" in shown and "stopped" in shown
    finally:
        path.write_text(text)


def test_the_mark_of_a_dead_process_does_not_count(smoked: Path) -> None:
    mark = smoked / "cells" / "abc.1.running"
    mark.write_text(json.dumps({"host": socket.gethostname(), "pid": 2**22 + 1}))
    assert study_status(smoked).running == 0
    mark.write_text(json.dumps({"host": "another-machine", "pid": 1}))
    assert study_status(smoked).running == 1
    for nothing in ("[]", "{}", '{"host": 1}', "[" * 5000, json.dumps({"host": socket.gethostname(), "pid": 10**30})):
        mark.with_name("odd.1.running").write_text(nothing)
        assert study_status(smoked).running == 1 + (nothing == '{"host": 1}')  # of another machine
    mark.with_name("odd.1.running").unlink()
    finished = mark.with_name("abc.json")
    try:
        finished.write_text((next((smoked / "cells").glob("*.json"))).read_text())
        assert study_status(smoked).running == 0  # the cell was run again, elsewhere
    finally:
        finished.unlink(missing_ok=True)
        mark.unlink()


def test_dry_run_counts_what_the_study_then_holds(smoked: Path) -> None:
    cells, members = count_cells(STUDIES["digits"]().for_smoke())
    every_file = [json.loads(p.read_text()) for p in (smoked / "cells").glob("*.json")]
    networks = [cell for cell in every_file if cell["kind"] != "readings"]
    assert len(networks) == sum(cells.values())
    assert sum(len(c["members"]) for c in networks) == sum(members.values())
    assert len(Ledger(smoked)._results) == sum(members.values()) + len(every_file) - len(networks)


def test_dry_run_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_study(STUDIES["digits"]().for_smoke(), tmp_path / "plan.toml")
    found = RUNNER.invoke(app, ["verify", "plan.toml", "--dry-run"])
    assert found.exit_code == 0, found.output
    assert "teachers" in found.stdout and "on disk" in found.stdout.splitlines()[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["plan.toml"]


def test_confirm_cuts_replicates_and_twins_of_the_plan(tmp_path: Path) -> None:
    plan = STUDIES["digits"]().for_smoke()
    write_study(plan, tmp_path / "plan.toml")
    found = RUNNER.invoke(app, ["verify", str(tmp_path / "plan.toml"), "--dry-run", "--confirm", "2"])
    fewer = count_cells(dataclasses.replace(plan, confirm=2, twins=2))[1]
    assert found.exit_code == 0 and fewer["confirm students"] == count_cells(plan)[1]["confirm students"] // 2
    for kind, networks in fewer.items():
        assert f"{networks:>7} networks" in next(line for line in found.stdout.splitlines() if line.startswith(kind))


def test_show_prints_a_plan_that_verify_reads(tmp_path: Path) -> None:
    text = RUNNER.invoke(app, ["study", "show", "synthetic"]).stdout
    (tmp_path / "mine.toml").write_text(text)
    again = RUNNER.invoke(app, ["study", "show", str(tmp_path / "mine.toml")]).stdout
    assert again == text
