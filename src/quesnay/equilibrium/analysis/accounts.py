"""Regional accounts: what arises where, for whose final demand."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating, require
from quesnay._errors import InputError
from quesnay.equilibrium.solution import solve
from quesnay.equilibrium.solvers import AbstractLinearSolver
from quesnay.equilibrium.system import Leontief, Price
from quesnay.network import Network

from .inverse import codes, inverse, precision, weights


class Accounts(eqx.Module):
    """Accounts of r regions, and of c destinations: the regions, then consumers that are none of them.

    Attributes
    ----------
    origin_destination:
        `E_rs = sum_(i in r) intensity_i (L Y_s)_i`, what arises in region r for the final demand of s; (r, c) or (k, r, c).
    direct:
        What final consumers emit themselves, (c,) or (k, c).
    production_by_account, exports_by_account:
        What arises in each account for everybody's final demand, and for that of others than its region; (n,) or (k, n).
    consumption_by_sector, imports_by_sector:
        What arises anywhere, and in other regions than the consumer's own, by destination and sector of the product that is
        bought, (c, p) or (k, c, p); None without `sectors`.
    regions, destinations, sectors:
        The labels.
    """

    origin_destination: Float[Array, "*k r c"]
    direct: Float[Array, "*k c"]
    production_by_account: Float[Array, "*k n"]
    exports_by_account: Float[Array, "*k n"]
    consumption_by_sector: Float[Array, "*k c p"] | None
    imports_by_sector: Float[Array, "*k c p"] | None
    regions: tuple[Hashable, ...] = eqx.field(static=True)
    destinations: tuple[Hashable, ...] = eqx.field(static=True)
    sectors: tuple[Hashable, ...] | None = eqx.field(static=True)

    @property
    def production(self) -> Float[Array, "*k r"]:
        """What arises in each region, its own consumers' direct part included (territorial account)."""
        return jnp.sum(self.origin_destination, axis=-1) + self.direct[..., : len(self.regions)]

    @property
    def consumption(self) -> Float[Array, "*k c"]:
        """What arises anywhere for each destination's final demand, its own direct part included (footprint)."""
        return jnp.sum(self.origin_destination, axis=-2) + self.direct

    @property
    def imports(self) -> Float[Array, "*k c"]:
        """What arises in other regions for each destination's final demand."""
        return jnp.sum(self._abroad(), axis=-2)

    @property
    def exports(self) -> Float[Array, "*k r"]:
        """What arises in each region for the final demand of other destinations."""
        return jnp.sum(self._abroad(), axis=-1)

    def _abroad(self) -> Array:
        return jnp.where(_abroad(len(self.regions), len(self.destinations)), self.origin_destination, 0)

    def variables(self) -> Mapping[str, tuple[tuple[str, ...], Any, str, str]]:
        """Return name -> (dims, values, unit, long name) for `economy.label`; origin and destination carry their labels."""
        case = ("outcome",)[: self.direct.ndim - 1]
        unit = "{outcome}"
        found: dict[str, tuple[tuple[str, ...], Any, str, str]] = {
            "origin": (("origin",), _text(self.regions), "", "region where it arises"),
            "destination": (("destination",), _text(self.destinations), "", "final consumer"),
            "origin_destination": ((*case, "origin", "destination"), self.origin_destination, unit, "for final demand"),
            "direct": ((*case, "destination"), self.direct, unit, "by final consumers themselves"),
            "production": ((*case, "origin"), self.production, unit, "production-based account"),
            "consumption": ((*case, "destination"), self.consumption, unit, "consumption-based account"),
            "imports": ((*case, "destination"), self.imports, unit, "arising elsewhere for own final demand"),
            "exports": ((*case, "origin"), self.exports, unit, "arising here for others' final demand"),
            "production_by_account": ((*case, "account"), self.production_by_account, unit, "in all production"),
            "exports_by_account": ((*case, "account"), self.exports_by_account, unit, "for others' final demand"),
        }
        if self.sectors is not None:
            dims = (*case, "destination", "product")
            found |= {
                "product": (("product",), _text(self.sectors), "", "sector of the product bought"),
                "consumption_by_sector": (dims, self.consumption_by_sector, unit, "arising anywhere"),
                "imports_by_sector": (dims, self.imports_by_sector, unit, "arising elsewhere"),
            }
        return found


def accounts(
    A: ArrayLike | Network,
    Y: ArrayLike,
    intensity: ArrayLike,
    regions: Iterable[Hashable],
    *,
    consumers: Iterable[Hashable] | None = None,
    direct: ArrayLike | None = None,
    sectors: Iterable[Hashable] | None = None,
    solver: AbstractLinearSolver | None = None,
) -> Accounts:
    """Return production-, consumption-, import- and export-based accounts, `E_rs = sum_(i in r) intensity_i (L Y_s)_i`.

    Parameters
    ----------
    A:
        Technical coefficients (n, n) of a multi-regional table, or a `Network`.
    Y:
        Final demand (n, m), in currency, one column per consumer or per consumer's category.
    intensity:
        Direct impact per unit of output, (n,) or (k, n), in the satellite's unit per currency.
    regions:
        The n accounts' regions, text or integers; the result has them in order of first appearance.
    consumers:
        The regions of the m columns of Y; columns with one label are added up, and labels that are no region of the table
        become further destinations. Without it, Y has one column per region, in their order.
    direct:
        What final consumers emit themselves, (m,) or (k, m), in the satellite's unit. It counts in the production and the
        consumption of the consumer's region; that of consumers outside the table counts in their consumption alone.
    sectors:
        The n accounts' sectors, text or integers; with them consumption and imports are given by sector of the product as
        well, at the cost of min(k r, n) more solves.
    solver:
        As for `solve`.

    Raises
    ------
    InputError
        Shapes that do not fit, labels that are too many or too few, entries that are not finite.
    SolveError
        The technology is not productive.

    References
    ----------
    Miller and Blair (2009), chapters 3 and 10; Peters (2008); pymrio's D_pba, D_cba, D_imp and D_exp.
    """
    system = Leontief(A)
    r = weights(intensity, "intensity", system.size)
    places, origin = codes(regions, "regions", system.size)
    demand = floating(Y, "Y")
    if demand.ndim != 2 or demand.shape[0] != system.size:
        raise InputError(f"Y has shape {demand.shape}; give final demand ({system.size}, m), one column per consumer.")
    if consumers is None and demand.shape[1] != len(places):
        raise InputError(
            f"Y has {demand.shape[1]} columns and the table {len(places)} regions; say with `consumers` whose they are."
        )
    destinations, column = codes(places if consumers is None else consumers, "consumers", demand.shape[1], places)
    demand = _by(column, len(destinations), demand.T).T
    output = solve(system, demand, solver=solver).value
    arising = _arising(r, output, origin, len(places))
    lead = r.shape[:-1]
    own = jnp.zeros((*lead, len(destinations)), output.dtype)
    if direct is not None:
        own = _direct(direct, lead, column, len(destinations)).astype(precision(output, r))
    names, by_product = None, (None, None)
    if sectors is not None:
        names, product = codes(sectors, "sectors", system.size)
        from_region = _from_region(A, r, origin, len(places), solver)
        by_product = _by_product(from_region, demand, product, len(names))
    return Accounts(arising[0], own, *arising[1:], *by_product, places, destinations, names)


def _abroad(regions: int, destinations: int) -> np.ndarray:
    """Say of each region and destination whether they differ."""
    return ~np.eye(regions, destinations, dtype=bool)


def _by(code: np.ndarray | Array, count: int, values: Array) -> Array:
    """Add up the rows of each code."""
    return jax.ops.segment_sum(values, jnp.asarray(code), num_segments=count)


@eqx.filter_jit
def _arising(r: Array, output: Array, origin: np.ndarray, regions: int) -> tuple[Array, Array, Array]:
    """Return what arises by region and destination, and by account: in all, and for others than its region."""
    abroad = jnp.asarray(_abroad(regions, output.shape[1]))[origin]

    def one(r):
        parts = r[:, None] * output
        return _by(origin, regions, parts), jnp.sum(parts, axis=1), jnp.sum(jnp.where(abroad, parts, 0), axis=1)

    return one(r) if r.ndim == 1 else jax.lax.map(one, r)


def _from_region(
    A: ArrayLike | Network, r: Array, origin: np.ndarray, regions: int, solver: AbstractLinearSolver | None
) -> Float[Array, "*k r n"]:
    """Return `T_sj = sum_(i in s) r_i L_ij`: what arises in region s per unit of final demand for j."""
    shape = (*r.shape[:-1], regions, r.shape[-1])
    rows = r.reshape(-1, r.shape[-1])
    if len(rows) * regions < r.shape[-1]:
        # Fewer solves than for the whole inverse.
        split = jnp.where(origin == np.arange(regions)[:, None], rows[:, None, :], 0)
        return solve(Price(A), split.reshape(-1, r.shape[-1]).T, solver=solver).value.T.reshape(shape)
    return _split(rows, inverse(Price(A), solver=solver).T, origin, regions).reshape(shape)


@eqx.filter_jit
def _split(rows: Array, L: Array, origin: np.ndarray, regions: int) -> Array:
    return jax.lax.map(lambda row: _by(origin, regions, row[:, None] * L), rows)


@eqx.filter_jit
def _by_product(from_region: Array, demand: Array, product: np.ndarray, sectors: int) -> tuple[Array, Array]:
    """Return consumption and imports by destination and sector of the product, (c, p) or (k, c, p)."""
    abroad = _abroad(from_region.shape[-2], demand.shape[1]).astype(from_region.dtype)
    anywhere = jnp.sum(from_region, axis=-2, keepdims=True)
    elsewhere = jnp.einsum("rc,...rn->...cn", abroad, from_region)
    consumption, imports = (
        jnp.moveaxis(_by(product, sectors, jnp.moveaxis(m * demand.T, -1, 0)), 0, -1) for m in (anywhere, elsewhere)
    )
    return consumption, imports


def _direct(direct: ArrayLike, lead: tuple[int, ...], column: np.ndarray, count: int) -> Float[Array, "*k c"]:
    own = floating(direct, "direct")
    if own.shape != (*lead, len(column)):
        raise InputError(f"direct has shape {own.shape}; give {(*lead, len(column))}, one number per column of Y.")
    require(np.isfinite, "direct has an entry that is not finite.", own)
    return jnp.moveaxis(_by(column, count, jnp.moveaxis(own, -1, 0)), 0, -1)


def _text(labels: tuple[Hashable, ...]) -> np.ndarray:
    return np.array([str(label) for label in labels], dtype=str)
