"""The kinds of file that the fuzzer damages, and for each the reader that a user's command calls on it.

Formats with checksums of ours (stores, packs, knowledge cards) must come out right or be refused. Formats of others
carry none, so a changed number in them cannot be known; there only crashes, bombs, delays and others' errors count.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from darkprobe.cards import KnowledgeCard, read_knowledge_card, write_knowledge_card
from darkprobe.data import load_split
from darkprobe.measure.people import read_votes
from darkprobe.report import write_report
from darkprobe.report.folder import read_study_folder
from darkprobe.store import LogitStore
from darkprobe.store.arrays_in import read_arrays
from darkprobe.study.audit import read_logs
from darkprobe.study.cells import Cell, Ledger
from darkprobe.study.plan import Study
from darkprobe.study.plan_file import read_study, write_study
from darkprobe.study.status import read_plan
from darkprobe.zoo.card import Model, ModelCard
from darkprobe.zoo.weights import read_card, read_weights, save_model

TESTS = Path(__file__).parents[1]
ARCHIVE = TESTS / "archives" / "v1"
STUDY = TESTS.parent / "figures" / "studies" / "digits"

MODEL = ModelCard(
    architecture="linear",
    tag="fuzz",
    line="linear",
    parameters=15,
    input_shape=(4,),
    num_classes=3,
    weights_sha256="0" * 64,
)

EXAMPLES = {
    "dataset": "digits",
    "split": "test",
    "n": 9,
    "models": ["mlp-8", "mlp-16"],
    "class_names": ["a", "b", "c"],
    "temperatures": [1.0, 4.0],
    "orders": {"disagreement": [0, 1], "entropy": [1]},
    "examples": [
        {"id": "7", "label": 0, "logits": [[1.0, 2.5, -3.0], [0.5, 2.0, 1.0]], "image": None},
        {"id": "8", "label": 2, "logits": [[1.0, 0.0, -1.0], [4.0, 2.0, 0.0]], "image": "data:image/png;base64,AA=="},
    ],
}

Contents = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One file to damage.

    Attributes:
        path: the sound file. Readers may look at its neighbours, so that what is made for a run is damaged in place.
        read: what a user's command makes of the file.
        checked: whether the format can tell that a value was changed.
        weight: how often it is drawn.
    """

    path: Path
    read: Callable[[Path], Contents]
    checked: bool = False
    weight: int = 1


def store(path: Path) -> Contents:
    """Everything a store tells about itself, as bytes that compare exactly."""
    found: Contents = {}
    for entry in LogitStore(path).entries():
        name = entry.card.model_id
        entry.check_whole_arrays()
        found[name] = repr((entry.card, entry.dataset, entry.split, entry.class_names, entry.attributes)).encode()
        for array in sorted(entry.extents):
            if array != "blocks/done" and array != "blocks/checksum":
                found[f"{name}:{array}"] = np.asarray(entry.array(array)).tobytes()
    return found


def arrays(path: Path) -> Contents:
    """Arrays of a file for `store import`."""
    return dict.fromkeys(read_arrays(path), b"")


def votes(path: Path) -> Contents:
    """Human votes for `profile --human`."""
    return dict.fromkeys(["votes"] if len(read_votes(path)) else [], b"")


def weights(path: Path) -> Contents:
    """A checkpoint for `extract --model NAME=PATH`, with its card."""
    read_card(path)
    return dict.fromkeys(read_weights(path), b"")


def knowledge_card(path: Path) -> Contents:
    """A card for `compare`."""
    return {"card": json.dumps(read_knowledge_card(path).as_dict(), sort_keys=True).encode()}


def data(path: Path) -> Contents:
    """A data set for `extract --data`."""
    return dict.fromkeys([load_split(f"npz:{path}", "test").name], b"")


def plan(path: Path) -> Contents:
    """A study file for `verify`."""
    return {"plan": repr(read_study(path)).encode()}


def logs(path: Path) -> Contents:
    """Somebody's table for `audit`."""
    return {"logs": repr(read_logs(path).shape).encode()}


def study_folder(path: Path) -> Contents:
    """A finished study for `report` and `study status`, one of whose files was damaged."""
    folder = path.parent.parent if path.parent.name == "tables" else path.parent
    read_study_folder(folder)
    read_plan(folder)
    return {}


def page(path: Path) -> Contents:
    """The page that `report` makes of a study one of whose files was damaged."""
    folder = path.parent if path.parent.name not in ("tables", "figures") else path.parent.parent
    shown = write_report(folder).read_text(encoding="utf-8")
    assert shown.rstrip().endswith("</html>")
    return {}


def cells(path: Path) -> Contents:
    """The results of a study's cells, for `verify` that resumes and `study status`."""
    Ledger(path.parent.parent)
    return {}


def subjects(folder: Path) -> list[Subject]:
    """All of them; what is not in the repository is made in `folder`."""
    stores = [Subject(path=path, read=store, checked=True, weight=12) for path in sorted(ARCHIVE.rglob("*.h5"))]
    return stores + _imports(folder) + _checkpoints(folder) + _cards(folder) + _plans(folder) + _folder(folder)


def _imports(folder: Path) -> list[Subject]:
    from safetensors.numpy import save_file

    values = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    labels = np.arange(6) % 4
    np.save(folder / "a.npy", values)
    np.savez(folder / "a.npz", logits=values, labels=labels)
    np.savez_compressed(folder / "b.npz", logits=values, labels=labels)
    (folder / "a.csv").write_text("a,b,c,d\n" + "\n".join(",".join(map(str, row)) for row in values.tolist()))
    save_file({"logits": values, "labels": labels}, folder / "a.safetensors")
    made = [Subject(path=folder / name, read=arrays, weight=6) for name in ("a.npy", "a.npz", "b.npz", "a.csv")]
    made.append(Subject(path=folder / "a.safetensors", read=arrays, weight=6))
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.savez_compressed(folder / "d.npz", inputs=images, labels=np.arange(5), class_names=np.array(list("abcde")))
    made.append(Subject(path=folder / "d.npz", read=data, weight=8))
    return [*made, Subject(path=folder / "a.npy", read=votes, weight=6)]


def parquet(folder: Path) -> Subject:
    """Read by a child process, at half a second each; hence drawn apart from the others."""
    import pyarrow as pa
    import pyarrow.parquet

    values = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    pyarrow.parquet.write_table(pa.table({f"c{i}": values[:, i] for i in range(4)}), folder / "a.parquet")
    return Subject(path=folder / "a.parquet", read=arrays)


def _checkpoints(folder: Path) -> list[Subject]:
    network = torch.nn.Linear(4, 3)
    torch.save({"state_dict": network.state_dict()}, folder / "new.pt")
    torch.save(network.state_dict(), folder / "old.th", _use_new_zipfile_serialization=False)
    save_model(Model(card=MODEL, module=network), folder / "c.safetensors")
    return [Subject(path=folder / name, read=weights, weight=8) for name in ("new.pt", "old.th", "c.safetensors")]


def _cards(folder: Path) -> list[Subject]:
    row = {"metric": "nll", "temperature": 1.0, "subset": "all", "value": 0.5, "low": 0.4, "high": 0.6, "n": 9}
    card = KnowledgeCard(
        model=MODEL,
        dataset="made",
        split="test",
        fingerprint="00ff",
        n=9,
        class_names=("a", "b", "c"),
        metrics=({**row, "unit": "nats"},),
        affinity_temperature=4.0,
        affinity_classes=((1, 2), (0, 2), (0, 1)),
        affinity_values=((0.1, 0.05), (0.2, 0.1), (0.1, 0.1)),
        provenance={"command": "none"},
    )
    write_knowledge_card(card, folder / "card.json")
    return [Subject(path=folder / "card.json", read=knowledge_card, checked=True, weight=10)]


def _plans(folder: Path) -> list[Subject]:
    write_study(replace(read_plan(STUDY), name="fuzz"), folder / "study.toml")
    assert isinstance(read_study(folder / "study.toml"), Study)
    rows = [f"{method},{seed},{epoch},0.{5 + epoch}" for method in "ab" for seed in range(3) for epoch in range(3)]
    (folder / "logs.csv").write_text("method,seed,epoch,accuracy\n" + "\n".join(rows))
    return [
        Subject(path=folder / "study.toml", read=plan, weight=10),
        Subject(path=folder / "logs.csv", read=logs, weight=8),
    ]


def _folder(folder: Path) -> list[Subject]:
    home = folder / "finished"
    shutil.copytree(STUDY, home, ignore=shutil.ignore_patterns("*.png", "*.svg"))
    files = [home / "study.json", home / "verdicts.json", home / "tables" / "effects.csv"]
    cell = Cell(kind="made", shared={"seed": 1, "lr": 0.5}, members=({"number": 1}, {"number": 2}))
    Ledger(home).add(cell, [{"value": 1, "seconds": 0.5}, {"value": None, "seconds": 2.0}])
    found = [Subject(path=path, read=study_folder, weight=4) for path in files]
    return [*found, Subject(path=cell.path(home), read=cells, weight=4)]


def pages(folder: Path) -> list[Subject]:
    """Everything that `report` reads, in small; a page takes a tenth of a second, hence drawn apart from the others."""
    home = folder / "shown"
    shutil.copytree(STUDY, home, ignore=shutil.ignore_patterns("*.png"))
    for path in (home / "tables").glob("*.csv"):
        pd.read_csv(path).head(8).to_csv(path, index=False)
    pd.DataFrame({"method": ["KD", "ATS"], "seed": [0, 1], "test_last": [0.9, None]}).to_csv(home / "runs.csv")
    (home / "tables" / "examples.json").write_text(json.dumps(EXAMPLES))
    (home / "figures").mkdir()
    for path in home.glob("mismatch_temperature.*"):
        path.rename(home / "figures" / path.name)
    files = sorted(path for path in home.rglob("*.*") if path.is_file())
    assert {path.suffix for path in files} == {".json", ".csv", ".svg"}
    return [Subject(path=path, read=page) for path in files]
