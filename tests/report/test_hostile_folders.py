"""Studies from strangers: what a page cannot show is refused by the name of its file, what it can is shown."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from darkprobe.errors import DataError
from darkprobe.report import write_report

Change = Callable[[Path], object]


def verdict(**facts: object) -> Change:
    """Other values in a verdict."""

    def change(study: Path) -> None:
        path = study / "verdicts.json"
        verdicts = json.loads(path.read_text())
        verdicts["H3"] |= facts
        path.write_text(json.dumps(verdicts))

    return change


def examples(**facts: object) -> Change:
    """Other values in the single examples; a function makes one from what is there."""

    def change(study: Path) -> None:
        path = study / "tables" / "examples.json"
        record = json.loads(path.read_text())
        made = {key: value(record[key]) if callable(value) else value for key, value in facts.items()}
        path.write_text(json.dumps(record | made))

    return change


def other_logits(rows: list[list[float]]) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda found: [{**found[0], "logits": rows}, *found[1:]]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("verdicts.json", verdict(claim="\ud800")),
        ("verdicts.json", verdict(more_seeds=10**400)),
        ("verdicts.json", verdict(detail=[{"a": 10**400}])),
        ("study.json", lambda study: (study / "study.json").write_text('{"a":' * 3000 + "1" + "}" * 3000)),
        ("examples.json", examples(n="x")),
        ("examples.json", examples(models=5)),
        ("examples.json", examples(models=[["a"], "b", "c"])),
        ("examples.json", examples(examples=[5])),
        ("examples.json", examples(examples={"a": 1})),
        ("examples.json", examples(temperatures=[0.0])),
        ("examples.json", examples(orders={"entropy": [999]})),
        ("examples.json", examples(class_names=["a"])),
        ("examples.json", examples(examples=other_logits([[0.0] * 10]))),
        ("examples.json", examples(examples=other_logits([[0.0] * 9] * 3))),
        ("runs.csv", lambda study: (study / "runs.csv").write_bytes(b"\xff\xfe")),
        ("effects.csv", lambda study: (study / "tables" / "effects.csv").write_text('a,b\n"1,2\n3')),
    ],
)
def test_what_a_page_cannot_show_is_refused_by_name(study: Path, name: str, change: Change) -> None:
    change(study)
    with pytest.raises(DataError, match=name):
        write_report(study)
    assert not (study / "report.html").exists()


@pytest.mark.parametrize("place", ["tables/private.csv", "figures/private.png", "figures/capacity.json", "runs.csv"])
def test_a_link_out_of_the_study_is_not_followed(study: Path, tmp_path: Path, place: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a\nsecret")
    (study / place).unlink(missing_ok=True)
    (study / place).symlink_to(secret)
    with pytest.raises(DataError, match=f"{Path(place).name} must be a file of the study, got a link"):
        write_report(study)
    assert not (study / "report.html").exists()


def test_folders_and_pipes_are_no_files(study: Path) -> None:
    (study / "figures" / "a.png").mkdir()
    with pytest.raises(DataError, match=r"a\.png must be a file of the study"):
        write_report(study)
    (study / "figures" / "a.png").rmdir()
    os.mkfifo(study / "tables" / "b.csv")  # would be waited for without end
    with pytest.raises(DataError, match=r"b\.csv must be a file of the study"):
        write_report(study)


@pytest.mark.parametrize("column", ["value", "low", "parameters", "temperature", "n"])
@pytest.mark.parametrize("value", ["inf", "-inf", "1e308", ""])
def test_numbers_that_json_lacks_are_left_out(study: Path, column: str, value: str) -> None:
    for name in ("profile", "accuracy"):
        path = study / "tables" / f"{name}.csv"
        table = pd.read_csv(path, dtype=object)
        if column in table:
            table.loc[0, column] = value
            table.to_csv(path, index=False)
    assert write_report(study).read_text().rstrip().endswith("</html>")


def test_a_store_that_cannot_be_read_costs_its_figures_and_not_the_page(study: Path) -> None:
    (study / "tables" / "examples.json").unlink()
    (study / "store").write_text("no directory")
    assert "could not be read" in write_report(study).read_text()
