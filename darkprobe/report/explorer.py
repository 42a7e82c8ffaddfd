"""The numbers that move on the page: metrics against capacity and temperature, and single examples.

Owns the JSON that the page's script reads and the empty places it fills. Without a script nothing is lost: the same
numbers stand in the tables and the figures.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from darkprobe.plots.style import model_colours
from darkprobe.report.examples import check_examples
from darkprobe.report.markup import Html, element, escaped, joined

NEEDED = ("model", "metric", "temperature", "value", "parameters")


def data_block(name: str, value: object) -> Html:
    """JSON inside the page; `<` is written as an escape, so no text can end the block."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Html(f'<script type="application/json" id="{escaped(name)}">{text}</script>')


def explorer_section(profile: pd.DataFrame | None) -> Html:
    """Place and numbers of the two linked charts, or nothing when the study has no profile by capacity."""
    if profile is None or not set(NEEDED) <= set(profile.columns) or profile["parameters"].isna().all():
        return Html("")
    size = {str(model): float(p) for model, p in zip(profile["model"], profile["parameters"], strict=True)}
    payload = {"colours": model_colours(size, parameters=size), "rows": _rows(profile)}
    told = (
        "Left: every teacher's value against its size, at the temperature of the slider. Right: the same value against "
        "temperature, a line per teacher. Choose another metric to see which factor carries a difference."
    )
    place = element("div", attributes={"id": "explorer", "class": "panel needs-script"})
    link = element("a", escaped("All numbers, with a download"), attributes={"href": "#table-profile"})
    return joined([element("p", escaped(told)), place, element("p", link), data_block("profile-data", payload)])


def _rows(profile: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    known = profile.notna() & ~profile.isin([math.inf, -math.inf])  # JSON has no infinity
    for row in profile.astype(object).where(known, None).to_dict("records"):
        part = ", ".join(f"{row[key]}" for key in ("dataset", "split", "subset") if row.get(key) is not None)
        rows.append(
            {
                "model": str(row["model"]),
                "family": str(row.get("family") or ""),
                "parameters": row["parameters"],
                "metric": str(row["metric"]),
                "part": part,
                "temperature": row["temperature"],
                "value": row["value"],
                "low": row.get("low"),
                "high": row.get("high"),
                "n": row.get("n"),
                "counted": row.get("unit_of_n"),
                "unit": row.get("unit") or "",
            }
        )
    return [row for row in rows if row["value"] is not None and row["parameters"] is not None]


def examples_section(examples: Mapping[str, Any]) -> Html:
    """Place and numbers of the drill-down into single examples, or nothing when the study kept none."""
    if not examples:
        return Html("")
    check_examples(examples)
    colours = model_colours(examples["models"], parameters=dict(_places(examples["models"])))
    told = (
        f"{len(examples['examples'])} of {examples['n']:,} examples of {examples['dataset']} ({examples['split']}). "
        "Choose one to see what "
        "each teacher tells a student about its wrong classes; move the temperature to see them soften. "
        "These are single examples picked for being extreme, not evidence about a teacher."
    )
    place = element("div", attributes={"id": "drill-down", "class": "panel needs-script"})
    block = data_block("examples-data", {**examples, "colours": colours})
    return joined([element("p", escaped(told)), place, block])


def _places(models: list[str]) -> list[tuple[str, float]]:
    return [(model, float(place)) for place, model in enumerate(models)]
