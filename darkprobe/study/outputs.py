"""What a finished study leaves in its directory: plan, runs, verdicts, tables, figures. See `docs/architecture.md`."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from darkprobe.distill.teachers import parse_recipe
from darkprobe.files import replacing, write_json
from darkprobe.provenance import guarantee, provenance
from darkprobe.study.arms import Arms
from darkprobe.study.choices import Choices
from darkprobe.study.control_verdicts import control_verdicts
from darkprobe.study.diagnoses import relations_lost, rescaling_vanished
from darkprobe.study.figures import draw_figures
from darkprobe.study.further_hypotheses import calibration_tells, dose_response, tolerance_helps
from darkprobe.study.gaps import gap_table
from darkprobe.study.hypotheses import Finding
from darkprobe.study.plan import Study
from darkprobe.study.readings import dose_of
from darkprobe.study.runs import to_table
from darkprobe.study.softlabels import SoftLabels
from darkprobe.study.verdicts import UNIT_OF_N, UNIT_OF_N_FIXED, verdicts


def write_outputs(
    study: Study, directory: Path, *, rows: list[dict[str, Any]], choices: Choices, soft: SoftLabels
) -> None:
    """Writes `study.json`, `runs.csv`, `verdicts.json`, `tables/` and `figures/`."""
    runs = to_table(rows)
    _write_table(directory / "runs.csv", runs)
    arms = Arms(study, runs, choices)
    findings = [soft.h1(), *([soft.h2()] if study.twins >= 3 else []), *arms.h3(), arms.h4()]
    findings += [arms.h4_weight()] if study.reference_weights else []
    findings += further_findings(study, soft, arms)
    found = verdicts(findings, fresh_splits=study.fresh_splits)
    found |= diagnosed(study, soft) | control_verdicts(study, arms.control)
    for verdict in found.values():
        verdict["sentence"] = study.caution + verdict["sentence"]
    write_json(directory / "verdicts.json", found)
    unit_of_n = UNIT_OF_N if study.fresh_splits else UNIT_OF_N_FIXED
    tables = {
        "profile": soft.profile(),
        "accuracy": arms.accuracy(soft.parameters),
        "effects": arms.effects(found),
        "teachers": soft.accuracy(),
        "gap": gap_table(arms, runs),
        "levels": soft.levels(),
        **({"affinity": soft.affinity_table()} if study.twins >= 3 else {}),
        **({"controls": arms.controls()} if study.compared_controls else {}),
    }
    facts = provenance(
        study=study.name,
        seed=study.seed,
        smoke=study.smoke,
        scaled=study.scaled,
        guarantee=guarantee("cuda" if torch.cuda.is_available() else "cpu"),  # where teachers with batch norm train
        replicates={"pilot": study.pilot, "confirm": study.confirm},
    )
    for name, table in tables.items():
        tables[name] = table.assign(unit_of_n=unit_of_n)
        _write_table(directory / "tables" / f"{name}.csv", tables[name])
    draw_figures(study, directory / "figures", tables=tables, facts=facts)
    plan = {**study.as_dict(), "choices": choices.as_dict(), "students": len(runs), "provenance": facts}
    write_json(directory / "study.json", plan)


def further_findings(study: Study, soft: SoftLabels, arms: Arms) -> list[Finding]:
    """H5 to H9, those of them that the study has students for."""
    pairs, accuracy = arms.reference_table()
    found = [*arms.chains(), tolerance(study, soft, arms), calibration_tells(soft.ece(pairs), accuracy, pairs=pairs)]
    return [finding for finding in [*found, doses(study, soft, arms)] if finding is not None]


def tolerance(study: Study, soft: SoftLabels, arms: Arms) -> Finding | None:
    """H7 where a control has students of a tolerant teacher."""
    tolerant = [c for c in study.controls if c.edit == "recipe" and parse_recipe(c.recipe).kind == "tolerant"]
    if not tolerant:
        return None
    control = tolerant[0]
    return tolerance_helps(
        strict=(soft.recipe_accuracy("plain"), arms.control(control.against)),
        tolerant=(soft.recipe_accuracy(control.recipe), arms.control(control.label)),
        recipe=control.recipe,
        architecture=study.control_teacher,
        delta=study.delta,
    )


def doses(study: Study, soft: SoftLabels, arms: Arms) -> Finding | None:
    """H9 where controls flatten the wrong classes at fixed p_y by several amounts."""
    dosed = [control for control in study.controls if dose_of(study, control) is not None]
    clean = {control.against for control in dosed}
    if len(dosed) < 2 or len(clean) != 1:
        return None
    labels = [*clean, *(control.label for control in dosed)]
    reached = np.stack([arms.control(label) for label in labels], axis=1)
    return dose_response(soft.doses(), reached, doses=labels, delta=study.delta)


def diagnosed(study: Study, soft: SoftLabels) -> dict[str, dict[str, Any]]:
    """Verdicts on what teachers lost, a family of their own."""
    at, plain = study.fixed_temperature, None
    found = [rescaling_vanished("D1", soft.ladder_levels(), teachers=study.teachers, temperature=at)]
    for recipe in study.recipes:
        if parse_recipe(recipe).kind == "ls":
            plain = soft.recipe_levels("plain") if plain is None else plain
            key, of_recipe = f"D{len(found) + 1}", soft.recipe_levels(recipe)
            names = {"recipe": recipe, "architecture": study.control_teacher}
            found.append(relations_lost(key, of_recipe, plain, temperature=at, **names))
    spoken = verdicts(found, fresh_splits=study.fresh_splits)
    return {key: {**verdict, "family": "diagnoses"} for key, verdict in spoken.items()}


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
