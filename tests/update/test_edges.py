"""Tables at the edge: columns made of whole rows, totals that differ where nothing can be raised, noise below rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quesnay as q

from .margins import table_and_margins
from .truth import outputs, slopes, truth


def test_columns_made_of_whole_rows_have_one_answer_and_its_derivative():
    """Where each row sells to one column, cells are the row targets whatever the method; their derivative is the identity."""
    Z0 = np.array([[0.3, 0, 0], [0.7, 0, 0], [0, 1.1, 0], [0, 0, 0.4]])
    rows = jnp.array([0.1, 0.2, 0.7, 0.3])

    def cells(rows):
        return q.update.newton(Z0, rows, rows @ (Z0 > 0)).value.sum(1)

    value, slope = jax.jit(lambda rows: (cells(rows), jax.jacfwd(cells)(rows)))(rows)
    np.testing.assert_allclose(value, rows, rtol=1e-12)
    np.testing.assert_allclose(slope, np.eye(4), atol=1e-12)


def test_totals_that_differ_are_a_code_under_jit():
    Z0, rows, columns = table_and_margins(1)
    balance = jax.jit(lambda c: q.update.ras(Z0, rows, c, throw=False))
    assert balance(columns).result == q.equilibrium.RESULTS.successful
    assert balance(2 * columns).result != q.equilibrium.RESULTS.successful


def test_noise_too_small_for_its_deviations_is_refused():
    """Ten numbers determine four coefficients: deviations are those of `(J'J + 1/s^2)^-1` to a hundredth, or not returned."""
    A0, A, _, d = truth(0, n=2, years=5)
    x = outputs(A, d)
    fit = q.update.fit(A0, x, d, prior_sd=0.2, noise_sd=1e-4)
    J = slopes(fit.A, d) / (1e-4 * x).reshape(-1, 1)
    information = J.T @ J + np.eye(4) / 0.2**2
    np.testing.assert_allclose(fit.log_sd.ravel(), np.sqrt(np.diag(np.linalg.inv(information))), rtol=0.01)
    with pytest.raises(q.SolveError, match="so sure beside the prior"):
        q.update.fit(A0, x, d, prior_sd=0.2, noise_sd=1e-6)


def test_tracks_refuse_noise_too_small_as_fits_do():
    A0, _, x, d = truth(1)
    for noise_sd, kept in ((1e-2, True), (1e-8, False)):
        path = q.update.track(A0, x, d, prior_sd=0.2, drift_sd=0.05, noise_sd=noise_sd, throw=False)
        assert (path.result == q.equilibrium.RESULTS.successful) == kept
    with pytest.raises(q.SolveError, match="so sure beside the prior"):
        q.update.track(A0, x, d, prior_sd=0.2, drift_sd=0.05, noise_sd=1e-8)


def test_single_precision_is_fitted_to_its_rounding():
    A0, _, x, d = truth(1)
    options = {"prior_sd": 0.2, "noise_sd": 0.01}
    for method, more in ((q.update.fit, {}), (q.update.track, {"drift_sd": 0.05})):
        wide, single = (method(*(a.astype(kind) for a in (A0, x, d)), **options, **more) for kind in ("f8", "f4"))
        assert single.A.dtype == single.log_sd.dtype == np.float32
        np.testing.assert_allclose(single.A, wide.A, rtol=1e-4)
        np.testing.assert_allclose(single.log_sd, wide.log_sd, rtol=1e-3)


def test_soft_margins_that_cannot_be_found_name_no_cells():
    Z0, rows, columns = table_and_margins(2, 2, 2)
    z = q.update.ras(Z0, rows, 2 * columns, row_sd=0.1, column_sd=0.1, cell_sd=1e6, throw=False)
    assert z.result != q.equilibrium.RESULTS.successful
    with pytest.raises(q.SolveError, match="check that row_sd and column_sd are in currency and cell_sd is relative"):
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
