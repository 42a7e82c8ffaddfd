"""A `Study` as a TOML file: the words of the Python record, read strictly, written so that it reads back equal."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from darkprobe.checks import check_choice
from darkprobe.distill.config import TrainConfig
from darkprobe.errors import DataError, InvalidTypeError, InvalidValueError
from darkprobe.files import write_text
from darkprobe.study.plan import Control, MethodPlan, Study

_RECORDS = {
    "teacher_training": TrainConfig,
    "student_training": TrainConfig,
    "reference": MethodPlan,
    "fixes": MethodPlan,
    "controls": Control,
}
_ADAPTER = TypeAdapter(Study)


def read_study(path: Path | str) -> Study:
    """The study that a TOML file describes.

    Raises:
        DataError: the file does not exist or is not TOML.
        UnknownNameError: it has a key that a study does not have; near names are told.
        InvalidTypeError: a key is missing or holds something of another type.
        InvalidValueError: the plan cannot be run.
    """
    if not Path(path).is_file():
        raise DataError(f"read_study: `path` must be a file, got {str(path)!r}, where there is none. Correct it.")
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"read_study: {path} must be a TOML file, got something else ({error}). Correct it.") from error
    return study_from(values, source=str(path))


def study_from(values: Mapping[str, Any], *, source: str) -> Study:
    """The study of nested mappings with the names of `Study` and its records; `source` is for messages."""
    _check_keys(values, Study, source)
    for name in _RECORDS.keys() & values.keys():
        tables = values[name] if isinstance(values[name], (list, tuple)) else [values[name]]
        for table in tables:
            _check_keys(table if isinstance(table, Mapping) else {}, _RECORDS[name], source)
    try:
        return _ADAPTER.validate_python(dict(values))
    except OverflowError as large:
        raise InvalidValueError(
            f"read_study: numbers of {source} must fit into a float, got one that does not ({large}). Correct it."
        ) from large
    except ValidationError as errors:
        error = errors.errors()[0]
        place = ".".join(str(part) for part in error["loc"])
        came = "none" if error["type"] == "missing" else repr(error["input"])  # not all that stands around it
        if error["type"] == "value_error":  # one of our own, from the record's own checks
            refusal: Exception = error["ctx"]["error"]
            refusal.add_note(f"(in {source})")
            raise refusal from None
        raise InvalidTypeError(
            f"read_study: `{place}` of {source} must be right, got {came}: {error['msg']}. Correct it."
        ) from None


def _check_keys(values: Mapping[str, Any], record: type, source: str) -> None:
    names = [field.name for field in fields(record)]
    for key in values:
        check_choice(f"key in {source}", key, names)


def write_study(study: Study, path: Path | str) -> None:
    """Writes the study as TOML; `read_study` gives back an equal one."""
    write_text(path, study_toml(study))


def study_toml(study: Study) -> str:
    """The study as TOML text."""
    values = study.as_dict()
    lines = [f"{name} = {_inline(value)}" for name, value in values.items() if name not in _RECORDS]
    for name in _RECORDS:
        tables = values[name] if isinstance(values[name], (list, tuple)) else [values[name]]
        head = f"[[{name}]]" if tables is values[name] else f"[{name}]"
        for table in tables:
            lines += ["", head, *(f"{key} = {_inline(value)}" for key, value in table.items() if value is not None)]
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    """One value on one line; TOML has no null, keys that are None are left out and read back as the default None."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)  # the basic strings of TOML and JSON agree
    return repr(value)
