"""What is possible but more likely a wrong unit: said, not refused."""

import warnings
from typing import Any

import numpy as np

from quesnay._checks import concrete

LOG_SD = 3.0
"""Standard deviation of a logarithm, a factor of 20, above which it is doubted."""
FAR = 5.0
"""Prior standard deviations from the prior beyond which a fit is doubted."""


class UnitsWarning(UserWarning):
    """A number that a fit can use, but that is probably in another unit than it should be."""


def doubt_relative(sd: Any, name: str) -> None:
    """Warn of relative standard deviations above 1."""
    _doubt(sd, 1.0, f"{name} is as large as {{0:g}}: it is relative, 0.01 for one per cent; check its unit.")


def doubt_logarithmic(sd: Any, name: str) -> None:
    """Warn of standard deviations of logarithms that are factors of more than 20."""
    _doubt(sd, LOG_SD, f"{name} is as large as {{0:g}}: it is of logarithms, 0.2 for about a fifth; check its unit.")


def doubt_shift(shift: Any) -> None:
    """Warn of coefficients that a fit moved far beyond their prior."""
    said = "fit_emissions moved log C by up to {0:.3g} standard deviations of its prior; check the units of emissions and C0."
    _doubt(np.abs(shift) if concrete(shift) else shift, FAR, said)


def _doubt(values: Any, most: float, message: str) -> None:
    if concrete(values):
        largest = float(np.max(np.asarray(values), initial=0))
        if largest > most:
            warnings.warn(message.format(largest), UnitsWarning, stacklevel=5)
