"""A progress bar of named stages on the terminal, and silence anywhere else."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Stages:
    """Announces the next stage when called; does nothing where there is no bar."""

    def __init__(self, progress: Progress | None = None, task: TaskID | None = None) -> None:
        self._progress, self._task, self._begun = progress, task, False

    def __call__(self, name: str) -> None:
        """Begin the next stage."""
        self.within(name, advance=int(self._begun))
        self._begun = True

    def within(self, text: str, *, advance: int = 0) -> None:
        """Say how far the stage is."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=text, advance=advance)


@contextlib.contextmanager
def stages(total: int) -> Iterator[Stages]:
    """Give what announces the next of `total` stages; the bar is on stderr and leaves nothing behind."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Stages()
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        yield Stages(progress, progress.add_task("", total=total))
