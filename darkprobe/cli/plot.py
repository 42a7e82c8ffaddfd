"""`darkprobe plot KIND STORE -o F`: a figure of a store, its numbers and its provenance."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd

    from darkprobe.measure.records import Group

app = typer.Typer(
    help="Draw a figure of a store: PNG, SVG or PDF, with its numbers (.csv) and provenance (.json) beside it.",
    no_args_is_help=True,
)

STORE = typer.Argument(..., help="Directory of logits that `darkprobe extract` filled.")
OUTPUT = typer.Option(..., "-o", "--output", help="File to write; ends in .png, .svg or .pdf.")
DATASET = typer.Option(None, help="Which data set; needed where the store holds several.")
SPLIT = typer.Option(None, help="Which split; needed where the store holds several.")
SUBSET = typer.Option("all", help="Examples: all, correct (of each model) or common (every model is right).")
METRIC = typer.Option(["distinctness_std"], "--metric", help="What to draw; may be given several times: a panel each.")
TEMPERATURE = typer.Option(4.0, help="Divides the logits before the softmax.")
TEMPERATURES = typer.Option("0.5,1,2,4,8,16", help="Temperatures, with commas.")
POINTWISE = typer.Option(False, "--pointwise", help="Intervals of each point alone, not bands of the whole curve.")
MODEL = typer.Option([], "--model", help="Only this model; may be given several times.")
DATA = typer.Option(None, help="Data name to take images from, e.g. digits:0 or parquet:DIR.")
COUNT = typer.Option(6, min=1, max=60, help="How many examples.")


@app.command()
def capacity(
    store: Path = STORE,
    output: Path = OUTPUT,
    metric: list[str] = METRIC,
    temperature: float = TEMPERATURE,
    subset: str = SUBSET,
    pointwise: bool = POINTWISE,
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """A metric against the number of parameters, a line per family; one panel per metric."""
    from darkprobe.plots import new_axes, plot_capacity
    from darkprobe.report.panels import save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    table = _banded(group, metric, [temperature], subset=subset, over="capacity", pointwise=pointwise)
    axes = new_axes(len(metric), width=5.6 if len(metric) == 1 else 4.4)
    for name, ax in zip(metric, axes, strict=True):
        plot_capacity(table, metric=name, temperature=temperature, subset=subset, colours=colours_in(store), ax=ax)
    typer.echo(save_panels(axes, output, table[table["metric"].isin(metric)]))


@app.command()
def temperature(
    store: Path = STORE,
    output: Path = OUTPUT,
    metric: list[str] = METRIC,
    temperatures: str = TEMPERATURES,
    subset: str = SUBSET,
    pointwise: bool = POINTWISE,
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """A metric against temperature, a line per model; one panel per metric."""
    from darkprobe.cli.tables import parse_temperatures
    from darkprobe.plots import new_axes, plot_temperature
    from darkprobe.report.panels import save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    scales = list(parse_temperatures(temperatures))
    table = _banded(group, metric, scales, subset=subset, over="temperature", pointwise=pointwise)
    axes = new_axes(len(metric), width=6.6)
    for name, ax in zip(metric, axes, strict=True):
        plot_temperature(table, metric=name, subset=subset, colours=colours_in(store), ax=ax)
    typer.echo(save_panels(axes, output, table[table["metric"].isin(metric)]))


@app.command()
def affinity(
    store: Path = STORE,
    output: Path = OUTPUT,
    temperature: float = TEMPERATURE,
    metric: str = typer.Option("class_affinity", help="Agreement of two models, for the last panel."),
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """Class-affinity matrices of the smallest and the largest model, and how far all models agree."""
    import pandas as pd

    from darkprobe.measure import compare
    from darkprobe.report.panels import affinity_panels, affinity_table, save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    pairs = pd.DataFrame()
    if len(group.records) > 1:
        pairs = compare(group.records, metrics=[metric], temperatures=[temperature], subsets=["all"])
    axes = affinity_panels(group, pairs, metric=metric, temperature=temperature)
    typer.echo(save_panels(axes, output, pd.concat([affinity_table(group, temperature), pairs])))


@app.command()
def profile(
    store: Path = STORE,
    output: Path = OUTPUT,
    temperature: float = TEMPERATURE,
    examples: str = typer.Option(None, help="Example ids, with commas; by default spread over how sure models are."),
    count: int = COUNT,
    data: str = DATA,
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """Sorted soft labels of chosen examples, for several models, with the images where `--data` names them."""
    from darkprobe.report.panels import places_of_ids, profile_panels, profile_table, save_panels, spread_places

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    places = places_of_ids(group, _whole_numbers(examples)) if examples else spread_places(group, count)
    axes = profile_panels(group, places, temperature=temperature, colours=colours_in(store), data=data)
    typer.echo(save_panels(axes, output, profile_table(group, places, temperature)))


@app.command()
def examples(
    store: Path = STORE,
    output: Path = OUTPUT,
    by: str = typer.Option("disagreement", help="Which come first: disagreement, entropy or distinctness."),
    temperature: float = TEMPERATURE,
    count: int = COUNT,
    data: str = DATA,
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """The examples on which models disagree most, or whose wrong classes say most, with every model's soft labels."""
    from darkprobe.report.panels import foremost_places, profile_panels, profile_table, save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    places = foremost_places(group, by, count)
    axes = profile_panels(group, places, temperature=temperature, colours=colours_in(store), data=data)
    typer.echo(save_panels(axes, output, profile_table(group, places, temperature)))


@app.command()
def levels(
    store: Path = STORE,
    output: Path = OUTPUT,
    temperature: float = TEMPERATURE,
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """What soft labels hold, level by level: label smoothing, confidence, class relations, the single example."""
    from darkprobe.metrics.levels import LEVELS
    from darkprobe.plots import plot_levels
    from darkprobe.report.panels import save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    table = _measured(group, metrics=list(LEVELS), temperatures=[temperature], subset="all")
    typer.echo(save_panels([plot_levels(table, levels=LEVELS, temperature=temperature)], output, table))


@app.command()
def reliability(
    store: Path = STORE,
    output: Path = OUTPUT,
    temperature: float = typer.Option(1.0, help="Divides the logits before the softmax."),
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """How often a model is right against how sure it is, in 15 bins of equal width."""
    from darkprobe.plots import plot_reliability
    from darkprobe.report.panels import save_panels
    from darkprobe.report.reliability import BINS, reliability_table

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    table = reliability_table(group, temperature)
    title, binning = f"Reliability at T = {temperature:g}", f"{BINS} bins of equal width"
    ax = plot_reliability(table, colours=colours_in(store), binning=binning, title=title)
    typer.echo(save_panels([ax], output, table))


@app.command()
def alignment(
    store: Path = STORE,
    output: Path = OUTPUT,
    human: Path = typer.Option(..., help="People's votes: .npy of shares or counts, (example, cls), in store order."),
    metric: str = typer.Option("human_spearman", help="human_spearman, human_kendall, human_pearson, ..."),
    temperature: float = typer.Option(1.0, help="For the metrics that depend on it."),
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """Agreement with people against capacity, under the ceiling that people's own disagreement sets."""
    from darkprobe.measure import measure_people, read_votes
    from darkprobe.plots import plot_alignment, with_cards
    from darkprobe.report.panels import ceiling_of, save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    votes, counts = read_votes(human)
    table = measure_people(group.records, votes, counts=counts, temperatures=[temperature])
    table = with_cards(table, [record.card for record in group.records])
    ceiling, interval = ceiling_of(table, metric)
    ax = plot_alignment(
        table,
        metric=metric,
        ceiling=ceiling,
        ceiling_interval=interval,
        temperature=temperature,
        colours=colours_in(store),
    )
    typer.echo(save_panels([ax], output, table))


def group_of(store: Path, output: Path, *, dataset: str | None, split: str | None, models: list[str]) -> "Group":
    """The records of one data set and split, smallest model first; the output is checked before any work."""
    from darkprobe.errors import InvalidValueError
    from darkprobe.plots.save import check_figure_path
    from darkprobe.report.panels import one_group

    check_figure_path(output)
    if output.exists():
        raise InvalidValueError(
            f"plot: `output` must be a new file, got {str(output)!r}, which exists. Choose another name or delete it."
        )
    return one_group(store, dataset=dataset, split=split, models=models or None)


def _measured(group: "Group", *, metrics: list[str], temperatures: list[float], subset: str) -> "pd.DataFrame":
    from darkprobe.measure import measure
    from darkprobe.plots import with_cards

    table = measure(group.records, metrics=metrics, temperatures=temperatures, subsets=[subset])  # type: ignore[list-item]
    return with_cards(table, [record.card for record in group.records])


def _banded(
    group: "Group", metrics: list[str], temperatures: list[float], *, subset: str, over: str, pointwise: bool
) -> "pd.DataFrame":
    """Curves with bands that hold for all their points at once; other metrics and choices keep their own intervals."""
    import pandas as pd

    from darkprobe.measure import capacity_bands, temperature_bands
    from darkprobe.metrics import METRICS
    from darkprobe.plots import with_cards

    parts = []
    for metric in metrics:
        points = len(group.records) if over == "capacity" else len(temperatures)
        per_example = METRICS[metric].kind == "per_example" and METRICS[metric].any_subset
        if pointwise or not per_example or points < 2 or (over, subset) == ("capacity", "correct"):
            table = _measured(group, metrics=[metric], temperatures=temperatures, subset=subset)
            parts.append(table[table["metric"] == metric].assign(interval="intervals"))
            continue
        if over == "capacity":
            table = capacity_bands(group.records, metric, temperature=temperatures[0], subset=subset)  # type: ignore[arg-type]
        else:
            table = temperature_bands(group.records, metric, temperatures=temperatures, subset=subset)  # type: ignore[arg-type]
        parts.append(with_cards(table, [r.card for r in group.records]).assign(interval="simultaneous intervals"))
    return pd.concat(parts, ignore_index=True)


def colours_in(store: Path) -> dict[str, str]:
    """One colour for each model of the store, whichever of them a figure shows."""
    from darkprobe.measure.records import records_of
    from darkprobe.plots import model_colours

    cards = [record.card for record in records_of("plot", store)]
    return model_colours([c.model_id for c in cards], parameters={c.model_id: c.parameters for c in cards})


def _whole_numbers(text: str) -> list[int]:
    from darkprobe.errors import InvalidValueError

    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise InvalidValueError(
            f"plot: `examples` must be example ids with commas, got {text!r}. Write e.g. 12,407."
        ) from None
