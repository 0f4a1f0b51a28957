"""Tables at the edge: columns made of whole rows, totals that differ where nothing can be raised, noise below rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

from .margins import table_and_margins
from .truth import truth


@pytest.mark.parametrize("Z0", [np.diag([0.3, 0.7, 1.1]), np.array([[0.3, 0.0], [0.7, 0.0], [0.0, 1.1]])])
def test_columns_made_of_whole_rows_have_one_answer_and_its_derivative(Z0):
    """Where each row sells to one column, cells are the row targets whatever the method; their derivative is the identity."""
    rows = jnp.array([0.1, 0.2, 0.7])

    def cells(rows):
        columns = rows @ (Z0 > 0)
        return q.update.newton(Z0, rows, columns).value.sum(1)

    np.testing.assert_allclose(cells(rows), rows, rtol=1e-12)
    np.testing.assert_allclose(jax.jacfwd(cells)(rows), np.eye(3), atol=1e-12)


def test_totals_that_differ_are_a_code_under_jit():
    Z0, rows, columns = table_and_margins(1)
    balance = jax.jit(lambda c: q.update.ras(Z0, rows, c, throw=False))
    assert balance(columns).result == q.equilibrium.RESULTS.successful
    assert balance(2 * columns).result != q.equilibrium.RESULTS.successful


def test_noise_too_small_for_its_deviations_is_refused():
    """Ten numbers determine four coefficients: deviations are those of `(J'J + 1/s^2)^-1` to a hundredth, or not returned."""
    A0, A, _, d = truth(0, n=2, years=5)
    x = np.linalg.solve(np.eye(2) - A, d.T).T
    fit = q.update.fit(A0, x, d, prior_sd=0.2, noise_sd=1e-4)
    J = jax.jacrev(lambda t: (jnp.linalg.solve(jnp.eye(2) - fit.A * jnp.exp(t), d.T).T / (1e-4 * x)).ravel())(
        np.zeros((2, 2))
    )
    information = J.reshape(10, 4).T @ J.reshape(10, 4) + np.eye(4) / 0.2**2
    np.testing.assert_allclose(fit.log_sd.ravel(), np.sqrt(np.diag(np.linalg.inv(information))), rtol=0.01)
    with pytest.raises(q.SolveError, match="so sure beside the prior"):
        q.update.fit(A0, x, d, prior_sd=0.2, noise_sd=1e-6)


def test_soft_margins_that_cannot_be_found_name_no_cells():
    Z0, rows, columns = table_and_margins(2, 2, 2)
    z = q.update.ras(Z0, rows, 2 * columns, row_sd=0.1, column_sd=0.1, cell_sd=1e6, throw=False)
    assert z.result != q.equilibrium.RESULTS.successful
    with pytest.raises(q.SolveError, match="not brought to its margins"):
        q.update.ras(Z0, rows, 2 * columns, row_sd=0.1, column_sd=0.1, cell_sd=1e6)


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("carbon", "objective is str; give a function"),
        (lambda A: A[0], r"objective returns shape \(5,\)"),
        (lambda A: jnp.log(-A.sum()), "objective is not finite at A0"),
    ],
)
def test_objectives_that_are_no_numbers_are_refused(objective, said):
    A0, _, x, d = truth(1)
    with pytest.raises(q.InputError, match=said):
        q.update.fit(A0, x, d, prior_sd=0.2, noise_sd=0.01, objective=objective)
