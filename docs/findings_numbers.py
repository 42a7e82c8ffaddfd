"""Numbers of docs/findings.md as they are committed: read, formatted, and refused where a sentence about them is false.

Owns reading figures/ and benchmarks/backtest/ and the form of a number with its interval. Leaves words and tables to
findings.py. Shares are shown in percent or points, everything else in its own unit.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from darkprobe.study.statistics import mean_estimate

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "figures"
BACKTEST = ROOT / "benchmarks" / "backtest"

LABELS_ALONE = "labels alone"
"""The control that has no teacher and sees the stored views that distilled students see."""

Says = Literal["above", "below", "open"]
"""What a sentence claims of an interval: wholly above a value, wholly below it, or that it holds the value."""

DECIMALS = {"nats": 3, "consistency": 3, "correlation": 3, "per doubling": 3, "ratio": 3, "probability": 4, "cosine": 3}


@dataclass(frozen=True, kw_only=True)
class Number:
    """An estimate with its 95 % interval, and what n counts in it.

    Attributes:
        effect, low, high: in `unit`; shares as fractions.
        n: replicates, or images where they are what was sampled.
        unit: of the three.
    """

    effect: float
    low: float
    high: float
    n: int
    unit: str = ""

    def said(self, says: Says | None, than: float = 0.0) -> "Number":
        """Itself.

        Raises:
            ValueError: the sentence that wants to print it says what the interval does not.
        """
        found = "above" if self.low > than else "below" if self.high < than else "open"
        if says is not None and found != says:
            raise ValueError(
                f"Number.said: the interval must be {says!r} with respect to {than:g}, got {found!r} "
                f"({self.low:g} to {self.high:g}). Rewrite the sentence in findings.template.md."
            )
        return self

    def difference(self) -> str:
        """With signs: `+0.23 points [+0.17, +0.30]`."""
        return self._text("+", " points")

    def points(self) -> str:
        """Without a plus: `0.97 points [-0.06, 1.99]`."""
        return self._text("", " points")

    def level(self) -> str:
        """Without a plus, shares in percent: `70.28 % [70.02, 70.53]`."""
        return self._text("", " %")

    def shown(self) -> str:
        """With signs, but for what has no sign of interest: a share of something, or a consistency."""
        return self._text("" if self.unit in ("ratio", "consistency") else "+", " points")

    def _text(self, sign: str, of_a_share: str) -> str:
        share = self.unit in ("accuracy", "fraction")
        scale, decimals = (100.0, 2) if share else (1.0, DECIMALS.get(self.unit, 3))
        effect, low, high = (f"{scale * value:{sign}.{decimals}f}" for value in (self.effect, self.low, self.high))
        return f"{effect}{of_a_share if share else ''} [{low}, {high}]"


def _replicates(arms: pd.DataFrame) -> pd.Series:
    """Test accuracies of the only arm there is, by replicate; NaN where a replicate has not trained it."""
    row = the_one((row for _, row in arms.iterrows()), "an arm of students.csv")
    return row.drop(["control", "teacher", "method", "parameters"]).replace("", float("nan")).astype(float)


def paired(one: pd.Series, other: pd.Series) -> Number:
    """The mean of `one` minus `other` over the replicates that they share."""
    low, high = (estimate := mean_estimate((one - other).dropna().to_numpy(float))).interval()
    return Number(effect=estimate.effect, low=low, high=high, n=estimate.n, unit="accuracy")


def number_of(row: Any, *, effect: str = "effect") -> Number:
    """The number in a row of a table or of a verdict's detail."""
    return Number(effect=float(row[effect]), low=float(row["low"]), high=float(row["high"]), n=int(row["n"]),
                  unit=str(row["unit"]))  # fmt: skip


def the_one(rows: Iterable[Any], what: str) -> Any:
    """The only row there is.

    Raises:
        LookupError: there is none, or more than one.
    """
    found = list(rows)
    if len(found) != 1:
        raise LookupError(f"the_one: `rows` must hold 1 row for {what}, got {len(found)}. Name it more exactly.")
    return found[0]


@dataclass(frozen=True)
class StudyResults:
    """The committed results of one study.

    Attributes:
        name: its folder below figures/studies.
    """

    name: str

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return FIGURES / "studies" / self.name

    @cached_property
    def plan(self) -> dict[str, Any]:
        """Plan, choices made on pilot replicates, provenance."""
        name = "study" if (self.folder / "study.json").exists() else "generations"
        return dict(json.loads((self.folder / f"{name}.json").read_text()))

    @cached_property
    def verdicts(self) -> dict[str, dict[str, Any]]:
        """By hypothesis, diagnosis and control."""
        return dict(json.loads((self.folder / "verdicts.json").read_text()))

    @property
    def title(self) -> str:
        """Name for tables; a scaled study says so."""
        return f"{self.name} (scaled)" if self.plan["scaled"] else self.name

    @property
    def kd(self) -> str:
        """The form of KD that fixes are compared with: "kd", its student at T = 1, or "kd-hinton"."""
        return str(self.plan["reference"]["method"])

    def repeats(self, other: "StudyResults") -> bool:
        """Whether it shares data, seeds and teachers with another: then it is no second witness of what they tell."""
        same = all(self.plan[key] == other.plan[key] for key in ("data", "seed"))
        return same and not set(self.plan["teachers"]).isdisjoint(other.plan["teachers"])

    def table(self, name: str) -> list[dict[Any, Any]]:
        """Rows of a table, none where the study has none."""
        if name not in self._tables:
            path = self.folder / "tables" / f"{name}.csv"
            self._tables[name] = pd.read_csv(path, keep_default_na=False).to_dict("records") if path.exists() else []
        return self._tables[name]

    @cached_property
    def _tables(self) -> dict[str, list[dict[Any, Any]]]:
        return {}

    def verdict(self, key: str) -> Number:
        """The number behind a verdict."""
        return number_of(self.verdicts[key])

    def part(self, key: str, what: str) -> Number:
        """A row of a verdict's detail, by its words or, where no other begins so, their beginning."""
        rows = self.verdicts[key]["detail"]
        exact = [row for row in rows if row["what"] == what]
        return number_of(the_one(exact or [row for row in rows if row["what"].startswith(what)], f"{key} {what!r}"))

    def control(self, label: str) -> Number:
        """Effect of a planted control on its student, against clean KD."""
        return number_of(the_one([r for r in self.table("controls") if r["label"] == label], f"control {label!r}"))

    def fix(self, method: str) -> Number:
        """A fix minus KD at its tuned T, students of the largest teacher, simultaneous interval."""
        return self.part("H4", f"{method} - KD at tuned T")

    def student(self, method: str, teacher: str = "") -> Number:
        """Test accuracy of students."""
        rows = [r for r in self.table("accuracy") if (r["teacher"], r["method"]) == (teacher, method)]
        return number_of(the_one(rows, f"student {teacher} {method}"), effect="value")

    def teacher(self, name: str) -> Number:
        """A teacher's own accuracy on the test split."""
        rows = [row for row in self.table("teachers") if row["teacher"] == name]
        return number_of(the_one(rows, name), effect="test_accuracy")

    def profile(self, metric: str, temperature: float, model: str) -> Number:
        """A metric of a teacher's soft labels over all training images."""
        rows = [
            r for r in self.table("profile")
            if (r["metric"], r["subset"], r["model"]) == (metric, "all", model)
            and float(r["temperature"]) == temperature
        ]  # fmt: skip
        return number_of(the_one(rows, f"{metric} of {model} at T = {temperature:g}"), effect="value")

    def students_of(self, method: str, teacher: str = "", *, temperature: float | None = None) -> pd.Series:
        """Test accuracy of the students of one method, replicate by replicate, at the setting of the pilot or at T."""
        setting = {"temperature": temperature}
        if temperature is None:
            setting = self.setting(method, teacher) if teacher else {}
        table = self._students
        own = table[(table["control"] == "") & (table["teacher"] == teacher) & (table["method"] == method)]
        return _replicates(own[[json.loads(parameters) == setting for parameters in own["parameters"]]])

    def students_of_control(self, label: str) -> pd.Series:
        """Test accuracy of the students of one control, replicate by replicate."""
        return _replicates(self._students[self._students["control"] == label])

    @property
    def fair(self) -> bool:
        """Whether it has students with labels alone that see the stored views."""
        return any(row["label"] == LABELS_ALONE for row in self.table("controls"))

    def labels_alone(self) -> pd.Series:
        """Students without a teacher: those that see the views of distilled ones, where there are such."""
        return self.students_of_control(LABELS_ALONE) if self.fair else self.students_of("none")

    def gain(self, *, temperature: float | None = None) -> Number:
        """KD from the largest teacher minus labels alone, at the T of the pilot or at another."""
        distilled = self.students_of(self.kd, self.plan["teachers"][-1], temperature=temperature)
        return paired(distilled, self.labels_alone())

    def kd_over(self, one: float, other: float) -> Number:
        """KD from the largest teacher at one temperature minus at another."""
        largest = self.plan["teachers"][-1]
        return paired(*(self.students_of(self.kd, largest, temperature=t) for t in (one, other)))

    def fix_over(self, method: str, temperature: float) -> Number:
        """A fix as the pilot set it minus KD at this temperature, from the largest teacher; interval of its own."""
        largest = self.plan["teachers"][-1]
        return paired(self.students_of(method, largest), self.students_of(self.kd, largest, temperature=temperature))

    def over_kd(self, label: str) -> Number:
        """The students of one control minus those of KD at its tuned T, from the largest teacher."""
        return paired(self.students_of_control(label), self.students_of(self.kd, self.plan["teachers"][-1]))

    def control_student(self, label: str) -> Number:
        """Test accuracy of the students of one control."""
        found = self.students_of_control(label)
        return paired(found, 0 * found)

    @cached_property
    def _students(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "tables" / "students.csv", keep_default_na=False)

    def weighed(self, weight: float) -> Number:
        """KD at another weight minus KD at its own, both at the T that the pilot chose for the other weight."""
        name, largest = f"{self.kd} at weight {weight:g}", self.plan["teachers"][-1]
        t = self.setting(name, largest)["temperature"]
        return paired(self.students_of(name, largest), self.students_of(self.kd, largest, temperature=t))

    def setting(self, method: str, teacher: str) -> dict[str, float]:
        """What the pilot chose for a method from a teacher."""
        rows = [s for s in self.plan["choices"]["settings"] if (s["method"], s["teacher"]) == (method, teacher)]
        return dict(the_one(rows, f"setting of {method} from {teacher}")["parameters"])

    def highest(self, method: str, parameter: str) -> float:
        """The highest value of a parameter that was tried for a fix."""
        grid = the_one([plan for plan in self.plan["fixes"] if plan["method"] == method], f"fix {method}")["grid"]
        return max(float(tried[parameter]) for tried in grid)


def read_studies(plans: str = "study.json") -> dict[str, StudyResults]:
    """Every committed study by name: reference studies first, then those of default size, then scaled ones.

    Args:
        plans: the file that holds the plan of such a study; "generations.json" for studies of generations.

    Raises:
        ValueError: one is a smoke run, which is no evidence.
    """
    folders = (path.parent for path in (FIGURES / "studies").glob(f"**/{plans}"))
    found = [StudyResults(folder.relative_to(FIGURES / "studies").as_posix()) for folder in folders]
    for study in found:
        if study.plan["smoke"]:
            raise ValueError(f"read_studies: {study.name} must be a full run, got a smoke run. Remove its folder.")
    ordered = sorted(found, key=lambda s: (bool(s.plan["scaled"]), not s.name.startswith("reference/"), s.name))
    return {study.name: study for study in ordered}


def witnesses(studies: Iterable[StudyResults]) -> list[StudyResults]:
    """The studies without those that repeat one before them."""
    heard: list[StudyResults] = []
    for study in studies:
        if not any(study.repeats(other) for other in heard):
            heard.append(study)
    return heard


def public_networks() -> list[dict[Any, Any]]:
    """Rows of figures/public_resnets.csv."""
    return pd.read_csv(FIGURES / "public_resnets.csv").to_dict("records")


def public_number(metric: str, model: str, *, temperature: float | None = None, subset: str = "all") -> Number:
    """A metric of one public network; `model` may be the beginning of its name."""
    rows = [
        r for r in public_networks()
        if r["metric"] == metric and str(r["model"]).startswith(model) and r["subset"] == subset
        and (temperature is None or float(r["temperature"]) == temperature)
    ]  # fmt: skip
    return number_of(the_one(rows, f"{metric} of {model}"), effect="value")


def outside(study: str, metric: str, against: str) -> Number:
    """Agreement with people or WordNet, or distinctness: the largest teacher of a ladder minus a smaller one."""
    rows = pd.read_csv(FIGURES / "outside_agreement.csv").to_dict("records")
    wanted = ("difference", study, metric, against)
    row = the_one([r for r in rows if (r["part"], r["study"], r["metric"], r["against"]) == wanted], f"{wanted}")
    return number_of({**row, "unit": "probability" if metric == "distinctness_std" else "correlation"}, effect="value")


def cosine(student: str, one: str, other: str) -> Number:
    """Cosine between the gradients of two methods, from figures/gradient_similarity.csv."""
    rows = pd.read_csv(FIGURES / "gradient_similarity.csv").to_dict("records")
    return number_of(
        the_one(
            [r for r in rows if r["student"] == student and {r["one"], r["other"]} == {one, other}], f"{one}, {other}"
        )
    )


def regrets() -> pd.DataFrame:
    """Accuracy lost, a row a study, a column a rule, from benchmarks/backtest/regret.csv."""
    return pd.read_csv(BACKTEST / "regret.csv").pivot(index="study", columns="rule", values="regret")


def temperature_losses() -> pd.DataFrame:
    """Accuracy lost at a predicted temperature, mean over teachers: a row a study, a column a rule."""
    table = pd.read_csv(BACKTEST / "temperatures.csv")
    return table[table["teacher"] == "all"].pivot(index="study", columns="rule", values="loss")


def regrets_of_studies() -> pd.DataFrame:
    """What each rule lost in the studies that the findings rest on, from figures/advice_regret.csv."""
    table = pd.read_csv(FIGURES / "advice_regret.csv")
    return table[table["part"] == "regret"]


def regret_of(study: str, rule: str) -> Number:
    """What one rule lost in one of these studies."""
    rows = regrets_of_studies().assign(unit="accuracy").to_dict("records")
    found = the_one([row for row in rows if (row["study"], row["rule"]) == (study, rule)], f"{study}, {rule}")
    return number_of(found, effect="value")


def best_simple(study: str) -> str:
    """What the simple rule lost that lost least in a study."""
    rows = regrets_of_studies()
    simple = rows[(rows["study"] == study) & ~rows["rule"].isin(["advice", "untaught"])]
    return regret_of(study, simple.loc[simple["value"].idxmin(), "rule"]).points()
