"""Progress of a study on stderr: one bar a phase."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Bar = Callable[[str, int], Callable[[int], None]]
"""(what, total) -> a function to be called with numbers of finished members."""


@contextmanager
def progress_bars(*, shown: bool) -> Iterator[Bar]:
    """Makes bars that end with the block; none where `shown` is false."""
    columns = (
        TextColumn("{task.description:<19}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:

        def start(what: str, total: int) -> Callable[[int], None]:
            task = bar.add_task(what, total=total)
            return lambda amount: bar.advance(task, amount)

        yield start
