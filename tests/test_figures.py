"""Every figure redraws from what is committed: the same numbers, the same provenance, nothing trained, in seconds."""

import csv
import io
import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "figures"
SCRIPTS = sorted(
    path.name for path in FIGURES.glob("*.py") if not path.name.startswith("_") and not path.stem.endswith("_studies")
)
REFERENCE = sorted(
    f"{path.parents[2].name}/{path.parents[1].name}"
    for kind in ("reference", "rates")
    for path in FIGURES.glob(f"studies/{kind}/*/tables/students.csv")
)


def refuse(*args: object, **kwargs: object) -> None:
    raise AssertionError("a figure that is only redrawn must not train")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of figures, copied, from where scripts can be run; training is refused."""
    where = tmp_path / "figures"
    shutil.copytree(FIGURES, where, ignore=shutil.ignore_patterns("__pycache__"))
    for shared in FIGURES.glob("*.py"):
        monkeypatch.delitem(sys.modules, shared.stem, raising=False)
    monkeypatch.syspath_prepend(where)
    monkeypatch.setattr(torch.autograd, "backward", refuse)  # which Tensor.backward calls as well
    return where


def leave_a_mark(figure: Figure, path: object, **how: object) -> None:
    """Instead of a picture, which is what takes the time: its numbers lie beside it."""
    Path(str(path)).write_text("drawn")


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_redraws_with_identical_numbers_and_without_training(
    script: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Figure, "savefig", leave_a_mark)
    monkeypatch.setattr(sys, "argv", [str(copy / script)])
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*.json")}
    runpy.run_path(str(copy / script), run_name="__main__")
    written = [path for path in copy.rglob("*.json") if path.stat().st_mtime_ns != before.get(path)]
    assert written, f"{script} drew nothing"
    for path in written:
        for suffix in (".csv", ".json"):
            committed = FIGURES / path.relative_to(copy).with_suffix(suffix)
            assert path.with_suffix(suffix).read_bytes() == committed.read_bytes(), committed
        for suffix in (".png", ".svg"):
            assert path.with_suffix(suffix).read_text() == "drawn"
            assert (FIGURES / path.relative_to(copy).with_suffix(suffix)).stat().st_size > 5000


def test_the_guard_against_training_holds(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(copy / "capacity_digits.py"), "--train"])
    with pytest.raises(AssertionError, match="must not train"):
        runpy.run_path(str(copy / "capacity_digits.py"), run_name="__main__")


def test_a_picture_is_drawn_for_real(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(copy / "gap_closed.py")])
    (copy / "gap_closed.png").unlink()
    runpy.run_path(str(copy / "gap_closed.py"), run_name="__main__")
    assert (copy / "gap_closed.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (copy / "gap_closed.png").stat().st_size > 50_000


def test_every_picture_has_its_four_files_and_says_where_it_came_from() -> None:
    pictures = sorted(FIGURES.rglob("*.png"))
    assert len(pictures) >= 15
    for picture in pictures:
        assert picture.with_suffix(".svg").stat().st_size > 5000
        rows = list(csv.reader(io.StringIO(picture.with_suffix(".csv").read_text())))
        assert len(rows) > 1 and len({len(row) for row in rows}) == 1
        told = json.loads(picture.with_suffix(".json").read_text())
        assert "command" in told
        for facts in told.get("studies", {"": told}).values():
            assert {"command", "commit", "versions", "hardware", "time"} <= set(facts), picture


@pytest.mark.parametrize("study", REFERENCE)
def test_kept_numbers_can_be_computed_again_from_the_students(study: str) -> None:
    """Gaps and accuracies of the kept tables are those of the kept students, by SciPy."""
    assert {"reference/digits", "reference/synthetic"} <= set(REFERENCE)
    tables = FIGURES / "studies" / study / "tables"
    students = pd.read_csv(tables / "students.csv", keep_default_na=False).set_index(
        ["control", "teacher", "method", "parameters"]
    )
    kd = json.loads((tables.parent / "study.json").read_text())["reference"]["method"]
    gaps = pd.read_csv(tables / "gap.csv").query("quantity == 'gap' and setting != 'tuned'")
    assert len(gaps) >= 3
    for row in gaps.itertuples():
        setting = json.dumps({"temperature": row.temperature})
        pair = [students.loc[("", teacher, kd, setting)].to_numpy(float) for teacher in (row.teacher, row.against)]
        difference = pair[0] - pair[1]
        interval = stats.t.interval(0.95, len(difference) - 1, difference.mean(), stats.sem(difference))
        assert (row.value, row.low, row.high) == pytest.approx((difference.mean(), *interval), abs=1e-12)
    alone = pd.read_csv(tables / "accuracy.csv").query("method == 'none'")["value"].item()
    assert alone == pytest.approx(np.mean(students.loc[("", "", "none", "{}")].to_numpy(float)), abs=1e-12)


def test_teachers_are_taken_once_from_a_study_that_has_the_same(tmp_path: Path) -> None:
    take = runpy.run_path(str(FIGURES / "default_studies.py"))["take_teachers"]
    take(tmp_path / "none", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    for part in ("cells", "store"):
        (tmp_path / "old" / part).mkdir(parents=True)
        (tmp_path / "old" / part / "file").write_text("old")
    (tmp_path / "new" / "cells").mkdir(parents=True)
    take(tmp_path / "old", tmp_path / "new")
    taken = tmp_path / "new" / "store" / "file"
    assert taken.read_text() == (tmp_path / "new" / "cells" / "file").read_text() == "old"
    taken.write_text("new")
    take(tmp_path / "old", tmp_path / "new")
    assert taken.read_text() == "new"


def test_make_figures_runs_these_scripts_and_none_that_trains() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\nfigures:")[1].split("\n\n")[0]
    assert "filter-out figures/_% %_studies.py" in recipe and "--train" not in recipe
    assert {"reference_studies.py", "default_studies.py"}.isdisjoint(SCRIPTS)


def test_agreement_with_what_lies_outside_follows_from_its_replicates() -> None:
    """Means and paired differences again, from the single replicates in the same file."""
    table = pd.read_csv(FIGURES / "outside_agreement.csv")
    single = table[table["part"] == "replicate"]
    checked = 0
    for row in table[table["part"].isin(("ladder", "difference"))].itertuples():
        own = single[(single["study"] == row.study) & (single["metric"] == row.metric)]
        by_replicate = own.pivot(index="replicate", columns="model", values="value")
        values = by_replicate[row.model] - (by_replicate[row.against] if row.part == "difference" else 0)
        low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        assert (row.value, row.low, row.high, row.n) == pytest.approx((values.mean(), low, high, len(values)))
        checked += 1
    assert checked >= 15  # three teachers and two differences, of three metrics at least
    assert table.loc[table["part"] == "ceiling", "value"].between(0, 1).all()


def test_new_replicates_join_those_whose_stores_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured again takes the place of the same replicate; ceilings are those of the newest measurement."""
    monkeypatch.syspath_prepend(FIGURES)
    module = runpy.run_path(str(FIGURES / "outside_agreement.py"))

    def rows(values: dict[tuple[str, int], float], ceiling: float) -> pd.DataFrame:
        shared = {"study": "s", "metric": "human_spearman", "part": "replicate", "n": 9}
        single = [
            {**shared, "model": model, "replicate": r, "parameters": {"small": 10, "large": 20}[model], "value": value}
            for (model, r), value in values.items()
        ]
        top = {**single[0], "part": "ceiling", "metric": "human_spearman_ceiling", "value": ceiling}
        return pd.DataFrame([*single, top]).reindex(columns=module["COLUMNS"])

    known = rows({("small", 1): 0.1, ("large", 1): 0.2, ("small", 2): 0.3, ("large", 2): 0.4}, 0.8)
    found = rows({("small", 2): 0.5, ("large", 2): 0.5, ("small", 3): 0.2, ("large", 3): 0.3}, 0.7)
    table = module["table_of"](found, known)
    ladder = table[table["part"] == "ladder"].set_index("model")
    assert ladder.loc["small", "value"] == pytest.approx((0.1 + 0.5 + 0.2) / 3) and ladder.loc["small", "n"] == 3
    difference = table[table["part"] == "difference"].iloc[0]
    expected = stats.ttest_rel([0.2, 0.5, 0.3], [0.1, 0.5, 0.2]).confidence_interval(0.95)
    assert (difference["model"], difference["against"]) == ("large", "small")
    assert (difference["low"], difference["high"]) == pytest.approx((expected.low, expected.high))
    assert table.loc[table["part"] == "ceiling", "value"].tolist() == [0.7]
    again = module["table_of"](found, table)
    pd.testing.assert_frame_equal(again, table)
