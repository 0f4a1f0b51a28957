"""How a derivative passes through a random draw: estimators, each exact in value and different in its derivative."""

import abc
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt32

from quesnay._checks import positive
from quesnay._errors import InputError, RareEventWarning

RARE = 0.01
"""Probability of an event, or of its absence, below which a relaxation is doubted."""

WORD = 2.0**32
"""Numbers of 32 bits that there are."""


class AbstractEstimator(eqx.Module):
    """What the derivative of a draw by its parameters is. Draws themselves are the same for all, but for `MeanField`."""

    @abc.abstractmethod
    def bernoulli(self, key: "PRNGKeyArray | Uniforms", p: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return draws of 0 or 1, the latter with probability p: `event(key, p)`, whose key may be numbers drawn already."""

    @abc.abstractmethod
    def categorical(self, key: PRNGKeyArray, p: Float[Array, "... k"]) -> Float[Array, "... k"]:
        """Return draws of unit vectors, the j-th one with probability p_j."""

    @abc.abstractmethod
    def binomial(self, key: PRNGKeyArray, n: Float[Array, "..."], p: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return draws of the number of events in n trials."""

    @abc.abstractmethod
    def poisson(self, key: PRNGKeyArray, rate: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return draws of the number of events at a rate."""


class AbstractOutcomeSlopes(AbstractEstimator):
    """An estimator whose derivative of a Bernoulli draw is known from p and the outcome."""

    @abc.abstractmethod
    def slopes(self, p: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Return `dx/dp` where x = 1, and where x = 0."""

    def bernoulli(self, key, p):
        x = event(key, p)
        return _carried(x, p, jnp.where(x > 0, *self.slopes(p)))


class Smoothed(AbstractOutcomeSlopes):
    """Two-sided: what is behind the jump of a draw is taken for the mean of its slopes before and after (trapezoidal rule).

    ```
    Bernoulli     dx/dp = 1 / (2 p) where x = 1,  1 / (2 (1 - p)) where x = 0,  1 where p is 0 or 1
    categorical   dx = (p' + (p'_i / p_i) (x - p)) / 2        for the category i drawn, p' the change of p
    binomial      dx/dp = x / (2 p) + (n - x) / (2 (1 - p)),  dx/dn = (p + x / n) / 2,  p where n is 0
    Poisson       dx/dr = (1 + x / r) / 2,  1 where r is 0
    ```

    It has no bias where what follows is at most quadratic in each draw. Of what follows it needs the slope alone, so that its
    variance does not grow with the number of draws as that of `Score` does.

    References
    ----------
    Arya et al. (2022) on the jumps; the identities of Stein and Chen for sums.
    """

    def slopes(self, p):
        within = (p > 0) & (p < 1)
        q = jnp.where(within, p, 0.5)
        return jnp.where(within, 0.5 / q, 1), jnp.where(within, 0.5 / (1 - q), 1)

    def categorical(self, key, p):
        return _two_sided(chosen(key, p), p)

    def binomial(self, key, n, p):
        x = events(key, n, p)
        within = (p > 0) & (p < 1)
        q = jnp.where(within, p, 0.5)
        x = _carried(x, p, jnp.where(within, 0.5 * x / q + 0.5 * (n - x) / (1 - q), n))
        return _carried(x, n, jnp.where(n > 0, 0.5 * p + 0.5 * x / jnp.where(n > 0, n, 1), p))

    def poisson(self, key, rate):
        x = arrivals(key, rate)
        return _carried(x, rate, jnp.where(rate > 0, 0.5 + 0.5 * x / jnp.where(rate > 0, rate, 1), 1))


DEFAULT = Smoothed()


class StraightThrough(AbstractOutcomeSlopes):
    """The derivative of the mean, `dx/dp = 1`: no bias where what follows is linear in each draw.

    References
    ----------
    Bengio, Leonard and Courville (2013).
    """

    def slopes(self, p):
        return jnp.ones_like(p), jnp.ones_like(p)

    def categorical(self, key, p):
        return through(chosen(key, p), p)

    def binomial(self, key, n, p):
        return _carried(_carried(events(key, n, p), p, n), n, p)

    def poisson(self, key, rate):
        return _carried(arrivals(key, rate), rate, jnp.ones_like(rate))


class GumbelSoftmax(AbstractEstimator):
    """The derivative of a relaxed draw, `softmax((log p + g) / tau)`; the draw is its largest entry.

    Biased: the larger tau, and the rarer the event, the more; a small tau has a large variance. A `RareEventWarning` says where
    an event, or its absence, is less probable than 1 %. At p of 0 and 1 the derivative is 0.

    Parameters
    ----------
    tau:
        Temperature, positive.

    References
    ----------
    Jang, Gu and Poole (2017); Maddison, Mnih and Teh (2017).
    """

    tau: float = 0.5

    def __check_init__(self):
        positive(self.tau, "tau")

    def bernoulli(self, key, p):
        key = uniforms(key, p)
        u = (key.bits.astype(p.dtype) + key.below) / WORD
        within = (p > 0) & (p < 1)
        _doubt(within & (jnp.minimum(p, 1 - p) < RARE))
        q = jnp.where(within, p, 0.5)
        soft = jax.nn.sigmoid((jnp.log(q / (1 - q)) - jnp.log(u / (1 - u))) / self.tau)
        slope = jnp.where(within, soft * (1 - soft) / (self.tau * q * (1 - q)), 0)
        return _carried(event(key, p), p, slope)

    def categorical(self, key, p):
        _doubt((p > 0) & (p < RARE))
        noise = jax.random.gumbel(key, p.shape, p.dtype)
        x = jax.nn.one_hot(
            jnp.argmax(jnp.where(p > 0, jnp.log(p) + noise, -jnp.inf), axis=-1), p.shape[-1], dtype=p.dtype
        )
        logits = jnp.where(p > 0, jnp.log(jnp.where(p > 0, p, 1)) + jax.lax.stop_gradient(noise), -jnp.inf)
        soft = jax.nn.softmax(logits / self.tau, axis=-1)
        return through(x, soft)

    def binomial(self, key, n, p):
        raise InputError(
            "GumbelSoftmax relaxes choices, not counts; draw one by one with bernoulli, or take Smoothed()."
        )

    def poisson(self, key, rate):
        raise InputError("GumbelSoftmax relaxes choices, not counts; take Smoothed() for poisson.")


class MeanField(AbstractEstimator):
    """No draw at all but its mean, of which the derivative is exact: the limit of many agents."""

    def bernoulli(self, key, p):
        return p

    def categorical(self, key, p):
        return p

    def binomial(self, key, n, p):
        return n * p

    def poisson(self, key, rate):
        return rate


class Detached(AbstractOutcomeSlopes):
    """No derivative, as where a program branches on a draw: what estimators are there to repair."""

    def slopes(self, p):
        return jnp.zeros_like(p), jnp.zeros_like(p)

    def categorical(self, key, p):
        return jax.lax.stop_gradient(chosen(key, p))

    def binomial(self, key, n, p):
        return jax.lax.stop_gradient(events(key, n, p))

    def poisson(self, key, rate):
        return jax.lax.stop_gradient(arrivals(key, rate))


@jax.custom_jvp
def _carried(x: Array, p: Array, slope: Array) -> Array:
    """Return x, with `slope dp` added to its derivative."""
    return x


@_carried.defjvp
def _carried_jvp(primals, tangents):
    x, _, slope = primals
    return x, tangents[0] + slope * tangents[1]


@jax.custom_jvp
def _two_sided(x: Array, p: Array) -> Array:
    return x


@_two_sided.defjvp
def _two_sided_jvp(primals, tangents):
    x, p = primals
    own = tangents[1]
    drawn = jnp.sum(x * p, axis=-1, keepdims=True)
    at = jnp.sum(x * own, axis=-1, keepdims=True) / jnp.where(drawn > 0, drawn, 1)
    # From a category without probability no draw comes back: the way there counts whole.
    new = jnp.where(p == 0, own, 0)
    new = new - jnp.sum(new, axis=-1, keepdims=True) * x
    return x, 0.5 * (own + at * (x - p) + new)


@jax.custom_jvp
def through(x: Array, p: Array) -> Array:
    """Return x, with the derivative of p."""
    return x


@through.defjvp
def _through_jvp(primals, tangents):
    return primals[0], tangents[1]


class Uniforms(eqx.Module):
    """Uniform numbers `(bits + below) / 2^32`, which estimators take for a key: events that share them happen together.

    What is below the 32 bits of each is one number for all, so that every probability is exact.
    """

    bits: UInt32[Array, "..."]
    below: Float[Array, ""]

    @property
    def shape(self):
        return self.bits.shape

    @property
    def dtype(self):
        return self.bits.dtype


def uniforms(key: PRNGKeyArray | Uniforms, like: Array) -> Uniforms:
    """Return uniform numbers of the shape and kind of an array, two of every block of Threefry, keyed by a JAX key."""
    if isinstance(key, Uniforms):
        return key
    one, two, below = jax.random.bits(key, (3,), jnp.uint32)
    blocks = jax.lax.iota(jnp.uint32, (like.size + 1) // 2)
    words = jnp.concatenate(threefry(one, two, blocks, jnp.zeros_like(blocks)))[: like.size]
    return Uniforms(words.reshape(like.shape), (below >> 9).astype(like.dtype) / 2**23)


def threefry(one: Array, two: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Return the words of Threefry-2x32-20, as `jax.extend.random.threefry_2x32` does, but unrolled, for XLA to fuse.

    References
    ----------
    Salmon, Moraes, Dror and Shaw (2011).
    """
    keys = (one, two, one ^ two ^ jnp.uint32(0x1BD11BDA))
    x, y = x + one, y + two
    for block in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
            x = x + y
            y = (y << turn | y >> (32 - turn)) ^ x
        x, y = x + keys[(block + 1) % 3], y + keys[(block + 2) % 3] + jnp.uint32(block + 1)
    return x, y


def event(key: PRNGKeyArray | Uniforms, p: Array) -> Array:
    """Return 1 with probability p; what is no probability stays nan."""
    return jnp.where(happens(uniforms(key, p), p), 1, 0 * p)


def happens(u: Uniforms, p: Array) -> Bool[Array, "..."]:
    """Say which uniform numbers are below p."""
    first = jnp.ceil(jax.lax.stop_gradient(p) * WORD - u.below)  # of the numbers that are not below p
    return (u.bits < first.astype(jnp.uint32)) | (first >= WORD)


def chosen(key: PRNGKeyArray, p: Array) -> Array:
    """Return unit vectors, by one uniform number each; a category without probability is never drawn."""
    ends = jnp.cumsum(jax.lax.stop_gradient(p), axis=-1)
    u = jax.random.uniform(key, (*p.shape[:-1], 1), p.dtype) * ends[..., -1:]
    return jax.nn.one_hot(jnp.sum(u >= ends[..., :-1], axis=-1), p.shape[-1], dtype=p.dtype)


def events(key: PRNGKeyArray, n: Array, p: Array) -> Array:
    n, p = jax.lax.stop_gradient((jnp.where(n == jnp.floor(n), n, jnp.nan), p))
    within = (p > 0) & (p < 1) & (n > 0)
    x = jax.random.binomial(key, jnp.where(within, n, 1), jnp.where(within, p, 0.5), dtype=p.dtype)
    return jnp.where(within, x, jnp.where(p > 0, n, 0 * n) + 0 * p)


def arrivals(key: PRNGKeyArray, rate: Array) -> Array:
    rate = jax.lax.stop_gradient(rate)
    x = jax.random.poisson(key, jnp.where(rate > 0, rate, 1), rate.shape).astype(rate.dtype)
    return jnp.where(rate > 0, x, 0 * rate)


def _doubt(rare: Array) -> None:
    jax.debug.callback(_warn, jnp.any(rare))


def _warn(rare) -> None:
    if rare.any():
        warnings.warn(
            "GumbelSoftmax meets events less probable than 1 %, where its derivative may be wrong many times over; take "
            "Smoothed(), or see check_gradient.",
            RareEventWarning,
            stacklevel=2,
        )
