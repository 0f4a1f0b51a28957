"""A progress bar of named stages on the terminal, and silence anywhere else."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextlib.contextmanager
def stages(total: int) -> Iterator[Callable[[str], None]]:
    """Give a function that announces the next of `total` stages; the bar is on stderr and leaves nothing behind."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda name: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        begun = False

        def announce(name: str) -> None:
            nonlocal begun
            progress.update(task, description=name, advance=int(begun))
            begun = True

        yield announce
