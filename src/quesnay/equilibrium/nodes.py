"""Names of the unknowns of a system."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from quesnay._errors import InputError


def checked(x0: PyTree, names: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the names that were given, as (array, its names), or raise `InputError` where they do not fit x0."""
    if names is None:
        return ()
    shapes = _shapes(x0)
    if not isinstance(names, Mapping):
        if len(shapes) != 1:
            example = next(iter(shapes))
            raise InputError(
                f"x0 has the arrays {', '.join(shapes)}; give names by array, such as {{{example!r}: ...}}."
            )
        names = {next(iter(shapes)): names}
    for array, entries in names.items():
        if array not in shapes:
            raise InputError(f"names has {array!r}, which is no array of x0; it has {', '.join(shapes)}.")
        if isinstance(entries, str) or (len(entries),) != shapes[array]:
            raise InputError(
                f"the names of {array or 'x0'} do not fit its shape {shapes[array]}; give a list with one for each entry."
            )
        for name in entries:
            if not isinstance(name, str):
                raise InputError(f"the names of {array or 'x0'} have {name!r} among them; give text.")
    kept = tuple((array, tuple(entries)) for array, entries in names.items())
    twice = [node for node, times in Counter(node_names(x0, dict(kept))).items() if times > 1]
    if twice:
        raise InputError(f"the name {twice[0]!r} is used twice; give every node a name of its own.")
    return kept


def node_names(x0: PyTree, names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return a name for every entry of x0, in the order of `jax.flatten_util.ravel_pytree`."""
    nodes: list[str] = []
    for array, shape in _shapes(x0).items():
        if array in names:
            nodes += [f"{array}[{name}]" if array else name for name in names[array]]
        elif shape:
            nodes += [f"{array or 'x'}[{', '.join(map(str, at))}]" for at in np.ndindex(*shape)]
        else:
            nodes.append(array or "x")
    return tuple(nodes)


def _shapes(x0: PyTree) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_flatten_with_path(x0)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.shape(leaf) for path, leaf in leaves}
