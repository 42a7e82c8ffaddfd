"""What `darkprobe distill` does between its flags and the library: find the teacher, run or resume, write, print."""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from darkprobe.data import Split
    from darkprobe.distill import DistillConfig, Distilled, History
    from darkprobe.distill.curves import Watch
    from darkprobe.store import LogitFile
    from darkprobe.zoo import Model


@dataclass(frozen=True, kw_only=True)
class Job:
    """One student to train.

    Attributes:
        student: architecture.
        teachers: as `darkprobe.distill.distill` takes them.
        added: networks to whose logits the student's are added.
        parts: splits by role: train, val and perhaps test.
        config: all settings.
        out: directory of the results.
    """

    student: str
    teachers: "list[LogitFile | Model]"
    added: "list[Model]" = dataclasses.field(default_factory=list)
    parts: "dict[str, Split]"
    config: "DistillConfig"
    out: Path

    def plan(self) -> dict[str, Any]:
        """Everything that determines the student, JSON-ready."""
        return {
            "student": self.student,
            "teachers": [_described(teacher) for teacher in self.teachers],
            "added": [model.card.weights_sha256 for model in self.added],
            "data": {role: {"name": part.name, "fingerprint": part.fingerprint} for role, part in self.parts.items()},
            "dataset": self.parts["train"].dataset,
            "config": dataclasses.asdict(self.config),
        }


def _described(teacher: "LogitFile | Model") -> dict[str, Any]:
    """What a student depends on of a teacher, JSON-ready."""
    from darkprobe.store import LogitFile

    card = teacher.card
    known = {"model": card.model_id, "weights_sha256": card.weights_sha256, "live": True}
    if not isinstance(teacher, LogitFile):
        return known
    stored = {name: teacher.header[name] for name in ("views", "storage", "precision")}
    if teacher.is_sparse:
        stored["top_k"] = int(teacher.array("topk_logits").shape[-1])
    views = {name: teacher.attributes[name] for name in ("view_policy", "view_seed") if teacher.n_views}
    return known | {"live": False} | stored | views


def run_job(job: Job, tensorboard: Path | None, device: str | None) -> None:
    """Trains the student, or finishes or finds it, writes everything and prints the path of the student."""
    import json

    from darkprobe.distill import Checkpoint, distill
    from darkprobe.distill.curves import csv_curves, tensorboard_curves, together
    from darkprobe.files import content_hash

    plan = json.loads(json.dumps(job.plan()))
    path = job.out / "student.safetensors"
    if _is_done(job.out, plan):
        typer.echo(f"{path} is there already: nothing to do.", err=True)
        typer.echo(path)
        return
    _announce(job)
    steps = max(1, len(job.parts["train"]) // job.config.training.batch_size)
    watchers = [csv_curves(job.out / "curves.csv", steps_per_epoch=steps), _told(job.config.training.epochs, steps)]
    if tensorboard is not None:
        watchers.append(tensorboard_curves(tensorboard, steps_per_epoch=steps))
    checkpoint = Checkpoint(job.out / "checkpoint.pt", identity=content_hash(plan))
    begin = time.monotonic()
    with kept_plan(job.out, plan):
        found = distill(
            job.student,
            job.parts["train"],
            job.teachers,
            added=job.added,
            val=job.parts["val"],
            test=job.parts.get("test"),
            config=job.config,
            checkpoint=checkpoint,
            watch=together(watchers),
            device=device,
        )
    _write(job, found, plan, seconds=time.monotonic() - begin, device=device)
    checkpoint.remove()
    typer.echo(path)


def _is_done(out: Path, plan: dict[str, Any]) -> bool:
    """Whether the directory holds the finished student of this plan; another plan's is refused."""
    check_plan(out, plan)
    return (out / "result.json").exists()


@contextmanager
def kept_plan(out: Path, plan: dict[str, Any]) -> Iterator[None]:
    """The plan is on disk inside, and stays; unless it is refused before anything was trained.

    Raises:
        InvalidValueError: the directory holds another plan.
    """
    from darkprobe.errors import DarkprobeError
    from darkprobe.files import write_json

    check_plan(out, plan)
    path, begun = out / "plan.json", ("curves.csv", "checkpoint.pt")
    is_new = not path.exists()
    write_json(path, plan)
    try:
        yield
    except DarkprobeError:
        if is_new and not any(next(out.rglob(name), None) for name in begun):
            path.unlink()
        raise


def check_plan(out: Path, plan: dict[str, Any]) -> None:
    """Refuses a directory that holds another run."""
    import json

    from darkprobe.errors import InvalidValueError

    if not (out / "plan.json").exists():
        return
    stored = json.loads((out / "plan.json").read_text())
    plan = json.loads(json.dumps(plan))
    if stored != plan:
        other = next((name for name in plan if stored.get(name) != plan[name]), "plan")
        raise InvalidValueError(
            f"distill: `--out` must be a new directory or hold this very run, got {out}, whose {other} differs (see "
            "plan.json there). Name another directory."
        )


def _told(epochs: int, steps_per_epoch: int) -> "Watch":
    """A watcher that says on stderr how far the run is, at most every two seconds."""
    last = time.monotonic()

    def watch(history: "History") -> None:
        nonlocal last
        if time.monotonic() - last < 2:
            return
        last = time.monotonic()
        epoch, loss, score = history.steps[-1] / steps_per_epoch, history.losses[-1, 0], history.scores[-1, 0]
        typer.echo(f"epoch {epoch:.3g} of {epochs}: loss {loss:.4f}, validation accuracy {score:.4f}", err=True)

    return watch


def _announce(job: Job) -> None:
    """Says on stderr what will be minimised and under which convention."""
    from darkprobe.distill import resolve_method

    ce_weight, teacher_weight = job.config.weights
    typer.echo(f"{job.student} by {job.config.method}: {job.config.training}", err=True)
    typer.echo(f"augmentation {job.config.policy}, seed {job.config.seed}", err=True)
    typer.echo(f"loss: {ce_weight:g} x cross-entropy + {teacher_weight:g} x teacher term", err=True)
    for part in resolve_method(job.config.method).parts:
        convention = part.convention
        typer.echo(
            f"  {part.name}: {part.formula}; {convention.reduction}; temperature factor {convention.factor}; "
            f"student temperature {convention.student_temperature}",
            err=True,
        )


def _write(job: Job, found: "Distilled", plan: dict[str, Any], *, seconds: float, device: str | None) -> None:
    """Students, logits and the result; `result.json` comes last and says that all is there."""
    import torch

    from darkprobe.extract import extract_logits
    from darkprobe.files import write_json
    from darkprobe.provenance import guarantee, provenance
    from darkprobe.zoo import save_model

    save_model(found.model, job.out / "student.safetensors")
    save_model(found.selected, job.out / "student-selected.safetensors")
    for part in job.parts.values():
        extract_logits(found.model, part, job.out / "store", device=device)
        if job.added:
            extract_logits(summed_model(found.model, job.added), part, job.out / "store", device=device)
    n_test = len(job.parts["test"]) if "test" in job.parts else 0
    values = {
        "val_last": found.val_last,
        "val_selected": found.val_selected,
        "test_last": found.test_last,
        "test_selected": found.test_selected,
        "selected_step": int(found.history.selected_step[0]),
        "n_test": n_test,
    }
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    facts = provenance(seconds=round(seconds, 2), guarantee=guarantee(place.type))
    write_json(job.out / "result.json", {**values, "plan": plan, "provenance": facts})
    for which, on_val, on_test in (
        ("last epoch", found.val_last, found.test_last),
        ("val-selected", found.val_selected, found.test_selected),
    ):
        test = "" if on_test is None else f"test {on_test:.4f} (n {n_test}), "
        typer.echo(f"accuracy, {which}: {test}val {on_val:.4f} (n {len(job.parts['val'])})")


def summed_model(model: "Model", added: "list[Model]") -> "Model":
    """The network whose logits are the sum of those of `added` and `model`, with a card that says so."""
    from hashlib import sha256

    from torch import Tensor, nn

    from darkprobe.zoo import Model

    class Sum(nn.ModuleList):
        def forward(self, inputs: Tensor) -> Tensor:
            total: Tensor = sum(network(inputs) for network in self)
            return total

    cards = [each.card for each in (*added, model)]
    together = "".join(card.weights_sha256 for card in cards)
    card = dataclasses.replace(
        model.card,
        tag=f"{model.card.tag}-summed",
        parameters=sum(card.parameters for card in cards),
        weights_sha256=sha256(together.encode()).hexdigest(),
        note=f"Sum of the logits of {', '.join(card.model_id for card in cards)}.",
    )
    return Model(card=card, module=Sum([each.module for each in (*added, model)]).eval())


def stored_teacher(store: Path, train: "Split", model: str) -> "LogitFile":
    """The one file of a store that holds a teacher's logits of the training examples."""
    from darkprobe.errors import StoreError
    from darkprobe.store import LogitStore

    whole = train.name.split("-")[0]
    entries = [
        entry
        for entry in LogitStore(store).entries(train.dataset, model=model or None)
        if entry.split in (train.name, whole)
    ]
    if len(entries) != 1:
        names = ", ".join(f"{entry.card.model_id} ({entry.split})" for entry in entries) or "none"
        raise StoreError(
            f"{store} must hold one teacher's logits of {train.dataset}/{train.name}, got {names}. "
            + ("Choose one with --teacher-model." if entries else f"Extract them with --split {whole}.")
        )
    return entries[0]


def extracted(
    model: "Model", train: "Split", config: "DistillConfig", *, views: int, out: Path, device: str | None
) -> "LogitFile":
    """The teacher's logits of the training examples, and of its tapped layers, extracted into OUT/teacher."""
    from darkprobe.distill import resolve_method
    from darkprobe.distill.layers import last_layer
    from darkprobe.extract import extract_logits
    from darkprobe.store.logit_file import open_file

    features: tuple[str, ...] = ()
    if resolve_method(config.method).features:
        features = tuple(dict.fromkeys(other for _, other in config.layers)) or (last_layer(model.module),)
    path = extract_logits(
        model,
        train,
        out / "teacher",
        views=views,
        policy=(config.policy or "clean") if views else "clean",
        view_seed=config.view_seed,
        features=features,
        device=device,
    )
    return open_file(path)
