"""Dark-knowledge cards: what one teacher's soft labels say, in a file small enough to send, checked by its hash.

A card holds metrics by temperature, the class-affinity matrix, calibration and fingerprints, so that teachers can be
compared without their weights or logits. This file owns the format and the reader; `darkprobe.report.card` makes cards.

The format is JSON: `format` ("darkprobe-card"), `version` (1), `model` (a `ModelCard`), `dataset`, `split`,
`fingerprint`, `n`, `class_names`, `metrics` (rows), `affinity` (temperature, and for each class the kept wrong classes
and their mean probabilities), `provenance`, and `sha256`: the hash of all the rest in canonical form. The hash shows
that a card is whole and unchanged since it was made; it does not show who made it.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from darkprobe.errors import DataError
from darkprobe.files import content_hash, strict_json, write_json
from darkprobe.zoo.card import ModelCard

FORMAT, VERSION = "darkprobe-card", 1
LIMIT_BYTES = 500_000
KEYS = ("model", "dataset", "split", "fingerprint", "n", "class_names", "metrics", "affinity", "provenance")
ROW = ("metric", "temperature", "subset", "value", "low", "high", "n", "unit")


@dataclass(frozen=True, kw_only=True)
class KnowledgeCard:
    """One teacher's soft labels on one split, in summary.

    Attributes:
        model: identity, size and origin.
        dataset, split: what was labelled.
        fingerprint: of the split; empty where it is not known. Cards compare only on equal fingerprints.
        n: number of examples.
        class_names: in label order.
        metrics: rows of `metric, temperature, subset, value, low, high, n, unit`.
        affinity_temperature: T of the class-affinity matrix.
        affinity_classes: for each class the wrong classes that are kept, the likeliest first.
        affinity_values: their mean probabilities over the examples of that class.
        provenance: command, versions, machine, time.
    """

    model: ModelCard
    dataset: str
    split: str
    fingerprint: str
    n: int
    class_names: tuple[str, ...]
    metrics: tuple[dict[str, Any], ...]
    affinity_temperature: float
    affinity_classes: tuple[tuple[int, ...], ...]
    affinity_values: tuple[tuple[float, ...], ...]
    provenance: dict[str, Any]

    def table(self) -> pd.DataFrame:
        """The metrics as the tidy table that `measure` returns."""
        identity = {"model": self.model.model_id, "reference": None, "dataset": self.dataset, "split": self.split}
        table = pd.DataFrame([{**identity, **row} for row in self.metrics], columns=[*identity, *ROW])
        return table.astype(dict.fromkeys(("temperature", "value", "low", "high"), "float64"))

    def affinity_matrix(self) -> np.ndarray:
        """(cls, cls) float64 mean probabilities of wrong classes; NaN on the diagonal and where not kept."""
        matrix = np.full((len(self.class_names), len(self.class_names)), np.nan)
        for row, (classes, values) in enumerate(zip(self.affinity_classes, self.affinity_values, strict=True)):
            matrix[row, list(classes)] = values
        return matrix

    def as_dict(self) -> dict[str, Any]:
        """The JSON form, hash included."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model.as_dict(),
            "dataset": self.dataset,
            "split": self.split,
            "fingerprint": self.fingerprint,
            "n": self.n,
            "class_names": list(self.class_names),
            "metrics": [dict(row) for row in self.metrics],
            "affinity": {
                "temperature": self.affinity_temperature,
                "classes": [list(row) for row in self.affinity_classes],
                "values": [list(row) for row in self.affinity_values],
            },
            "provenance": self.provenance,
        }
        content = json.loads(json.dumps(content, allow_nan=False))  # tuples become lists, as a reader will find them
        return {**content, "sha256": content_hash(content)}


def write_knowledge_card(card: KnowledgeCard, path: Path | str) -> Path:
    """The path of the JSON written, through a rename.

    Raises:
        DataError: the card is larger than 500 kB.
    """
    path, content = Path(path), card.as_dict()
    size = len(json.dumps(content))
    if size > LIMIT_BYTES:
        raise DataError(
            f"write_knowledge_card: `card` must take at most {LIMIT_BYTES:,} bytes, got {size:,}. "
            "Keep fewer metrics, temperatures or wrong classes."
        )
    write_json(path, content, indent=None)
    return path


def read_knowledge_card(path: Path | str) -> KnowledgeCard:
    """The card in a file, after its size, form and hash have been found right.

    Raises:
        DataError: the file is too large, no card, of another version, damaged or changed.
    """
    path = Path(path)
    content = _checked_json(path)
    claimed = content.pop("sha256", None)
    if claimed != content_hash(content):
        raise _refused(path, "match its own hash", "a file that was changed or cut short", "Fetch it again")
    missing = [key for key in KEYS if key not in content]
    if missing:
        raise _refused(path, f"hold {', '.join(KEYS)}", f"none named {missing[0]!r}", "Make it with `darkprobe card`")
    try:
        card = _from_content(content)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise _refused(path, "follow the card format", f"something else ({error})", "Fetch it again") from error
    _check_fit(path, card)
    return card


def _checked_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise _refused(path, "be a file", "none there", "Check the name")
    if path.stat().st_size > LIMIT_BYTES + 1:  # a final newline
        raise _refused(path, f"take at most {LIMIT_BYTES:,} bytes", f"{path.stat().st_size:,}", "Check the name")
    try:
        content = strict_json(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _refused(path, "be strict JSON", f"something else ({error})", "Fetch it again") from error
    found = (content.get("format"), content.get("version")) if isinstance(content, dict) else (None, None)
    if found != (FORMAT, VERSION):
        told = f"format {found[0]!r}, version {found[1]!r}"
        raise _refused(path, f"be a {FORMAT} of version {VERSION}", told, "Read it with the darkprobe that wrote it")
    return dict(content)


def _refused(path: Path, expected: str, got: str, advice: str) -> DataError:
    return DataError(f"read_knowledge_card: {path.name} must {expected}, got {got}. {advice}.")


def _from_content(content: dict[str, Any]) -> KnowledgeCard:
    return KnowledgeCard(
        model=ModelCard.from_dict(content["model"]),
        dataset=str(content["dataset"]),
        split=str(content["split"]),
        fingerprint=str(content["fingerprint"]),
        n=int(content["n"]),
        class_names=tuple(str(name) for name in content["class_names"]),
        metrics=tuple({key: row[key] for key in ROW} for row in content["metrics"]),
        affinity_temperature=float(content["affinity"]["temperature"]),
        affinity_classes=tuple(tuple(int(c) for c in row) for row in content["affinity"]["classes"]),
        affinity_values=tuple(tuple(float(v) for v in row) for row in content["affinity"]["values"]),
        provenance=dict(content["provenance"]),
    )


def _check_fit(path: Path, card: KnowledgeCard) -> None:
    classes = len(card.class_names)
    rows = list(zip(card.affinity_classes, card.affinity_values, strict=False))
    fits = len(card.affinity_classes) == len(card.affinity_values) == classes and all(
        len(kept) == len(values) and all(0 <= c < classes for c in kept) for kept, values in rows
    )
    numbers = [row[key] for row in card.metrics for key in ("value", "low", "high", "temperature")]
    finite = all(v is None or (isinstance(v, int | float) and math.isfinite(v)) for v in numbers)
    if not (fits and finite):
        raise _refused(path, "hold an affinity row per class and finite numbers", "other shapes", "Fetch it again")
