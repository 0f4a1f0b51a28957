"""Damage functions of the literature, each with its source, its year and the warming that it was estimated for."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quesnay._checks import floating, instance, whole

from .damage import AbstractDamage, above, settled

HOTTEST = 30.0
"""Annual mean of a country, in degrees C, above which Burke, Hsiang and Miguel hold the response constant."""


class DICE2016R(AbstractDamage):
    """The damage function of DICE-2016R: `D(T) = a_2 T^2`, output net of damage being `(1 - D) Y`.

    DICE counts T from 1900. The standard deviation of a_2 is Nordhaus's, half of a_2.

    Parameters
    ----------
    a2:
        Share of output per degree C squared.

    Raises
    ------
    InputError
        a2 is not a finite number.

    References
    ----------
    Nordhaus (2017), Revisiting the social cost of carbon, PNAS 114(7), and its code DICE2016R-091916ap.gms.
    """

    covariance: ClassVar[Mapping[str, np.ndarray]] = {"a2": np.array([[0.00118**2]])}
    a2: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "a2"), default=0.00236)
    source: str = eqx.field(
        static=True,
        default="Nordhaus (2017), Revisiting the social cost of carbon, PNAS 114(7): 1518-1523 (DICE-2016R)",
        kw_only=True,
    )
    year: int | None = eqx.field(static=True, default=2017, kw_only=True)

    def __check_init__(self):
        settled(self)

    @property
    def domain(self):
        """Up to the 6 degrees C for which its losses are quoted (Keen et al. 2021); the model itself has no bound."""
        return 0.0, 6.0

    def __call__(self, temperature):
        return self.a2 * floating(temperature, "temperature") ** 2


class DICE2023(AbstractDamage):
    """The damage function of DICE-2023: `D(T) = a_2 T^2`, output net of damage being `(1 - D) Y`.

    DICE-2023 counts T from 1765.

    Parameters
    ----------
    a2:
        Share of output per degree C squared.

    Raises
    ------
    InputError
        a2 is not a finite number.

    References
    ----------
    Barrage and Nordhaus (2024), Policies, projections, and the social cost of carbon, PNAS 121(13), and its code
    DICE2023-b-4-3-10.gms.
    """

    a2: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "a2"), default=0.003467)
    source: str = eqx.field(
        static=True,
        default=(
            "Barrage and Nordhaus (2024), Policies, projections, and the social cost of carbon: Results from the DICE-2023 "
            "model, PNAS 121(13): e2312030121"
        ),
        kw_only=True,
    )
    year: int | None = eqx.field(static=True, default=2024, kw_only=True)

    def __check_init__(self):
        settled(self)

    @property
    def domain(self):
        """0 to 4.5 degrees C, a choice of this library; the model itself has no bound."""
        return 0.0, 4.5

    def __call__(self, temperature):
        return self.a2 * floating(temperature, "temperature") ** 2


class HowardSterner(AbstractDamage):
    """The meta-analysis of Howard and Sterner: `D(T) = ((1 + o)(b_1 + b_3) + b_2) T^2 / 100`.

    b_1 is their non-catastrophic damage, b_2 what catastrophes add and b_3 what lower productivity growth adds (regression 4
    of their Table 2, estimates up to 4 degrees C); o allows for what the estimates omit, and does not apply to
    catastrophes. Alone, b_1 gives 0.744 percent per degree C squared; with catastrophes 1.004, with both 1.146.

    Parameters
    ----------
    catastrophic, productivity:
        Whether b_2 and b_3 count; where they do not, they are 0 in the equation.
    coefficients:
        b_1, b_2, b_3 (3,), percent of output per degree C squared.
    omitted:
        o, the allowance for omitted impacts, a share.

    Raises
    ------
    InputError
        Coefficients that are not three finite numbers; flags that are not booleans.

    References
    ----------
    Howard and Sterner (2017), Environmental and Resource Economics 68(1), Table 2.
    """

    covariance: ClassVar[Mapping[str, np.ndarray]] = {
        "coefficients": np.array(
            [
                [0.0362838946808348, -0.0420628550865489, 0.0],
                [-0.0420628550865489, 0.0714335834791260, 0.0],
                [0.0, 0.0, 0.0157459807497214],
            ]
        )
    }
    catastrophic: bool = eqx.field(static=True, default=False, kw_only=True)
    productivity: bool = eqx.field(static=True, default=False, kw_only=True)
    coefficients: Float[Array, " 3"] = eqx.field(
        converter=lambda v: floating(v, "coefficients"),
        default=(0.595382733860703, 0.259851128136597, 0.113324887895228),
        kw_only=True,
    )
    omitted: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "omitted"), default=0.25, kw_only=True)
    source: str = eqx.field(
        static=True,
        default=(
            "Howard and Sterner (2017), Few and Not So Far Between: A Meta-analysis of Climate Damage Estimates, "
            "Environmental and Resource Economics 68(1): 197-225, Table 2, regression 4"
        ),
        kw_only=True,
    )
    year: int | None = eqx.field(static=True, default=2017, kw_only=True)

    def __check_init__(self):
        settled(self, coefficients=3)
        for name in ("catastrophic", "productivity"):
            instance(getattr(self, name), bool, name, "True or False")

    @property
    def domain(self):
        """The estimates of up to 4 degrees C of regression 4."""
        return 0.0, 4.0

    def __call__(self, temperature):
        basic, catastrophes, growth = self.coefficients
        percent = (1 + self.omitted) * (basic + growth * self.productivity) + catastrophes * self.catastrophic
        return percent / 100 * floating(temperature, "temperature") ** 2


class Weitzman(AbstractDamage):
    """Weitzman's curve, which half of output is lost to at 6 degrees C: `D(T) = 1 - 1 / (1 + (T / T_1)^2 + (T / T_2)^p)`.

    D(T) is 0 for T <= 0.

    Parameters
    ----------
    quadratic:
        T_1 > 0, degrees C.
    steep:
        T_2 > 0, degrees C.
    power:
        p > 1.

    Raises
    ------
    InputError
        A number that is not finite or not positive, or a power of at most 1.

    References
    ----------
    Weitzman (2012), Journal of Public Economic Theory 14(2).
    """

    quadratic: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "quadratic"), default=20.46)
    steep: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "steep"), default=6.081)
    power: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "power"), default=6.754)
    source: str = eqx.field(
        static=True,
        default=(
            "Weitzman (2012), GHG Targets as Insurance Against Catastrophic Climate Damages, Journal of Public Economic Theory "
            "14(2): 221-244"
        ),
        kw_only=True,
    )
    year: int | None = eqx.field(static=True, default=2012, kw_only=True)

    def __check_init__(self):
        settled(self)
        above(self, 0, "quadratic", "steep")
        above(self, 1, "power")

    @property
    def domain(self):
        """Up to the 6 degrees C at which half of output is lost, the point that it was made for."""
        return 0.0, 6.0

    def __call__(self, temperature):
        T = floating(temperature, "temperature")
        warm = jnp.where(T > 0, T, 1)
        lost = (warm / self.quadratic) ** 2 + (warm / self.steep) ** self.power
        return jnp.where(T > 0, lost / (1 + lost), 0)


class BurkeHsiangMiguel(AbstractDamage):
    """Burke, Hsiang and Miguel's effect of a country's temperature on its growth, accumulated over a path of warming.

    The curve acts on growth, not on the level of output, and on a country's own annual mean temperature,
    `T_c = climate + amplification (T - reference)`: a year at T_c grows by `h(T_c) = b_1 T_c + b_2 T_c^2`, with T_c held at 30
    degrees C above that, as the authors do. D(T) is what the level of output has lost in the last of N years in which
    warming rises in equal steps from the reference to T:
    `D(T) = 1 - prod_j (1 + g + h(T_c(T_j)) - h(climate)) / (1 + g)`, `T_j = reference + (T - reference) j / N`. The loss
    depends on N as much as on T: the longer the way, the larger the loss. It is a gain, D < 0, in cold countries. No
    adaptation and no catching up is in it.

    Parameters
    ----------
    climate:
        The country's annual mean temperature at the reference, weighted by population, degrees C (not a warming).
    years:
        N, the years from the reference to T.
    reference:
        Global warming at which `climate` was measured, degrees C above 1850-1900.
    amplification:
        Degrees C that the country warms by per degree C of global warming.
    growth:
        g, annual growth without further warming, a share.
    coefficients:
        b_1, b_2 (2,), per degree C and per degree C squared and year; their covariance is that of the authors' 1,000
        bootstrap samples of countries.

    Raises
    ------
    InputError
        years is not a positive integer, amplification is not positive, growth is -1 or less, or a number is not finite.

    References
    ----------
    Burke, Hsiang and Miguel (2015), Nature 527, the pooled model without lags, and its replication code.
    """

    covariance: ClassVar[Mapping[str, np.ndarray]] = {
        "coefficients": np.array([[1.52936373e-05, -4.13341258e-07], [-4.13341258e-07, 1.49787971e-08]])
    }
    climate: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "climate"))
    years: int = eqx.field(static=True, kw_only=True)
    reference: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "reference"), default=0.0, kw_only=True)
    amplification: Float[Array, ""] = eqx.field(
        converter=lambda v: floating(v, "amplification"), default=1.0, kw_only=True
    )
    growth: Float[Array, ""] = eqx.field(converter=lambda v: floating(v, "growth"), default=0.0, kw_only=True)
    coefficients: Float[Array, " 2"] = eqx.field(
        converter=lambda v: floating(v, "coefficients"), default=(0.0127184, -0.0004871), kw_only=True
    )
    source: str = eqx.field(
        static=True,
        default=(
            "Burke, Hsiang and Miguel (2015), Global non-linear effect of temperature on economic production, Nature 527: "
            "235-239, pooled model without lags"
        ),
        kw_only=True,
    )
    year: int | None = eqx.field(static=True, default=2015, kw_only=True)

    def __check_init__(self):
        settled(self, coefficients=2)
        whole(self.years, "years", "number of years over which warming rises")
        above(self, 0, "amplification")
        above(self, -1, "growth")

    @property
    def domain(self) -> tuple[Any, Any]:
        """The warming of the reference, and that at which the country reaches 30 degrees C."""
        return self.reference, self.reference + (HOTTEST - self.climate) / self.amplification

    def effect(self, temperature: ArrayLike) -> Float[Array, "..."]:
        """Return the change of annual growth, `h(T_c(T)) - h(climate)`, in a year that is T degrees C above 1850-1900."""
        here = self.climate + self.amplification * (floating(temperature, "temperature") - self.reference)
        b1, b2 = self.coefficients

        def response(local):
            held = jnp.where(local < HOTTEST, local, HOTTEST)
            return b1 * held + b2 * held**2

        return response(here) - response(self.climate)

    def along(self, temperature: ArrayLike) -> Float[Array, "... t"]:
        """Return the share of output lost by each year of a path of warming (..., t), a year per entry, from its base."""
        kept = (1 + self.growth + self.effect(temperature)) / (1 + self.growth)
        return 1 - jnp.cumprod(kept, axis=-1)

    def __call__(self, temperature):
        T = floating(temperature, "temperature")
        steps = jnp.arange(1, self.years + 1, dtype=T.dtype) / self.years
        return self.along(self.reference + (T - self.reference)[..., None] * steps)[..., -1]
