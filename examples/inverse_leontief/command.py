"""Calibrate a 3-sector economy by 1,001 epochs of gradient descent; then by `q.update.kl` and `q.update.fit`, in a line each.

python examples/inverse_leontief [--seed NUMBER] [--epochs NUMBER]
"""

import argparse
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

import quesnay as q

from .descent import descend, output, start, technology, unproductive

SECTORS = ("Energy", "Services", "Manufacturing")
OUTPUT = np.array([100.0, 150.0, 120.0])
DEMAND = np.array([50.0, 80.0, 60.0])
EPOCHS, EVERY = 1001, 200
PRIOR_SD, NOISE_SD = 0.5, 1e-4
DRAWS = 1000


@dataclass(frozen=True)
class Calibrated:
    """What each way found: the start, the losses by epoch, and coefficients (3, 3)."""

    prior: np.ndarray
    losses: dict[int, float]
    descent: np.ndarray
    kl: q.update.Coefficients
    fit: q.update.Fit


def calibrate(seed: int = 0, epochs: int = EPOCHS) -> Calibrated:
    """Return the coefficients by gradient descent from a random start, and by `kl` and `fit` with that start as the prior."""
    x, d = jnp.asarray(OUTPUT), jnp.asarray(DEMAND)
    begun = start(len(SECTORS), seed)
    prior, losses, parameters = technology(begun), {}, begun
    for epoch, value, parameters in descend(begun, x, d, epochs, EVERY):  # noqa: B007
        losses[epoch] = value
    closed = q.update.kl(prior, x, d)
    fitted = q.update.fit(prior, x, d, prior_sd=PRIOR_SD, noise_sd=NOISE_SD)
    return Calibrated(np.asarray(prior), losses, np.asarray(technology(parameters)), closed, fitted)


def main() -> None:
    """Run the example as the command line says."""
    parser = argparse.ArgumentParser(prog="inverse_leontief", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of the random start (0)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of gradient descent ({EPOCHS})")
    arguments = parser.parse_args()
    found = calibrate(arguments.seed, arguments.epochs)
    share = unproductive(len(SECTORS), DRAWS, arguments.seed)
    print(
        f"Of {DRAWS:,} starts with coefficients uniform on [0, 1), {share:.0%} are not productive; the one here always is."
    )
    print("\nGradient descent")
    for epoch, value in found.losses.items():
        print(f"  Epoch {epoch:4d} | Loss: {value:.6g}")
    ways = {
        "gradient descent": found.descent,
        "q.update.kl": np.asarray(found.kl.value),
        "q.update.fit": np.asarray(found.fit.A),
    }
    print_table("\nA at the start, which is the prior of the other two", found.prior)
    for name, A in ways.items():
        print_table(f"\nA by {name}", A, np.asarray(found.fit.sd) if A is ways["q.update.fit"] else None)
    print("\nDemand that each A leaves of the observed output, (I - A) x, and the squared error of output, |L d - x|^2")
    print(f"  {'observed':18s}" + "".join(f"{value:12.6f}" for value in DEMAND))
    for name, A in ways.items():
        error = float(np.sum((np.asarray(output(jnp.asarray(A), jnp.asarray(DEMAND))) - OUTPUT) ** 2))
        print(f"  {name:18s}" + "".join(f"{value:12.6f}" for value in OUTPUT - A @ OUTPUT) + f"{error:12.2g}")
    print(f"\n{q.update.identify(found.fit)}")


def print_table(title: str, A: np.ndarray, sd: np.ndarray | None = None) -> None:
    """Print coefficients (3, 3), with standard deviations where there are any."""
    print(title)
    for i, name in enumerate(SECTORS):
        cells = [f"{A[i, j]:.4f}" + ("" if sd is None else f" ± {sd[i, j]:.4f}") for j in range(len(SECTORS))]
        print(f"  {name:14s}" + "".join(f"{cell:>18s}" for cell in cells))
