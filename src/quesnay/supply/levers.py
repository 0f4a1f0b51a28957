"""Levers: where a given budget of inventories or of spare capacity helps most, found by gradient."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from quesnay._checks import concrete, instance, positive, whole
from quesnay._errors import InputError
from quesnay.dynamics import simulate

from .model import SupplyModel
from .parameters import ByInput
from .path import SupplyPath
from .shocks import AbstractShock


class AbstractLever(eqx.Module):
    """A parameter that money can move, account by account."""

    UNIT: ClassVar[str]

    @abc.abstractmethod
    def pull(self, model: SupplyModel, spent: Float[Array, " n"]) -> SupplyModel:
        """Return the model after spending so much on each account (n,), in the lever's unit."""

    @abc.abstractmethod
    def useful(self, model: SupplyModel) -> Array:
        """Return where it can be spent at all (n,)."""


class Inventories(AbstractLever):
    """Larger stocks: money (currency) spent on an account buys all its inputs in proportion, `n_i + m_i / (a_i x_i(0))`.

    a_i is the share of all inputs in the account's output; target and first stock rise together.
    """

    UNIT: ClassVar[str] = "{currency}"

    def pull(self, model, spent):
        cost = _inputs(model)
        some = cost > 0
        before: Any = model.inventory
        return eqx.tree_at(lambda m: m.inventory, model, before + jnp.where(some, spent / jnp.where(some, cost, 1), 0))

    def useful(self, model):
        # More of what never ends changes nothing.
        target: Any = model.inventory
        return (_inputs(model) > 0) & jnp.isfinite(target)


class SpareCapacity(AbstractLever):
    """More capacity: what is spent is output per day (currency per day), `k_i + m_i / x_i(0)`."""

    UNIT: ClassVar[str] = "{currency}/day"

    def pull(self, model, spent):
        base = model.network.output
        some = base > 0
        return eqx.tree_at(
            lambda m: m.capacity, model, model.capacity + jnp.where(some, spent / jnp.where(some, base, 1), 0)
        )

    def useful(self, model):
        return model.network.output > 0


class Allocation(eqx.Module):
    """A budget, spent where it helps most.

    Attributes
    ----------
    spent:
        By account (n,), in the lever's unit; adds up to the budget.
    before, even, after:
        The outcome without the budget, with it spread in proportion to base output, and as found.
    worth:
        Derivative of the outcome with respect to the first unit spent on each account (n,), at no budget: the chokepoints.
    history:
        The outcome after every step of the search (iterations,).
    unit:
        The lever's unit; `economy.label(found, outcome=unit)` puts the currency in its place.
    """

    spent: Float[Array, " n"]
    before: Float[Array, ""]
    even: Float[Array, ""]
    after: Float[Array, ""]
    worth: Float[Array, " n"]
    history: Float[Array, " iterations"]
    unit: str = eqx.field(static=True)

    def variables(self):
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        return {
            "spent": (("account",), self.spent, self.unit, "budget spent"),
            "worth": (("account",), self.worth, f"{{outcome}}/({self.unit})", "outcome per unit of the first spending"),
        }


def output_kept(path: SupplyPath) -> Float[Array, ""]:
    """Return all output over the path, in currency: the national outcome."""
    return jnp.sum(path.output)


def allocate(
    model: SupplyModel,
    shock: AbstractShock,
    *,
    steps: int,
    budget: float,
    lever: AbstractLever,
    outcome: Callable[[SupplyPath], Float[Array, ""]] = output_kept,
    observe: Callable[[SupplyPath], SupplyPath] | None = None,
    iterations: int = 100,
    pace: float = 0.1,
) -> Allocation:
    """Return how to spend a budget of inventories or spare capacity so that an outcome under a shock is largest.

    Projected gradient ascent on `{m >= 0, sum m = budget}` with normalised, shrinking steps; the best point seen is
    returned, which is never worse than spreading the budget evenly. The outcome is piecewise smooth and need not be concave:
    what is found is a local optimum.

    Parameters
    ----------
    model, shock, steps:
        What is simulated.
    budget:
        In the lever's unit (currency of stocks, or currency per day of capacity), above 0.
    lever:
        `Inventories()` or `SpareCapacity()`.
    outcome:
        Path -> number to be made large, such as the output of one sector; by default all output.
    observe:
        As for `simulate`; by groups for large networks.
    iterations, pace:
        Steps of the search, and the size of the first one as a share of the budget.

    Raises
    ------
    InputError
        A budget that is not positive, a model whose inventories are given by input (for `Inventories`), traced values.
    """
    instance(model, SupplyModel, "model", "a SupplyModel")
    money, days = positive(budget, "budget"), whole(steps, "steps", "number of days")
    count = whole(iterations, "iterations", "number of steps of the search")
    first = positive(pace, "pace", below=10.0)
    if not isinstance(lever, AbstractLever):
        raise InputError(f"lever is {lever!r}; give Inventories() or SpareCapacity().")
    if not concrete(model, shock):
        raise InputError("the model or the shock is being traced; a search over budgets needs numbers.")
    if isinstance(lever, Inventories) and isinstance(model.inventory, ByInput):
        raise InputError("the model's inventories are given by input; give them by account to spend a budget on them.")
    useful = np.asarray(lever.useful(model))
    if not useful.any():
        raise InputError("the lever helps no account of this model: none has what it moves.")
    # Once for its checks and warnings, outside the compiled search.
    simulate(model, shock, steps=1, observe=observe)
    return _search(model, shock, lever, jnp.asarray(useful), outcome, observe, days, money, count, first)


@eqx.filter_jit
def _search(model, shock, lever, useful, outcome, observe, steps, budget, iterations, pace) -> Allocation:
    def value(spent):
        return outcome(simulate(lever.pull(model, spent), shock, steps=steps, observe=observe))

    def feasible(spent):
        # Where the lever moves nothing, nothing is spent: such accounts stand far outside the simplex.
        far = jnp.max(spent) - 2 * budget
        return optax.projections.projection_simplex(jnp.where(useful, spent, far), budget)

    base = jnp.where(useful, model.network.output, 0)
    even = budget * base / jnp.sum(base)
    slope = jax.value_and_grad(value)
    before, worth = slope(jnp.zeros_like(even))

    def step(carry, k):
        spent, best, top = carry
        here, direction = slope(spent)
        better = here > top
        best, top = jnp.where(better, spent, best), jnp.where(better, here, top)
        size = jnp.max(jnp.abs(jnp.where(useful, direction - jnp.mean(direction, where=useful), 0)))
        length = pace * budget / jnp.sqrt(1.0 + k)
        moved = spent + length * direction / jnp.where(size > 0, size, 1)
        return (feasible(moved), best, top), here

    start = (even, even, value(even))
    (spent, best, top), history = jax.lax.scan(step, start, jnp.arange(iterations))
    last = value(spent)
    better = last > top
    return Allocation(
        jnp.where(better, spent, best), before, start[2], jnp.maximum(last, top), worth, history, lever.UNIT
    )


def _inputs(model: SupplyModel) -> Float[Array, " n"]:
    """Return what all inputs of an account cost per day at the base state (n,)."""
    links = model.network.links
    return links.sum_by_customer(links.need) * model.network.output
