"""What following the advice would have lost in the studies that the findings rest on, against four simple rules.

Each study is scored by a rule that the other studies taught (`darkprobe advise --backtest`); a study that repeats
another's data and seeds would be no test, so those of partial targets and of longer students are left out. Scoring
needs the folders of the finished studies; what is known of others stays as it was when they were scored. Without
folders redraws the figure from advice_regret.csv.

    python figures/advice_regret.py [--studies build/reference/digits build/reference/synthetic ...]
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from _figure import HERE, panels, read_numbers, save_measured
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from darkprobe.files import read_json
from darkprobe.plots.style import STYLE, category_colours, category_markers, headline, legend_outside
from darkprobe.provenance import provenance
from darkprobe.study import backtest
from darkprobe.study.backtest import BASELINES

TABLE = HERE / "advice_regret.csv"
PARTS = {
    "regret": ("Accuracy lost by the advice", "below the best choice, in hindsight (points)"),
    "temperature": ("Accuracy lost by its temperature", "below the T tuned on validation data (points)"),
}
RULES = {"regret": ("advice", "untaught", *BASELINES), "temperature": ("advice", "untaught", "T = 4")}
COLUMNS = ["part", "study", "rule", "teacher", "method", "temperature", "value", "low", "high", "n"]


def scored(studies: Iterable[Path]) -> pd.DataFrame:
    """Tidy rows: what each rule lost in each study, fractions, 95 % intervals over replicates."""
    regret, temperatures = backtest(list(studies))
    overall = temperatures[temperatures["teacher"] == "all"].assign(part="temperature")
    parts = [
        regret.assign(part="regret").rename(columns={"regret": "value"}),
        overall.rename(columns={"loss": "value"}),
    ]
    return pd.concat([part.reindex(columns=COLUMNS).dropna(axis=1, how="all") for part in parts])[COLUMNS]


def draw_part(ax: Axes, rows: pd.DataFrame, *, part: str, scaled: set[str]) -> None:
    """Rules side by side in each study; `scaled` are those that were cut down."""
    rules, studies = RULES[part], list(dict.fromkeys(rows["study"]))
    colours, markers = category_colours(rules), category_markers(rules)
    title, quantity = PARTS[part]
    with mpl.rc_context(STYLE):
        for place, rule in enumerate(rules):
            own = rows[rows["rule"] == rule].set_index("study").reindex(studies)
            where = [-i - 0.13 * (place - (len(rules) - 1) / 2) for i in range(len(studies))]
            ends = (own["value"] - own["low"], own["high"] - own["value"])
            ax.errorbar(
                own["value"], where, xerr=ends, color=colours[rule], marker=markers[rule], linestyle="none",
                markersize=5, capsize=2, elinewidth=1, label=rule if part == "temperature" else _named(rule),
            )  # fmt: skip
        ax.axvline(0.0, color="black", linewidth=1)
        counts = rows.groupby("study")["n"].first()
        ax.set_yticks(
            [-i for i in range(len(studies))], labels=[_told(s, counts[s], scaled=s in scaled) for s in studies]
        )
        ax.set_xlabel(quantity)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
        headline(ax, title, "each study scored by what the others taught · 95 % intervals over replicates")
        legend_outside(ax)


def _named(rule: str) -> str:
    return f"{rule}, T = 4" if rule in BASELINES else rule


def _told(study: str, n: int, *, scaled: bool) -> str:
    return f"{study}{chr(10) + '(scaled)' if scaled else ''}\nn = {n}"


def draw(table: pd.DataFrame, facts: dict[str, Any]) -> None:
    """The figure: regret of the advice, and of its temperature alone."""
    scaled = {study["study"] for study in facts["studies"].values() if study["scaled"]}
    axes = panels(2, width=5.6, height=1.4 + 1.0 * table["study"].nunique())
    for ax, part in zip(axes, PARTS, strict=True):
        draw_part(ax, table[table["part"] == part], part=part, scaled=scaled)
    save_measured(axes, TABLE, table=table, facts=facts)


def main() -> None:
    """Scores the studies that are named, else reads; draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=Path, nargs="+", help="folders of finished studies")
    studies: list[Path] | None = parser.parse_args().studies
    if studies is None:
        draw(read_numbers(TABLE), read_json(TABLE.with_suffix(".json"), who="advice_regret"))
        return
    if len(studies) < 2:
        parser.error("--studies needs two folders or more: each study is scored by what the others taught")
    told = {path.name: read_json(path / "study.json", who="advice_regret")["provenance"] for path in studies}
    earlier = read_json(TABLE.with_suffix(".json"), who="advice_regret")["studies"]
    table, known = scored(studies), read_numbers(TABLE)
    others = known[~known["study"].isin(table["study"])]
    draw(
        pd.concat([table, others]).sort_values("part", kind="stable", ignore_index=True),
        {**provenance(), "command": "python figures/advice_regret.py --studies DIR...", "studies": earlier | told},
    )


if __name__ == "__main__":
    main()
