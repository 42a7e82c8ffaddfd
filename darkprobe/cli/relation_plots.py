"""`darkprobe plot tree|cosines|features|classes`: what models make of classes, from outputs, weights and features."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from darkprobe.cli.plot import DATASET, MODEL, OUTPUT, SPLIT, STORE, TEMPERATURE, colours_in, group_of
from darkprobe.cli.plot import app as plot_app

if TYPE_CHECKING:
    import numpy as np

    from darkprobe.measure.records import Group

__all__ = ["plot_app"]

HIERARCHY = typer.Option(None, help="cifar10, cifar100, wordnet or a CSV file: colours or frames its superclasses.")


@plot_app.command()
def tree(
    store: Path = STORE,
    output: Path = OUTPUT,
    temperature: float = TEMPERATURE,
    hierarchy: str = HIERARCHY,
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """Trees of classes that the smallest and the largest model's soft labels grow, and their fit to a hierarchy."""
    import pandas as pd

    from darkprobe.measure import measure_hierarchy, readable_names
    from darkprobe.metrics import affinity_tree
    from darkprobe.plots import new_axes, plot_tree
    from darkprobe.report.panels import affinity_matrices, save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    names, groups = readable_names(group.records[0].class_names), _groups(group, hierarchy)
    matrices = affinity_matrices(group, temperature)
    chosen = [record for record in group.records if record.card.model_id in matrices]
    fits = measure_hierarchy(chosen, hierarchy, temperatures=[temperature]) if hierarchy else pd.DataFrame()
    axes = new_axes(len(matrices), width=5.6, height=1.5 + 0.17 * len(names))
    merges = []
    for ax, (model_id, matrix) in zip(axes, matrices.items(), strict=True):
        linkage = affinity_tree(matrix)
        merges.append(_merges(model_id, linkage, names))
        first = group.records[0]
        told = [first.dataset, first.split, f"T = {temperature:g}", f"n = {len(group):,} examples"]
        if hierarchy:
            row = fits[(fits["model"] == model_id) & (fits["metric"] == "cophenetic_correlation")].iloc[0]
            told.append(f"correlation with {hierarchy} {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]")
        plot_tree(linkage, class_names=names, groups=groups, title=model_id, note=" · ".join(told), ax=ax)
    typer.echo(save_panels(axes, output, pd.concat([*merges, fits])))


@plot_app.command()
def cosines(
    store: Path = STORE,
    output: Path = OUTPUT,
    of: str = typer.Option("weights", help="weights: class weights of the last layer; centres: of stored features."),
    layer: str = typer.Option(None, help="With --of centres: the layer; the last one stored if absent."),
    hierarchy: str = HIERARCHY,
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """Cosines between classes in the smallest and the largest model: of class weights, or of feature centres."""
    import numpy as np
    import pandas as pd

    from darkprobe.measure import readable_names
    from darkprobe.plots import new_axes, plot_cosines
    from darkprobe.report.panels import save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    names, groups = readable_names(group.records[0].class_names), _groups(group, hierarchy)
    matrices = _cosines(group, of, layer)
    side = 4.2 + 0.06 * min(len(names), 40)
    axes = new_axes(len(matrices), width=side + 0.6, height=side)
    told = f"{group.records[0].dataset} · {of} measured from their mean · {len(names)} classes · no intervals on maps"
    apart = ~np.eye(len(names), dtype=bool)
    reach = max(0.1, *(float(np.nanmax(np.abs(matrix[apart]), initial=0.0)) for matrix in matrices.values()))
    for ax, (model_id, matrix) in zip(axes, matrices.items(), strict=True):
        title = f"Class {of} of {model_id}"
        plot_cosines(matrix, class_names=names, groups=groups, reach=reach, title=title, note=told, ax=ax)
    pairs = [
        {"model": model_id, "of": of, "class": names[i], "other": names[j], "cosine": matrix[i, j]}
        for model_id, matrix in matrices.items()
        for i in range(len(names))
        for j in range(i)
    ]
    typer.echo(save_panels(axes, output, pd.DataFrame(pairs)))


@plot_app.command()
def features(
    store: Path = STORE,
    output: Path = OUTPUT,
    layer: str = typer.Option(None, help="The layer whose features were stored; the last one stored if absent."),
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """Feature compactness, spread of class centres and alignment of class weights with them, against capacity."""
    from darkprobe.measure import measure_features
    from darkprobe.plots import new_axes, plot_capacity, with_cards
    from darkprobe.report.panels import save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    table = measure_features(group.records, layers=layer)
    table = with_cards(table[table["reference"].isna()], [record.card for record in group.records])
    metrics = list(dict.fromkeys(table["metric"]))
    axes = new_axes(len(metrics))
    for name, ax in zip(metrics, axes, strict=True):
        plot_capacity(table, metric=name, temperature=None, colours=colours_in(store), ax=ax)
    typer.echo(save_panels(axes, output, table))


@plot_app.command()
def classes(
    store: Path = STORE,
    output: Path = OUTPUT,
    metric: str = typer.Option("agreement", help="Of one value per example: of models, or of pairs of models."),
    temperature: float = TEMPERATURE,
    dataset: str = DATASET,
    split: str = SPLIT,
    model: list[str] = MODEL,
) -> None:
    """A metric class by class: where models disagree, are sure, or tell wrong classes apart."""
    from darkprobe.measure import compare_by_class, measure_by_class, readable_names
    from darkprobe.metrics import METRICS
    from darkprobe.plots import plot_classes
    from darkprobe.report.panels import save_panels

    group = group_of(store, output, dataset=dataset, split=split, models=model)
    measured = compare_by_class if METRICS[metric].kind == "pairwise" else measure_by_class
    table = measured(group.records, metrics=[metric], temperatures=[temperature])
    named = [f"class {readable_names([name.removeprefix('class ')])[0]}" for name in table["subset"]]
    drawn = table.assign(subset=named)
    ax = plot_classes(drawn, metric=metric, temperature=temperature, colours=colours_in(store))
    typer.echo(save_panels([ax], output, drawn))


def _groups(group: "Group", hierarchy: str | None) -> "tuple[str, ...] | None":
    from darkprobe.measure import class_paths, readable_names
    from darkprobe.metrics import superclasses_of

    if hierarchy is None:
        return None
    return readable_names(superclasses_of(class_paths(hierarchy, group.records[0].class_names)))


def _cosines(group: "Group", of: str, layer: str | None) -> "dict[str, np.ndarray]":
    """Maps of the smallest and the largest model that have what it takes."""
    import numpy as np

    from darkprobe.errors import DataError, UnknownNameError
    from darkprobe.measure.features import pooled_features
    from darkprobe.metrics import centre_cosines, weight_cosines

    if of not in ("weights", "centres"):
        raise UnknownNameError("kind of cosines", of, ("weights", "centres"), "Write --of weights or --of centres.")
    held: Any = (lambda r: r.head_weight) if of == "weights" else (lambda r: r.features or None)
    having = [m for m, record in enumerate(group.records) if held(record) is not None]
    if not having:
        raise DataError(
            f"plot: `store` must hold {'head weights' if of == 'weights' else 'features'} for cosines of {of}, "
            "got none. Extract again"
            + (" with --features LAYER." if of == "centres" else " from a network with a linear head.")
        )
    found = {}
    for m in dict.fromkeys((having[0], having[-1])):
        record: Any = group.records[m]
        if of == "weights":
            found[record.card.model_id] = weight_cosines(np.asarray(record.head_weight))
        else:
            found[record.card.model_id] = np.asarray(centre_cosines(pooled_features(group, m, layer), group.labels))
    return found


def _merges(model: str, linkage: "np.ndarray", names: "tuple[str, ...]") -> Any:
    """The numbers of a tree: a row per merge."""
    import pandas as pd

    leaves: list[str] = list(names)
    rows = []
    for first, second, distance, size in linkage:
        joined = (leaves[int(first)], leaves[int(second)])
        leaves.append(f"({joined[0]} + {joined[1]})" if size <= 4 else f"({int(size)} classes)")
        rows.append(
            {"model": model, "first": joined[0], "second": joined[1], "distance": distance, "classes": int(size)}
        )
    return pd.DataFrame(rows)
