"""Draw a network of firms: flows between sectors as in a table, degrees and sizes as in published networks."""

from numbers import Real
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray

from quesnay._checks import instance, positive, whole
from quesnay._errors import InputError
from quesnay.economy.accounts import Economy
from quesnay.economy.ledger import Note
from quesnay.network import Network

from .cells import Cells, choose
from .flows import Flows, flows
from .links import degrees, pair
from .moments import HUNGARY, Moments, measured
from .report import Drawn
from .result import FIRM, Firms

TRIES = 8
NEAR = 0.05
"""Relative difference from the published variances at which the search for the law ends."""
FEWEST = 0.4
"""Least share of firms with customers (or suppliers): fewer crowd their sectors, and variances fall again."""
ENOUGH = 50_000
"""Firms on which the law is found for networks of more."""


def draw(
    economy: Economy,
    *,
    firms: int,
    degree: float = 14.0,
    key: PRNGKeyArray,
    days: float = 365.0,
    moments: Moments = HUNGARY,
    keep: float = 0.999,
) -> Firms:
    """Return a random network of firms with the table's flows between sectors.

    For every kept pair of sectors (i, j): `sum of v_e over links from firms of i to firms of j = Z_ij`, to rounding.
    Outputs and final demands of the firms of a sector add up to the sector's.

    Parameters
    ----------
    economy:
        The table; its accounts (regions x sectors) are the sectors here. Flows and final demand not negative.
    firms:
        Number of firms M: at least one per sector with output, two where a sector buys from itself.
    degree:
        Mean number of customers (and of suppliers) per firm.
    key:
        A JAX random key; the same key gives the same network.
    days:
        Days that the table's period has; the network's flows are per day.
    moments:
        Covariances of log degrees and log strengths aimed at, `HUNGARY` or `ECUADOR`.
    keep:
        Least share of the value of flows between sectors that is kept; all of it is where half of the links are enough.

    Raises
    ------
    InputError
        Too few firms or links for the table, negative flows, or arguments outside their range.

    References
    ----------
    Moments: Bacilieri, Borsos, Astudillo-Estevez and Lafond (2023). `docs/guide/firms.md` has the method.
    """
    instance(economy, Economy, "economy", "an Economy, such as quesnay.load('us-2020').nonnegative()")
    instance(moments, Moments, "moments", "quesnay.firms.HUNGARY, quesnay.firms.ECUADOR or Moments of your own")
    firms = whole(firms, "firms", "number of firms")
    if not isinstance(key, jax.Array) or not (
        jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == jnp.uint32
    ):
        raise InputError(f"key is {key!r}; give a random key, jax.random.key(0).")
    days = positive(days, "days")
    links = round(positive(degree, "degree") * firms)
    if not isinstance(keep, Real) or isinstance(keep, bool) or not 0 < keep <= 1:
        raise InputError(f"keep is {keep!r}; give a share above 0 and up to 1.")
    Z, d = np.array(economy.ledger.Z), np.array(economy.ledger.final_demand)
    if (Z < 0).any() or (d < 0).any():
        raise InputError("the table has negative flows or final demand: draw from economy.nonnegative().")
    if not Z.any():
        raise InputError("the table has no flows between sectors, so that there is no link to draw; give one that has.")
    seed = np.asarray(jax.random.bits(key, (4,), "uint32")).tolist()
    cells = choose(Z, d, firms, links, keep)
    law, tries = _Law(np.sqrt(moments.variance), moments.correlation, np.ones(2)), TRIES
    if firms > ENOUGH:
        # The law hardly depends on the number of firms: find it on fewer.
        fewer = choose(Z, d, ENOUGH, round(degree * ENOUGH), keep)
        _, law = _fit(fewer, _demand(Z, d, fewer), moments, seed, law, tries)
        tries = 2
    (supplier, customer, made), _ = _fit(cells, _demand(Z, d, cells), moments, seed, law, tries)
    network = Network.from_edges(supplier, customer, made.value, made.final_demand, days=days)
    report = _report(cells, supplier, customer, made, Z, moments)
    return Firms(network, _table(economy, cells, network), economy.currency, _notes(report, economy.currency), report)


def _demand(Z: np.ndarray, final_demand: np.ndarray, cells: Cells) -> np.ndarray:
    """Return final demand with what the cells that are left out sell."""
    left = Z.copy()
    left[cells.row, cells.column] = 0
    return final_demand + left.sum(axis=1)


class _Law(NamedTuple):
    """What is corrected until the moments come out: spreads (4,), correlations (4, 4), shares of firms with links (2,)."""

    spread: np.ndarray
    mixed: np.ndarray
    share: np.ndarray


def _fit(
    cells: Cells, final_demand: np.ndarray, moments: Moments, seed: list[int], law: _Law, tries: int
) -> tuple[tuple[np.ndarray, np.ndarray, Flows], _Law]:
    """Draw with the same random numbers up to `tries` times, the law corrected by what came out, and return the nearest."""
    normal = np.random.default_rng(seed).standard_normal((4, int(cells.firms.sum())))
    target, wanted = moments.variance, moments.correlation
    best, before = None, np.zeros(2)
    for _ in range(tries):
        latent = np.exp(law.spread[:, None] * (_root(law.mixed) @ normal))
        drawn = _once(np.random.default_rng([*seed, 1]), cells, final_demand, law.share, latent)
        covariance = measured(*drawn[:2], drawn[2].value, len(cells.sector))
        found = np.diag(covariance)
        off = float(np.max(np.abs(found / target - 1)))
        if best is None or not off >= best[0]:
            best = (off, drawn, law)
        if off < NEAR:
            break
        # A handful of firms has no spread, or none in common: there is nothing to correct.
        ratio = target / np.where(found > 0, found, target)
        apart = np.nan_to_num(wanted - covariance / np.sqrt(np.outer(found, found))) if (found > 0).all() else 0.0
        # Firms at one link are ever more as the spread grows at a given mean; where that gains nothing, fewer have any.
        stuck = (ratio[:2] > 1 + NEAR) & (found[:2] < before * 1.05)
        before = np.where(stuck, 0, found[:2])
        law = _Law(
            law.spread * np.where([*stuck, False, False], 1, np.clip(ratio, 0.5, 2.0) ** 0.7),
            law.mixed + 0.7 * apart,
            np.where(stuck, np.maximum(FEWEST, law.share * ratio[:2] ** -1.5), law.share),
        )
    assert best is not None
    return best[1], best[2]


def _root(correlation: np.ndarray) -> np.ndarray:
    """Return a root of the nearest positive definite matrix with unit diagonal, in eigenvalues."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.02))
    return root / np.linalg.norm(root, axis=1, keepdims=True)


def _once(rng, cells: Cells, final_demand, share, weight) -> tuple[np.ndarray, np.ndarray, Flows]:
    nowhere_else = final_demand <= 0
    out = degrees(rng, weight[0], share[0], cells, customers=True, every=nowhere_else)
    into = degrees(rng, weight[1], share[1], cells, customers=False, every=np.zeros_like(nowhere_else))
    supplier, customer, cell = pair(rng, out, into, cells)
    return supplier, customer, flows(supplier, customer, cell, cells, final_demand, weight[2], weight[3])


def _table(economy: Economy, cells: Cells, network: Network) -> pd.DataFrame:
    names = (economy.ledger.index.get_level_values(k) for k in ("region", "sector"))
    region, sector = (pd.Categorical.from_codes(*_coded(level, cells.sector)) for level in names)
    return pd.DataFrame(
        {
            "region": region,
            "sector": sector,
            "output": np.asarray(network.output),
            "final_demand": np.asarray(network.final_demand),
            "value_added": np.asarray(network.value_added),
        },
        index=pd.RangeIndex(network.firms, name=FIRM),
    )


def _coded(level: pd.Index, sector: np.ndarray) -> tuple[np.ndarray, pd.Index]:
    codes, labels = pd.factorize(level)
    return codes[sector], pd.Index(labels)


def _report(cells: Cells, supplier, customer, made: Flows, Z, moments: Moments) -> Drawn:
    count = len(cells.sector)
    sales, purchases = np.bincount(supplier, made.value, count), np.bincount(customer, made.value, count)
    output = sales + made.final_demand
    over = purchases > output * (1 + 1e-12)
    return Drawn(
        firms=count,
        links=len(supplier),
        cells=len(cells.value),
        all_cells=int(np.count_nonzero(Z)),
        kept=float(cells.value.sum() / Z.sum()) if Z.any() else 1.0,
        dropped=float(Z.sum() - cells.value.sum()),
        selling=float(np.mean(np.bincount(supplier, minlength=count) > 0)),
        buying=float(np.mean(np.bincount(customer, minlength=count) > 0)),
        covariance=measured(supplier, customer, made.value, count),
        moments=moments,
        uncovered=int(over.sum()),
        uncovered_share=float(output[over].sum() / output.sum()),
        without_firms=int((cells.firms == 0).sum()),
    )


def _notes(report: Drawn, currency: str) -> tuple[Note, ...]:
    if report.cells == report.all_cells:
        return ()
    sentence = (
        f"{report.all_cells - report.cells} flows between sectors, {report.dropped:.6g} {currency} in all, are left out: "
        f"they count as final demand of the seller and value added of the buyer."
    )
    return (Note("dropped", report.dropped, currency, sentence),)
