"""`darkprobe zoo list` and `darkprobe zoo train`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from darkprobe.data import Split
    from darkprobe.distill.loop import History

app = typer.Typer(name="zoo", help="The models and their capacity families; train one.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("list")
def list_command(
    pattern: str = typer.Argument("*", help="Shell pattern, e.g. 'resnet*'."),
    classes: int = typer.Option(10, "--classes", min=2, help="Number of classes for which sizes are counted."),
) -> None:
    """Show name, line, parameters, multiply-adds, input and source of the built-in models."""
    from rich.console import Console
    from rich.table import Table

    from darkprobe.errors import UnknownNameError
    from darkprobe.zoo import list_models
    from darkprobe.zoo.listing import describe_models

    rows = describe_models(pattern, num_classes=classes)
    if not rows:
        raise UnknownNameError("model", pattern, list_models())
    table = Table(box=None, header_style="bold")
    for heading in ("name", "line", "parameters", "multiply-adds", "input", "source"):
        right = heading in ("parameters", "multiply-adds")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading == "name")
    for row in rows:
        shape = "x".join(str(side) for side in row.input_shape)
        table.add_row(row.name, row.line, f"{row.parameters:,}", f"{row.flops:,}", shape, row.source)
    console = Console()
    # A pipe has no width: give the table what it needs, so that no line is cut.
    console.print(table) if console.is_terminal else Console(width=200).print(table)


@app.command("train")
def train_command(
    name: str = typer.Argument(help="An architecture of `zoo list`, e.g. resnet20 or mlp-64."),
    data: str = typer.Option(..., "--data", help="digits, cifar10, parquet:DIR, npz:FILE, ..."),
    out: Path = typer.Option(..., "--out", "-o", help="File to write, .safetensors; its card is inside."),
    recipe: str = typer.Option("plain", "--recipe", help="plain, ls0.1, tolerant, early-stopped, early0.5, lr0.3."),
    seed: int = typer.Option(0, "--seed", min=0, help="Decides weights, order and augmentation."),
    split: str = typer.Option("", "--split", help="What to train on; 'train', or 'train[:0.9]' where there is no val."),
    val: str = typer.Option("", "--val", help="What to look at while training; 'val', or 'train[0.9:]'."),
    epochs: int | None = typer.Option(None, "--epochs", min=1, help="Length; the schedule is scaled to it."),
    learning_rate: float | None = typer.Option(None, "--learning-rate", help="Peak rate; the recipe's own without it."),
    policy: str = typer.Option("", "--policy", help="Augmentation, e.g. pad4+flip or clean."),
    device: str | None = typer.Option(None, "--device", help="cpu, cuda, cuda:1, ...; a GPU when there is one."),
) -> None:
    """Train one teacher on labels by a field-standard recipe and save its weights with its card; run again to resume.

    While it trains, the newest state is kept in OUT.checkpoint.
    """
    import dataclasses

    from darkprobe.cli.stopping import stopping_cleanly
    from darkprobe.data import parse_policy
    from darkprobe.distill.teachers import default_training, parse_recipe, train_model
    from darkprobe.zoo import save_model

    chosen = parse_recipe(recipe)
    check_new(out)
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    train, held_out = _parts(data, split, val)
    config, standard = default_training(train, epochs=epochs)
    if learning_rate is not None:
        config = dataclasses.replace(config, learning_rate=learning_rate)
    augmentation = parse_policy(policy) if policy else standard
    typer.echo(f"{name} on {data}: {chosen.name}, {config}, augmentation {augmentation.text}", err=True)
    with stopping_cleanly():
        trained = train_model(
            name, train, held_out, recipe=chosen, config=config, policy=augmentation, seed=seed, device=device,
            checkpoint=checkpoint, watch=partial(show_look, len(train) // config.batch_size),
        )  # fmt: skip
    last, best = f"{trained.last_accuracy:.4f} (last epoch)", f"{trained.best_accuracy:.4f} (best look)"
    typer.echo(f"accuracy on {held_out.name}: {last}, {best}", err=True)
    saved = save_model(trained.model, out)
    checkpoint.unlink(missing_ok=True)
    typer.echo(saved)


def show_look(steps_per_epoch: int, history: "History") -> None:
    """One line on stderr about the newest look at validation data."""
    epoch, accuracy = history.steps[-1] / max(1, steps_per_epoch), history.scores[-1, 0]
    typer.echo(f"epoch {epoch:.0f}: accuracy {accuracy:.4f}, loss of the batch {history.losses[-1, 0]:.4f}", err=True)


def check_new(out: Path) -> None:
    """Refuses a file that is there already and one that save_model would refuse, before hours of training."""
    from darkprobe.errors import InvalidValueError

    if out.suffix != ".safetensors" or out.exists():
        got = "which exists" if out.exists() else "which ends otherwise"
        raise InvalidValueError(f"zoo train: `--out` must be a new .safetensors file, got {out}, {got}. Name another.")


def _parts(data: str, split: str, val: str) -> tuple["Split", "Split"]:
    """Training and validation data; where the data set has no val, a tenth of train is held out by class."""
    from darkprobe.data import load_split
    from darkprobe.data.sources import find_source

    source, argument = find_source(data)
    has_val = "val" in source.splits(argument)
    train = split or ("train" if has_val else "train[:0.9]")
    return load_split(data, train), load_split(data, val or ("val" if has_val else "train[0.9:]"))
