"""What a finished study of generations leaves in its directory: plan, runs, verdicts, tables, the figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from darkprobe.files import replacing, write_json
from darkprobe.plots import save_figure
from darkprobe.plots.generations import plot_generations_overview
from darkprobe.plots.style import figure_of
from darkprobe.provenance import provenance
from darkprobe.study.generations.findings import Measured, other_claims, tolerance_over_generations
from darkprobe.study.generations.plan import TOLERANT, Generations, Upbringing
from darkprobe.study.hypotheses import Finding, simultaneous_rows
from darkprobe.study.statistics import mean_estimate
from darkprobe.study.verdicts import UNIT_OF_N, UNIT_OF_N_FIXED, verdicts

Row = dict[str, Any]

COMPARED = ("test_accuracy", "ensemble_accuracy", "transfer_accuracy")
"""Measures in which the tolerant chain is set against every other, generation by generation."""


def chain_rows(phase: str, replicate: int, chain: str, upbringing: Upbringing, result: Mapping[str, Any]) -> list[Row]:
    """One row a generation of a chain, for `runs.csv`."""
    same = {"phase": phase, "replicate": replicate, "chain": chain, **vars(upbringing), "cell_id": result["cell_id"]}
    seconds = result["seconds"] / len(result["generations"])
    return [
        {**same, "generation": number, **record, "seconds": seconds}
        for number, record in enumerate(result["generations"])
    ]


def choose_upbringings(plan: Generations, runs: pd.DataFrame) -> dict[str, Upbringing]:
    """The setting of every chain: best validation accuracy on the pilot, mean over its students and replicates.

    Args:
        plan: of the study.
        runs: pilot rows of `chain_rows`.
    """
    students = runs[runs["generation"] > 0]
    chosen = {}
    for chain in plan.chains:
        rows = students[students["chain"] == chain.name]
        means = [_of_setting(rows, setting)["val_accuracy"].mean() for setting in chain.grid]
        chosen[chain.name] = chain.grid[int(np.argmax(means))]
    return chosen


def _of_setting(rows: pd.DataFrame, setting: Upbringing) -> pd.DataFrame:
    columns = list(vars(setting))
    return rows[(rows[columns] == list(vars(setting).values())).all(axis=1)]


def measured_of(runs: pd.DataFrame) -> Measured:
    """Confirm rows of `runs.csv` as chain -> measure -> (replicate, generation)."""
    confirm = runs[runs["phase"] == "confirm"]
    names = [name for name in confirm.columns if name.endswith(("_accuracy", "_confidence", "_gap"))]
    return {
        str(chain): {
            name: rows.pivot(index="replicate", columns="generation", values=name).to_numpy(float) for name in names
        }
        for chain, rows in confirm.groupby("chain", sort=False)
    }


def write_outputs(plan: Generations, directory: Path, *, rows: Sequence[Row], chosen: Mapping[str, Upbringing]) -> None:
    """Writes `generations.json`, `runs.csv`, `verdicts.json`, `tables/` and `figures/`."""
    runs = pd.DataFrame(rows)
    measured = measured_of(runs)
    h7, *by_generation = tolerance_over_generations(measured, delta=plan.delta)
    families = {"hypotheses": [h7], "generations": by_generation, "claims": other_claims(measured, delta=plan.delta)}
    found = {key: value for name, some in families.items() for key, value in _spoken(plan, name, some).items()}
    tables = {
        "generations": generation_table(plan, measured),
        "effects": effect_table(measured),
        "sweep": sweep_table(plan, runs),
    }
    unit = UNIT_OF_N if plan.fresh_splits else UNIT_OF_N_FIXED
    facts = provenance(study=plan.name, seed=plan.seed, smoke=plan.smoke, scaled=plan.scaled,
                       replicates={"pilot": plan.pilot, "confirm": plan.confirm})  # fmt: skip
    _write_table(directory / "runs.csv", runs)
    write_json(directory / "verdicts.json", found)
    for name, table in tables.items():
        tables[name] = table.assign(unit_of_n=unit)
        _write_table(directory / "tables" / f"{name}.csv", tables[name])
    figure = figure_of(plot_generations_overview(tables["generations"])[0])
    for suffix in (".png", ".svg"):
        path = directory / "figures" / f"generations{suffix}"
        save_figure(figure, path, table=tables["generations"], provenance=facts)
    choices = {name: vars(setting) for name, setting in chosen.items()}
    trials = {chain.name: len(chain.grid) for chain in plan.chains}
    seconds = round(float(runs["seconds"].sum()), 1)
    write_json(
        directory / "generations.json",
        {**plan.as_dict(), "choices": choices, "trials": trials, "cell_seconds": seconds, "provenance": facts},
    )


def _spoken(plan: Generations, family: str, findings: list[Finding]) -> dict[str, Row]:
    found = verdicts(findings, fresh_splits=plan.fresh_splits)
    return {
        key: {**verdict, "family": family, "sentence": plan.caution + verdict["sentence"]}
        for key, verdict in found.items()
    }


def generation_table(plan: Generations, measured: Measured) -> pd.DataFrame:
    """Every measure of every generation of every chain, with its own 95 % t interval over replicates."""
    rows = []
    for chain, by_name in measured.items():
        for name, values in by_name.items():
            unit = "accuracy" if name.endswith("accuracy") else "probability"
            for number in range(values.shape[1]):
                rows.append({"study": plan.name, "chain": chain, "metric": name, "generation": number,
                             **_estimated(values[:, number]), "unit": unit})  # fmt: skip
    return pd.DataFrame(rows)


def effect_table(measured: Measured) -> pd.DataFrame:
    """The tolerant chain minus every other, generation by generation, in intervals that hold together a measure."""
    rows: list[Row] = []
    for name in COMPARED:
        differences = {
            f"{TOLERANT} - {chain}, generation {number}": measured[TOLERANT][name][:, number] - by_name[name][:, number]
            for chain, by_name in measured.items()
            if chain != TOLERANT
            for number in range(by_name[name].shape[1])
        }
        rows += [{"metric": name, **row} for row in simultaneous_rows(differences)]
    return pd.DataFrame(rows)


def sweep_table(plan: Generations, runs: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy on the pilot of every setting: of generation 0, and of students, mean over generations."""
    pilot, rows = runs[runs["phase"] == "pilot"], []
    for chain in plan.chains:
        of_chain = pilot[pilot["chain"] == chain.name]
        for setting in chain.grid:
            found = _of_setting(of_chain, setting)
            for what, part in (("generation 0", found["generation"] == 0), ("students", found["generation"] > 0)):
                values = found[part].groupby("replicate")["val_accuracy"].mean().to_numpy(float)
                rows.append({"chain": chain.name, **vars(setting), "metric": f"val_accuracy of {what}",
                             **_estimated(values), "unit": "accuracy"})  # fmt: skip
    return pd.DataFrame(rows)


def _estimated(values: Any) -> Row:
    """Mean with its interval; a single replicate has none."""
    if len(values) < 2:
        return {"value": float(values[0]), "low": None, "high": None, "n": len(values)}
    estimate = mean_estimate(values)
    low, high = estimate.interval()
    return {"value": estimate.effect, "low": low, "high": high, "n": estimate.n}


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
