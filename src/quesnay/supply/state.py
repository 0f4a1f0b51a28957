"""The state of a supply model."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from .path import SupplyPath
from .trade import Orders


class SupplyState(eqx.Module):
    """The state at the end of a day: what the next day needs, and what was seen on this one.

    Attributes
    ----------
    stock:
        An input array in units of the customer's output (`S_p / a_p`).
    orders:
        What was ordered of each input and supplier, to be served tomorrow.
    intermediate, final, rebuilding:
        What was asked today and is served tomorrow (n,), in currency per day: by other accounts, by final demand without
        reconstruction, and by owners who rebuild (None without reconstruction).
    demand:
        D (n,), all of it by supplier.
    transit:
        What is on its way, by days to go; None without delays.
    alpha, staff:
        Overproduction and labour (n,), as shares of base; None without such a rule.
    consumption:
        Log of the households' consumption level; None without households.
    damage:
        Capital destroyed and not yet rebuilt (n,); None without reconstruction.
    seen:
        The day's observation.
    """

    stock: Array
    orders: Orders
    intermediate: Float[Array, " n"]
    final: Float[Array, " n"]
    demand: Float[Array, " n"]
    rebuilding: Any
    transit: Any
    alpha: Any
    staff: Any
    consumption: Any
    damage: Any
    seen: SupplyPath
