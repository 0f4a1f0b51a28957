"""Checkpoints of a fit: all arrays of its state in one file of safetensors, which appears whole or not at all."""

import hashlib
import os
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from quesnay._errors import InputError

Tree = TypeVar("Tree")


def digest(run: object, words: str) -> str:
    """Return a fingerprint of what a run depends on: its numbers, and in words what else was chosen.

    Numbers count in any order: some distributions list theirs in one that changes from process to process.
    """
    found = []
    for leaf in jax.tree.leaves(run):
        if isinstance(leaf, (jax.Array, np.ndarray, int, float)):
            values = _plain(leaf)
            found.append(f"{values.dtype}{values.shape}{hashlib.sha256(values.tobytes()).hexdigest()}")
    return hashlib.sha256("\n".join([*sorted(found), words]).encode()).hexdigest()


def write(path: str | Path, state: object, run: str) -> None:
    """Write a state of a run of that fingerprint; an older file of the same name is replaced in one step.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    path = Path(path)
    arrays = {f"{k:04d}": np.array(_plain(leaf), order="C") for k, leaf in enumerate(jax.tree.leaves(state))}
    part = path.with_name(f".{path.name}.part")
    try:
        save_file(arrays, part, metadata={"run": run})
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{path}: the checkpoint cannot be written ({error}); give another path.") from None


def read(path: str | Path, like: Tree, run: str) -> Tree:
    """Return the state of a file, in the structure of one from the run of that fingerprint.

    Raises
    ------
    InputError
        The file cannot be read, or holds the state of another run.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            of, arrays = (file.metadata() or {}).get("run"), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: the checkpoint cannot be read ({error}); remove it to begin anew.") from None
    leaves, form = jax.tree.flatten(like)
    kept = [arrays.get(f"{k:04d}") for k in range(len(leaves))]
    if (
        of != run
        or len(arrays) != len(leaves)
        or any(a is None or not _fits(a, b) for a, b in zip(kept, leaves, strict=True))
    ):
        raise InputError(
            f"{path}: the checkpoint is of another run (other data, prior, guide, loss, key or steps); remove it to begin anew."
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
