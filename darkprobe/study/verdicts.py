"""From findings to verdicts: confirmed, refuted or not resolved, with one multiplicity correction over the family."""

from typing import Any

import numpy as np

from darkprobe.study.hypotheses import Finding
from darkprobe.study.statistics import Estimate, holm, holm_multipliers

UNIT_OF_N = "replicates (fresh split, fresh teachers, fresh students)"
UNIT_OF_N_FIXED = "replicates (fresh teachers and students; conditional on these images)"


def verdicts(findings: list[Finding], *, fresh_splits: bool, alpha: float = 0.05) -> dict[str, dict[str, Any]]:
    """Verdict of each finding, by key, JSON-ready.

    Confirmed: the Holm-adjusted interval lies beyond `null` in the claimed direction. Refuted: it lies wholly short of
    `refuted_beyond`. Else not resolved.
    """
    raw = np.array([finding.estimate.p_value(finding.null) for finding in findings])
    adjusted, factors = holm(raw), holm_multipliers(raw)
    unit = UNIT_OF_N if fresh_splits else UNIT_OF_N_FIXED
    return {
        finding.key: _verdict(finding, p=float(p), confidence=1 - alpha / float(factor), unit_of_n=unit)
        for finding, p, factor in zip(findings, adjusted, factors, strict=True)
    }


def _verdict(finding: Finding, *, p: float, confidence: float, unit_of_n: str) -> dict[str, Any]:
    estimate = finding.estimate
    low, high = estimate.interval()
    word = _word(finding, *estimate.interval(confidence))
    return {
        "family": "hypotheses",
        "verdict": word,
        "claim": finding.claim,
        "sentence": _sentence(finding, word, unit_of_n),
        "quantity": finding.quantity,
        "unit": finding.unit,
        "effect": estimate.effect,
        "low": low,
        "high": high,
        "low_adjusted": estimate.interval(confidence)[0],
        "high_adjusted": estimate.interval(confidence)[1],
        "n": estimate.n,
        "unit_of_n": unit_of_n,
        "test": f"{finding.test}; Holm over the hypotheses of the study",
        "p_adjusted": p,
        "more_seeds": finding.more_seeds if word == "not resolved" else None,
        "detail": finding.detail,
    }


def _word(finding: Finding, low: float, high: float) -> str:
    if finding.direction > 0:
        confirmed, refuted = low > finding.null, high < finding.refuted_beyond
    else:
        confirmed, refuted = high < finding.null, low > finding.refuted_beyond
    return "confirmed" if confirmed else "refuted" if refuted else "not resolved"


def _sentence(finding: Finding, word: str, unit_of_n: str) -> str:
    how = {"confirmed": "Confirmed", "refuted": "Refuted", "not resolved": "Not resolved"}[word]
    shown = _shown(finding.estimate, finding.unit)
    more = ""
    if word == "not resolved" and finding.more_seeds:
        enough = finding.more_seeds <= finding.estimate.n
        more = (
            " The interval is narrow enough; the effect lies too close to the bounds."
            if enough
            else f" About {finding.more_seeds} replicates would narrow it to +-{100 * finding.refuted_beyond:g} points."
        )
    reading = f" {finding.reading}" if finding.reading else ""
    measured = f"Measured: {finding.quantity}: {shown}, n = {finding.estimate.n} {unit_of_n}."
    return f"{how}: {finding.claim} {measured}{reading}{more}"


def _shown(estimate: Estimate, unit: str) -> str:
    low, high = estimate.interval()
    if unit == "accuracy":
        return f"{100 * estimate.effect:+.2f} points (95 % interval {100 * low:+.2f} to {100 * high:+.2f})"
    if unit == "ratio":
        return f"{estimate.effect:.0%} (95 % interval {low:.0%} to {high:.0%})"
    return f"{estimate.effect:+.3f} {unit} (95 % interval {low:+.3f} to {high:+.3f})"
