"""How far a fit is: told to a function, or drawn as a bar on the terminal."""

import contextlib
from collections.abc import Callable, Iterator

from quesnay._errors import InputError

Told = Callable[[int, int], None]


@contextlib.contextmanager
def told(progress: Told | bool | None) -> Iterator[Told | None]:
    """Give the function that is told of steps (done, in all); True is a bar on stderr that leaves nothing behind.

    Raises
    ------
    InputError
        Neither a function nor True or False.
    """
    if progress is None or progress is False:
        yield None
    elif progress is not True:
        if not callable(progress):
            raise InputError(f"progress is a {type(progress).__name__}; give True, or a function of (done, in all).")
        yield progress
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("fitting", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
