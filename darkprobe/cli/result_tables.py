"""The tables that `profile` and `compare` print: which numbers stand side by side, and under what heading."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from darkprobe.cli.tables import long, new_table, number, temperature_cell, wide

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from darkprobe.measure.signs import SignConflict

SOFT_LABELS = {
    "non_target_mass": "1 - p_y",
    "inherent_std": "x std of pt",
    "distinctness_std": "= distinctness",
    "non_ground_truth_entropy": "H(pt), nats",
}
SCORES = {
    "accuracy": "accuracy",
    "nll": "NLL, nats",
    "brier": "Brier",
    "ece": "ECE",
    "fitted_temperature": "fitted T",
}
LEVELS = {
    "level_label_smoothing": "as smoothing",
    "level_instance_confidence": "+ confidence",
    "level_class_relations": "+ relations",
    "level_instance_detail": "+ detail",
}
PEOPLE = {
    "human_spearman": "Spearman",
    "human_spearman_ceiling": "ceiling",
    "human_pearson": "Pearson",
    "human_class_affinity": "by class",
    "human_class_affinity_ceiling": "ceiling",
}
STUDENT = {
    "rescaling_factor_lower_quartile": "lower quartile",
    "rescaling_factor_median": "median w",
    "rescaling_factor_upper_quartile": "upper",
    "rescaling_factor_difficulty": "with difficulty",
}
AFFINITY = {
    "kendall": "Kendall",
    "spearman": "Spearman",
    "class_affinity": "by class",
    "agreement": "agreement",
    "kl_from_reference": "KL, nats",
}
OVERLAPS = {"top1_overlap": "top-1 overlap", "top3_overlap": "top-3", "top5_overlap": "top-5"}
SHARES = {
    "top_1_percent_share": "in the richest 1 %",
    "top_10_percent_share": "in the richest 10 %",
}
HIERARCHY = {
    "cophenetic_correlation": "tree",
    "block_structure": "blocks",
    "weight_cophenetic_correlation": "tree of weights",
    "weight_block_structure": "blocks of weights",
}
FEATURES = {
    "feature_compactness": "within / between",
    "centre_cosine_spread": "spread of centres",
    "weight_alignment": "weights on centres",
}
SIGN_HEADINGS = {
    "distinctness_std": "std of p",
    "distinctness_variance": "var of p",
    "inherent_std": "std of pt",
    "inherent_variance": "var of pt",
}
CLASSES_SHOWN = 20


def profile_tables(table: "pd.DataFrame", *, asked: Sequence[str] = ()) -> "Iterator[Table]":
    """For each data set and split: scores, soft labels by subset, what options asked for, and metrics without a column.

    Of the metrics without a column those are listed that the user registered, or asked for by name.
    """
    from darkprobe.metrics import BUILT_IN

    for (dataset, split), part in table.groupby(["dataset", "split"], sort=False):
        where = f"{dataset}/{split}"
        yield from wide(part[part["subset"] == "all"], SCORES, title=f"{where} · scores · all examples")
        for subset, rows in part[part["subset"] != "all seeds"].groupby("subset", sort=False):
            yield from wide(rows, SOFT_LABELS, title=f"{where} · soft labels · {subset} examples")
        yield from _seeds(part[part["subset"] == "all seeds"], title=where)
        yield from wide(part, SHARES, title=f"{where} · where the non-target mass lies")
        yield from wide(part, LEVELS, title=f"{where} · levels of knowledge, nats")
        yield from wide(part, PEOPLE, title=f"{where} · against people")
        yield from wide(part, STUDENT, title=f"{where} · gradient factor w of the student, by teacher")
        yield from wide(part, HIERARCHY, title=f"{where} · fit to the hierarchy (blocks: .5 = none, 1 = all)")
        yield from wide(part, FEATURES, title=f"{where} · geometry of features")
        yield from wide(part, {"linear_cka": "CKA"}, title=f"{where} · features of pairs", pairs=True)
        others = set(part["metric"]) - {metric.name for metric in BUILT_IN} if not asked else set(asked)
        yield from _rest(part[part["metric"].isin(others)], title=where)


def _rest(rows: "pd.DataFrame", *, title: str) -> "Iterator[Table]":
    """What stands in no other table."""
    columns = (SCORES, SOFT_LABELS, SHARES, LEVELS, PEOPLE, STUDENT, HIERARCHY, FEATURES, {"linear_cka": ""})
    in_tables = {name for headings in columns for name in headings}
    left = rows[~rows["metric"].isin(in_tables) & (rows["subset"] != "all seeds") & rows["reference"].isna()]
    if not left.empty:
        yield long(left, title=title)


def _seeds(rows: "pd.DataFrame", *, title: str) -> "Iterator[Table]":
    """A line per network, metric and temperature: mean over seeds, spread between seeds, error from examples."""
    if rows.empty:
        return
    from rich.text import Text

    table = new_table(f"{title} · several seeds of a network")
    table.add_column("network", overflow="fold")
    table.add_column("metric", overflow="fold")
    for heading in ("T", "mean of seeds", "std of seeds", "from examples"):
        table.add_column(heading, justify="right", no_wrap=True)
    nan = float("nan")
    known = ("_between_seed_std", "_example_error")
    for network, own in rows.groupby("model", sort=False):
        first = True
        for row in own[~own["metric"].str.endswith(known)].to_dict("records"):
            at = own[(own["temperature"] == row["temperature"]) | own["temperature"].isna()]
            spread, error = (at[at["metric"] == row["metric"] + suffix].iloc[0] for suffix in known)
            between = " ".join(number(spread[key], nan, nan) for key in ("value", "low", "high"))
            told = ["{} [{}, {}]".format(*between.split()), number(error["value"], nan, nan)]
            mean = number(row["value"], row["low"], row["high"])
            table.add_row(
                Text(str(network) if first else ""), row["metric"], temperature_cell(row["temperature"]), mean, *told
            )
            first = False
    yield table


def sign_tables(conflicts: "Sequence[SignConflict]") -> "Iterator[Table]":
    """For each data set and split the pairs of models whose order by distinctness hangs on the choice of metric.

    A cell says which of the two is the more distinct, `>` the first or `<` the second, on each subset of examples.
    """
    from rich.text import Text

    from darkprobe.measure.signs import CHOICES, SUBSETS

    for where in dict.fromkeys((conflict.dataset, conflict.split) for conflict in conflicts):
        own = [conflict for conflict in conflicts if (conflict.dataset, conflict.split) == where]
        seen = {choice for conflict in own for choice in (*conflict.higher, *conflict.lower)}
        subsets = [subset for subset in SUBSETS if any(subset == other for _, other in seen)]
        told = "who is more distinct depends on the metric (> the first model, < the second"
        table = new_table(f"{'/'.join(where)} · {told}; on {' | '.join(subsets)} examples)", intervals=False)
        table.add_column("models", overflow="fold")
        table.add_column("T", justify="right")
        metrics = [metric for metric in CHOICES if any(metric == other for other, _ in seen)]
        for metric in metrics:
            table.add_column(SIGN_HEADINGS[metric], justify="center", no_wrap=True)
        last = ""
        for conflict in sorted(own, key=lambda found: (found.model, found.reference, found.temperature)):
            pair = f"{conflict.model} : {conflict.reference}"
            cells = [" | ".join(conflict.sign(metric, subset) for subset in subsets) for metric in metrics]
            table.add_row(Text("" if pair == last else pair), temperature_cell(conflict.temperature), *cells)
            last = pair
        yield table


def comparison_tables(table: "pd.DataFrame", *, asked: Sequence[str] = ()) -> "Iterator[Table]":
    """For each data set and split: affinity and agreement by subset, then floors, ceilings and consistency."""
    from darkprobe.metrics import BUILT_IN

    for (dataset, split), part in table.groupby(["dataset", "split"], sort=False):
        where = f"{dataset}/{split}"
        for subset, rows in part.groupby("subset", sort=False):
            dense = rows["metric"].isin(["kendall", "spearman"]).any()
            headings = AFFINITY if dense or asked else OVERLAPS | AFFINITY
            yield from wide(rows, headings, title=f"{where} · pairs · {subset} examples", pairs=True)
        scale = part[part["metric"].str.contains("_floor_|_ceiling|_consistency")]
        for metric in ("spearman", "class_affinity"):
            rows = scale[scale["metric"].str.startswith(f"{metric}_")]
            headings = {
                f"{metric}_floor_permuted": "floor: chance",
                f"{metric}_floor_within_class": "floor: class only",
                f"{metric}_ceiling": "ceiling: seeds",
                f"{metric}_consistency": "consistency",
            }
            yield from wide(rows, headings, title=f"{where} · scale of {metric} · all examples", pairs=True)
        built_in = {metric.name for metric in BUILT_IN}
        plain = ~part["metric"].isin(list(AFFINITY)) & ~part["metric"].isin(scale["metric"])
        left = part[plain & (part["metric"].isin(list(asked)) if asked else ~part["metric"].isin(built_in))]
        if not left.empty:
            yield long(left, title=where)


def by_class_tables(table: "pd.DataFrame", *, first: str, least: bool) -> "Iterator[Table]":
    """For each data set, split and model (or pair) a line per class, at the highest temperature.

    Args:
        table: rows whose subset is "class NAME".
        first: the metric that orders classes, the same order for all models.
        least: whether the classes with the least of it come first.
    """
    for (dataset, split), part in table.groupby(["dataset", "split"], sort=False):
        top = part["temperature"].max()
        shown = part[part["temperature"].isna() | (part["temperature"] == top)]
        order = shown[shown["metric"] == first].groupby("subset")["value"].mean().sort_values(ascending=least)
        kept = [str(subset) for subset in order.index[:CLASSES_SHOWN]]
        more = f" · {len(order) - len(kept)} further in --json" if len(order) > len(kept) else ""
        for (model, reference), own in shown.groupby(["model", "reference"], sort=False, dropna=False):
            name = f"{model} : {reference}" if isinstance(reference, str) else str(model)
            at = "" if top != top else f" · T = {top:g}"  # NaN: none of them has a temperature
            yield _classes(own, kept, title=f"{dataset}/{split} · {name} by class{at}{more}")


def _classes(rows: "pd.DataFrame", subsets: Sequence[str], *, title: str) -> "Table":
    from rich.text import Text

    from darkprobe.measure import readable_names

    table = new_table(title)
    table.add_column("class", overflow="fold")
    metrics = list(dict.fromkeys(rows["metric"]))
    for metric in metrics:
        table.add_column(CLASS_HEADINGS.get(metric, metric), justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    names = readable_names([subset.removeprefix("class ") for subset in subsets])
    for name, subset in zip(names, subsets, strict=True):
        own = {row["metric"]: row for row in rows[rows["subset"] == subset].to_dict("records")}
        cells = [number(*(own[metric][key] for key in ("value", "low", "high"))) for metric in metrics]
        table.add_row(Text(name), *cells, f"{int(own[metrics[0]]['n']):,}")
    return table


CLASS_HEADINGS = {**SCORES, **SOFT_LABELS, **AFFINITY}
