"""The committed results of the studies of generations say what their own runs say, and the figures draw them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from darkprobe.study.generations import Generations, find_generations
from darkprobe.study.generations.findings import other_claims, tolerance_over_generations
from darkprobe.study.generations.outputs import choose_upbringings, generation_table, measured_of
from darkprobe.study.verdicts import verdicts

FIGURES = Path(__file__).resolve().parents[2] / "figures"
NAMES = ("synthetic", "digits", "cifar10")


def facts(study: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIGURES / "studies" / "generations" / study / f"{name}.json").read_text())
    return found


def plan_of(study: str) -> Generations:
    """The built-in plan, images under the names of the data that they were run on."""
    plan = find_generations(study, edition="2-core" if study == "cifar10" else "full")
    told = facts(study, "generations")
    source, target = (
        dataclasses.replace(getattr(plan, role), data=told[role]["data"]) for role in ("source", "target")
    )
    return dataclasses.replace(plan, source=source, target=target)


def runs_of(study: str) -> pd.DataFrame:
    return pd.read_csv(FIGURES / "studies" / "generations" / study / "runs.csv")


@pytest.mark.parametrize("study", NAMES)
def test_the_committed_plan_is_the_built_in_one(study: str) -> None:
    plan = json.loads(json.dumps(plan_of(study).as_dict()))
    assert plan.items() <= facts(study, "generations").items()


@pytest.mark.parametrize("study", NAMES)
def test_verdicts_and_choices_follow_from_the_runs(study: str) -> None:
    plan, runs, told = plan_of(study), runs_of(study), facts(study, "verdicts")
    chosen = choose_upbringings(plan, runs[runs["phase"] == "pilot"])
    assert {name: vars(setting) for name, setting in chosen.items()} == facts(study, "generations")["choices"]
    measured = measured_of(runs)
    h7, *each = tolerance_over_generations(measured, delta=plan.delta)
    for family in ([h7], each, other_claims(measured, delta=plan.delta)):
        for key, verdict in verdicts(family, fresh_splits=plan.fresh_splits).items():
            assert told[key]["verdict"] == verdict["verdict"] and told[key]["n"] == plan.confirm
            assert told[key]["effect"] == pytest.approx(verdict["effect"], abs=1e-9)
            assert told[key]["high_adjusted"] == pytest.approx(verdict["high_adjusted"], abs=1e-9)


@pytest.mark.parametrize("study", NAMES)
def test_the_figure_draws_the_runs(study: str) -> None:
    drawn = pd.read_csv(FIGURES / "generations.csv")
    plan = plan_of(study)
    table = generation_table(plan, measured_of(runs_of(study)))
    keys = ["study", "chain", "metric", "generation"]
    both = drawn[drawn["study"] == plan.name].merge(table, on=keys, suffixes=("", "_again"))
    assert len(both) == (drawn["study"] == plan.name).sum() == 4 * len(plan.chains) * plan.count
    for column in ("value", "low", "high", "n"):
        assert np.allclose(both[column], both[f"{column}_again"], atol=1e-12)
    assert study in json.loads((FIGURES / "generations.json").read_text())["studies"]
