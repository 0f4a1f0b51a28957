"""Checkpoints of a fit: all arrays of its state in one file of safetensors, which appears whole or not at all."""

import os
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from quesnay._errors import InputError

Tree = TypeVar("Tree")


def write(path: str | Path, state: object) -> None:
    """Write a state; an older file of the same name is replaced in one step.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    path = Path(path)
    arrays = {f"{k:04d}": np.array(_plain(leaf), order="C") for k, leaf in enumerate(jax.tree.leaves(state))}
    part = path.with_name(f".{path.name}.part")
    try:
        save_file(arrays, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{path}: the checkpoint cannot be written ({error}); give another path.") from None


def read(path: str | Path, like: Tree) -> Tree:
    """Return the state of a file, in the structure of one from the same run.

    Raises
    ------
    InputError
        The file cannot be read, or holds the state of another run.
    """
    try:
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: the checkpoint cannot be read ({error}); remove it to begin anew.") from None
    leaves, form = jax.tree.flatten(like)
    kept = [arrays.get(f"{k:04d}") for k in range(len(leaves))]
    if len(arrays) != len(leaves) or any(a is None or not _fits(a, b) for a, b in zip(kept, leaves, strict=True)):
        raise InputError(
            f"{path}: the checkpoint is of another run (other parameters, guide or loss); remove it to begin anew."
        )
    return jax.tree.unflatten(form, [_as(a, leaf) for a, leaf in zip(kept, leaves, strict=True)])


def _plain(leaf: object) -> np.ndarray:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def _fits(stored: np.ndarray, leaf: object) -> bool:
    ours = _plain(leaf)
    # The losses so far are a vector that grows.
    return stored.dtype == ours.dtype and (
        stored.shape == ours.shape or (isinstance(leaf, np.ndarray) and stored.ndim == 1)
    )


def _as(stored: np.ndarray | None, leaf: object) -> object:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(stored), impl=jax.random.key_impl(leaf))
    return stored if isinstance(leaf, np.ndarray) else jnp.asarray(stored)
