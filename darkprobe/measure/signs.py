"""Does the sign of a comparison of distinctness depend on how it is measured? Read off the table."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

CHOICES = ("distinctness_std", "distinctness_variance", "inherent_std", "inherent_variance")
SUBSETS = ("all", "common")


@dataclass(frozen=True, kw_only=True)
class SignConflict:
    """Two models whose order by distinctness depends on the choice of metric or examples, at one temperature.

    Attributes:
        model, reference: the two models.
        dataset, split: what they were measured on.
        temperature: T.
        higher: choices (metric, subset) by which `model` is the more distinct.
        lower: choices by which `reference` is.
    """

    model: str
    reference: str
    dataset: str
    split: str
    temperature: float
    higher: tuple[tuple[str, str], ...]
    lower: tuple[tuple[str, str], ...]

    def sign(self, metric: str, subset: str) -> str:
        """`>` where `model` is the more distinct by this choice, `<` where `reference` is, `=` where neither."""
        choice = (metric, subset)
        return ">" if choice in self.higher else "<" if choice in self.lower else "="

    def __str__(self) -> str:
        few, many = sorted((self.higher, self.lower), key=len)
        winner, other = (self.model, self.reference) if few is self.higher else (self.reference, self.model)
        by = ", ".join(f"{metric.replace('_', ' ')} on {subset} examples" for metric, subset in few)
        return (
            f"{self.dataset}/{self.split}: at T = {self.temperature:g} the choice of metric decides which model is the "
            f"more distinct: {winner} by {by}; {other} by {len(many)} of the {len(few) + len(many)} choices (std or "
            "variance, raw or inherent, all or common examples)."
        )


def sign_conflicts(table: pd.DataFrame) -> list[SignConflict]:
    """Pairs of models in a table of `measure` whose order depends on std or variance, raw or inherent, all or common.

    Args:
        table: as `measure` gives it; the choices it does not hold are left out.

    Returns:
        One record per data set, pair and temperature in conflict, in the order of the table.
    """
    rows = table[table["metric"].isin(CHOICES) & table["subset"].isin(SUBSETS)]
    found: list[SignConflict] = []
    for (dataset, split, temperature), part in rows.groupby(["dataset", "split", "temperature"], sort=False):
        values = part.pivot_table(index="model", columns=["metric", "subset"], values="value", sort=False)
        found.extend(_conflicts(values, (str(dataset), str(split)), float(str(temperature))))
    return found


def _conflicts(values: pd.DataFrame, where: tuple[str, str], temperature: float) -> Iterator[SignConflict]:
    for first, second in combinations(values.index, 2):
        gap = values.loc[first] - values.loc[second]
        higher, lower = (tuple((str(m), str(s)) for m, s in gap.index[side]) for side in (gap > 0, gap < 0))
        if higher and lower:
            yield SignConflict(
                model=str(first),
                reference=str(second),
                dataset=where[0],
                split=where[1],
                temperature=temperature,
                higher=higher,
                lower=lower,
            )
