"""`audit`: what survives in anyone's training logs when they are read the same way for every method.

From a table of (method, seed, epoch, accuracy) the three figures that papers report are recomputed: the last epoch, the
epoch chosen on validation data (where there are any), and the best epoch on the test data itself. Methods are compared
with a baseline pair by pair of equal seeds, with one correction over all comparisons.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from darkprobe.checks import check_choice
from darkprobe.errors import DataError
from darkprobe.study.statistics import holm, holm_multipliers, mean_estimate, replicates_for

Values = npt.NDArray[np.float64]

COLUMNS = ("method", "seed", "epoch", "accuracy")
FIGURES = ("last epoch", "selected on validation", "best on test")


def read_logs(
    path: Path | str, *, columns: Mapping[str, str] = MappingProxyType({}), percent: bool = False
) -> pd.DataFrame:
    """The table of a log with the columns method, seed, epoch, accuracy and, where known, val_accuracy.

    Args:
        path: a file of comma-separated (.csv) or tab-separated (.tsv) values, JSON lines (.jsonl) or .parquet; or a
            directory of such files, whose rows are joined.
        columns: what a column is called in the log, for those that have another name there.
        percent: accuracies are percents; fractions in [0, 1] otherwise.

    Raises:
        DataError: a column is missing, a row appears twice, or an accuracy lies outside its range.
        UnknownNameError: `columns` names a column that `audit` does not know.
    """
    for name in columns:
        check_choice("column", name, (*COLUMNS, "val_accuracy"))
    table = pd.concat([_read(file) for file in _log_files(Path(path))], ignore_index=True)
    for name, theirs in columns.items():
        if theirs not in table:
            raise DataError(
                f"audit: {path} must have the column {theirs!r}, which is to be read as {name}, got "
                f"{', '.join(map(str, table.columns))}. Correct --column {name}=NAME."
            )
        table = table.drop(columns=[name] if name != theirs and name in table else []).rename(columns={theirs: name})
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise DataError(
            f"audit: {path} must have the columns {', '.join(COLUMNS)}, got {', '.join(map(str, table.columns))}. "
            f"Add {', '.join(missing)}, or say what they are called: --column {missing[0]}=NAME."
        )
    if percent:
        for name in [c for c in ("accuracy", "val_accuracy") if c in table]:
            table[name] = pd.to_numeric(table[name], errors="coerce") / 100
    twice = table.duplicated(["method", "seed", "epoch"])
    if twice.any():
        row = table[twice].iloc[0]
        raise DataError(
            f"audit: every (method, seed, epoch) must stand once in {path}, got {row['method']}, seed {row['seed']}, "
            f"epoch {row['epoch']} twice. Give runs different seeds."
        )
    for name in [c for c in ("accuracy", "val_accuracy") if c in table]:
        values = pd.to_numeric(table[name], errors="coerce")
        wrong = table[name][~values.between(0, 1)]
        if len(wrong):
            raise DataError(
                f"audit: `{name}` in {path} must be fractions in [0, 1], got {wrong.iloc[0]!r} and {len(wrong)} such "
                "values in all. Say --percent where they are percents, and leave out epochs without a value."
            )
        table[name] = values
    return table


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".tsv": lambda path: pd.read_csv(path, sep="\t"),
    ".jsonl": lambda path: pd.read_json(path, lines=True),
    ".parquet": pd.read_parquet,
}


def _log_files(path: Path) -> list[Path]:
    """The file itself, or the logs that lie in a directory."""
    found = sorted(file for file in path.iterdir() if file.suffix in _READERS) if path.is_dir() else [path]
    if not found:
        raise DataError(f"audit: {path} must hold logs ({', '.join(_READERS)}), got none. Name another directory.")
    return found


def _read(path: Path) -> pd.DataFrame:
    try:
        return _READERS.get(path.suffix, pd.read_csv)(path)
    except (OSError, ValueError, ImportError) as error:  # what pandas raises on a broken table is a ValueError
        reason = str(error).splitlines()[0]
        raise DataError(f"audit: {path} must be a table, got something else ({reason}). Convert it.") from error


def figures(logs: pd.DataFrame) -> pd.DataFrame:
    """One row a run: method, seed and its accuracy by each of `FIGURES` (NaN without validation data), fractions."""
    rows = []
    for (method, seed), run in logs.sort_values("epoch").groupby(["method", "seed"], sort=True):
        selected = (
            run["accuracy"].iloc[int(run["val_accuracy"].to_numpy().argmax())] if "val_accuracy" in run else np.nan
        )
        values = (run["accuracy"].iloc[-1], selected, run["accuracy"].max())
        rows.append({"method": method, "seed": seed, **dict(zip(FIGURES, values, strict=True))})
    return pd.DataFrame(rows)


def audit(logs: pd.DataFrame, *, baseline: str, delta: float = 0.005) -> pd.DataFrame:
    """Every method against the baseline by every figure that the logs allow, paired by seed.

    Args:
        logs: as `read_logs` gives it.
        baseline: the method that others are compared with.
        delta: smallest difference of interest, a fraction.

    Returns:
        Columns figure, method, mean, baseline_mean, effect, low, high (95 % paired t over seeds), p_value, p_adjusted
        (Holm over the methods of a figure), survives ("better", "worse" or "not resolved", by the adjusted interval), n
        (seeds in common), more_seeds (for a half width of delta) and selection_gain (best on test minus last epoch, the
        method's mean: what choosing the epoch on the test data adds).

    Raises:
        UnknownNameError: the baseline is not among the methods.
        DataError: a method shares fewer than two seeds with the baseline.
    """
    check_choice("method", baseline, sorted(logs["method"].unique()))
    runs = figures(logs).set_index(["method", "seed"])
    tables = [_compare(runs, figure, baseline, delta) for figure in FIGURES if runs[figure].notna().all()]
    return pd.concat(tables, ignore_index=True)


def _compare(runs: pd.DataFrame, figure: str, baseline: str, delta: float) -> pd.DataFrame:
    base = runs.xs(baseline)[figure]
    rows, p_values, estimates = [], [], []
    for method in sorted(set(runs.index.get_level_values("method")) - {baseline}):
        own = runs.xs(method)
        pair = pd.concat([own[figure], base], axis=1, join="inner").to_numpy(np.float64)
        if len(pair) < 2:
            raise DataError(
                f"audit: {method!r} must share 2 or more seeds with {baseline!r}, got {len(pair)}. Without pairs "
                "nothing can be compared: run the same seeds."
            )
        difference = pair[:, 0] - pair[:, 1]
        estimate = mean_estimate(difference)
        estimates.append(estimate)
        p_values.append(estimate.p_value())
        low, high = estimate.interval()
        rows.append(
            {"figure": figure, "method": method, "mean": pair[:, 0].mean(), "baseline_mean": pair[:, 1].mean(),
             "effect": estimate.effect, "low": low, "high": high, "p_value": p_values[-1], "n": estimate.n,
             "more_seeds": replicates_for(difference, half_width=delta),
             "selection_gain": float((own["best on test"] - own["last epoch"]).mean())}
        )  # fmt: skip
    raw: Values = np.array(p_values)
    for row, estimate, p, factor in zip(rows, estimates, holm(raw), holm_multipliers(raw), strict=True):
        low, high = estimate.interval(1 - 0.05 / float(factor))
        row |= {"p_adjusted": float(p), "survives": "better" if low > 0 else "worse" if high < 0 else "not resolved"}
    return pd.DataFrame(rows)
