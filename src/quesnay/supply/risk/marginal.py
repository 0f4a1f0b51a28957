"""The marginal systemic risk of all firms at once: the derivative of all output lost, by one adjoint."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import positive, whole
from quesnay._results import RESULTS, raise_unless_successful
from quesnay.network import Network

from .cascade import Cascade
from .index import prepare


class MarginalRisk(eqx.Module):
    """Share of all output lost per share of a firm's capacity lost, at small losses.

    Attributes
    ----------
    total:
        `dR/dc_i` (M,), both cascades: each firm counts with the one that hurts it more.
    result:
        How the iterations ended.
    """

    total: Float[Array, " M"]
    result: RESULTS = eqx.field(default_factory=lambda: RESULTS.successful)

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label` and `Firms.label`."""
        return {
            "total": (("account",), self.total, "1", "share of all output lost per share of the firm's capacity lost")
        }


def marginal_risk(
    network: Network,
    sector: ArrayLike,
    *,
    essential: ArrayLike,
    relevant: ArrayLike | None = None,
    market: ArrayLike | None = None,
    tolerance: float = 1e-8,
    max_steps: int = 10_000,
    throw: bool = True,
) -> MarginalRisk:
    """Return the derivative of all output lost by the capacity that each firm loses, where every firm has lost a little.

    With losses l = 1 - h, sigma at the base state, and the loss c of capacity *added* to what arrives from others, so that both
    cascades are homogeneous of degree one in c and the derivative along c = (e, .., e) is the same for every small e:

    ```
    l_d,i = c_i + max over the rows of inputs r of i: sum_j q_rj sigma_j l_d,j
    l_u,i = c_i + sum_j (w_ij / s_i) l_u,j
    R(c)  = sum_i s_i max(l_d,i, l_u,i) / sum_i s_i
    dR/dc = (I - Q')^-1 (s [l_d > l_u]) / sum s + (I - U')^-1 (s [l_d <= l_u]) / sum s
    ```

    Q holds the row of inputs that binds each firm, U the shares of customers in sales. One forward cascade finds which bind,
    one adjoint gives all M derivatives. It differs from `systemic_risk` of a single firm in three ways: which inputs bind is
    that of a general small loss, market shares do not move, and a firm's own loss comes back to it. Rank by it, do not read
    it as the index.

    Parameters
    ----------
    network, sector, essential, relevant, market:
        As for `systemic_risk`.
    tolerance:
        Largest relative change at which the iterations end.
    max_steps:
        Iterations after which they count as not converged: markets of one firm each that buy from one another in a circle pass
        losses on undiminished.
    throw:
        Raise where an iteration has not converged; with False `result` says so.

    Raises
    ------
    InputError
        As for `systemic_risk`.
    SolveError
        An iteration has not converged and `throw` is True.
    """
    ready = prepare(network, sector, essential, relevant, market)
    tolerance, max_steps = (
        positive(tolerance, "tolerance", below=1.0),
        whole(max_steps, "max_steps", "number of iterations"),
    )
    total, moving = _derivative(ready, jnp.asarray(tolerance, ready.output.dtype), jnp.asarray(max_steps))
    result = RESULTS.where(moving, RESULTS.creeping, RESULTS.successful)
    risk = MarginalRisk(total, result)
    return raise_unless_successful(risk, result) if throw else risk


def lost(ready: Cascade, added: Float[Array, " M"], tolerance: ArrayLike, max_steps: ArrayLike):
    """Return R(c) by iteration, the losses by both cascades (by place), and whether they still moved."""
    share = ready.shares(jnp.zeros_like(added)[:, None])
    c = added[ready.firm][:, None]
    down, first = _iterate(lambda x: c + ready.downstream(x, share), c, tolerance, max_steps)
    up, second = _iterate(lambda x: c + ready.upstream(x), c, tolerance, max_steps)
    weight = ready.output / jnp.sum(ready.output)
    return weight @ jnp.maximum(down, up)[:, 0], down, up, first | second


@eqx.filter_jit
def _derivative(ready: Cascade, tolerance: Float[Array, ""], max_steps: Int[Array, ""]):
    share = ready.shares(jnp.zeros_like(ready.output)[:, None])
    _, down, up, failed = lost(ready, jnp.ones_like(ready.output), tolerance, max_steps)
    weight = (ready.output / jnp.sum(ready.output))[:, None]
    by_inputs = down > up
    # The transposes of both steps, at the losses found: the maximum passes the derivative to the row that binds.
    _, back_down = jax.vjp(lambda x: ready.downstream(x, share), down)
    _, back_up = jax.vjp(ready.upstream, up)
    first, w_down = jnp.where(by_inputs, weight, 0), jnp.where(by_inputs, 0, weight)
    adjoint_down, slow = _iterate(lambda y: first + back_down(y)[0], first, tolerance, max_steps)
    adjoint_up, slower = _iterate(lambda y: w_down + back_up(y)[0], w_down, tolerance, max_steps)
    return (adjoint_down + adjoint_up)[ready.place, 0], failed | slow | slower


def _iterate(step, start, tolerance, max_steps):
    """Return the fixed point of a monotone step from below, and whether it was still moving."""

    def advance(state):
        x, at, _ = state
        y = step(x)
        return y, at + 1, ~(jnp.max(jnp.abs(y - x)) <= tolerance * jnp.max(jnp.abs(y)))

    x, _, moving = jax.lax.while_loop(lambda s: s[2] & (s[1] < max_steps), advance, (start, 0, jnp.asarray(True)))
    return x, moving
