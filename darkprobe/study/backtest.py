"""Advice scored on finished studies: what would have been lost by following it, against simple rules.

"advice" is the rule learnt from all the other studies given, never from the one it is scored on, nor from any student
of it; "untaught" is the rule without a free number that `advise` falls back on. It was chosen by its authors with the
built-in studies digits and synthetic in view, which are therefore no fair test of it. Teachers' held-out accuracy is
that on the study's test split, for all rules alike.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from darkprobe.errors import InvalidValueError
from darkprobe.study.outcomes import Arm, Outcome, read_outcome
from darkprobe.study.profiles import Profile, read_profiles
from darkprobe.study.readings import BASELINE_TEMPERATURE
from darkprobe.study.rule import Case, Rule, learn
from darkprobe.study.statistics import mean_estimate

BASELINES = ("most accurate", "closest in capacity", "best calibrated", "most distinct")
"""Rules for the teacher alone, each at T = 4."""

Scores = dict[Arm, float]


def read_case(directory: Path | str) -> Case:
    """A finished study with its teachers' profiles."""
    outcome = read_outcome(directory)
    return Case(outcome=outcome, profiles=read_profiles(outcome))


def backtest(directories: Sequence[Path | str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Regret and rank correlation of the advice and of the baselines on each study; what predicted temperatures lose.

    Args:
        directories: finished studies.

    Returns:
        (regret, temperatures). regret has the columns study, rule, teacher, method, temperature, accuracy, regret, low,
        high (fractions; best arm of the study minus the chosen one, 95 % paired t over replicates; the best arm is the
        best in hindsight, so 0 is out of reach of chance), rank_correlation (Spearman over the KD arms of all
        teachers and temperatures; higher is better) and n (replicates). temperatures is that of `temperature_losses`,
        for every study.

    Raises:
        InvalidValueError: no study.
        DataError: one is not finished.
    """
    if not directories:
        raise InvalidValueError("backtest: `directories` must name 1 or more finished studies, got none. Run one.")
    cases = [read_case(directory) for directory in directories]
    scored, losses = [], []
    for i, case in enumerate(cases):
        others = [*cases[:i], *cases[i + 1 :]]
        rule = learn(others) if others else None
        scored.append(score_study(case, rule))
        losses.append(temperature_losses(case, rule))
    return pd.concat(scored, ignore_index=True), pd.concat(losses, ignore_index=True)


def score_study(case: Case, rule: Rule | None) -> pd.DataFrame:
    """Rows of the regret table for one study; `rule` was learnt from others, or is None."""
    outcome, profiles = case.outcome, case.profiles
    scores = ({"advice": _taught(rule, case)} if rule else {}) | {
        "untaught": {arm: untaught_score(profiles[arm[0]], arm[2]) for arm in _kd(outcome)},
        **{name: _baseline(name, outcome, profiles) for name in BASELINES},
    }
    best_arm = max([*outcome.arms.values(), *outcome.tuned.values()], key=lambda values: float(values.mean()))
    kd = _kd(outcome)
    reached = [float(outcome.arms[arm].mean()) for arm in kd]
    rows = []
    for name, score in scores.items():
        arm = max(score, key=lambda a: (score[a], -abs(np.log2(a[2] / BASELINE_TEMPERATURE))))
        low, high = (e := mean_estimate(best_arm - outcome.arms[arm])).interval()
        rows.append(
            {"study": outcome.study.name, "rule": name, "teacher": arm[0], "method": arm[1], "temperature": arm[2],
             "accuracy": float(outcome.arms[arm].mean()), "regret": e.effect, "low": low, "high": high,
             "rank_correlation": float(stats.spearmanr([score[a] for a in kd], reached).statistic), "n": e.n}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _kd(outcome: Outcome) -> list[Arm]:
    return [arm for arm in outcome.arms if arm[1] == "kd"]


def untaught_score(profile: Profile, temperature: float) -> float:
    """Held-out accuracy times the share of its distinctness that the teacher keeps at this temperature, 0 to 1."""
    return (profile.accuracy if np.isfinite(profile.accuracy) else 1.0) * profile.share(temperature)


def _taught(rule: Rule, case: Case) -> Scores:
    arms = [arm for arm in case.outcome.arms if arm[1] in rule.methods]
    return dict(zip(arms, rule.gains(case.profiles, arms).tolist(), strict=True))


def temperature_losses(case: Case, rule: Rule | None) -> pd.DataFrame:
    """Accuracy lost at the predicted temperature against the one tuned on validation data, by teacher.

    Columns study, rule ("advice" learnt from other studies, "untaught" T*, or "T = 4" for all), teacher, predicted (T*
    for "untaught"), used (of the study's temperatures), tuned, loss, low, high, n; a loss below 0 is a gain. The
    teacher "all" is the mean over teachers, per replicate first.
    """
    outcome, grid = case.outcome, case.outcome.study.temperatures
    nearest: Callable[[float], float] = lambda at: min(grid, key=lambda t: abs(np.log2(t / at)))  # noqa: E731
    rules = {"untaught": {t: nearest(p.best_temperature) for t, p in case.profiles.items()}}
    rules["T = 4"] = dict.fromkeys(case.profiles, nearest(BASELINE_TEMPERATURE))
    if rule is not None:
        score = _taught(rule, case)
        rules["advice"] = {t: max(grid, key=lambda at: score[t, "kd", at]) for t in case.profiles}
    rows: list[dict[str, Any]] = []
    for name, used in rules.items():
        differences = []
        for teacher, at in used.items():
            tuned = outcome.tuned_temperature[teacher]
            differences.append(outcome.kd[teacher, tuned] - outcome.kd[teacher, at])
            predicted = case.profiles[teacher].best_temperature if name == "untaught" else at
            row = {"rule": name, "teacher": teacher, "predicted": predicted, "used": at, "tuned": tuned}
            rows.append({**row, **_loss(differences[-1])})
        rows.append({"rule": name, "teacher": "all", **_loss(np.mean(differences, axis=0))})
    return pd.DataFrame(rows).assign(study=outcome.study.name)


def _loss(values: np.ndarray) -> dict[str, float]:
    low, high = (e := mean_estimate(values)).interval()
    return {"loss": e.effect, "low": low, "high": high, "n": e.n}


def _baseline(name: str, outcome: Outcome, profiles: dict[str, Profile]) -> Scores:
    """Score of every arm under a rule that knows the teacher alone; among its arms, T = 4 is taken."""
    rules: dict[str, Callable[[Profile], float]] = {
        "most accurate": lambda p: p.accuracy,
        "closest in capacity": lambda p: -abs(p.doublings),
        "best calibrated": lambda p: -p.ece,
        "most distinct": lambda p: p.distinctness,
    }
    return {arm: rules[name](profiles[arm[0]]) for arm in _kd(outcome)}


def conclusion(table: pd.DataFrame) -> str:
    """Whether the advice lost less than every baseline, in words, from the regret table."""
    regret = table.pivot(index="study", columns="rule", values="regret")
    means = regret.mean()
    best = str(means[list(BASELINES)].idxmin())
    said = [_against(regret, name, best) for name in ("advice", "untaught") if name in regret]
    return "\n".join(said)


def _against(regret: pd.DataFrame, name: str, best: str) -> str:
    own, other = regret[name], regret[best]
    word = "beats" if own.mean() < other.mean() else "does not beat"
    said = (
        f"{name}: {word} the best of the four baselines over {len(regret)} studies: mean regret "
        f"{100 * own.mean():.2f} against {100 * other.mean():.2f} points ({best}, T = {BASELINE_TEMPERATURE:g}); "
        f"lower in {int((own < other).sum())} of {len(regret)}"
    )
    if len(regret) < 3:
        return f"{said}."
    low, high = mean_estimate((other - own).to_numpy(np.float64)).interval()
    sure = "" if low > 0 or high < 0 else "; the interval holds 0, so more studies are needed to be sure"
    return f"{said}; difference {100 * (other - own).mean():.2f} points ({100 * low:.2f} to {100 * high:.2f}){sure}."
