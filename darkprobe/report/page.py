"""The page: template, style and script put together into one file."""

import base64
import hashlib
from importlib import resources
from pathlib import Path
from string import Template

from darkprobe import __version__
from darkprobe.errors import DarkprobeError
from darkprobe.files import write_text
from darkprobe.report import sections
from darkprobe.report.explorer import examples_section, explorer_section
from darkprobe.report.folder import StudyFolder, read_study_folder
from darkprobe.report.from_store import affinity_figure, examples_of, shown_group
from darkprobe.report.markup import Html, element, escaped, joined
from darkprobe.report.verdicts import tally, verdicts_section
from darkprobe.report.words import words_section

PAGE_NAME = "report.html"

INTRODUCTION = (
    "A large network (the teacher) can train a small one (the student) by showing it, for every example, the "
    "probabilities it gives to all classes: its soft labels. What these say about the wrong classes is called dark "
    "knowledge. This study trained teachers of several sizes, measured their soft labels, trained students on them, "
    "and tested by repetition whether larger teachers tell wrong classes apart less, whether they teach worse, and "
    "whether a fix helps."
)


def write_report(directory: Path | str) -> Path:
    """The path of the page written: `directory`/report.html, one file that needs no network.

    Reads what `darkprobe.report.folder` lists; a study that has not finished gives a page that says so. An older page
    is replaced.

    Args:
        directory: where `darkprobe verify --out` left a study.

    Raises:
        DataError: the directory holds no study, or a file in it cannot be read.
    """
    study = read_study_folder(directory)
    path = study.directory / PAGE_NAME
    write_text(path, render(study))
    return path


def render(study: StudyFolder) -> str:
    """The whole page as text."""
    affinity, examples = _from_store(study)
    found = [
        ("verdicts", "What was found", verdicts_section(study.verdicts)),
        ("explore", "Capacity, distinctness, temperature", explorer_section(study.tables.get("profile"))),
        ("figures", "Figures", sections.figures_section(study, affinity)),
        ("students", "Students", sections.students_section(study)),
        ("examples", "Single examples", examples),
        ("tables", "Tables", sections.tables_section(study)),
        ("words", "Words", words_section(study)),
        ("settings", "Settings", sections.settings_section(study)),
        ("reproduce", "How to repeat it", sections.reproduce_section(study)),
        ("provenance", "Provenance", sections.provenance_section(study)),
    ]
    parts = [part for part in found if part[2]]
    style = _asset("page.css")
    script = f'"use strict";\n{_asset("charts.js")}{_asset("page.js")}'
    return Template(_asset("page.html")).substitute(
        title=escaped(f"darkprobe: {study.name}"),
        heading=escaped(f"Study: {study.name}"),
        summary=escaped(_summary(study)),
        introduction=escaped(INTRODUCTION),
        policy=f"default-src 'none'; img-src data:; style-src {_fingerprint(style)}; script-src {_fingerprint(script)}",
        navigation=joined(element("a", escaped(title), attributes={"href": f"#{key}"}) for key, title, _ in parts),
        main=joined(_section(key, title, body) for key, title, body in parts),
        footer=escaped(f"Made by darkprobe {__version__}. This page is one file and loads nothing from elsewhere."),
        style=style,
        script=script,
    )


def _from_store(study: StudyFolder) -> tuple[Html, Html]:
    """Class affinities and single examples; a store that cannot be read costs these two, not the page."""
    try:
        group = shown_group(study.directory / "store")
        drawn = any(picture.name.startswith("affinity") for picture in study.pictures)
        affinity = affinity_figure(group) if group and len(group.records) > 1 and not drawn else Html("")
        record = study.examples or (examples_of(group) if group else {})
    except DarkprobeError as error:
        return Html(""), element("p", escaped(f"The study's logits could not be read, so none are shown: {error}"))
    return affinity, examples_section(record)


def _section(key: str, title: str, body: Html) -> Html:
    heading = element("h2", escaped(title), attributes={"id": f"{key}-heading"})
    return element("section", heading, body, attributes={"id": key, "aria-labelledby": f"{key}-heading"})


def _summary(study: StudyFolder) -> str:
    facts = ["Smoke run: no evidence."] if study.plan.get("smoke") else []
    facts += [f"Scaled study: {study.plan['scaled']}."] if study.plan.get("scaled") else []
    facts.append(tally(study.verdicts) if study.verdicts else "Not finished yet.")
    if study.runs is not None:
        facts.append(f"{len(study.runs):,} students trained.")
    if study.provenance.get("time"):
        facts.append(f"Run on {str(study.provenance['time'])[:16].replace('T', ' at ')} UTC.")
    return " ".join(facts)


def _asset(name: str) -> str:
    return resources.files("darkprobe.report").joinpath(name).read_text(encoding="utf-8")


def _fingerprint(text: str) -> str:
    """How a content policy names one inline block: only that text may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
