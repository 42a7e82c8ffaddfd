"""What a finished (or half-finished) study left in its directory.

`study.json` must be there: the plan, with `provenance`. The rest is read where present:

* `verdicts.json`: hypothesis -> `verdict, quantity, unit, effect, low, high, n, unit_of_n, test, p_adjusted,
  more_seeds, claim, sentence, detail` (a list of rows).
* `runs.csv`: one row per student.
* `tables/profile.csv`: tidy rows (model, ..., unit) with `parameters` and `family`; n counts what `unit_of_n` says.
* `tables/accuracy.csv`: `teacher, parameters, method, value, low, high, n, unit`.
* `tables/effects.csv`: `label, effect, low, high, n, unit`, and `group` where wanted.
* `tables/controls.csv`: `control, label, effect, low, high, n, unit`.
* any other `tables/*.csv`, shown as it is.
* `tables/examples.json`: single examples with their soft labels (see `darkprobe.report.examples`).
* `figures/*.png|svg` with `.csv` and `.json` of the same name beside each.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd
from pydantic import BaseModel, NonNegativeInt, PositiveFloat, TypeAdapter, ValidationError, model_validator

from darkprobe.errors import DataError
from darkprobe.files import read_json

PICTURES = (".svg", ".png")
SHOWN = (*PICTURES, ".csv", ".json")
MEASURED = ("profile", "accuracy", "effects", "controls", "teachers")
"""Tables whose numbers the page draws or writes anew."""
NUMBERS = ("value", "effect", "test_accuracy", "low", "high", "n", "parameters", "temperature")


class _Verdict(BaseModel):
    """What the page reckons with; everything else it only spells."""

    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    p_adjusted: float | None = None
    more_seeds: int | None = None
    detail: list[dict[str, Any]] = []


class _Provenance(BaseModel):
    versions: dict[str, Any] = {}


class _Plan(BaseModel):
    provenance: _Provenance = _Provenance()


class _Example(BaseModel):
    id: str
    label: NonNegativeInt
    logits: list[list[float]]
    image: str | None = None


class _Examples(BaseModel):
    """What the page's script draws; which keys are missing, `check_examples` says."""

    dataset: str = ""
    split: str = ""
    n: NonNegativeInt = 0
    models: list[str] = []
    class_names: list[str] = []
    temperatures: list[PositiveFloat] = []
    orders: dict[str, list[NonNegativeInt]] = {}
    examples: list[_Example] = []

    @model_validator(mode="after")
    def _fits(self) -> Self:
        shape = len(self.models), len(self.class_names)
        for example in self.examples:
            if (len(example.logits), *{len(row) for row in example.logits}) != shape or example.label >= shape[1]:
                raise ValueError(f"example {example.id} does not fit the {shape[0]} models and {shape[1]} classes")
        if any(place >= len(self.examples) for order in self.orders.values() for place in order):
            raise ValueError(f"an order leads beyond the {len(self.examples)} examples")
        return self


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One figure on disk.

    Attributes:
        name: file name without its ending.
        path: the picture; an SVG is preferred to a PNG of the same name.
        numbers, provenance: the CSV and JSON beside it, or None where absent.
    """

    name: str
    path: Path
    numbers: Path | None
    provenance: Path | None


@dataclass(frozen=True, kw_only=True)
class StudyFolder:
    """A study as read from its directory; what is absent is empty."""

    directory: Path
    plan: dict[str, Any]
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: pd.DataFrame | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    examples: dict[str, Any] = field(default_factory=dict)

    @property
    def provenance(self) -> dict[str, Any]:
        """Command, versions, machine and time, as the study recorded them."""
        found = self.plan.get("provenance", {})
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        """Name of the study, or of its directory."""
        return str(self.plan.get("name") or self.directory.resolve().name)


def read_study_folder(directory: Path | str) -> StudyFolder:
    """The study in `directory`.

    Raises:
        DataError: the directory holds no study, or a file in it cannot be read.
    """
    directory = Path(directory)
    if not (directory / "study.json").is_file():
        raise DataError(
            f"write_report: `directory` must hold a study (study.json), got {str(directory)!r}, which has none. "
            "Run `darkprobe verify STUDY --out DIR` first and give its DIR."
        )
    _check_own_files(directory)
    runs = directory / "runs.csv"
    return StudyFolder(
        directory=directory,
        plan=_read_object(directory / "study.json", _Plan),
        verdicts=_read_object(directory / "verdicts.json", dict[str, _Verdict]),
        runs=_read_table(runs) if runs.is_file() else None,
        tables={path.stem: _read_table(path) for path in sorted((directory / "tables").glob("*.csv"))},
        pictures=_pictures(directory / "figures"),
        examples=_read_object(directory / "tables" / "examples.json", _Examples),
    )


def _check_own_files(directory: Path) -> None:
    """Refuses links out of a study: the page holds what it shows, and would carry a private file to its readers."""
    home = directory.resolve()
    for path in sorted(path for part in (".", "tables", "figures") for path in (directory / part).glob("*.*")):
        if path.suffix not in SHOWN:
            continue
        if not path.resolve().is_relative_to(home) or not path.is_file():
            raise DataError(
                f"write_report: {path.name} must be a file of the study, got a link that leads out of it, a folder or "
                "a device. Remove it, or put the file itself there."
            )


def _read_object(path: Path, form: Any) -> dict[str, Any]:
    found = read_json(path, who="write_report") if path.is_file() else {}
    try:
        TypeAdapter(form).validate_python(found, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(
            f"write_report: {path.name} must be as a study writes it, got {str(first['input'])[:80]!r} at {place} "
            f"({first['msg']}). Run the study again: it writes its results anew."
        ) from error
    return found


def _read_table(path: Path) -> pd.DataFrame:
    try:
        found = pd.read_csv(path)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except ValueError as error:  # pandas' own errors and those of decoding are such
        raise DataError(
            f"write_report: {path.name} must be a table (CSV), got something else ({error}). Run the study again."
        ) from error
    for name in NUMBERS if path.stem in MEASURED else ():
        if name in found and not (pd.api.types.is_numeric_dtype(found[name]) or found[name].isna().all()):
            raise DataError(
                f"write_report: column {name} of {path.name} must hold numbers, got something else. Run the study "
                "again: it writes its results anew."
            )
    return found


def _pictures(directory: Path) -> tuple[Picture, ...]:
    found: dict[str, Picture] = {}
    for suffix in PICTURES:
        for path in sorted(directory.glob(f"*{suffix}")):
            numbers, provenance = path.with_suffix(".csv"), path.with_suffix(".json")
            found.setdefault(
                path.stem,
                Picture(
                    name=path.stem,
                    path=path,
                    numbers=numbers if numbers.is_file() else None,
                    provenance=provenance if provenance.is_file() else None,
                ),
            )
    return tuple(found[name] for name in sorted(found))
