"""`darkprobe profile STORE`: what each model's soft labels look like, with intervals."""

from pathlib import Path

import typer


def profile(
    store: Path = typer.Argument(..., help="Directory (or packed file) that darkprobe extract wrote."),
    temperatures: str = typer.Option("1,4", "--temperatures", help="Comma-separated, each > 0."),
    dataset: str | None = typer.Option(None, "--dataset", help="Only this data set."),
    split: str | None = typer.Option(None, "--split", help="Only this split."),
    model: list[str] = typer.Option([], "--model", help="Only this model; may be given several times."),
    metric: list[str] = typer.Option([], "--metric", help="Only this metric; may be given several times."),
    subset: str = typer.Option("all,correct,common", "--subset", help="Comma-separated: all, correct, common."),
    resamples: int = typer.Option(1000, "--resamples", min=0, help="Bootstrap resamples of the calibration errors."),
    by: str | None = typer.Option(None, "--by", help="class: the soft labels apart for each class as well."),
    levels: bool = typer.Option(False, "--levels", help="Split what the labels say into four levels of knowledge."),
    human: Path | None = typer.Option(None, "--human", help="A .npy file of human probabilities or counts."),
    student: str | None = typer.Option(None, "--student", help="Model whose gradients every other model rescales."),
    features: bool = typer.Option(False, "--features", help="Compactness and class centres of stored features, CKA."),
    layer: str | None = typer.Option(
        None, "--layer", help="With --features: the layer; the last one stored if absent."
    ),
    hierarchy: str | None = typer.Option(
        None,
        "--hierarchy",
        help="Fit of class relations to cifar10, cifar100, wordnet or a CSV (class, what is above).",
    ),
    json: Path | None = typer.Option(None, "--json", help="Also write every row to this file."),
) -> None:
    """Profile soft labels: accuracy, confidence, distinctness and its two factors, entropy, calibration.

    Where the store holds several seeds of a network, the spread between seeds is told apart from that between examples.
    """
    import pandas as pd

    from darkprobe.cli.profile_parts import Choice, asked_for, seeds_of
    from darkprobe.cli.result_tables import by_class_tables, profile_tables, sign_tables
    from darkprobe.cli.tables import check_by, parse_subsets, parse_temperatures, print_tables, write_rows
    from darkprobe.measure import measure, measure_by_class, sign_conflicts

    check_by(by)
    chosen = Choice(store, parse_temperatures(temperatures), dataset=dataset, split=split, models=model or None)
    table = measure(
        store, metrics=metric or None, subsets=parse_subsets(subset), resamples=resamples, **chosen.options()
    )
    conflicts = sign_conflicts(table)
    further = asked_for(
        chosen, levels=levels, student=student, human=human, features=features, layer=layer, hierarchy=hierarchy
    )
    table = pd.concat([table, seeds_of(chosen, metric), *further], ignore_index=True)
    tables = list(profile_tables(table, asked=metric))
    if by is not None:
        classes = measure_by_class(store, **chosen.options())
        tables += by_class_tables(classes, first="non_target_mass", least=False)
        table = pd.concat([table, classes], ignore_index=True)
    print_tables([*tables, *sign_tables(conflicts)])
    if json is not None:
        write_rows(json, table)
