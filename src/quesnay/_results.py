"""Result codes, in the manner of optimistix: how a solve or simulation ended, as a value that survives `jit` and `vmap`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import PyTree

from ._checks import concrete
from ._errors import SolveError


class RESULTS(optx.RESULTS):  # pyright: ignore[reportGeneralTypeIssues]
    """How a solve or a simulation ended; `RESULTS[code]` is the sentence."""

    successful = ""
    no_unique_solution = "The system is singular or its solution is not finite, so that there is no unique equilibrium."
    not_converged = (
        "The solver did not converge within its max_steps, or there is no equilibrium; give it more of them, a point x0 nearer "
        "to the equilibrium, or take another solver (LU() for a matrix, Newton() for a System); throw=False returns the last "
        "point and its residual."
    )
    undefined = (
        "The iteration reached a point where f is not finite, or ran off to infinity; begin nearer to the equilibrium, or take "
        "smaller steps, as Anderson(mixing=0.5) does; throw=False returns the last point."
    )
    unproductive = (
        "The technology is not productive (spectral radius of A at or above 1), so that no finite output meets the "
        "demand; check the table's columns whose inputs exceed their output."
    )
    undecided = (
        "The technology cannot be proved productive: its spectral radius is 1 to within rounding, or its coefficients differ "
        "by too many orders of magnitude; measure the accounts in units of similar size, or take the unproved solution with "
        "throw=False."
    )
    unproven = (
        "The technology has negative coefficients so large that it cannot be proved productive; clear them with "
        "`economy.nonnegative()`, or take the unproved solution with throw=False."
    )
    creeping = (
        "A cascade was still moving after max_steps: losses creep where a market is nearly gone, or where firms that nobody "
        "replaces buy from each other; give more max_steps or a larger tolerance; throw=False returns the last levels, and "
        "`steps` of systemic_risk says which scenarios took all of them."
    )
    not_fitted = (
        "The fit did not converge within its max_steps; give it more of them, a prior nearer to the data, or more noise; "
        "throw=False returns the last technology."
    )
    too_sure = (
        "The data are so sure beside the prior that what they leave of it is below rounding; give a larger noise_sd (1e-4, "
        "say), or take kl, which meets outputs exactly; throw=False returns the mode, with deviations that are not known."
    )
    not_optimal = (
        "The intervention was not proved optimal: its relative duality gap is above 1e-9 (or what rounding leaves of that in "
        "float32); throw=False returns it with its `gap`."
    )
    unproductive_bounds = (
        "The technology is not productive at the upper bounds (spectral radius of A, or of hi A, at or above 1), so that "
        "outputs have no limit; lower the upper bounds, or check the table's columns whose inputs exceed their output."
    )
    unbalanced = (
        "The table was not brought to its margins within the steps allowed; make margins soft with row_sd, column_sd and "
        "cell_sd, or take the last table, whose `deviation` says what it misses, with throw=False."
    )
    not_finite = "The simulation produced a value that is not finite; check the inputs for extreme or missing values."


SUCCESSFUL = int(RESULTS.successful._value)  # pyright: ignore[reportAttributeAccessIssue]


def raise_unless_successful(value: PyTree, result: RESULTS) -> PyTree:
    """Return `value`, or raise where `result` is a failure.

    Outside traced code this is a `SolveError`; inside `jit` or `vmap`, where Python cannot raise, the error is attached
    to `value` and rises when it is computed.
    """
    code = result._value  # pyright: ignore[reportAttributeAccessIssue]
    if concrete(code):
        failed = np.ravel(np.asarray(code)) != SUCCESSFUL
        if failed.any():
            first = int(np.argmax(failed))
            raise SolveError(RESULTS[jax.tree.map(lambda codes: jnp.ravel(codes)[first], result)])
        return value
    arrays, rest = eqx.partition(value, eqx.is_array)
    return eqx.combine(result.error_if(arrays, result != RESULTS.successful), rest)  # pyright: ignore[reportAttributeAccessIssue]


def first_failure(*results: RESULTS) -> RESULTS:
    """Return the first of the results that is not a success, or success."""
    outcome = results[-1]
    for result in reversed(results[:-1]):
        outcome = RESULTS.where(result == RESULTS.successful, outcome, result)
    return outcome


def result_if(failed: jax.Array, failure: RESULTS) -> RESULTS:
    """Return `failure` where `failed`, else success."""
    return RESULTS.where(failed, failure, RESULTS.successful)
