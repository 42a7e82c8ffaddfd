"""Every number of docs/findings.md and of README's results is that of its file; each check fails on a wrong digit."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import findings  # noqa: E402
import findings_numbers  # noqa: E402
import findings_rates  # noqa: E402
from findings_numbers import Number, StudyResults, read_studies, the_one  # noqa: E402

README = (ROOT / "README.md").read_text()
STUDIES = ROOT / "figures" / "studies"


@cache
def rendered() -> str:
    return findings.render()


def differing(page: str) -> list[str]:
    """Lines of a page that the committed files do not give."""
    told, due = page.splitlines(), rendered().splitlines()
    return [line for line, right in zip(told, due, strict=False) if line != right] + told[len(due) :] + due[len(told) :]


def with_one_digit_changed(text: str) -> Iterator[str]:
    for found in re.finditer(r"\d", text):
        yield text[: found.start()] + str((int(found[0]) + 1) % 10) + text[found.end() :]


def test_the_page_is_what_the_files_give() -> None:
    assert differing(findings.PAGE.read_text()) == [], "run `python docs/findings.py`"


def test_a_page_with_any_digit_changed_is_refused() -> None:
    changed = list(with_one_digit_changed(findings.PAGE.read_text()))
    assert len(changed) > 2000
    assert all(len(differing(page)) == 1 for page in changed)


def verdict_files() -> list[Path]:
    return sorted(STUDIES.glob("**/verdicts.json"))


def rows_of_findings(page: str) -> Iterator[tuple[str, str, str, str, str]]:
    """(key, study, verdict, effect, n) of every table of verdicts; a second way to the numbers than the page's own."""
    key, owner, fixed = "", "", False
    for line in page.splitlines():
        if heading := re.match(r"#+ (?:([HD]\d(?:-weight)?)\. |\w+: `([^` ]+).*`)?", line):
            key, owner, fixed = heading[1] or "", heading[2] or "", False
        fixed = fixed or line.startswith("All teachers at T = ")
        row = re.match(r"\| (`?)([^ |`]+)(?: \(scaled\))?`? \| \*\*(.+?)\*\* \| (.+?) \| (\d+) \|", line)
        if row and (key if row[1] else owner):
            names = (f"{key}-fixed" if fixed else key, row[2]) if row[1] else (row[2], owner)
            yield *names, row[3], row[4], row[5]


def wrong_rows(page: str) -> list[str]:
    """Keys and studies whose row is not what verdicts.json says, straight from the file."""
    wrong = []
    for key, study, verdict, effect, n in rows_of_findings(page):
        kept = json.loads((STUDIES / study / "verdicts.json").read_text())[key]
        share = kept["unit"] == "accuracy"
        digits = 2 if share else 4 if kept["unit"] == "probability" else 3
        due = [round(kept[name] * (100 if share else 1), digits) for name in ("effect", "low", "high")]
        shown = [float(number) for number in re.findall(r"[+-]?\d+\.\d+", effect)]
        if (verdict, int(n)) != (kept["verdict"], kept["n"]) or shown != due or ("points" in effect) != share:
            wrong.append(f"{key} {study}")
    return wrong


def test_the_rows_of_every_finding_are_those_of_the_verdicts() -> None:
    page = findings.PAGE.read_text()
    found = {(key, study) for key, study, *_ in rows_of_findings(page)}
    kept = {path.parent.relative_to(STUDIES).as_posix(): json.loads(path.read_text()) for path in verdict_files()}
    tabled = {f"H{i}" for i in range(1, 10)} | {"H3-fixed", "H4-weight", "D1", "D2"}
    for study, verdicts in kept.items():
        if study.startswith("rates/"):  # one row of one table: the rest of their tables tells the same again
            assert f"\n| `{study}` |" in page
            continue
        everything = not (STUDIES / study / "study.json").exists()  # generations, on a table of their own
        assert {(key, study) for key in verdicts if everything or key in tabled} <= found
    assert wrong_rows(page) == []


def test_a_row_with_a_digit_changed_is_a_wrong_row() -> None:
    row = next(
        line
        for line in findings.PAGE.read_text().splitlines()
        if line.startswith("| `reference/synthetic` | **refuted**")
    )
    cells = row.split("|")
    for changed in with_one_digit_changed("|".join(cells[3:5])):
        page = "### H3. A claim\n" + "|".join([*cells[:3], changed, *cells[5:]])
        assert wrong_rows(page) == ["H3 reference/synthetic"]


TYPED = (
    r"\barXiv \d{4}\.\d{5}\b|\bICML \d{4}\b|\bCIFAR-10H?0?\b|\bResNet-\d+\b|\bWRN-\d+-\d+\b|\bVGG-\d+\b|"
    r"\b[HD]\d\b|95 %|\b1 - p_y|\b2-core\b"
)
"""Names and the level of the intervals: the only digits, beside temperatures of the studies, that a person may type."""


def typed_numbers(template: str) -> list[str]:
    """Digits that stand in the template itself."""
    grids = {t for study in read_studies().values() for t in study.plan["curve_temperatures"]}
    words = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|verify cifar10|parquet:", "", template, flags=re.DOTALL)
    words = re.sub(TYPED, "", words)
    words = re.sub(r"\bT = (\d+)\b", lambda found: "" if float(found[1]) in grids else found[0], words)
    return re.findall(r"\S*\d\S*", words)


def test_no_number_of_the_page_is_typed_by_hand() -> None:
    assert typed_numbers(findings.TEMPLATE.read_text()) == []
    assert typed_numbers("It gains +0.3 points at T = 4, {{ 1 }} and 7 of them, not at T = 3.") == ["+0.3", "7", "3."]


def test_a_sentence_that_its_interval_does_not_bear_out_is_refused() -> None:
    number = Number(effect=0.2, low=-0.1, high=0.5, n=9, unit="nats")
    assert number.said("open") is number and number.said(None) is number and number.said("below", than=0.6) is number
    with pytest.raises(ValueError, match=r"must be 'above'.*got 'open'.*Rewrite the sentence"):
        findings.difference(number, "above")
    with pytest.raises(LookupError, match="1 row for x, got 2"):
        the_one([1, 2], "x")


def test_numbers_are_shown_in_their_unit() -> None:
    points = Number(effect=0.0123, low=-0.004, high=0.02, n=9, unit="accuracy")
    assert points.difference() == "+1.23 points [-0.40, +2.00]" and points.level() == "1.23 % [-0.40, 2.00]"
    assert Number(effect=0.5, low=0.4, high=0.6, n=9, unit="ratio").shown() == "0.500 [0.400, 0.600]"


@pytest.fixture
def with_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page as it would be with a scaled study more: a copy of a committed one, said to be cut down."""
    shutil.copytree(ROOT / "figures", tmp_path / "figures", ignore=shutil.ignore_patterns("*.png", "*.svg"))
    shutil.copytree(
        STUDIES / "reference" / "synthetic", folder := tmp_path / "figures" / "studies" / "scaled" / "small"
    )
    plan = json.loads((folder / "study.json").read_text()) | {"scaled": "cut to a tenth", "seed": 3}
    (folder / "study.json").write_text(json.dumps(plan))
    monkeypatch.setattr(findings_numbers, "FIGURES", tmp_path / "figures")
    return findings.render()


def test_a_scaled_study_is_on_the_page_by_itself_and_called_scaled_everywhere(with_scaled: str) -> None:
    assert "cut to a tenth" in with_scaled and "## Images: `scaled/small (scaled)`" in with_scaled
    shown = with_scaled.replace("figures/studies/scaled/small/", "")  # its folder
    assert shown.count("scaled/small") == shown.count("scaled/small (scaled)") > 12
    assert ("H9", "scaled/small") in [row[:2] for row in rows_of_findings(with_scaled)]
    assert "7 of 8 studies" in with_scaled


def test_studies_of_generations_are_on_the_page_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "figures", tmp_path, ignore=shutil.ignore_patterns("*.png", "*.svg"), dirs_exist_ok=True)
    (folder := tmp_path / "studies" / "generations" / "mine").mkdir(parents=True)
    kept = json.loads((STUDIES / "digits" / "verdicts.json").read_text())
    (folder / "verdicts.json").write_text(json.dumps({"H7.1": kept["H3"], "GROWTH": kept["H4"]}))
    (folder / "generations.json").write_text(json.dumps({"scaled": "", "smoke": False}))
    monkeypatch.setattr(findings_numbers, "FIGURES", tmp_path)
    rows = {row[:2]: row[2] for row in rows_of_findings(findings.render())}
    assert rows["H7.1", "generations/mine"] == kept["H3"]["verdict"]
    assert rows["GROWTH", "generations/mine"] == kept["H4"]["verdict"]


def test_a_smoke_run_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(STUDIES / "digits", folder := tmp_path / "studies" / "mine")
    (folder / "study.json").write_text(json.dumps(json.loads((folder / "study.json").read_text()) | {"smoke": True}))
    monkeypatch.setattr(findings_numbers, "FIGURES", tmp_path)
    with pytest.raises(ValueError, match="mine must be a full run, got a smoke run"):
        read_studies()


def test_a_study_that_shares_teachers_is_no_second_witness() -> None:
    studies = read_studies()
    first, other, small = (studies[f"reference/{name}"] for name in ("synthetic", "digits", "digits-conv"))
    twin = StudyResults("synthetic")
    twin.__dict__["plan"] = first.plan | {"teachers": first.plan["teachers"][:2]}
    assert findings_numbers.witnesses([first, other, small, twin]) == [first, other, small]


def test_students_are_paired_by_replicate() -> None:
    """Against the tables that the study itself wrote, and an interval from SciPy."""
    study = read_studies()["reference/synthetic-weights"]
    gain = study.part("H4-weight", "kd at weight 0.97 - kd")  # the pilot took T = 8 for both
    found = study.weighed(0.97)
    assert (found.effect, found.low, found.high, found.n) == pytest.approx((gain.effect, gain.low, gain.high, gain.n))
    kd, alone = study.students_of("kd", "mlp-256"), study.students_of("none")
    interval = stats.ttest_rel(kd, alone).confidence_interval()
    number = findings_numbers.paired(kd, alone)
    assert (number.low, number.high, number.n) == pytest.approx((*interval, 64))
    assert number.effect == pytest.approx(study.student("kd, tuned T", "mlp-256").effect - study.student("none").effect)
    with pytest.raises(LookupError, match="1 row for an arm"):
        study.students_of("kd", "mlp-256", temperature=3.0)


def test_rates_are_compared_on_the_same_teachers_each_method_at_its_best() -> None:
    same = findings_rates.at_rates(read_studies(), "synthetic-hinton")
    assert [study.plan["student_training"]["learning_rate"] for study in same] == pytest.approx([0.01, 0.03, 0.1])
    teachers = [[row["test_accuracy"] for row in study.table("teachers")] for study in same]
    assert teachers[0] == teachers[1] == teachers[2]
    ttm, kd = (findings_rates.at_best_rate(same, method) for method in ("ttm", "kd-hinton"))
    assert ttm.mean() == pytest.approx(same[1].student("ttm", "mlp-256").effect)
    assert kd.mean() == pytest.approx(same[2].student("kd-hinton, tuned T", "mlp-256").effect)
    interval = stats.ttest_rel(ttm, kd).confidence_interval()
    number = findings_numbers.paired(ttm, kd)
    assert (number.low, number.high, number.n) == pytest.approx((*interval, 64))


def test_a_control_has_students_of_its_own() -> None:
    images = read_studies()["scaled/cifar10-2-core"]
    for row in images.table("controls"):
        if row["label"] in ("labels alone", "lr0.3 teacher", "twin teacher"):
            clean = images.students_of("kd", "resnet56", temperature=4.0)
            found = findings_numbers.paired(images.students_of_control(row["label"]), clean)
            assert (found.effect, found.n) == pytest.approx((row["effect"], row["n"]))


TRIPLE = re.compile(r"[+-]\d+\.\d+(?: points)? \[[+-]\d+\.\d+, [+-]\d+\.\d+\]")
COUNT = re.compile(r"\bn = (\d+)(?: and (\d+))?|\b(\d+) replicates\b")


def results_of_readme(text: str) -> str:
    """The caption of the first figure and the section on results, on one line."""
    caption = text.split("*Same teachers")[1].split("*\n")[0] if "*Same teachers" in text else ""
    section = text.split("studies found")[1].split("\n## ")[0]
    return " ".join((caption + section).split())


def numbers_with_intervals(value: Any) -> Iterator[dict[str, Any]]:
    """Every record with an effect and an interval in a verdict file."""
    if isinstance(value, dict) and {"effect", "low", "high"} <= set(value):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from numbers_with_intervals(part)


@cache
def measured() -> tuple[set[str], set[str]]:
    """(effects with their intervals as a text shows them, values of n) of all committed studies."""
    rows = [row for path in verdict_files() for row in numbers_with_intervals(json.loads(path.read_text()))]
    for path in STUDIES.glob("**/tables/*.csv"):
        if {"effect", "unit"} <= set((table := pd.read_csv(path)).columns):
            rows += table.to_dict("records")
    triples = set()
    for row in rows:
        scale, digits = (100, 2) if row["unit"] == "accuracy" else (1, 3)
        effect, low, high = (f"{scale * row[name]:+.{digits}f}" for name in ("effect", "low", "high"))
        triples.add(f"{effect} [{low}, {high}]")
    return triples, {str(row["n"]) for row in rows}


HISTORY = "a first run left H2 on digits unresolved (n = 12)"
"""Said of a run that was not kept."""


def unmeasured(section: str) -> list[str]:
    """Effects and counts in a text that no committed file holds."""
    triples, counts = measured()
    text = section.replace(HISTORY, "")
    effects = [found for found in TRIPLE.findall(text) if found.replace(" points", "") not in triples]
    told = [n for groups in COUNT.findall(text) for n in groups if n]
    bare = re.findall(r"[+-]\d+\.\d+", TRIPLE.sub("", text))
    return effects + [n for n in told if n not in counts] + bare


def test_the_results_of_the_readme_are_measured_ones() -> None:
    section = results_of_readme(README)
    assert len(TRIPLE.findall(section)) > 10 and COUNT.search(section)
    assert unmeasured(section) == []


def test_a_result_of_the_readme_with_a_digit_changed_is_refused() -> None:
    section = results_of_readme(README)
    for part in (*TRIPLE.findall(section), *(found[0] for found in COUNT.finditer(section.replace(HISTORY, "")))):
        for changed in with_one_digit_changed(part):
            if changed.replace(" points", "") in measured()[0]:
                continue  # by chance another study's number: tests/test_readme.py holds each row to its own study
            assert unmeasured(section.replace(part, changed)), f"{changed} for {part}"
