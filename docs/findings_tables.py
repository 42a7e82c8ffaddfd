"""Tables of docs/findings.md, each a function of the committed results that returns Markdown."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from findings_numbers import (
    LABELS_ALONE,
    Number,
    StudyResults,
    number_of,
    paired,
    regrets,
    regrets_of_studies,
    temperature_losses,
    witnesses,
)

from darkprobe.study.backtest import BASELINES

HYPOTHESES = ("H1", "H2", "H3", "H3-fixed", "H4", "H4-weight", "H5", "H6", "H7", "H8", "H9")


def markdown_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def studies_table(studies: list[StudyResults]) -> str:
    """What each study is, and what n counts in it."""
    rows = []
    for study in studies:
        plan, counted = study.plan, study.verdicts["H1"]["unit_of_n"]
        rows.append([
            f"`{study.title}`",
            f"{plan['teachers'][0]} to {plan['teachers'][-1]} ({len(plan['teachers'])})",
            plan["student"],
            f"{plan['pilot']} + {plan['confirm']}",
            counted.replace("replicates (", "").rstrip(")"),
            f"`figures/studies/{study.name}/`",
        ])  # fmt: skip
    return markdown_table(("study", "teachers", "student", "pilot + confirm", "fresh in each replicate", "files"), rows)


def diagnoses(studies: list[StudyResults]) -> list[str]:
    """Keys of the diagnoses that any study has."""
    return sorted({key for study in studies for key in study.verdicts if key.startswith("D")})


WORDS = {"confirmed": "yes", "refuted": "**no**", "not resolved": "?"}


def summary_table(studies: list[StudyResults]) -> str:
    """Every verdict in a word, a row a study, a column a hypothesis or diagnosis."""
    keys = [key for key in (*HYPOTHESES, *diagnoses(studies)) if any(key in study.verdicts for study in studies)]
    rows = [
        [f"`{study.title}`", *(WORDS[study.verdicts[key]["verdict"]] if key in study.verdicts else "-" for key in keys)]
        for study in studies
    ]
    return markdown_table(("study", *keys), rows)


def finding_table(studies: list[StudyResults], key: str) -> str:
    """One finding over all studies that hold the students for it; what was measured stands below if it is one thing."""
    held = [study for study in studies if key in study.verdicts]
    if not held:
        return "*No committed study holds the students for it.*"
    rows = [
        [f"`{study.title}`", f"**{study.verdicts[key]['verdict']}**", study.verdict(key).shown(),
         str(study.verdict(key).n), study.verdicts[key]["quantity"]]
        for study in held
    ]  # fmt: skip
    head = ["study", "verdict", "effect [95 % interval]", "n", "measured"]
    if len({row[-1] for row in rows}) > 1:
        return markdown_table(head, rows)
    return f"{markdown_table(head[:-1], (row[:-1] for row in rows))}\n\nMeasured: {rows[0][-1]}."


def details_table(studies: list[StudyResults], key: str) -> str:
    """The parts of a chain of claims, a row each, in every study that has it."""
    rows = [
        [f"`{study.title}`", row["what"], study.part(key, row["what"]).shown(), str(row["n"])]
        for study in studies
        for row in study.verdicts.get(key, {}).get("detail", ())
        if row["unit"] == "accuracy"
    ]
    return markdown_table(("study", "", "points [95 % interval]", "n"), rows)


def verdicts_table(study: StudyResults) -> str:
    """Every verdict of one study."""
    rows = [
        [key, f"**{verdict['verdict']}**", study.verdict(key).shown(), str(verdict["n"]), verdict["quantity"]]
        for key, verdict in study.verdicts.items()
    ]
    return markdown_table(("", "verdict", "effect [95 % interval]", "n", "measured"), rows)


def mismatch_table(studies: list[StudyResults]) -> str:
    """The best smaller teacher of the pilot minus the largest, all at one temperature after another."""
    start, marks = "all at T = ", " (shown, not tested)"
    found: dict[str, dict[float, Number]] = {}
    for study in studies:
        for row in study.verdicts["H3-fixed"]["detail"]:
            if start in row["what"]:
                pair, at = row["what"].removesuffix(marks).split(f", {start}")
                found.setdefault(f"`{study.title}`, {pair}", {})[float(at)] = study.part("H3-fixed", row["what"])
    temperatures = sorted({t for row in found.values() for t in row})
    cells = ([name, *(row[t].difference() if t in row else "-" for t in temperatures)] for name, row in found.items())
    return markdown_table(("study, teachers", *(f"T = {t:g}" for t in temperatures)), cells)


def factors_table(studies: list[StudyResults]) -> str:
    """Slopes of distinctness and of its two factors."""
    names = ("log distinctness (std)", "log (1 - p_y)", "log inherent std")
    rows = [[f"`{s.title}`", *(s.part("H1", f"slope of {name}").difference() for name in names)] for s in studies]
    return markdown_table(("study", "distinctness", "= 1 - p_y", "x inherent std (shape)"), rows)


def distinctness_table(studies: list[StudyResults], temperatures: Iterable[float]) -> str:
    """Distinctness of the smallest and the largest teacher, and how the ladder runs between them."""
    rows = []
    for study in witnesses(study for study in studies if "/" in study.name):  # not those of default size
        for t in temperatures:
            ladder = [study.profile("distinctness_std", t, model) for model in study.plan["teachers"]]
            steps = [b.effect - a.effect for a, b in pairwise(ladder)]
            run = "falls at every rung" if max(steps) < 0 else "rises at every rung" if min(steps) > 0 else "mixed"
            rows.append([f"`{study.title}`", f"{t:g}", ladder[0].level(), ladder[-1].level(), run])
    return markdown_table(("study", "T", "smallest teacher", "largest teacher", "along the ladder"), rows)


def fixes_table(studies: list[StudyResults]) -> str:
    """Every fix minus KD at its tuned T, a row a study, a column a fix."""
    methods = list(dict.fromkeys(fix["method"] for study in studies for fix in study.plan["fixes"]))
    rows = [
        [
            f"`{s.title}`",
            *(s.fix(name).difference().replace(" points", "") if has_fix(s, name) else "-" for name in methods),
        ]
        for s in studies
    ]
    return markdown_table(("points", *methods), rows)


def weights_table(studies: list[StudyResults]) -> str:
    """KD at another weight of its teacher term minus KD at its own, each at the T of its pilot and, where the pilots
    differ, both at that of the other weight: a row a weight.
    """
    rows = []
    for study in (study for study in studies if "H4-weight" in study.verdicts):
        largest, weight = study.plan["teachers"][-1], study.plan["reference"]["teacher_weight"]
        own = study.setting(study.kd, largest)["temperature"]
        for other in study.plan["reference_weights"]:
            name = f"{study.kd} at weight {other:g}"
            t, found = study.setting(name, largest)["temperature"], study.part("H4-weight", f"{name} - {study.kd}")
            rows.append([f"`{study.title}`", f"{weight:g}, T = {own:g}", f"{other:g}, T = {t:g}", found.difference(),
                         study.weighed(other).difference() if t != own else "the same", str(found.n)])  # fmt: skip
    head = ("study", "KD's weight", "another", "points [95 % interval]", "both at the other's T", "n")
    return markdown_table(head, rows)


def alone_table(studies: list[StudyResults]) -> str:
    """What the largest teacher adds at all: students of KD at its tuned T minus students that have labels alone.

    These see the views that distilled students see, where the study has such students, else a new one every epoch.
    """
    rows = []
    for study in studies:
        views, epochs = study.plan["views"], study.plan["student_training"]["epochs"]
        if not views:
            seen = "the same images"
        else:
            seen = "the same views" if study.fair or views >= epochs else f"{views} views, alone {epochs}"
        alone = study.control_student(LABELS_ALONE) if study.fair else study.student("none")
        distilled = study.student(f"{study.kd}, tuned T", study.plan["teachers"][-1])
        gain = study.gain()
        rows.append([f"`{study.title}`", alone.level(), distilled.level(), gain.difference(), str(gain.n), seen])
    return markdown_table(("study", LABELS_ALONE, "KD from the largest teacher", "difference", "n", "both see"), rows)


def calibration_table(studies: list[StudyResults]) -> str:
    """H8 taken apart: across teachers at one temperature after another, and across temperatures of the largest."""
    start = "across teachers, all at T = "
    held = [study for study in studies if "H8" in study.verdicts]
    parts = {study.title: [row["what"] for row in study.verdicts["H8"]["detail"]] for study in held}
    temperatures = sorted(
        {float(what.removeprefix(start)) for found in parts.values() for what in found if start in what}
    )
    rows = []
    for study in held:
        wanted = [f"{start}{t:g}" for t in temperatures] + [f"across temperatures, of {study.plan['teachers'][-1]}"]
        rows.append([f"`{study.title}`", *(study.part("H8", what).shown() if what in parts[study.title] else "-"
                                          for what in wanted)])  # fmt: skip
    head = ("study", *(f"teachers, T = {t:g}" for t in temperatures), "temperatures, largest teacher")
    return markdown_table(head, rows)


def has_fix(study: StudyResults, method: str) -> bool:
    """Whether the study compared this method with KD at its tuned T."""
    return any(row["what"] == f"{method} - KD at tuned T" for row in study.verdicts.get("H4", {}).get("detail", ()))


def controls_table(study: StudyResults) -> str:
    """The planted manipulations, in the order of the plan."""
    rows = [
        [row["control"], row["label"], study.control(row["label"]).difference(), str(row["n"]), row["expected"]]
        for row in study.table("controls")
    ]
    return markdown_table(("", "teacher's logits", "student against clean KD", "n", "expected"), rows)


def dose_table(study: StudyResults) -> str:
    """Distinctness kept and accuracy reached, dose by dose."""
    doses = [
        r["what"].removeprefix("accuracy from ") for r in study.verdicts["H9"]["detail"] if "accuracy" in r["what"]
    ]
    rows = [
        [dose, study.part("H9", f"distinctness of {dose}").level(), study.part("H9", f"accuracy from {dose}").level()]
        for dose in doses
    ]
    return markdown_table(("wrong-class logits", "distinctness left", "student test accuracy"), rows)


def over_studies(values: Any) -> Number:
    """Mean over studies with a t interval."""
    return paired(values, 0 * values)


def regret_table() -> str:
    """Mean regret of each rule over the studies of the backtest."""
    lost = regrets()
    best = lost[list(BASELINES)].min(axis=1)
    rows = [
        [rule, over_studies(lost[rule]).points(), f"{100 * lost[rule].max():.2f} ({lost[rule].idxmax()})",
         "" if rule in BASELINES else f"{int((lost[rule] < best).sum())} of {len(lost)}"]
        for rule in ("advice", "untaught", *BASELINES)
    ]  # fmt: skip
    return markdown_table(("rule", "mean regret [95 % over studies]", "worst", "below every simple rule in"), rows)


def temperatures_table() -> str:
    """What predicted temperatures lost against those tuned on validation data."""
    lost = temperature_losses()
    rows = [[rule, over_studies(lost[rule]).points()] for rule in ("advice", "untaught", "T = 4")]
    return markdown_table(("temperature by", "lost against the tuned T [95 % over studies]"), rows)


def study_regrets_table() -> str:
    """What each rule lost in each of the studies that the findings rest on."""
    table = regrets_of_studies().assign(unit="accuracy").set_index(["study", "rule"])
    rules = ("advice", "untaught", *BASELINES)
    rows = [
        [f"`{study}`", *(number_of(table.loc[(study, rule)], effect="value").points() for rule in rules)]
        for study in dict.fromkeys(table.index.get_level_values("study"))
    ]
    return markdown_table(("study", *rules), rows)
