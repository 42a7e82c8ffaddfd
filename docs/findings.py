"""Writes docs/findings.md from docs/findings.template.md and the committed results, so that no number is typed by hand.

Words stand in the template, numbers in figures/ and benchmarks/backtest/. A study whose verdicts.json lies below
figures/studies/ is on the page without further ado; one that is scaled is called so wherever it is named.

    python docs/findings.py
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import findings_tables as tables
import jinja2
import pandas as pd
from findings_numbers import (
    BACKTEST,
    Number,
    Says,
    StudyResults,
    best_simple,
    cosine,
    outside,
    public_number,
    read_studies,
    regret_of,
    regrets,
    witnesses,
)
from findings_rates import best_rate_gain, rates_table

from darkprobe.distill.methods import METHODS
from darkprobe.files import write_text
from darkprobe.study import read_study
from darkprobe.study.backtest import conclusion

HERE = Path(__file__).resolve().parent
PAGE, TEMPLATE = HERE / "findings.md", HERE / "findings.template.md"


def counted(studies: list[StudyResults], key: str, verdict: str) -> str:
    """`5 of 5 studies`: how many that hold the students for it came to this verdict.

    A study that shares data, seeds and teachers with one before it is no second witness and is left out.
    """
    heard = witnesses(study for study in studies if key in study.verdicts)
    return f"{sum(study.verdicts[key]['verdict'] == verdict for study in heard)} of {len(heard)} studies"


def same_temperature(study: StudyResults) -> str:
    """The temperature that the pilot chose for KD from the largest teacher.

    Raises:
        ValueError: it chose another for TTM, so that the two differ in more than their weight.
    """
    largest = study.plan["teachers"][-1]
    kd, gamma = study.setting("kd", largest)["temperature"], study.setting("ttm", largest)["gamma"]
    if kd * gamma != 1:
        raise ValueError(f"same_temperature: {study.name} must have one T, got {kd:g} and {1 / gamma:g}. Rewrite.")
    return f"{kd:g}"


def more_distinct(study: StudyResults, temperature: float) -> str:
    """The temperature, at which the largest teacher is more distinct than the smallest.

    Raises:
        ValueError: their intervals do not say so.
    """
    ladder = study.plan["teachers"]
    small, large = (study.profile("distinctness_std", temperature, model) for model in (ladder[0], ladder[-1]))
    large.said("above", than=small.high)
    return f"{temperature:g}"


def no_mismatch(studies: list[StudyResults]) -> str:
    """`at every T`, where no interval of the best smaller teacher minus the largest reaches the smallest difference of
    interest.

    Raises:
        ValueError: one does.
    """
    for study in studies:
        for row in study.verdicts["H3-fixed"]["detail"]:
            if "all at T" in row["what"]:
                study.part("H3-fixed", row["what"]).said("below", than=study.plan["delta"])
    return "at every T"


def teacher_share(study: StudyResults, method: str) -> str:
    """The teacher term's share of the loss: as planned, else under the method's own weights."""
    plans = [plan for plan in (study.plan["reference"], *study.plan["fixes"]) if plan["method"] == method]
    given, record = plans[0]["teacher_weight"], METHODS[method]
    return f"{given if given is not None else record.teacher_weight / (record.teacher_weight + record.ce_weight):.3f}"


def smallest_chosen(rule: str) -> str:
    """`7 of 8`: in how many studies of the backtest a rule took the smallest teacher."""
    table = pd.read_csv(BACKTEST / "regret.csv").query("rule == @rule").set_index("study")["teacher"]
    smallest = {study: read_study(BACKTEST / f"{study}.toml").teachers[0] for study in table.index}
    return f"{sum(table[study] == teacher for study, teacher in smallest.items())} of {len(table)}"


def words() -> dict[str, Any]:
    """What the template can call."""
    studies = read_studies()
    listed = [study for study in studies.values() if not study.name.startswith("rates/")]
    over_all: tuple[Callable[..., str], ...] = (
        tables.studies_table, tables.summary_table, tables.finding_table, tables.mismatch_table, tables.factors_table,
        tables.fixes_table, tables.weights_table, tables.alone_table, tables.details_table,
        tables.distinctness_table, tables.calibration_table, counted,
    )  # fmt: skip
    alone: tuple[Callable[..., Any], ...] = (
        tables.controls_table, tables.dose_table, tables.verdicts_table, tables.regret_table,
        tables.study_regrets_table, tables.temperatures_table,
        same_temperature, more_distinct, no_mismatch, teacher_share, smallest_chosen, public_number, cosine, regret_of,
        best_simple, outside,
    )  # fmt: skip
    losses, chains = regrets(), read_studies("generations.json")
    return {
        **{function.__name__: partial(function, listed) for function in over_all},
        **{function.__name__: function for function in alone},
        "rates_table": partial(rates_table, studies),
        "at_best_rate": partial(best_rate_gain, studies),
        "study": studies.__getitem__,
        "generations": list(chains.values()),
        "chains": chains.__getitem__,
        "scaled": [study for study in listed if study.plan["scaled"]],
        "lost_in": lambda study, rule: f"{100 * losses.loc[study, rule]:.2f}",
        "backtested": len(losses),
        "conclusion": conclusion(pd.read_csv(BACKTEST / "regret.csv")).splitlines(),
    }


def difference(number: Number, says: Says | None = None) -> str:
    """Filter: a signed number, refused where the sentence says what it does not."""
    return number.said(says).difference()


def level(number: Number) -> str:
    """Filter: an unsigned number."""
    return number.level()


def render() -> str:
    """The whole page."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(difference=difference, level=level, count="{:,}".format)
    return environment.from_string(TEMPLATE.read_text()).render(words())


def main() -> None:
    """Writes the page and prints its path."""
    write_text(PAGE, render())
    print(PAGE)


if __name__ == "__main__":
    main()
