"""`darkprobe extract`."""

import os
from pathlib import Path

import typer


def extract(
    models: list[str] = typer.Argument(help="resnet20=weights.th, mlp-64 (with --seed), timm:NAME, ..."),
    data: str = typer.Option(..., "--data", help="digits, cifar10, parquet:DIR, npz:FILE, ..."),
    split: str = typer.Option("train", "--split", help="train, val or test."),
    out: Path = typer.Option(..., "--out", "-o", help="Directory of the store; made when absent."),
    batch_size: int = typer.Option(256, "--batch-size", min=1),
    precision: str = typer.Option("float32", "--precision", help="float32 or bf16."),
    storage: str = typer.Option("float32", "--storage", help="float32, float16 or int8."),
    device: str | None = typer.Option(None, "--device", help="cpu, cuda, cuda:1, ...; a GPU when there is one."),
    top_k: int = typer.Option(0, "--top-k", min=0, help="Keep only so many classes; 0 keeps all."),
    temperatures: str = typer.Option("", "--temperatures", help="With --top-k: where probabilities stay exact, 1,2,4."),
    views: int = typer.Option(0, "--views", min=0, help="Number of augmented views; 0 takes the clean examples."),
    policy: str = typer.Option("clean", "--policy", help="Augmentations of the views, e.g. pad4+flip."),
    view_seed: int = typer.Option(0, "--view-seed", min=0),
    features: str = typer.Option("", "--features", help="Layers to keep beside the logits, joined by commas."),
    seed: int | None = typer.Option(None, "--seed", help="Seed of fresh weights, for models without a file."),
) -> None:
    """Run models over a split once and store their logits; run again to resume."""
    from darkprobe.checks import check_choice
    from darkprobe.cli.stopping import stopping_cleanly
    from darkprobe.data import load_split
    from darkprobe.extract import extract_logits
    from darkprobe.store import LogitStore
    from darkprobe.store.encode import Encoding
    from darkprobe.zoo import load_model

    check_choice("precision", precision, ("float32", "bf16"))
    declared = tuple(numbers("--temperatures", temperatures))
    Encoding(storage=storage, top_k=top_k, temperatures=declared)
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1  # ranks wait for the one that decodes
    examples = load_split(data, split, wait=not alone)
    shape, classes = examples.input_shape, examples.num_classes
    loaded = [load_model(name, input_shape=shape, num_classes=classes, seed=seed) for name in models]
    store = LogitStore(out, create=True)
    with stopping_cleanly():
        for model in loaded:
            path = extract_logits(
                model,
                examples,
                store,
                batch_size=batch_size,
                precision=precision,  # type: ignore[arg-type]
                storage=storage,  # type: ignore[arg-type]
                top_k=top_k,
                temperatures=declared,
                views=views,
                policy=policy,
                view_seed=view_seed,
                device=device,
                features=tuple(layer for layer in features.split(",") if layer),
            )
            show_effects(path)
            typer.echo(path)


def numbers(option: str, text: str) -> list[float]:
    """The numbers in a list joined by commas."""
    from darkprobe.errors import InvalidValueError

    try:
        return [float(part) for part in text.split(",") if part]
    except ValueError:
        raise InvalidValueError(
            f"extract: `{option}` must be numbers joined by commas, got {text!r}. Write e.g. 1,2,4."
        ) from None


def show_effects(path: Path) -> None:
    """Prints on stderr what the chosen pass and number format do to each metric, where that was measured."""
    from rich.console import Console
    from rich.table import Table

    from darkprobe.store.logit_file import open_file

    if not path.exists():  # other ranks are still at it
        return
    entry = open_file(path)
    rows = entry.attributes["effects"]
    if not rows:
        return
    form = f"{entry.header['precision']} pass, stored as {entry.header['storage']}"
    table = Table(
        box=None, header_style="bold", title=f"{entry.card.model_id}: effect of a {form}, on {rows[0]['n']} examples"
    )
    for heading in ("metric", "T", "float32", "as stored", "largest change of one example"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for row in rows:
        values = ("-" if row[key] is None else f"{row[key]:.6g}" for key in ("exact", "stored", "largest"))
        table.add_row(row["metric"], f"{row['temperature']:g}", *values)
    if entry.is_sparse:
        table.caption = "-: needs more than the largest logits; not known from this file"
    Console(stderr=True, width=120).print(table)
