"""What finished studies teach about (teacher, temperature, method): a small ridge regression of student accuracy.

Inputs of an arm are known before any student is trained: the teacher's held-out error next to the best teacher's, its
size, how distinct its wrong classes are at the arm's temperature, and how far that lies from the most distinct one; the
response is student accuracy next to the reference arm (the most accurate teacher at T = 4), each study scaled to unit
spread, so that none counts for more than another. Form and penalty were fixed before any study was scored [design].
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter
from scipy import stats

from darkprobe.errors import DataError
from darkprobe.files import write_json
from darkprobe.study.outcomes import Arm, Outcome
from darkprobe.study.profiles import Profile
from darkprobe.study.readings import BASELINE_TEMPERATURE

Values = npt.NDArray[np.float64]

PENALTY = 0.1
"""Of the squared coefficients, against arms whose squared errors sum to 1 a study."""

_OF_TEACHER = 2
_OF_METHOD = 4


@dataclass(frozen=True, kw_only=True)
class Case:
    """One finished study: what happened, and what was known before."""

    outcome: Outcome
    profiles: dict[str, Profile]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What was learnt.

    Attributes:
        methods: those it can rank, "kd" first.
        coefficients: two of the teacher, then four of each method.
        spread: typical standard deviation of student accuracy over the arms of a study, a fraction.
        error: standard deviation of a predicted gain, a fraction, from studies left out one by one; NaN below three.
        studies: names of the studies learnt from.
        best_temperatures: lowest and highest T of most distinct wrong classes among the teachers learnt from.
    """

    methods: tuple[str, ...]
    coefficients: tuple[float, ...]
    spread: float
    error: float
    studies: tuple[str, ...]
    best_temperatures: tuple[float, float]

    def has_seen(self, profile: Profile) -> bool:
        """Whether the teacher's T of most distinct wrong classes is like those learnt from, up to a doubling (our
        choice); else the rule extrapolates."""
        low, high = self.best_temperatures
        return low / 2 <= profile.best_temperature <= 2 * high

    def gains(self, profiles: dict[str, Profile], arms: Sequence[Arm]) -> Values:
        """Predicted student accuracy minus that of the reference arm, (arm,), fractions."""
        rows = _features(profiles, [*arms, reference_arm(profiles)], self.methods)
        scores = self.spread * rows @ np.array(self.coefficients)
        return np.asarray(scores[:-1] - scores[-1])

    def half_width(self) -> float:
        """Half of a 95 % prediction interval for the gain in a new study, a fraction."""
        return float(stats.t.ppf(0.975, max(1, len(self.studies) - 1))) * self.error


def reference_arm(profiles: dict[str, Profile]) -> Arm:
    """KD at T = 4 from the most accurate teacher: what one would do without advice."""
    return max(profiles, key=lambda teacher: profiles[teacher].accuracy), "kd", BASELINE_TEMPERATURE


def learn(cases: Sequence[Case]) -> Rule:
    """The rule of finished studies; it ranks the methods that all of them tried.

    Raises:
        DataError: no study.
    """
    if not cases:
        raise DataError("learn: `cases` must hold 1 or more finished studies, got none. Run one.")
    tried = [{method for _, method, _ in case.outcome.arms} for case in cases]
    methods = ("kd", *sorted(set.intersection(*tried) - {"kd"}))
    wanted = [profile.best_temperature for case in cases for profile in case.profiles.values()]
    return Rule(
        methods=methods,
        coefficients=tuple(_fit(cases, methods).tolist()),
        spread=float(np.median([_response(case, methods)[2] for case in cases])),
        error=_error(cases, methods),
        studies=tuple(case.outcome.study.name for case in cases),
        best_temperatures=(min(wanted), max(wanted)),
    )


def _features(profiles: dict[str, Profile], arms: Sequence[Arm], methods: Sequence[str]) -> Values:
    best = max(p.accuracy for p in profiles.values())
    rows = np.zeros((len(arms), _OF_TEACHER + _OF_METHOD * len(methods)))
    for row, (teacher, method, temperature) in zip(rows, arms, strict=True):
        profile = profiles[teacher]
        row[0] = (best - profile.accuracy) / max(1 - best, 0.01)
        row[1] = profile.doublings / 4
        distance = np.log2(temperature / profile.best_temperature) / 2
        start = _OF_TEACHER + _OF_METHOD * methods.index(method)
        row[start : start + _OF_METHOD] = 1.0, profile.share(temperature), distance, distance**2
    return rows


def _response(case: Case, methods: Sequence[str]) -> tuple[list[Arm], Values, float]:
    """Arms of the rule's methods, their student accuracies (arm,) about the mean, and the spread of these."""
    arms = [arm for arm in case.outcome.arms if arm[1] in methods]
    reached = np.array([case.outcome.arms[arm].mean() for arm in arms])
    return arms, reached - reached.mean(), max(float(reached.std()), 1e-6)


def _fit(cases: Sequence[Case], methods: Sequence[str]) -> Values:
    blocks = []
    for case in cases:
        arms, reached, spread = _response(case, methods)
        rows = _features(case.profiles, arms, methods)
        scale = np.sqrt(len(arms))
        blocks.append(((rows - rows.mean(0)) / scale, reached / spread / scale))
    x, y = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return np.asarray(np.linalg.solve(x.T @ x + PENALTY * np.eye(x.shape[1]), x.T @ y))


def _error(cases: Sequence[Case], methods: Sequence[str]) -> float:
    """Standard deviation of what a left-out study's best-ranked arm gains, about what was predicted."""
    if len(cases) < 3:
        return float("nan")
    misses = []
    for i, case in enumerate(cases):
        others = [*cases[:i], *cases[i + 1 :]]
        arms, reached, _ = _response(case, methods)
        spread = float(np.median([_response(other, methods)[2] for other in others]))
        rows = _features(case.profiles, arms, methods) @ _fit(others, methods) * spread
        base = arms.index(reference_arm(case.profiles)) if reference_arm(case.profiles) in arms else None
        if base is not None:
            best = int(rows.argmax())
            misses.append((reached[best] - reached[base]) - (rows[best] - rows[base]))
    return float(np.sqrt(np.mean(np.square(misses)) * (1 + 1 / len(misses)))) if misses else float("nan")


def write_rule(rule: Rule, path: Path | str) -> None:
    """Writes the rule as JSON."""
    write_json(path, asdict(rule))


def read_rule(path: Path | str) -> Rule:
    """The rule of a file that `write_rule` wrote."""
    rule: Rule = TypeAdapter(Rule).validate_json(Path(path).read_text(encoding="utf-8"))
    return rule
