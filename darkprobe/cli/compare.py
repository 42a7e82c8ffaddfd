"""`darkprobe compare STORE`: whether models agree on which classes are alike, with floor, ceiling and intervals."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd


def compare(
    stores: list[Path] = typer.Argument(
        ..., metavar="STORE | CARD...", help="A store that extract wrote; or cards (.json), with a store or without."
    ),
    temperatures: str = typer.Option("1,4", "--temperatures", help="Comma-separated, each > 0."),
    dataset: str | None = typer.Option(None, "--dataset", help="Only this data set."),
    split: str | None = typer.Option(None, "--split", help="Only this split."),
    model: list[str] = typer.Option([], "--model", help="Only this model; may be given several times."),
    metric: list[str] = typer.Option([], "--metric", help="Only this metric; may be given several times."),
    subset: str = typer.Option("all,common", "--subset", help="Comma-separated: all, common."),
    resamples: int = typer.Option(200, "--resamples", min=0, help="Bootstrap resamples of class-level affinity."),
    by: str | None = typer.Option(None, "--by", help="class: agreement and divergence apart for each class as well."),
    json: Path | None = typer.Option(None, "--json", help="Also write every row to this file."),
) -> None:
    """Compare models: affinity of the wrong classes, its floor and ceiling, agreement, divergence.

    With cards instead of stores: the cards' own numbers side by side, and which classes each pair holds to be alike.
    """
    import pandas as pd

    from darkprobe.cli.result_tables import by_class_tables, comparison_tables
    from darkprobe.cli.tables import check_by, parse_subsets, parse_temperatures, print_tables, write_rows
    from darkprobe.measure import compare as compare_models
    from darkprobe.measure import compare_by_class

    check_by(by)
    if any(path.suffix == ".json" for path in stores):
        table = _compare_cards(stores, dataset=dataset, split=split, models=model)
        if json is not None:
            write_rows(json, table)
        return
    store, scales = _one_store(stores), parse_temperatures(temperatures)
    table = compare_models(
        store,
        metrics=metric or None,
        temperatures=scales,
        subsets=parse_subsets(subset),
        dataset=dataset,
        split=split,
        models=model or None,
        resamples=resamples,
    )
    tables = list(comparison_tables(table, asked=metric))
    if by is not None:
        classes = compare_by_class(store, temperatures=scales, dataset=dataset, split=split, models=model or None)
        tables += by_class_tables(classes, first="agreement", least=True)
        table = pd.concat([table, classes], ignore_index=True)
    print_tables(tables)
    if not metric and "spearman" not in set(table["metric"]):
        typer.echo(
            "\nSparse logits: what needs every class (rank correlations, class affinity, divergence) is not known from "
            "the largest ones, and left out."
        )
    if json is not None:
        write_rows(json, table)


def _one_store(stores: list[Path]) -> Path:
    from darkprobe.errors import InvalidValueError

    if len(stores) != 1:
        raise InvalidValueError(
            f"compare: one store holds the models to compare, got {len(stores)} paths. Extract into one store, or give "
            "cards (.json)."
        )
    return stores[0]


def _compare_cards(paths: list[Path], *, dataset: str | None, split: str | None, models: list[str]) -> "pd.DataFrame":
    """Prints the tables of cards; models of a store among the paths are summed up as cards first."""
    from darkprobe.cards import read_knowledge_card
    from darkprobe.cli.result_tables import comparison_tables, profile_tables, sign_tables
    from darkprobe.cli.tables import print_tables
    from darkprobe.measure import compare_cards, sign_conflicts
    from darkprobe.report.card import make_knowledge_card
    from darkprobe.report.panels import one_group

    cards = [read_knowledge_card(path) for path in paths if path.suffix == ".json"]
    for path in paths:
        if path.suffix != ".json":
            group = one_group(
                path, dataset=dataset or cards[0].dataset, split=split or cards[0].split, models=models or None
            )
            for record in group.records:
                fingerprint = str(getattr(record, "attributes", {}).get("fingerprint", ""))
                cards.append(make_knowledge_card(record, fingerprint=fingerprint))
    table = compare_cards(cards)
    pairs = table["reference"].notna()
    signs = sign_tables(sign_conflicts(table[~pairs]))
    print_tables([*profile_tables(table[~pairs]), *comparison_tables(table[pairs]), *signs])
    return table
