"""Hypothetical extraction: what the economy loses without an account, or without a part of its flows."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, require
from quesnay._errors import InputError
from quesnay.equilibrium.solution import solve
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import Leontief, Price
from quesnay.network import Network

from .inverse import precision, vector, weights

SHOWN = 3
"""Losses that the text of an extraction shows for each convention."""


class Loss(eqx.Module):
    """What one way of extraction takes from the economy, for each of g extracted accounts or groups.

    Attributes
    ----------
    total:
        The loss everywhere, in the unit of the outcome, (g,) or (k, g).
    """

    total: Float[Array, "*k g"]
    _cut: Float[Array, "g s"]
    _own: Float[Array, "g s"]
    _profile: Float[Array, "u n"]
    _scale: Float[Array, " n"]
    _row: Int[Array, "g s"]
    _account: Int[Array, "g s"]

    def by_account(self) -> Float[Array, "g n"]:
        """Return the loss of output of every account (second axis) to each extraction (first axis), computed here."""
        spread = jnp.einsum("gs,gsn->gn", self._cut, self._profile[self._row])
        group = jnp.arange(len(self._own))[:, None]
        return spread.at[group, self._account].add(-self._own) * self._scale


class Extraction(eqx.Module):
    """Losses by hypothetical extraction, one `Loss` per convention.

    Attributes
    ----------
    complete:
        The account sells nothing: neither to the accounts, itself included, nor to final demand; so it produces nothing.
        Of all output this is `(1'L)_k x_k / L_kk`.
    backward:
        It buys nothing from the accounts: column k of A is removed. Of all output `((1'L)_k - 1) x_k / L_kk`.
    forward:
        It sells nothing to the accounts: row k of A is removed. Of all output `(1'L)_k (x_k - d_k) / L_kk`.
    allocation:
        It sells nothing to the accounts in Ghosh's model: row k of B is removed and primary inputs stay.
        Of all output `((L x)_k - x_k) / L_kk`.
    external_backward, external_forward:
        As `backward` and `forward`, but what the account (or the group) buys of itself stays.
    isolated:
        Both of these at once: it neither buys from the other accounts nor sells to them (Cella's total linkage).
    """

    complete: Loss
    backward: Loss
    forward: Loss
    allocation: Loss
    external_backward: Loss
    external_forward: Loss
    isolated: Loss
    grouped: bool = eqx.field(static=True)
    unit: str = eqx.field(static=True)

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Array, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`."""
        case = ("outcome",)[: self.complete.total.ndim - 1]
        dims = (*case, "group" if self.grouped else "account")
        said = {
            "complete": (self.complete, "sells nothing"),
            "backward": (self.backward, "buys nothing from the accounts"),
            "forward": (self.forward, "sells nothing to the accounts"),
            "allocation": (self.allocation, "sells nothing to the accounts, Ghosh's model"),
            "external_backward": (self.external_backward, "buys nothing from other accounts"),
            "external_forward": (self.external_forward, "sells nothing to other accounts"),
            "isolated": (self.isolated, "trades nothing with other accounts"),
        }
        return {name: (dims, loss.total, self.unit, f"loss where it {words}") for name, (loss, words) in said.items()}

    def __repr__(self) -> str:
        if not all(isinstance(leaf, jax.Array) and concrete(leaf) for leaf in jax.tree.leaves(self)):
            return eqx.tree_pformat(self)
        totals = {name: values for name, (_, values, _, _) in self.variables().items()}
        *cases, count = self.complete.total.shape
        what = f"{count:,} {'groups' if self.grouped else 'accounts'}"
        lines = [f"Extraction of {what}{f', {cases[0]} outcomes' if cases else ''}: the largest losses"]
        for name, values in totals.items():
            each = np.asarray(values).reshape(-1, count)[0]
            first = np.argsort(-np.abs(each), kind="stable")[:SHOWN]
            lines.append(f"  {name.replace('_', ' '):<18}" + "".join(f"{k:>6}: {each[k]:<12,.6g}" for k in first))
        return "\n".join(line.rstrip() for line in lines)


def extraction(
    A: ArrayLike | Network,
    final_demand: ArrayLike,
    *,
    share: ArrayLike = 1.0,
    groups: ArrayLike | None = None,
    outcome: ArrayLike | None = None,
    solver: AbstractLinearSolver | None = None,
) -> Extraction:
    """Return what every account's hypothetical extraction would take from the economy, under seven conventions.

    A change of rank s of A (s accounts in the group) changes x by the Woodbury identity: for example
    `loss = share L_S (I + share (L_SS - I))^-1 x_S` for the complete extraction of S. Nothing is solved anew.

    Parameters
    ----------
    A:
        Technical coefficients (n, n), or a `Network`; only the extracted accounts' columns and rows of L are solved for.
    final_demand:
        d (n,), in currency.
    share:
        Share of the flows that is removed, from 0 to 1: a number, or one per group (g,). Of a complete extraction these are
        the account's sales, final demand included; what it buys follows from what it still produces.
    groups:
        Accounts that are extracted together, (g, n) of zeros and ones; without it, every account by itself (g = n). Own use of
        a group is what its accounts sell each other.
    outcome:
        Outcome per unit of output, (n,) or (k, n), such as value added or jobs; without it, gross output.
    solver:
        As for `solve`.

    Raises
    ------
    InputError
        Shapes that do not fit, a share outside 0 to 1, a group without accounts.
    SolveError
        The technology is not productive.

    References
    ----------
    Paelinck, de Caevel and Degueldre (1965); Strassert (1968); Cella (1984); Dietzenbacher and van der Linden (1997);
    Miller and Blair (2009), chapter 12.2.6; Dietzenbacher and Lahr (2013), extraction of a part.
    """
    system = Leontief(A)
    n = system.size
    d = vector(final_demand, "final demand", n)
    dtype = precision(system, d)
    account, present = _members(groups, n)
    theta = _share(share, len(account), dtype)
    r = jnp.ones(n, dtype) if outcome is None else weights(outcome, "outcome", n)
    union, row = np.unique(account, return_inverse=True)
    row = row.reshape(account.shape)
    unit = jnp.zeros((n, len(union)), dtype).at[union, np.arange(len(union))].set(1)
    solved = solve(system, jnp.concatenate([unit, d[:, None]], axis=1), solver=solver).value
    columns, x = solved[:, :-1], solved[:, -1]
    rows = columns if len(union) == n else solve(Price(A), unit, solver=solver).value.T
    inside = columns[union], _own_use(system, unit, union)
    reach = r @ columns, (rows @ (r * x).T).T
    cuts, totals = _losses(inside, reach, (x, d, r), theta, account, row, present)
    held = {name: (columns.T, jnp.ones_like(x)) for name in cuts} | {"allocation": (rows, x)}
    place = jnp.asarray(row), jnp.asarray(account)
    losses = {name: Loss(totals[name], *cuts[name], *held[name], *place) for name in cuts}
    return Extraction(**losses, grouped=groups is not None, unit="{currency}" if outcome is None else "{outcome}")


@eqx.filter_jit
def _losses(
    inside: tuple[Array, Array],
    reach: tuple[Array, Array],
    vectors: tuple[Array, Array, Array],
    theta: Array,
    account: np.ndarray,
    row: np.ndarray,
    present: np.ndarray,
) -> tuple[dict[str, tuple[Array, Array]], dict[str, Array]]:
    """Return (p, q) of the losses `L_S p - E_S q` of output (`((L - I)_S' p) x` in Ghosh's model), and their totals."""
    x, d, r = vectors
    pair = present[:, :, None] & present[:, None, :]
    among = row[:, :, None], row[:, None, :]
    eye = jnp.eye(account.shape[1], dtype=x.dtype)
    # Places that a smaller group leaves empty hold a row of the identity, and zeros on the right-hand side.
    L, N = jnp.where(pair, inside[0][among], eye), jnp.where(pair, eye - inside[1][among], eye)
    NL = N @ L
    x_S, d_S, one = (jnp.where(present, v[account], 0) for v in (x, d, jnp.ones_like(x)))
    part = theta[:, None]

    def damped(matrix, right, factor):
        """Solve `(I + factor (matrix - I)) z = right`."""
        return _solve(eye + factor[:, None, None] * (matrix - eye), right)

    produced, bought = damped(L, x_S, theta), damped(L @ N, x_S, theta)
    sold = _times(N, x_S) - d_S
    both = damped(NL, sold - part * (_times(NL, d_S) - d_S), theta * (2 - theta))
    allocated = part * damped(jnp.swapaxes(L, 1, 2), one, theta)
    zero = jnp.zeros_like(x_S)
    cuts = {
        "complete": (produced, zero),
        "backward": (produced, produced),
        "forward": (damped(L, x_S - d_S, theta), zero),
        "external_backward": (_times(N, bought), bought),
        "external_forward": (damped(NL, sold, theta), zero),
        "isolated": ((2 - part) * both + d_S, _solve(N, (1 - part) * both + d_S)),
    }
    cuts = {name: (part * p, part * q) for name, (p, q) in cuts.items()}
    weight, own = reach[0][..., row], r[..., account]
    totals = {name: jnp.sum(weight * p - own * q, axis=-1) for name, (p, q) in cuts.items()}
    totals["allocation"] = jnp.sum((reach[1][..., row] - (r * x)[..., account]) * allocated, axis=-1)
    return cuts | {"allocation": (allocated, allocated)}, totals


def _members(groups: ArrayLike | None, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the accounts of each group (g, s), filled up with account 0, and which of these places are taken."""
    if groups is None:
        return np.arange(n)[:, None], np.ones((n, 1), dtype=bool)
    if not concrete(groups):
        raise InputError("groups are being traced; who belongs to a group is fixed: give an array of zeros and ones.")
    try:
        member = np.asarray(groups, dtype=float)
    except (TypeError, ValueError):
        raise InputError("groups is not an array of numbers; give zeros and ones, (g, n).") from None
    if member.ndim != 2 or member.shape[1] != n or len(member) == 0:
        raise InputError(f"groups has shape {member.shape}; give (g, {n}), one row per group.")
    if not np.isin(member, (0, 1)).all():
        raise InputError("groups has entries other than 0 and 1; an account belongs to a group or not.")
    size = member.sum(axis=1).astype(int)
    if (size == 0).any():
        raise InputError(f"group {int(np.argmin(size))} has no accounts; leave it out.")
    present = np.arange(size.max()) < size[:, None]
    account = np.zeros(present.shape, dtype=int)
    account[present] = np.nonzero(member)[1]
    return account, present


def _share(share: ArrayLike, groups: int, dtype: jnp.dtype) -> Float[Array, " g"]:
    theta = floating(share, "share")
    if theta.shape not in ((), (groups,)):
        raise InputError(f"share has shape {theta.shape}; give a number, or one per extraction, ({groups},).")
    require(lambda v: (v >= 0) & (v <= 1), "share has an entry outside 0 to 1.", theta)
    return jnp.broadcast_to(theta, (groups,)).astype(dtype)


def _own_use(system: Leontief, unit: Array, union: np.ndarray) -> Float[Array, "u u"]:
    if isinstance(system.A, Network):
        return jax.vmap(system.apply, in_axes=1, out_axes=1)(unit)[union]
    return system.A[np.ix_(union, union)].astype(unit.dtype)


def _times(matrix: Array, values: Array) -> Array:
    return jnp.einsum("gst,gt->gs", matrix, values)


def _solve(matrix: Array, right: Array) -> Array:
    return jnp.linalg.solve(matrix, right[..., None])[..., 0]
