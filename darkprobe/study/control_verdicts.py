"""Controls as verdicts: planted harm must be confirmed, its matching repair too, and planted nothing must not.

They test the study, not the claims, so they are a family of their own for the multiplicity correction.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from darkprobe.study.hypotheses import Finding
from darkprobe.study.plan import Control, Study
from darkprobe.study.statistics import fieller_interval, mean_estimate, replicates_for
from darkprobe.study.verdicts import verdicts

Values = npt.NDArray[np.float64]
Accuracy = Callable[[str], Values]
"""Student test accuracy over confirm replicates, (replicate,), by the control's label."""


def control_verdicts(study: Study, accuracy: Accuracy) -> dict[str, dict[str, Any]]:
    """Verdicts "C1", "C2", ... of the controls whose outcome is expected, with what it should be.

    Besides the fields of every verdict: "family" ("controls"), "expected" ("confirmed" or "not confirmed") and
    "as_expected" (bool).
    """
    found = [made for made in (_finding(study, c, accuracy) for c in study.controls) if made is not None]
    keyed = {f"C{i}": wanted for i, (_, wanted) in enumerate(found, start=1)}
    findings = [replace(finding, key=key) for key, (finding, _) in zip(keyed, found, strict=True)]
    if not findings:
        return {}
    spoken = verdicts(findings, fresh_splits=study.fresh_splits)
    return {
        key: {**verdict, "family": "controls", "expected": keyed[key],
              "as_expected": (verdict["verdict"] == "confirmed") == (keyed[key] == "confirmed")}
        for key, verdict in spoken.items()
    }  # fmt: skip


def _finding(study: Study, control: Control, accuracy: Accuracy) -> tuple[Finding, str] | None:
    if control.label == control.against or control.expected not in ("lower", "none"):
        return None
    harmed = harmed_by(study, control)
    own = accuracy(control.label)
    if control.expected == "lower":
        claim, wanted, difference = f"Harm was planted: {control.label}.", "confirmed", accuracy(control.against) - own
        said = f"{control.against} minus {control.label}"
    elif harmed is not None:
        claim, wanted = f"The matching fix repairs it: {control.label}.", "confirmed"
        difference, said = own - accuracy(harmed.label), f"{control.label} minus {harmed.label}"
    else:
        claim, wanted = f"Nothing was planted, yet it harms: {control.label}.", "not confirmed"
        paired = min(len(own), len(accuracy(control.against)))  # twins come in the first replicates only
        difference, said = (
            (accuracy(control.against)[:paired] - own[:paired]),
            f"{control.against} minus {control.label}",
        )
    return _difference(claim, said, difference, study, reading=_closed(control, harmed, accuracy)), wanted


def _difference(claim: str, said: str, difference: Values, study: Study, *, reading: str) -> Finding:
    return Finding(
        key="C",
        claim=claim,
        quantity=f"student test accuracy, {said}",
        unit="accuracy",
        estimate=mean_estimate(difference),
        direction=1,
        refuted_beyond=study.delta,
        more_seeds=replicates_for(difference, half_width=study.delta) if np.ptp(difference) else None,
        reading=reading,
    )


def harmed_by(study: Study, control: Control) -> Control | None:
    """The control with the same edit whose students show the harm that this one repairs."""
    if control.edit in ("none", "twin", "recipe", "assistant"):
        return None
    same = [
        other
        for other in study.controls
        if other.expected == "lower"
        and (other.edit, dict(other.edit_parameters)) == (control.edit, dict(control.edit_parameters))
    ]
    return same[0] if same and control.expected != "lower" else None


def _closed(control: Control, harmed: Control | None, accuracy: Accuracy) -> str:
    """How much of the harm a repair closes."""
    if harmed is None:
        return ""
    damage = accuracy(harmed.against) - accuracy(harmed.label)
    share, low, high = fieller_interval(accuracy(control.label) - accuracy(harmed.label), damage)
    return f"It closes {share:.0%} of the harm (Fieller interval {low:.0%} to {high:.0%})."
