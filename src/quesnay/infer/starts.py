"""Where a search begins: the centre of the prior, or the best of its draws."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from quesnay._errors import SolveError

from .health import losses_at
from .losses import Fitted
from .problem import Problem


class Begun(NamedTuple):
    """Where fits begin (starts, size), the simulations that this took, and how many of them had no finite loss."""

    points: Array
    simulations: int
    not_finite: int


def begun(problem: Problem, fitted: Fitted, scouts: int, tries: int, key: PRNGKeyArray) -> Begun:
    """Return the best of the scouts, the centre of the prior (or the pilot's end) among them; without, that and prior draws.

    Raises
    ------
    SolveError
        No scout has a finite loss.
    """
    centre = jnp.zeros(problem.prior.size) if fitted.start is None else fitted.start
    if scouts == 0:
        more = [problem.prior.sample(key, tries - 1)] if tries > 1 else []
        return Begun(jnp.concatenate([centre[None], *more]), 0, 0)
    draws, losses = jax.random.split(key)
    z = jnp.concatenate([centre[None], problem.prior.sample(draws, max(scouts, tries - 1))])
    values = losses_at(problem, fitted.loss, z, losses)
    finite = np.isfinite(values)
    if not finite.any():
        raise SolveError(
            f"None of {len(z)} simulations at prior draws has a finite loss; narrow the prior to where the simulator runs."
        )
    order = np.argsort(np.where(finite, values, np.inf), kind="stable")[:tries]
    return Begun(z[order], len(z) * fitted.loss.draws, int((~finite).sum()))
