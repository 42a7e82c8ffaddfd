"""A whole study in seconds: the files it leaves, the same bits again, resuming, and what it refuses."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_study import SMALL

from darkprobe.errors import DataError, InvalidValueError
from darkprobe.provenance import guarantee
from darkprobe.store import LogitStore
from darkprobe.study import MethodPlan, run, run_study, study_status, teachers
from darkprobe.study.backtest import read_case
from darkprobe.study.cells import Cell, Ledger
from darkprobe.study.teachers import TWIN_SEED
from darkprobe.zoo import build_module


def table(directory: Path) -> pd.DataFrame:
    return pd.read_csv(directory / "runs.csv").drop(columns="seconds")


def test_it_leaves_what_it_promises(finished: Path) -> None:
    verdicts = json.loads((finished / "verdicts.json").read_text())
    assert list(verdicts) == ["H1", "H2", "H3", "H3-fixed", "H4", "H8", "D1", "C1", "C2"]
    needed = {
        "verdict",
        "quantity",
        "unit",
        "effect",
        "low",
        "high",
        "n",
        "unit_of_n",
        "test",
        "p_adjusted",
        "more_seeds",
        "detail",
    }
    for verdict in verdicts.values():
        assert needed <= set(verdict)
        assert verdict["verdict"] in ("confirmed", "refuted", "not resolved")
        assert verdict["low"] <= verdict["effect"] <= verdict["high"]
    assert verdicts["H1"]["n"] == 4
    assert verdicts["H2"]["n"] == verdicts["C1"]["n"] == 3
    assert [v["family"] for v in verdicts.values()] == ["hypotheses"] * 6 + ["diagnoses"] + ["controls"] * 2
    plan = json.loads((finished / "study.json").read_text())
    assert plan["teachers"] == ["mlp-8", "mlp-16"] and plan["choices"]["trials"] == 2
    assert plan["provenance"]["guarantee"] == guarantee("cuda" if torch.cuda.is_available() else "cpu")
    for picture in (finished / "figures").glob("*.png"):
        assert picture.with_suffix(".csv").exists() and picture.with_suffix(".json").exists()


def test_tuning_rows_carry_no_test_value(finished: Path) -> None:
    runs = table(finished)
    pilot, confirm = runs[runs["phase"] == "pilot"], runs[runs["phase"] == "confirm"]
    assert pilot[["test_last", "test_selected", "n_test"]].isna().all(axis=None)
    assert confirm["test_last"].between(0, 1).all() and (confirm["n_test"] == 597).all()
    assert not set(pilot["replicate"]) & set(confirm["replicate"])
    assert not set(pilot["student_seed"]) & set(confirm["student_seed"])


def test_every_method_has_the_same_number_of_trials_on_the_pilot(finished: Path) -> None:
    pilot = table(finished).query("phase == 'pilot' and teacher == 'mlp-16'")
    trials = pilot.groupby("method")["parameters"].nunique()
    assert trials.to_dict() == {"kd": 2, "ttm": 2, "dkd": 2}


def test_another_run_and_more_workers_give_the_same_bits(finished: Path, tmp_path: Path) -> None:
    again = run_study(SMALL, tmp_path / "again", workers=2, progress=False)
    assert (again / "verdicts.json").read_bytes() == (finished / "verdicts.json").read_bytes()
    pd.testing.assert_frame_equal(table(again), table(finished), check_exact=True)


def test_resuming_runs_only_what_is_missing(finished: Path) -> None:
    before = (finished / "verdicts.json").read_bytes()
    cells = sorted((finished / "cells").glob("*.json"))
    times = {cell: cell.stat().st_mtime_ns for cell in cells}
    cells[0].unlink()
    run_study(SMALL, finished, workers=1, progress=False)
    assert (finished / "verdicts.json").read_bytes() == before
    assert [c for c in cells if c.stat().st_mtime_ns != times[c]] == [cells[0]]


def kind_of(cell: Path) -> str:
    return str(json.loads(cell.read_text())["kind"])


def without_logits(finished: Path, place: Path) -> Path:
    """What a later sitting begins with: the finished cells and nothing else."""
    shutil.copytree(finished / "cells", place / "cells")
    return place


def test_finished_cells_alone_give_every_output_again_without_training(finished: Path, tmp_path: Path) -> None:
    before = {path.name for path in (finished / "cells").iterdir()}
    again = run_study(SMALL, without_logits(finished, tmp_path / "again"), workers=1, progress=False)
    assert {path.name for path in (again / "cells").iterdir()} == before
    assert not (again / "store").exists()
    for name in ("verdicts.json", "runs.csv", "tables/profile.csv", "tables/affinity.csv", "tables/levels.csv"):
        assert (again / name).read_bytes() == (finished / name).read_bytes()


def test_a_lost_student_brings_back_its_teachers(finished: Path, tmp_path: Path) -> None:
    again = without_logits(finished, tmp_path / "again")
    lost = next(c for c in sorted((again / "cells").iterdir()) if kind_of(c) == "students" and "true" in c.read_text())
    seed = json.loads(lost.read_text())["shared"]["seed"]
    lost.unlink()
    run_study(SMALL, again, workers=1, progress=False)
    trained = {entry.card.seed for entry in LogitStore(again / "store").entries()}
    assert {seed, seed + TWIN_SEED} & trained == {seed, seed + TWIN_SEED}
    for name in ("verdicts.json", "tables/profile.csv"):
        assert (again / name).read_bytes() == (finished / name).read_bytes()
    assert {path.name for path in (again / "cells").iterdir()} == {path.name for path in (finished / "cells").iterdir()}


def test_teachers_that_come_out_in_other_bits_replace_the_old_ones(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another processor: what is retrained is what is read, and running again changes nothing."""

    def slightly_other(*args: Any, **kwargs: Any) -> torch.nn.Module:
        module = build_module(*args, **kwargs)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(1.01)
        return module

    again = without_logits(finished, tmp_path / "again")
    lost = [c for c in (again / "cells").iterdir() if kind_of(c) == "students" and '"read_test": true' in c.read_text()]
    lost[0].unlink()
    monkeypatch.setattr(teachers, "build_module", slightly_other)
    run_study(SMALL, again, workers=1, progress=False)
    outputs = {name: (again / name).read_bytes() for name in ("verdicts.json", "tables/teachers.csv", "runs.csv")}
    assert outputs["tables/teachers.csv"] != (finished / "tables/teachers.csv").read_bytes()
    cells = {path: path.read_bytes() for path in (again / "cells").iterdir()}
    members = [json.dumps([cell["shared"], m], sort_keys=True)
               for cell in map(json.loads, cells.values()) for m in cell["members"]]  # fmt: skip
    assert len(members) == len(set(members))
    assert not any(study_status(again).left.values())
    run_study(SMALL, again, workers=1, progress=False)
    assert {path: path.read_bytes() for path in (again / "cells").iterdir()} == cells
    for name, content in outputs.items():
        assert (again / name).read_bytes() == content


def test_status_follows_the_plan_that_is_being_run(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "more")
    larger = dataclasses.replace(SMALL, confirm=SMALL.confirm + 2)
    with monkeypatched_students_that_fail(), pytest.raises(KeyboardInterrupt):
        run_study(larger, tmp_path / "more", workers=1, progress=False)
    assert study_status(tmp_path / "more").left["confirm students"] > 0
    assert not any(study_status(finished).left.values())


def test_what_the_old_replicates_have_is_done_while_teachers_of_new_ones_train(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "more")
    larger = dataclasses.replace(SMALL, confirm=SMALL.confirm + 2)
    (tmp_path / "more" / "running.json").write_text(json.dumps(larger.as_dict()))
    before, status = study_status(finished), study_status(tmp_path / "more")
    assert status.left["teachers"] > 0 and status.left["confirm students"] > 0
    assert status.done == before.done


@contextmanager
def monkeypatched_students_that_fail() -> Iterator[None]:
    def stopped(*_: object) -> list[dict[str, Any]]:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(run._WORK, "students", stopped)
        yield


def test_the_plan_so_far_says_how_much_is_to_come() -> None:
    part = SMALL.so_far(3)
    assert part.confirm == 3 and part.twins <= 3 and "3 of 4 confirm replicates so far" in part.caution
    assert SMALL.so_far(SMALL.confirm) == SMALL


def test_a_changed_plan_trains_only_what_changed(finished: Path, tmp_path: Path) -> None:
    """Another method: its students and no teacher. The students that stay keep their cells and their bits."""
    shutil.copytree(finished, tmp_path / "more")
    before = {path.name for path in (tmp_path / "more" / "cells").iterdir()}
    plan = dataclasses.replace(
        SMALL, fixes=(*SMALL.fixes, MethodPlan(method="wttm", grid=({"gamma": 0.5}, {"gamma": 0.25})))
    )
    run_study(plan, tmp_path / "more", workers=1, progress=False)
    new = [json.loads(p.read_text()) for p in (tmp_path / "more" / "cells").iterdir() if p.name not in before]
    assert {cell["kind"] for cell in new} == {"students"}
    assert {member["method"] for cell in new for member in cell["members"]} == {"wttm"}
    assert len(new) == SMALL.pilot + SMALL.confirm
    old, now = table(finished), table(tmp_path / "more")
    kept = now[now["method"] != "wttm"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, old, check_exact=True)


def test_a_student_in_two_roles_is_trained_once(finished: Path) -> None:
    """The clean control is also the reference at its temperature: two rows, one training."""
    runs = table(finished).query("phase == 'confirm' and method == 'kd' and parameters == '{\"temperature\": 4.0}'")
    both = runs[runs["teacher"].eq("mlp-16") & runs["edit"].eq("none") & ~runs["control"].eq("twin")]
    assert both.groupby("replicate")["test_last"].nunique().eq(1).all() and len(both) == 2 * SMALL.confirm
    stored = [json.loads(p.read_text()) for p in (finished / "cells").iterdir()]
    members = [json.dumps([c["shared"], m], sort_keys=True) for c in stored for m in c["members"]]
    assert len(members) == len(set(members))


def test_another_seed_gives_other_numbers(finished: Path, tmp_path: Path) -> None:
    plan = dataclasses.replace(SMALL, seed=1, confirm=3, controls=(), control_teacher="")
    other = run_study(plan, tmp_path / "other", workers=1, progress=False)
    assert set(table(other)["cell_id"]).isdisjoint(table(finished)["cell_id"])


def test_a_directory_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(InvalidValueError, match="new, empty, or that of a study"):
        run_study(SMALL, tmp_path, workers=1, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teachers": ("mlp-8",)}, "`teachers` must be two or more"),
        ({"fixes": ()}, "`fixes` must be one method or more"),
        ({"fixed_temperature": 3.0}, "`fixed_temperature` must be among"),
        ({"twins": 9}, "`twins` must be between 0"),
        ({"twins": 1}, "2 where a control is a twin"),
        ({"fixes": (MethodPlan(method="ttm", grid=({"gamma": 0.5},)),)}, "same number of settings"),
        ({"control_teacher": "mlp-512"}, "`control_teacher` must be one of"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        dataclasses.replace(SMALL, **change)  # type: ignore[arg-type]


def test_cells_of_another_sitting_are_taken_over_and_newer_results_stay(finished: Path, tmp_path: Path) -> None:
    kept, place = without_logits(finished, tmp_path / "kept"), tmp_path / "place"
    (place / "cells").mkdir(parents=True)
    chosen = next(path for path in sorted((kept / "cells").iterdir()) if kind_of(path) == "students")
    stored = json.loads(chosen.read_text())
    cell = Cell(kind="students", shared=stored["shared"], members=tuple(stored["members"][:1]))
    Ledger(place).add(cell, [{"val_last": 0.5}])  # a member of that file, run here since
    Ledger(place).adopt(kept)
    taken = {path.name for path in (place / "cells").iterdir()}
    assert taken == {path.name for path in (kept / "cells").iterdir()} - {chosen.name} | {f"{cell.key}.json"}
    assert Ledger(place)[cell.addresses[0]]["val_last"] == 0.5


def test_advice_from_a_study_without_its_cells_says_what_to_do(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "bare", ignore=shutil.ignore_patterns("cells"))
    with pytest.raises(DataError, match=r"must hold the cells of all teachers .* Run its `darkprobe verify` again"):
        read_case(tmp_path / "bare")
