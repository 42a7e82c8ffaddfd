"""`darkprobe store`: look at a store, verify it, pack, merge, import, export."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from darkprobe.store import LogitFile

app = typer.Typer(name="store", help="Look at a store of logits, verify, pack, import, export.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def info(store: Path = typer.Argument(help="Directory, pack, or one logit file.")) -> None:
    """Show what a store holds: finished files and, by their missing blocks, unfinished ones.

    Files that cannot be read are named on stderr, and the exit code is 1.
    """
    from rich.console import Console
    from rich.table import Table

    from darkprobe.store import LogitStore
    from darkprobe.store.reporting import describe, describe_unfinished

    opened = LogitStore(store)
    table = Table(box=None, header_style="bold")
    for heading in ("data set", "split", "model", "family", "parameters", "examples", "classes", "stored as", "MB"):
        table.add_column(heading, no_wrap=heading == "model")
    entries, problems = opened.readable()
    for entry in entries:
        table.add_row(*describe(entry))
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)
    for line in describe_unfinished(opened):
        typer.echo(line)
    for problem in problems:
        typer.echo(f"BAD  {problem}", err=True)
    typer.echo(store)
    if problems:
        raise typer.Exit(1)


@app.command()
def check(
    store: Path = typer.Argument(help="Directory, pack, or one logit file."),
    replay: bool = typer.Option(False, "--replay", help="Run the model again on a random sample of rows."),
    model: str = typer.Option("", "--model", help="With --replay: the model, as for extract."),
    data: str = typer.Option("", "--data", help="With --replay: the data; by default the name they were loaded by."),
    rows: int = typer.Option(1000, "--rows", min=1, help="With --replay: rows to draw."),
    confidence: float = typer.Option(0.99, "--confidence", help="With --replay: of the bound."),
    seed: int | None = typer.Option(None, "--seed", help="With --replay: seed of the model's fresh weights."),
) -> None:
    """Verify structure and checksums of every file; exit code 1 when one is damaged."""
    from darkprobe.store.reporting import verify

    found = verify(store)
    for path, problem in found:
        typer.echo(f"{'ok' if problem is None else 'BAD'}  {path}{'' if problem is None else f': {problem}'}")
    bad = any(problem is not None for _, problem in found)
    if replay and not bad:
        bad = _replay(store, model=model, data=data, rows=rows, confidence=confidence, seed=seed)
    typer.echo(store)
    if bad:
        raise typer.Exit(1)


def _replay(store: Path, *, model: str, data: str, rows: int, confidence: float, seed: int | None) -> bool:
    """Runs the model on every file made from its weights; whether a row differed."""
    from darkprobe.data import load_split
    from darkprobe.errors import InvalidValueError, StoreError
    from darkprobe.extract import replay
    from darkprobe.store import LogitStore
    from darkprobe.zoo import load_model

    if not model:
        raise InvalidValueError("check: `--model` must be given with --replay, got nothing. Name it as for extract.")
    differs, ran = False, 0
    for entry in LogitStore(store).entries():
        split = load_split(data or str(entry.attributes["source"]), entry.split)
        loaded = load_model(model, input_shape=split.input_shape, num_classes=split.num_classes, seed=seed)
        if loaded.card.weights_sha256 != entry.card.weights_sha256:
            continue
        result, ran = replay(entry, loaded, split, rows=rows, confidence=confidence), ran + 1
        typer.echo(
            f"{entry.card.model_id} on {entry.dataset}/{entry.split}: {result.different} of {result.checked} rows run "
            f"again differ; with {confidence:.0%} confidence at most {result.share_bound:.2%} of all do (largest "
            f"difference of a logit with equal pixels {result.largest:.2g})"
        )
        differs |= result.different > 0
    if not ran:
        raise StoreError(f"{store} holds no logits of the weights of {model}. Name the model they were made with.")
    return differs


@app.command("pack")
def pack_command(
    store: Path = typer.Argument(help="Directory of a store."),
    out: Path = typer.Option(..., "--out", "-o", help="The file to write, .h5."),
) -> None:
    """Copy every finished file into one; whatever reads a store reads it."""
    from darkprobe.store.pack import pack

    typer.echo(pack(store, out))


@app.command("merge")
def merge_command(
    parts: list[Path] = typer.Argument(help="Part files of one extraction, from every node."),
    out: Path = typer.Option(..., "--out", "-o", help="Directory of the store."),
) -> None:
    """Join part files of nodes without a common file system."""
    from darkprobe.store.merge import merge

    typer.echo(merge(parts, out))


@app.command("import")
def import_command(
    file: Path = typer.Argument(help=".npy, .npz, .csv, .parquet or .safetensors."),
    values: str = typer.Option(..., "--values", help="What it holds: logits, probs or log_probs. Never guessed."),
    model: str = typer.Option(..., "--model", help="Id of the model: architecture.tag."),
    parameters: int = typer.Option(..., "--parameters", min=0, help="Number of its parameters."),
    data: str = typer.Option(..., "--data", help="The data set its rows are of; gives labels, ids and class names."),
    split: str = typer.Option(..., "--split", help="train, val or test."),
    out: Path = typer.Option(..., "--out", "-o", help="Directory of the store."),
    line: str = typer.Option("imported", "--line", help="Architecture line, for capacity plots."),
    recipe: str = typer.Option("plain", "--recipe", help="How it was trained; line/recipe is its family."),
) -> None:
    """Store outputs that were computed elsewhere, rows in the order of the split or matched by an id column."""
    from darkprobe.data import load_split
    from darkprobe.store.importing import import_outputs
    from darkprobe.zoo import ModelCard

    examples = load_split(data, split)
    architecture, _, tag = model.partition(".")
    card = ModelCard(
        architecture=architecture,
        tag=tag,
        line=line,
        recipe=recipe,
        parameters=parameters,
        input_shape=examples.input_shape,
        num_classes=examples.num_classes,
        source=file.name,
        weights_sha256="",
    )
    path = import_outputs(
        file,
        out,
        card=card,
        values=values,  # type: ignore[arg-type]
        dataset=examples.dataset,
        split=examples.name,
        labels=examples.labels,
        example_ids=examples.example_ids,
        class_names=examples.class_names,
        fingerprint=examples.fingerprint,
    )
    typer.echo(path)


@app.command("export")
def export_command(
    store: Path = typer.Argument(help="Directory, pack, or one logit file."),
    out: Path = typer.Option(..., "--out", "-o", help=".npy, .parquet or .safetensors."),
    model: list[str] = typer.Option([], "--model", help="Model id, when the store holds several; again for a second."),
    dataset: str | None = typer.Option(None, "--dataset", help="Data set, when the store holds several."),
    split: str | None = typer.Option(None, "--split", help="Split, when the store holds several."),
    fix: str = typer.Option("ts", "--fix", help="A method of `darkprobe methods list --kind target`, or ts."),
    parameters: list[str] = typer.Option([], "--parameter", help="NAME=VALUE of the fix; ts has temperature=1."),
) -> None:
    """Write soft targets after a fix, for any trainer; on stderr, on how many examples its constraints bound."""
    import numpy as np

    from darkprobe.cli.exporting import target_of
    from darkprobe.store.exporting import export_targets

    entries = _clean_files(store, model, dataset=dataset, split=split)
    target = target_of(entries, fix=fix, given=_values(parameters))
    path = export_targets(
        out,
        np.asarray(target.probs),
        labels=entries[0].labels,
        example_ids=entries[0].example_ids,
        class_names=entries[0].class_names,
        weights=None if target.weights is None else np.asarray(target.weights),
    )
    for name, share in target.report.items():
        typer.echo(f"{name.replace('_', ' ')}: {float(share):.1%} of {len(entries[0].labels):,} examples", err=True)
    typer.echo(path)


def _clean_files(store: Path, models: list[str], *, dataset: str | None, split: str | None) -> "list[LogitFile]":
    """One file of clean examples a model named, in that order; or the only one that is there."""
    from darkprobe.errors import StoreError
    from darkprobe.store import LogitStore

    found = []
    names: list[str | None] = [*models] or [None]
    for name in names:
        entries = LogitStore(store).entries(dataset, split, model=name)
        if len(entries) != 1 or entries[0].n_views:
            there = ", ".join(f"{e.card.model_id} on {e.dataset}/{e.split}" for e in entries) or "none"
            raise StoreError(
                f"export takes one file of clean examples a model, got {there}. Choose with --model, --dataset and "
                "--split."
            )
        found.append(entries[0])
    return found


def _values(parameters: list[str]) -> dict[str, float | str]:
    """Parameters by name: numbers where they read as such, else words."""
    from darkprobe.errors import InvalidValueError

    found: dict[str, float | str] = {}
    for text in parameters:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InvalidValueError(
                f"export: `--parameter` must be NAME=VALUE, got {text!r}. Write e.g. temperature=4."
            )
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found
