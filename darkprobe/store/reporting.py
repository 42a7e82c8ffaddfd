"""What a store holds and whether it is whole, as text for the command line."""

from pathlib import Path

from darkprobe.errors import StoreError
from darkprobe.store.logit_file import LogitFile, open_file, unfinished
from darkprobe.store.logit_store import LogitStore


def describe(entry: LogitFile) -> tuple[str, ...]:
    """One row of a table: data set, split, model, family, parameters, examples, classes, format, megabytes."""
    views = f" x {entry.n_views} views" if entry.n_views else ""
    stored = str(entry.header["storage"]) + ("" if entry.header["precision"] == "float32" else " (bf16 pass)")
    size = sum(extent.nbytes for extent in entry.extents.values()) / 1e6
    return (
        *(entry.dataset, entry.split, entry.card.model_id, entry.card.family, f"{entry.card.parameters:,}"),
        *(f"{entry.n_examples:,}{views}", str(entry.header["classes"]), stored, f"{size:.1f}"),
    )


def describe_unfinished(store: LogitStore) -> list[str]:
    """One line for each part file, naming its missing blocks."""
    lines = []
    for path in store.unfinished():
        try:
            missing, blocks = unfinished(path)
        except StoreError as error:
            lines.append(f"unfinished: {error}")
            continue
        lines.append(
            f"unfinished: {path.relative_to(store.path)}: {len(missing)} of {blocks} blocks missing "
            f"({ranges(missing)}). Run the same extract command again to go on."
        )
    return lines


def ranges(numbers: list[int]) -> str:
    """Consecutive numbers joined: [0, 1, 2, 5] is "0-2, 5"; at most eight groups are shown.

    Examples:
        >>> ranges([0, 1, 2, 5])
        '0-2, 5'
    """
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1][-1] = number
        else:
            groups.append([number, number])
    shown = [f"{low}-{high}" if high > low else str(low) for low, high in groups[:8]]
    return ", ".join(shown) + (", ..." if len(groups) > 8 else "")


def verify(path: Path | str) -> list[tuple[Path, str | None]]:
    """For every file of a store, None when it is whole, else what is wrong with it.

    Raises:
        StoreError: there is no store at `path`, or no file in it.
    """
    store = LogitStore(path)
    if store.is_packed:
        return [(store.path, _problem_of_pack(store))]
    files = sorted(store.path.glob("*/*/*.h5"))
    if not files:
        raise StoreError(f"{path} holds no finished logit file. Extract into it first.")
    return [(file, _problem(file)) for file in files]


def _problem(path: Path) -> str | None:
    try:
        return _problem_inside(open_file(path))
    except StoreError as error:
        return str(error)


def _problem_of_pack(store: LogitStore) -> str | None:
    try:
        return next((problem for problem in map(_problem_inside, store.entries()) if problem), None)
    except StoreError as error:
        return str(error)


def _problem_inside(entry: LogitFile) -> str | None:
    damaged = entry.damaged_blocks()
    if damaged:
        return f"{entry.card.model_id}: blocks {ranges(damaged)} do not match their checksums"
    entry.check_whole_arrays()
    return None
