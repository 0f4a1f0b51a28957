"""The vulnerability with which a stressed economy loses what a published curve says."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import concrete, floating, instance, require
from quesnay._errors import InputError, SolveError
from quesnay._results import RESULTS as COMMON

from .damage import AbstractDamage, above_preindustrial
from .readings import AbstractReading, FactorLimited
from .setting import Base, by_account, climate, observed
from .stress import evaluate
from .vulnerability import AbstractVulnerability

DOUBLINGS = 60
"""How often gamma is doubled in search of a loss that is large enough."""


class RESULTS(COMMON):  # pyright: ignore[reportGeneralTypeIssues]
    """How a match ended; `RESULTS[code]` is the sentence."""

    unmatched = (
        "No multiple of gamma makes the economy lose the published share: its loss stays below, or it collapses before; take "
        "another reading, another temperature or a smaller published loss."
    )


class Match(eqx.Module):
    """The multiple of gamma with which an economy loses a published share of GDP.

    Attributes
    ----------
    scale:
        s; the vulnerability that matches is `s gamma`.
    vulnerability:
        The vulnerability that matches, for `stress(vulnerability=...)`.
    published:
        The share of GDP that was to be lost.
    loss:
        The share that is lost at this scale.
    result:
        How the search ended.
    """

    scale: Float[Array, ""]
    vulnerability: AbstractVulnerability
    published: Float[Array, ""]
    loss: Float[Array, ""]
    result: RESULTS

    def __repr__(self) -> str:
        if not concrete(self.scale, self.loss, self.published) or self.scale.ndim:
            return eqx.tree_pformat(self)
        ended = RESULTS[self.result] or "matched"
        return f"Match: gamma times {float(self.scale):.6g} loses {float(self.loss):.4%} of GDP; {ended}"


class Question(NamedTuple):
    """What the loss depends on, beside the scale: the economy, the damage (n,) at the temperature, the loss asked for."""

    base: Base
    damage: Float[Array, " n"]
    published: Float[Array, ""]


def match(
    A: ArrayLike,
    d: ArrayLike,
    damage: AbstractDamage,
    published: AbstractDamage | ArrayLike,
    *,
    at: ArrayLike,
    gamma: ArrayLike | None = None,
    vulnerability: AbstractVulnerability | None = None,
    reference: ArrayLike | None = None,
    reading: AbstractReading | None = None,
    labour: ArrayLike | None = None,
    throw: bool = True,
) -> Match:
    """Return the scale s for which `stress` with `s gamma` loses the published share of GDP at one temperature.

    ```
    1 - GDP(T; s gamma) / GDP(reference) = 1 - (1 - P(T)) / (1 - P(reference))
    ```

    with P the published curve; without a reference, GDP is compared with that of the undamaged economy and P(reference) is
    0. The scale has exact derivatives by the implicit function theorem.

    Parameters
    ----------
    A, d, damage, gamma, vulnerability, reference, reading, labour:
        As for `stress`; gamma gives the proportions between the accounts.
    published:
        P, a damage function, such as `HowardSterner()`; or the share of GDP lost itself, above 0 and below 1.
    at:
        T, degrees C above 1850-1900.
    throw:
        Raise where there is no such scale; with False the code is in `result`.

    Raises
    ------
    InputError
        A published loss of 0 or less, or of 1 or more, no gamma that is positive, or arguments that `stress` refuses.
    SolveError
        No multiple of gamma loses as much: the damage function does not rise to T, the reading's GDP does not fall, or the
        economy collapses first.
    """
    T = floating(at, "at")
    if T.ndim:
        raise InputError(f"at has shape {T.shape}; give one temperature.")
    reading = FactorLimited() if reading is None else reading
    instance(reading, AbstractReading, "reading", "a reading such as FactorLimited()")
    setting = climate(A, damage, gamma, vulnerability, reference)
    base = observed(setting, d, labour)
    means = base.vulnerability
    require(
        lambda g: np.any(g > 0), "gamma is 0 everywhere; give the proportions in which accounts suffer.", means.gamma
    )
    require(np.isfinite, "at is not finite; give the temperature of the published loss, in degrees C.", T)
    above_preindustrial(T, "at")
    share = _share(published, T, None if reference is None else floating(reference, "reference"))
    there = by_account(damage(T), base.output.size).astype(base.output.dtype)
    question = Question(base, there, share.astype(base.output.dtype))
    found = _search(question, reading)
    if not throw:
        return found
    failed = found.result != RESULTS.successful
    if concrete(failed):
        if bool(failed):
            raise SolveError(_sentence(question, reading, found, T))
        return found
    arrays, rest = eqx.partition(found, eqx.is_array)
    return eqx.combine(found.result.error_if(arrays, failed), rest)  # pyright: ignore[reportAttributeAccessIssue]


def _share(published: AbstractDamage | ArrayLike, T: Array, reference: Array | None) -> Array:
    if isinstance(published, AbstractDamage):
        kept = 1 - published(T)
        share = 1 - (kept if reference is None else kept / (1 - published(reference)))
    else:
        share = floating(published, "published")
    if share.ndim:
        raise InputError(f"published has shape {share.shape}; give one share of GDP, or one damage function.")
    require(
        lambda v: (v > 0) & (v < 1),
        lambda: f"the published loss is {float(share):g} of GDP; give one above 0 and below 1, such as 0.07.",
        share,
    )
    return share


def _scaled(scale: Array, vulnerability: AbstractVulnerability) -> AbstractVulnerability:
    return eqx.tree_at(lambda v: v.gamma, vulnerability, scale * vulnerability.gamma)


def _loss(scale: Array, question: Question, reading: AbstractReading) -> Array:
    """Return the share of GDP lost, 1 where the economy cannot sustain itself."""
    base = question.base
    base = eqx.tree_at(lambda b: b.vulnerability, base, _scaled(scale, base.vulnerability))
    values, facts = evaluate(base, reading, {}, question.damage, jnp.ones_like(question.damage))
    gone = ~(facts.spectral_radius < 1)
    return jnp.where(gone, 1.0, 1 - jnp.where(gone, 0.0, values.gdp) / jnp.sum(base.final_demand))


@eqx.filter_jit
def _search(question: Question, reading: AbstractReading) -> Match:
    held = jax.lax.stop_gradient(question.published)
    fixed = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, question)

    def short(state):
        _, lost, steps = state
        return (lost < held) & (steps < DOUBLINGS)

    def double(state):
        scale, _, steps = state
        return 2 * scale, _loss(2 * scale, fixed, reading), steps + 1

    one = jnp.ones_like(held)
    upper, most, _ = jax.lax.while_loop(short, double, (one, _loss(one, fixed, reading), 0))
    within = most >= held
    eps = float(jnp.finfo(held.dtype).eps)
    solved = optx.root_find(
        # Bisection refuses where there is no root: give it one where the loss stays below.
        lambda scale, q: jnp.where(within, _loss(scale, q, reading) - q.published, scale - upper),
        optx.Bisection(rtol=8 * eps, atol=eps**2),
        upper / 2,
        question,
        options={"lower": jnp.zeros_like(upper), "upper": upper},
        max_steps=4 * int(-np.log2(eps)),
        throw=False,
    )
    scale = solved.value
    lost = _loss(scale, question, reading)
    near = jnp.abs(lost - question.published) <= eps**0.5 * question.published
    failed = ~(near & within)
    ended = RESULTS.where(failed, RESULTS.unmatched, RESULTS.successful)  # pyright: ignore[reportArgumentType]
    return Match(scale, _scaled(scale, question.base.vulnerability), question.published, lost, ended)


def _sentence(question: Question, reading: AbstractReading, found: Match, at: Array) -> str:
    asked, scale = float(question.published), float(found.scale)
    few, more = (float(_loss(found.scale * by, question, reading)) for by in (0.999, 1.001))
    if few < asked < more:
        why = f"it collapses with {scale:.4g} times gamma, and loses {few:.2%} just before"
    else:
        why = f"{scale:.4g} times gamma loses {float(found.loss):.2%}"
    return (
        f"no multiple of gamma makes the economy lose {asked:.2%} of GDP at {float(at):g} degrees C: {why}; take another "
        f"reading, another temperature, or a smaller published loss."
    )
