"""The Economic Systemic Risk Index: output lost in the whole economy when a firm closes."""

from collections.abc import Mapping
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import floating, instance, positive, require, whole
from quesnay._errors import InputError
from quesnay._results import RESULTS, raise_unless_successful
from quesnay.network import Network

from .cascade import Cascade, Weights, cascade, matrix, positions, weights
from .schedule import by_steps, chunks
from .segments import rows_at


class SystemicRisk(eqx.Module):
    """Output lost in the whole economy in each scenario, as a share of all output.

    Attributes
    ----------
    total:
        The index (S,): `sum_j s_j (1 - h_j) / sum_j s_j`, `h = min(h_d, h_u)`.
    downstream, upstream:
        The same with h_d and with h_u alone (S,): lost for want of inputs, and of orders.
    direct:
        What the closed firms themselves lose (S,): `sum_j s_j closed_j / sum_j s_j`.
    steps:
        Iterations until both cascades had converged (S,).
    by_firm:
        Whether scenario i is the closure of firm i.
    result:
        How the iteration ended; `RESULTS.creeping` where any scenario was still moving after `max_steps`.
    """

    total: Float[Array, " S"]
    downstream: Float[Array, " S"]
    upstream: Float[Array, " S"]
    direct: Float[Array, " S"]
    steps: Int[Array, " S"]
    by_firm: bool = eqx.field(static=True)
    result: RESULTS = eqx.field(default_factory=lambda: RESULTS.successful)

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label` and `Firms.label`."""
        dims = ("account",) if self.by_firm else ("scenario",)
        return {
            "total": (dims, self.total, "1", "share of all output lost"),
            "downstream": (dims, self.downstream, "1", "share of all output lost for want of inputs"),
            "upstream": (dims, self.upstream, "1", "share of all output lost for want of orders"),
            "direct": (dims, self.direct, "1", "share of all output that the closed firms make"),
        }


def systemic_risk(
    network: Network,
    sector: ArrayLike,
    *,
    essential: ArrayLike,
    relevant: ArrayLike | None = None,
    market: ArrayLike | None = None,
    closures: ArrayLike | None = None,
    batch: int = 64,
    tolerance: float = 1e-6,
    max_steps: int = 1000,
    throw: bool = True,
) -> SystemicRisk:
    """Return the Economic Systemic Risk Index of every firm, or of any scenarios of closures.

    With h the level of production that is left (1 at first), psi = 1 - closed, w_ji what j sells to i, s output, p_j the sector
    of firm j, until no level moves by more than the tolerance:

    ```
    h_d,i(t+1) = min( psi_i,
                      min over essential sectors k:  1 - sum_{j in k} sigma_j(t) (1 - h_d,j(t)) w_ji / sum_{l in k} w_li,
                      1 - sum_{j not essential} sigma_j(t) (1 - h_d,j(t)) w_ji / sum_l w_li )
    h_u,i(t+1) = min( psi_i, (f_i + sum_j w_ij h_u,j(t)) / s_i )
    sigma_j(t) = min( 1, s_j / sum_{l in market of j} s_l h_d,l(t) )
    index      = sum_j s_j (1 - min(h_d,j, h_u,j)) / sum_j s_j
    ```

    Essential inputs (sectors) bind one by one as in Leontief's production function, the others together and linearly. A
    supplier is missed in proportion to sigma, its share of what its market still makes: the others step in for the rest.

    Output s includes final demand f, which no closure reduces; in the source s is sales to firms (the data hold no others), to
    which this comes down where f = 0.

    Parameters
    ----------
    network:
        Who sells how much to whom; its numbers must be known (not traced).
    sector:
        Sector of every firm (M,), integers from 0.
    essential:
        Whether sector k's products are essential to sector l, boolean (K, K), rows supply and columns use.
    relevant:
        Whether they matter at all where they are not essential, boolean (K, K); without it all do.
    market:
        Market of every firm (M,), integers: firms of one market replace each other. Without it, the sectors; `np.arange(M)`
        makes every firm irreplaceable.
    closures:
        Share of capacity that each firm loses, (S, M), from 0 to 1; without it, every firm closes in turn, alone.
    batch:
        Scenarios computed at once; memory grows with it.
    tolerance:
        Largest change of a level at which the iteration ends; levels are shares. The source takes 0.01.
    max_steps:
        Iterations after which a scenario counts as not converged.
    throw:
        Raise where a scenario has not converged; with False `result` says so.

    Raises
    ------
    InputError
        Shapes that do not fit, sectors outside the matrix, closures outside 0 to 1, a traced network.
    SolveError
        A scenario has not converged and `throw` is True.

    References
    ----------
    Diem, Borsos, Reisch, Kertész and Thurner (2022), Quantifying firm-level economic systemic risk from nation-wide supply
    networks, Scientific Reports 12:7719, Methods.
    """
    coefficients, markets = _weighed(network, sector, essential, relevant), _market(network, sector, market)
    ready = cascade(coefficients, network, markets)
    batch, max_steps = (
        whole(batch, "batch", "number of scenarios"),
        whole(max_steps, "max_steps", "number of iterations"),
    )
    tolerance = positive(tolerance, "tolerance", below=1.0)
    count, dtype = network.firms, ready.output.dtype
    closed = None if closures is None else floating(closures, "closures").astype(dtype)
    if closed is not None:
        if closed.ndim != 2 or closed.shape[1] != count or closed.shape[0] == 0:
            raise InputError(f"closures has shape {closed.shape}; give (scenarios, firms), (S, {count}).")
        require(
            lambda c: (c >= 0) & (c <= 1), "closures has an entry outside 0 to 1; give shares of capacity lost.", closed
        )
    scenarios = count if closed is None else len(closed)
    like = np.arange(scenarios) if closed is not None else by_steps(coefficients, network, markets, tolerance)
    # As arrays: numbers would be compiled in.
    ends = jnp.asarray(tolerance, dtype), jnp.asarray(max_steps)
    parts, steps, moving = _run(ready, closed, chunks(like, min(batch, scenarios)), *ends)
    result = RESULTS.where(jnp.any(moving), RESULTS.creeping, RESULTS.successful)
    risk = SystemicRisk(*parts, steps=steps, by_firm=closures is None, result=result)
    return raise_unless_successful(risk, result) if throw else risk


def prepare(
    network: Network, sector: ArrayLike, essential: ArrayLike, relevant: ArrayLike | None, market: ArrayLike | None
) -> Cascade:
    """Check the arguments and return the network made ready for cascades."""
    return cascade(_weighed(network, sector, essential, relevant), network, _market(network, sector, market))


def _weighed(network, sector, essential, relevant) -> Weights:
    instance(network, Network, "network", "a Network, such as quesnay.firms.draw(...).network")
    sectors = positions(sector, network.firms, "sector")
    last = int(sectors.max()) + 1
    strong = matrix(essential, last, "essential")
    some = matrix(relevant, len(strong), "relevant")
    if some.shape != strong.shape:
        raise InputError(f"essential has shape {strong.shape} and relevant {some.shape}; give matrices of one shape.")
    return weights(network, sectors, strong, some)


def _market(network, sector, market) -> np.ndarray:
    return positions(sector if market is None else market, network.firms, "market")


@eqx.filter_jit
def _run(
    ready: Cascade,
    closed: Float[Array, "S M"] | None,
    order: Int[Array, "chunks b"],
    tolerance: Float[Array, ""],
    max_steps: Int[Array, ""],
):
    """Return the four shares of every scenario, its steps, and whether it was still moving.

    Scenarios that are likely to take as many steps are computed side by side. The two cascades end apart, and a scenario
    that has converged stands still: no result depends on what else is under way.
    """
    weight = ready.output / jnp.sum(ready.output)

    def chunk(scenarios):
        if closed is None:
            shut, lost, unsold, constant = _first_closure(ready, ready.place[scenarios])
        else:
            shut, lost, unsold, constant = _first_of(ready, closed[scenarios].T[ready.firm])
        own = rows_at(shut, ready.seller)
        settle = partial(_settle, tolerance=tolerance, max_steps=max_steps)
        down, taken, moves = settle(lambda x: jnp.maximum(shut, ready.downstream(x, ready.shares(x))), shut, lost)
        up, longer, moved = settle(lambda x: jnp.maximum(own, ready.passed_on(x) + constant), own, unsold)
        up = jnp.maximum(shut, ready.everywhere(up))
        parts = jnp.stack([weight @ loss for loss in (jnp.maximum(down, up), down, up, shut)])
        return parts, jnp.maximum(taken, longer), moves | moved

    parts, steps, moving = jax.lax.map(chunk, order)
    # A scenario that fills up the last chunk is computed twice, to the same numbers.
    scenarios, back = order.ravel(), jnp.zeros(len(ready.output) if closed is None else len(closed), int)
    back = back.at[scenarios].set(jnp.arange(len(scenarios)))
    return tuple(jnp.moveaxis(parts, 1, 0).reshape(4, -1)[:, back]), steps.ravel()[back], moving.ravel()[back]


def _first_closure(ready: Cascade, firm: Int[Array, " b"]):
    """Return closures of one firm each, the losses after the first step, and the orders that no step changes."""
    shut = (jnp.arange(len(ready.output))[:, None] == firm).astype(ready.output.dtype)
    # Nobody but the customers and suppliers of the firm has lost anything yet.
    share = jnp.take_along_axis(ready.shares(shut), firm[None], axis=0)
    lost = jnp.maximum(shut, ready.missed.take(firm) * share)
    orders = ready.unsold.take(firm)
    sells = ready.seller_place[firm] < len(ready.seller)
    return shut, lost, jnp.maximum(rows_at(shut, ready.seller), orders), jnp.where(sells, 0, orders)


def _first_of(ready: Cascade, shut: Float[Array, "M b"]):
    """Return the same for any closures."""
    own, constant = rows_at(shut, ready.seller), ready.from_final(shut)
    lost = jnp.maximum(shut, ready.downstream(shut, ready.shares(shut)))
    return shut, lost, jnp.maximum(own, ready.passed_on(own) + constant), constant


def _settle(step, before: Float[Array, "n b"], after: Float[Array, "n b"], *, tolerance: Array, max_steps: Array):
    """Go on from the first step until no column moves; return the values, steps, and which columns still moved."""

    def still(old, new):
        # Not "greater than": a change that is not a number counts as movement.
        return ~(jnp.max(jnp.abs(new - old), axis=0, initial=0) <= tolerance)

    def advance(state):
        x, taken, moving = state
        under_way = moving & (taken < max_steps)
        new = step(x)
        return (
            jnp.where(under_way, new, x),
            taken + under_way,
            jnp.where(under_way, still(x, new), moving),
        )

    first = after, jnp.ones(after.shape[1], int), still(before, after)
    return jax.lax.while_loop(lambda state: jnp.any(state[2] & (state[1] < max_steps)), advance, first)
