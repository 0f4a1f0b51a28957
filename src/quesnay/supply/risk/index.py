"""The Economic Systemic Risk Index: output lost in the whole economy when a firm closes."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import floating, positive, require, whole
from quesnay._errors import InputError
from quesnay._results import RESULTS, raise_unless_successful
from quesnay.network import Network

from .cascade import Cascade, cascade, matrix, positions, weights


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
        How the iteration ended; `RESULTS.not_converged` where any scenario was still moving after `max_steps`.
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
    ready = prepare(network, sector, essential, relevant, market)
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
    parts, steps, moving = _run(ready, closed, scenarios, min(batch, scenarios), tolerance, max_steps)
    result = RESULTS.where(jnp.any(moving), RESULTS.not_converged, RESULTS.successful)
    risk = SystemicRisk(*parts, steps=steps, by_firm=closures is None, result=result)
    return raise_unless_successful(risk, result) if throw else risk


def prepare(
    network: Network, sector: ArrayLike, essential: ArrayLike, relevant: ArrayLike | None, market: ArrayLike | None
) -> Cascade:
    """Check the arguments and return the network made ready for cascades."""
    return cascade(*_weighed(network, sector, essential, relevant), _market(network, sector, market))


def _weighed(network, sector, essential, relevant):
    sectors = positions(sector, network.firms, "sector")
    last = int(sectors.max()) + 1
    strong = matrix(essential, last, "essential")
    some = matrix(relevant, len(strong), "relevant")
    if some.shape != strong.shape:
        raise InputError(f"essential has shape {strong.shape} and relevant {some.shape}; give matrices of one shape.")
    return weights(network, sectors, strong, some), network


def _market(network, sector, market) -> np.ndarray:
    return positions(sector if market is None else market, network.firms, "market")


class _Slots(eqx.Module):
    """Scenarios under way, one per column, and what has come of those that ended."""

    scenario: Int[Array, " b"]
    down: Float[Array, "M b"]
    up: Float[Array, "M b"]
    steps: Int[Array, " b"]
    next: Int[Array, ""]
    parts: Float[Array, "4 S"]
    taken: Int[Array, " S"]
    moving: Bool[Array, " S"]


@eqx.filter_jit
def _run(
    ready: Cascade, closed: Float[Array, "S M"] | None, scenarios: int, batch: int, tolerance: float, max_steps: int
):
    """Return the four shares of every scenario, its steps, and whether it was still moving.

    A scenario that has converged makes room for the next one at once, so that no batch waits for its slowest member and no
    result depends on what else is under way. Empty slots hold the scenario that comes after the last.
    """
    everyone = jnp.arange(len(ready.output))[:, None]
    weight = ready.output / jnp.sum(ready.output)

    def closing(scenario):
        if closed is None:
            return (everyone == scenario).astype(ready.output.dtype)
        return jnp.where(scenario < scenarios, closed[jnp.minimum(scenario, scenarios - 1)].T, 0)

    def step(now: _Slots) -> _Slots:
        shut = closing(now.scenario)
        lost = jnp.maximum(shut, ready.downstream(now.down, ready.shares(now.down)))
        unsold = jnp.maximum(shut, ready.upstream(now.up))
        change = jnp.maximum(jnp.max(jnp.abs(lost - now.down), axis=0), jnp.max(jnp.abs(unsold - now.up), axis=0))
        # Not "greater than": a change that is not a number counts as movement.
        moving, steps = ~(change <= tolerance), now.steps + 1
        ended = ~moving | (steps >= max_steps)
        place = jnp.where(ended, now.scenario, scenarios)
        parts = jnp.stack([weight @ loss for loss in (jnp.maximum(lost, unsold), lost, unsold, shut)])
        waiting = now.next + jnp.cumsum(ended) - 1
        scenario = jnp.where(ended, jnp.minimum(waiting, scenarios), now.scenario)
        fresh = closing(scenario)
        return _Slots(
            scenario,
            jnp.where(ended, fresh, lost),
            jnp.where(ended, fresh, unsold),
            jnp.where(ended, 0, steps),
            now.next + jnp.sum(ended),
            now.parts.at[:, place].set(parts, mode="drop"),
            now.taken.at[place].set(steps, mode="drop"),
            now.moving.at[place].set(moving, mode="drop"),
        )

    first = jnp.arange(batch)
    start = closing(first)
    none = jnp.zeros(scenarios, int)
    slots = _Slots(
        first,
        start,
        start,
        jnp.zeros(batch, int),
        jnp.asarray(batch),
        jnp.zeros((4, scenarios), start.dtype),
        none,
        none > 0,
    )
    end = jax.lax.while_loop(lambda now: jnp.any(now.scenario < scenarios), step, slots)
    return tuple(end.parts), end.taken, end.moving
