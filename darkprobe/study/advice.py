"""`advise`: which teacher, which temperature, which method, from the soft labels alone, before any student is trained.

With studies to learn from, choices are ranked by the gain in student accuracy that these predict (`rule.py`), with its
prediction interval. Without, by a rule that has no free number [design]: a teacher's temperature is that at which its
wrong classes are most distinct, T* = argmax sigma(T), and (teacher, T) is ranked by the teacher's held-out accuracy
times sigma(T) / sigma(T*); no fix is then advised, for lack of evidence. `backtest` scores both on finished studies.

Neither looks at which classes a teacher holds alike. A teacher that no longer tells (label smoothing does that) is
therefore named in the reasons, wherever it is ranked.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from darkprobe.errors import DataError
from darkprobe.store import LogitFile, LogitStore
from darkprobe.study.backtest import read_case, untaught_score
from darkprobe.study.best_temperature import BestTemperature, some_examples, temperature_of_most_distinct
from darkprobe.study.levels import LEVELS, LOST, knowledge_levels
from darkprobe.study.outcomes import Arm
from darkprobe.study.profiles import Profile
from darkprobe.study.readings import BASELINE_TEMPERATURE
from darkprobe.study.rule import Rule
from darkprobe.study.rule import learn as learn_rule
from darkprobe.zoo import build_module, find_architecture


def advise(
    store: LogitStore | Path | str,
    *,
    student: str,
    temperatures: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
    learn: Sequence[Path | str] = (),
) -> pd.DataFrame:
    """Choices of (teacher, temperature, method) for the student, best first, with reasons.

    Args:
        store: logits of the teachers on the training split, and, to rank teachers, on "val" or else "test".
        student: architecture of the student.
        temperatures: offered besides each teacher's own best one.
        learn: finished studies; gains are predicted and fixes ranked from what they found.

    Returns:
        Columns rank, model, dataset, method, temperature (of a fix: the one its setting comes down to, see
        `study.outcomes.arm_temperature`), score (0 to 1 without studies, else the predicted gain; higher is better),
        gain, gain_low, gain_high (predicted student accuracy minus that of KD at T = 4 from the most accurate teacher,
        fractions, 95 % prediction interval; NaN without studies, ends NaN below three), accuracy, accuracy_low,
        accuracy_high (held out, fractions; NaN without a held-out split), best_temperature, best_low, best_high,
        capacity_ratio (parameters of the teacher over the student's), class_relations (what it tells of which classes
        are alike, nats at T = 4), why.

    Raises:
        DataError: the store holds no training logits, or of several data sets; or a study is not finished.
    """
    store = store if isinstance(store, LogitStore) else LogitStore(store)
    dataset = _only_dataset(store)
    rule = learn_rule([read_case(directory) for directory in learn]) if learn else None
    profiles: dict[str, Profile] = {}
    facts: dict[str, dict[str, float | str]] = {}
    best: dict[str, BestTemperature] = {}
    for entry in store.entries(dataset, "train"):
        name = entry.card.model_id
        best[name] = temperature_of_most_distinct(entry.logits, np.asarray(entry.labels))
        accuracy = held_out_accuracy(store, dataset, entry)
        ratio = entry.card.parameters / _parameters(student, entry.card.input_shape, entry.card.num_classes)
        profiles[name] = _profile(entry, best[name], accuracy[0], ratio)
        facts[name] = {"accuracy": accuracy[0], "accuracy_low": accuracy[1], "accuracy_high": accuracy[2],
                       "best_temperature": best[name].temperature, "best_low": best[name].low,
                       "best_high": best[name].high, "capacity_ratio": ratio,
                       "class_relations": _class_relations(entry)}  # fmt: skip
    lost = _without_relations({name: float(fact["class_relations"]) for name, fact in facts.items()})
    unlike = _unlike_any_learnt_from(rule, profiles)
    methods = rule.methods if rule else ("kd",)
    arms = [(n, m, t) for n in best for m in methods for t in sorted({*temperatures, best[n].temperature})]
    scored = _scored(arms, profiles, rule)
    rows = [
        {"model": arm[0], "dataset": dataset, "method": arm[1], "temperature": arm[2], **score, **facts[arm[0]],
         "why": _why(arm, best[arm[0]], score, rule) + unlike.get(arm[0], "") + lost.get(arm[0], "")}
        for arm, score in zip(arms, scored, strict=True)
    ]  # fmt: skip
    table = pd.DataFrame(rows).sort_values(["score", "model", "temperature"], ascending=[False, True, True])
    table.insert(0, "rank", range(1, len(table) + 1))
    return table.reset_index(drop=True)


def _profile(entry: LogitFile, best: BestTemperature, accuracy: float, ratio: float) -> Profile:
    return Profile(
        accuracy=accuracy,
        ece=np.nan,
        distinctness=best.distinctness * best.share(4.0),
        doublings=float(np.log2(ratio)),
        parameters=entry.card.parameters,
        best_temperature=best.temperature,
        shares=tuple((best.curve / best.distinctness).tolist()),
    )


def _class_relations(entry: LogitFile) -> float:
    chosen = some_examples(len(entry.labels), np.random.default_rng(0))
    levels = knowledge_levels(
        np.asarray(entry.logits[chosen]), np.asarray(entry.labels, np.int64)[chosen], temperature=BASELINE_TEMPERATURE
    )
    return float(levels[LEVELS.index("class relations")])


def _without_relations(nats: dict[str, float]) -> dict[str, str]:
    """What to add to the reasons of teachers that tell less than `LOST` of what the richest does."""
    richest = max(nats, key=lambda name: nats[name])
    return {
        name: f"; CAUTION: lost which classes are alike ({found / nats[richest]:.1%} of what {richest} tells)"
        for name, found in nats.items()
        if found < LOST * nats[richest]
    }


def _unlike_any_learnt_from(rule: Rule | None, profiles: dict[str, Profile]) -> dict[str, str]:
    """What to add to the reasons of teachers that the rule extrapolates to."""
    if rule is None:
        return {}
    low, high = rule.best_temperatures
    told = f"; CAUTION: an extrapolation, teachers of the studies learnt from want T = {low:.3g} to {high:.3g}"
    return {name: told for name, profile in profiles.items() if not rule.has_seen(profile)}


def _scored(arms: list[Arm], profiles: dict[str, Profile], rule: Rule | None) -> list[dict[str, float]]:
    if rule is None:
        scores = [untaught_score(profiles[teacher], t) for teacher, _, t in arms]
        return [{"score": s, "gain": np.nan, "gain_low": np.nan, "gain_high": np.nan} for s in scores]
    if not all(np.isfinite(p.accuracy) for p in profiles.values()):
        raise DataError(
            "advise: `store` must hold held-out logits of every teacher to predict gains, got some without. Extract "
            "them on --split val or test."
        )
    half = rule.half_width()
    gains = rule.gains(profiles, arms).tolist()
    return [{"score": g, "gain": g, "gain_low": g - half, "gain_high": g + half} for g in gains]


def _why(arm: Arm, best: BestTemperature, score: dict[str, float], rule: Rule | None) -> str:
    _, method, temperature = arm
    share = best.share(temperature)
    if temperature == best.temperature:
        said = f"its wrong classes are most distinct at T = {temperature:.3g} ({best.low:.3g} to {best.high:.3g})"
    else:
        side = "too low: the label takes all" if temperature < best.temperature else "too high: the classes level out"
        said = f"keeps {share:.0%} of the distinctness it has at T = {best.temperature:.3g}; {side}"
    if rule is None:
        return said
    ends = f" ({100 * score['gain_low']:+.2f} to {100 * score['gain_high']:+.2f})" if rule.error == rule.error else ""
    return f"{said}; {len(rule.studies)} studies predict {100 * score['gain']:+.2f} points{ends} with {method}"


def held_out_accuracy(store: LogitStore, dataset: str, entry: LogitFile) -> tuple[float, float, float]:
    """Accuracy of the same weights on "val", else "test", with a 95 % Wilson interval; NaN where neither is stored."""
    for split in ("val", "test"):
        if split not in store.splits(dataset):
            continue
        for other in store.entries(dataset, split):
            if other.card.file_stem == entry.card.file_stem:
                hits = np.asarray(other.logits).argmax(-1) == np.asarray(other.labels)
                return _wilson(float(hits.mean()), len(hits))
    return np.nan, np.nan, np.nan


def _wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float, float]:
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)
    return share, middle - reach, middle + reach


def _only_dataset(store: LogitStore) -> str:
    found = [name for name in store.datasets() if "train" in store.splits(name)]
    if len(found) != 1:
        raise DataError(
            f"advise: `store` must hold training logits of one data set, got {len(found)} ({', '.join(found[:5])}). "
            "Extract the teachers with `darkprobe extract MODEL --data D --split train --out STORE`."
        )
    return found[0]


def _parameters(student: str, shape: tuple[int, ...], classes: int) -> int:
    module = build_module(find_architecture(student).name, input_shape=shape, num_classes=classes, seed=0)
    return sum(p.numel() for p in module.parameters())
