"""The parts of the page below the verdicts: figures, tables, settings, provenance, how to repeat the study."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from darkprobe.report.folder import Picture, StudyFolder
from darkprobe.report.markup import Html, data_table, download, element, element_image, escaped, joined, number

MIME = {".svg": "image/svg+xml", ".png": "image/png", ".csv": "text/csv", ".json": "application/json"}
ROW_LIMIT = 2000

# Figures that studies draw, in the order of the page: heading, and how to read it. Others follow under their own name.
KNOWN = {
    "capacity": (
        "Capacity and distinctness",
        "A falling line: the larger the teacher, the less it tells wrong classes apart.",
    ),
    "capacity_mass": (
        "First factor: what is left for wrong classes",
        "Distinctness is this times the next; a falling line: larger teachers are surer of the right class.",
    ),
    "capacity_shape": (
        "Second factor: how it is shared out",
        "A falling line would mean flatter wrong classes; a level or rising one means that their shape is intact.",
    ),
    "temperature": (
        "Distinctness by temperature",
        "Where curves cross, which teacher is ahead depends on T: compare whole curves.",
    ),
    "mismatch_temperature": (
        "Students of plain distillation",
        "A falling line at one fixed T and a level one at tuned T: the temperature, not the teacher, was the trouble.",
    ),
    "mismatch_fixes": ("Students of every method", "A falling line: larger teachers teach worse."),
    "mismatch": ("Students of every method", "A falling line: larger teachers teach worse."),
    "effects": ("Paired differences", "An interval that does not touch the line at zero is a difference."),
    "controls": (
        "Controls",
        "Planted damage and planted nothing: a sound method finds the one and not the other.",
    ),
    "levels": (
        "What soft labels hold",
        "Nats beyond an even guess, in parts that add up; a short part is knowledge that teacher does not pass on.",
    ),
    "affinity": ("Which classes are alike", "A dark cell: examples of this row's class lean to that column's."),
    "profile": ("Soft labels of single examples", "What a student is shown, the true class left out."),
}

# These may hold photographs, which a dark page must not turn into negatives.
WITH_PHOTOS = ("profile", "examples")

TABLES = {
    "accuracy": "Students by teacher and method",
    "effects": "Paired differences",
    "controls": "Controls",
    "profile": "Soft-label metrics",
    "levels": "What soft labels hold, level by level",
    "teachers": "Teachers' own accuracy",
}


def figures_section(study: StudyFolder, *more: Html) -> Html:
    """Every picture with its reading aid and downloads, then figures made for the page alone."""
    if not study.pictures and not any(more):
        return element("p", escaped("This study has drawn no figures."))
    order = {name: place for place, name in enumerate(KNOWN)}
    pictures = sorted(study.pictures, key=lambda picture: (order.get(picture.name, len(order)), picture.name))
    return element("div", *(_figure(picture) for picture in pictures), *more, attributes={"class": "figures"})


def _figure(picture: Picture) -> Html:
    plain = picture.name.replace("_", " ").replace("-", " ").capitalize()
    title, reading = KNOWN.get(picture.name, (plain, ""))
    image = element_image(picture.path.read_bytes(), mime=MIME[picture.path.suffix], alt=f"{title}. {reading}")
    links = [(picture.path, "picture"), (picture.numbers, "numbers"), (picture.provenance, "provenance")]
    return element(
        "figure",
        image,
        element(
            "figcaption",
            element("strong", escaped(title)),
            escaped(f". {reading} "),
            joined((file_link(path, text) for path, text in links if path is not None), " "),
        ),
        attributes={"class": "photo" if picture.name.lower().startswith(WITH_PHOTOS) else None},
    )


def file_link(path: Path, text: str) -> Html:
    """A download of a file on disk, under its own name."""
    return download(
        path.read_bytes(), name=path.name, mime=MIME[path.suffix], text=f"{text} ({path.suffix[1:].upper()})"
    )


def students_section(study: StudyFolder) -> Html:
    """Accuracy of students by method (rows) and teacher (columns), and every run."""
    parts = []
    accuracy = study.tables.get("accuracy")
    if accuracy is not None and {"teacher", "method", "value"} <= set(accuracy.columns):
        parts.append(_students_by_method(accuracy))
    if study.runs is not None:
        parts.append(table_section("runs", study.runs, title=f"All {len(study.runs):,} runs"))
    return joined(parts) or element("p", escaped("No students were trained yet."))


def _students_by_method(accuracy: pd.DataFrame) -> Html:
    """Methods by teachers; a row without a teacher is the student alone."""
    taught = accuracy[accuracy["teacher"].notna() & (accuracy["teacher"] != "")]
    order = taught.sort_values("parameters", kind="stable") if "parameters" in taught else taught
    teachers = list(dict.fromkeys(order["teacher"]))
    rows = []
    for method, group in taught.groupby("method", sort=False):
        by_teacher = {row["teacher"]: row for row in group.to_dict("records")}
        rows.append([method, *(_with_interval(by_teacher.get(teacher)) for teacher in teachers)])
    alone = [_with_interval(row) for row in accuracy.drop(taught.index).to_dict("records")]
    note = f"Student test accuracy in percent ± half the 95 % interval, by teacher from small to large. {_n(accuracy)}"
    if alone:
        note += f" The student alone: {alone[0]}."
    return data_table(["method", *(str(t) for t in teachers)], rows, caption=note)


def _with_interval(row: Mapping[Any, Any] | None) -> str:
    if row is None or pd.isna(row["value"]):
        return "–"
    low, high = row.get("low"), row.get("high")
    shown = f"{100 * row['value']:.2f}"
    return shown if low is None or pd.isna(low) or pd.isna(high) else f"{shown} ± {100 * (high - low) / 2:.2f}"


def _n(table: pd.DataFrame) -> str:
    if "n" not in table or table["n"].dropna().empty:
        return ""
    noun = str(table["unit_of_n"].iloc[0]) if "unit_of_n" in table else ""
    low, high = number(table["n"].min()), number(table["n"].max())
    return f"n = {low}{f' to {high}' if high != low else ''} {noun}".rstrip() + "."


def tables_section(study: StudyFolder) -> Html:
    """Every table of the study but the runs, closed until asked for."""
    parts = [
        table_section(name, table, title=TABLES.get(name, name.replace("_", " ")))
        for name, table in study.tables.items()
    ]
    return joined(parts) or element("p", escaped("This study has written no tables."))


def table_section(name: str, table: pd.DataFrame, *, title: str) -> Html:
    """A table that opens on demand, with a download of all its rows."""
    shown = table.head(ROW_LIMIT).astype(object)
    shown = shown.where(shown.notna(), None)
    caption = title if len(table) <= ROW_LIMIT else f"{title}: the first {ROW_LIMIT:,} of {len(table):,} rows"
    content = table.to_csv(index=False, lineterminator="\n").encode()
    return element(
        "details",
        element("summary", escaped(f"{title} ({len(table):,} rows)")),
        element("p", download(content, name=f"{name}.csv", mime="text/csv", text=f"{name}.csv (all rows)")),
        data_table([str(column) for column in table.columns], shown.itertuples(index=False), caption=caption),
        attributes={"id": f"table-{name}"},
    )


def settings_section(study: StudyFolder) -> Html:
    """The resolved plan, a row per setting."""
    plan = {key: value for key, value in study.plan.items() if key != "provenance"}
    content = json.dumps(study.plan, indent=2).encode()
    link = download(content, name="study.json", mime="application/json", text="study.json")
    return joined([element("p", link), data_table(["setting", "value"], _flat(plan), caption="The plan as it was run")])


def provenance_section(study: StudyFolder) -> Html:
    """Command, versions and machine."""
    if not study.provenance:
        return element("p", escaped("The study recorded no provenance."))
    return data_table(["fact", "value"], _flat(study.provenance), caption="Where these numbers come from")


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[list[str]]:
    rows: list[list[str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows.extend(_flat(value, f"{name}."))
        elif isinstance(value, list) and not any(isinstance(item, Mapping | list) for item in value):
            rows.append([name, ", ".join(_plain(item) for item in value)])
        else:
            rows.append([name, json.dumps(value) if isinstance(value, list) else _plain(value)])
    return rows


def _plain(value: object) -> str:
    return number(value, digits=6) if isinstance(value, float) else str(value)


def reproduce_section(study: StudyFolder) -> Html:
    """The commands that give these numbers again."""
    command = str(study.provenance.get("command") or f"darkprobe verify {study.name} --out DIR")
    lines = [f"darkprobe {study.provenance.get('versions', {}).get('darkprobe', '')!s}".strip(), command]
    commit = study.provenance.get("commit")
    lines[0] = f"# {lines[0]}" + (f", commit {commit}" if commit else "")
    told = (
        "The same command with the same seed and versions gives the same runs and verdicts, but for the seconds they "
        "took. Given the same directory again, a study resumes: what is done is not run twice. To make this page again "
        "from the files beside it:"
    )
    return joined(
        [
            element("pre", element("code", escaped("\n".join(lines))), attributes={"tabindex": 0}),
            element("p", escaped(told)),
            element("pre", element("code", escaped(f"darkprobe report {study.directory}")), attributes={"tabindex": 0}),
        ]
    )
