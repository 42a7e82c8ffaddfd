"""Verdicts in plain words: one sentence each, with the effect, its interval, n and what n counts."""

from collections.abc import Mapping
from typing import Any

from darkprobe.report.markup import (
    SHARES,
    Html,
    data_table,
    difference,
    difference_unit,
    element,
    escaped,
    is_number,
    joined,
    number,
)

# What each hypothesis claims, for files that do not say it themselves.
CLAIMS = {
    "H1": "Larger teachers give soft labels whose wrong classes are less distinct.",
    "H2": "Teachers of every size agree on which classes are alike.",
    "H3": "A smaller teacher teaches better than the largest one.",
    "H4": "A fix lets the largest teacher teach better.",
    "H4-weight": "A fix gives more than another weight of the teacher term.",
    "H5": "Class relations and single examples add to what label smoothing gives.",
    "H6": "Transformed matching teaches better than distillation with a student temperature.",
    "H7": "A tolerant teacher is less accurate and teaches better.",
    "H8": "A teacher's calibration predicts how well it teaches.",
    "H9": "More distinct wrong classes at the same confidence teach better.",
}

FACTS = {"class": "facts"}
VERDICTS = {
    "confirmed": ("confirmed", "✓"),
    "refuted": ("refuted", "✗"),
    "not resolved": ("open", "?"),
}


def verdicts_section(verdicts: Mapping[str, Mapping[str, Any]]) -> Html:
    """A card per hypothesis and diagnosis; controls behind one line, which says whether they came out as planted."""
    if not verdicts:
        return element("p", escaped("No verdicts yet: the study has not finished. Run it again to resume."))
    parts = [_card(name, verdicts[name]) for name in _of_family(verdicts, "hypotheses")]
    if diagnoses := _of_family(verdicts, "diagnoses"):
        parts.append(element("h3", escaped("What teachers lost"), attributes={"class": "family"}))
        parts += [_card(name, verdicts[name]) for name in diagnoses]
    if controls := _of_family(verdicts, "controls"):
        right = sum(bool(verdicts[name].get("as_expected")) for name in controls)
        said = f"Controls: {right} of {len(controls)} came out as planted"
        cards = joined(_card(name, verdicts[name]) for name in controls)
        parts.append(element("details", element("summary", escaped(said)), cards, attributes={"id": "controls"}))
    return joined(parts)


def _of_family(verdicts: Mapping[str, Mapping[str, Any]], family: str) -> list[str]:
    return [name for name, verdict in verdicts.items() if verdict.get("family", "hypotheses") == family]


def tally(verdicts: Mapping[str, Mapping[str, Any]]) -> str:
    """How many of the hypotheses are confirmed, refuted and not resolved."""
    verdicts = {name: verdicts[name] for name in _of_family(verdicts, "hypotheses")}
    counts = {word: sum(v.get("verdict") == word for v in verdicts.values()) for word in VERDICTS}
    found = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    plural = "hypothesis" if len(verdicts) == 1 else "hypotheses"
    return f"{len(verdicts)} {plural} tested: {found or 'none decided'}."


def sentence(name: str, verdict: Mapping[str, Any]) -> str:
    """The verdict in one sentence, as the study wrote it or put together from its numbers."""
    if verdict.get("sentence"):
        return str(verdict["sentence"])
    word = str(verdict.get("verdict", "not resolved"))
    return f"{word.capitalize()}: {verdict.get('quantity', name)} is {measured(verdict)}."


def measured(verdict: Mapping[str, Any]) -> str:
    """Effect, unit, interval, n and what n counts."""
    unit = str(verdict.get("unit") or "")
    ends = f"{difference(verdict.get('low'), unit)} to {difference(verdict.get('high'), unit)}"
    shown = difference_unit(unit)
    count = f"n = {number(verdict.get('n'))} {verdict.get('unit_of_n') or ''}".rstrip()
    return f"{difference(verdict.get('effect'), unit)}{f' {shown}' if shown else ''} (95 % interval {ends}; {count})"


def _card(name: str, verdict: Mapping[str, Any]) -> Html:
    word = str(verdict.get("verdict", "not resolved"))
    css, sign = VERDICTS.get(word, VERDICTS["not resolved"])
    badge = element(
        "span",
        element("span", escaped(sign), attributes={"aria-hidden": "true"}),
        escaped(f" {word}"),
        attributes={"class": f"badge {css}"},
    )
    heading = element("h3", element("span", escaped(name), attributes={"class": "key"}), escaped(" "), badge)
    told = sentence(name, verdict)
    claim = str(verdict.get("claim") or CLAIMS.get(name, name))
    quantity = str(verdict.get("quantity") or "")
    parts = [
        element("p", escaped(claim), attributes={"class": "claim"}),
        element("p", escaped(_without_repeats(told, word, claim))),
        Html("") if quantity in told else element("p", escaped(f"{quantity}: {measured(verdict)}"), attributes=FACTS),
    ]
    return element(
        "article", heading, *parts, _how(verdict), attributes={"class": f"verdict {css}", "id": f"verdict-{name}"}
    )


def _without_repeats(told: str, word: str, claim: str) -> str:
    """The sentence without the verdict and the claim at its front, which stand above it."""
    return told.removeprefix(f"{word.capitalize()}: {claim}").strip() or told


def _how(verdict: Mapping[str, Any]) -> Html:
    parts = []
    if verdict.get("expected"):
        met = "as expected" if verdict.get("as_expected") else "against what was planted"
        parts.append(f"Expected: {verdict['expected']}; it came out {met}.")
    if verdict.get("test"):
        parts.append(f"Test: {verdict['test']}.")
    if is_number(p := verdict.get("p_adjusted")):
        parts.append(f"Adjusted p {'< 0.0001' if p < 1e-4 else f'= {number(p, digits=2)}'}.")
    if is_number(verdict.get("low_adjusted")) and is_number(verdict.get("high_adjusted")):
        ends = (difference(verdict[key], str(verdict.get("unit") or "")) for key in ("low_adjusted", "high_adjusted"))
        parts.append(f"Interval after the correction: {' to '.join(ends)}.")
    if verdict.get("more_seeds") and verdict.get("verdict") == "not resolved":
        parts.append(
            f"About {number(verdict['more_seeds'])} {verdict.get('unit_of_n') or 'replicates'} in all would resolve it."
        )
    told = element("p", escaped(" ".join(parts)), attributes={"class": "how"}) if parts else Html("")
    rows = [row for row in verdict.get("detail") or [] if isinstance(row, Mapping)]
    if not rows:
        return told
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))
    cells = [[_in_points(row).get(column) for column in columns] for row in rows]
    table = data_table(columns, cells, caption="The numbers behind this verdict")
    opened = element("details", element("summary", escaped(f"Detail ({len(rows)} rows)")), table)
    return joined([told, opened])


def _in_points(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of numbers for reading: differences of shares in percentage points."""
    if row.get("unit") not in SHARES:
        return dict(row)
    ends = {key: 100 * row[key] for key in ("effect", "low", "high") if is_number(row.get(key))}
    return {**row, **ends, "unit": difference_unit(str(row["unit"]))}
