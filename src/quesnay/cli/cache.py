"""The persistent compilation cache of the command line: the second run of a scenario compiles nothing."""

import os
import sys
from pathlib import Path


def enable() -> None:
    """Point JAX, which must not be imported yet, at a folder of the user's for compiled programs.

    A `JAX_COMPILATION_CACHE_DIR` in the environment is respected. JAX makes the folder when it first compiles; where that
    cannot work, one note says so and the run goes on without.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = location()
        obstacle = _obstacle(folder)
        if obstacle:
            sys.stderr.write(
                f"quesnay: note: no compilation cache, because {obstacle}; set XDG_CACHE_HOME to change that.\n"
            )
            return
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def location() -> Path:
    """Return the folder: `$XDG_CACHE_HOME/quesnay/jax`, or `~/.cache/quesnay/jax` where that is unset or relative."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "quesnay" / "jax"


def _obstacle(folder: Path) -> str:
    existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if not existing.is_dir():
        return f"{existing} is not a folder"
    return "" if os.access(existing, os.W_OK | os.X_OK) else f"{existing} cannot be written to"
