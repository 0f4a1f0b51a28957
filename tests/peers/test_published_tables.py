"""Published inverses, multipliers and total intensities, reproduced from the published coefficients."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import quesnay as q

TOLERANCE = 1e-12


def relative(value, expected):
    """Return the largest error relative to the largest expected entry of its row (entries near zero carry no digits)."""
    value, expected = np.atleast_2d(np.asarray(value)), np.atleast_2d(np.asarray(expected))
    return np.max(np.abs(value - expected) / np.max(np.abs(expected), axis=1, keepdims=True))


@pytest.fixture(scope="module")
def uk(shared_data):
    folder = shared_data / "ons_uk_2010"
    text = {0: str}
    Z = pd.read_csv(folder / "Z_domestic.csv", index_col=0, dtype=text)
    x = pd.read_csv(folder / "x.csv", index_col=0, dtype=text)["output"]
    return folder, Z, x


def test_the_inverse_and_multipliers_of_the_uk_are_the_published_ones(uk):
    folder, Z, x = uk
    A = jnp.asarray(Z.to_numpy() / x.loc[Z.columns].to_numpy())
    published = pd.read_csv(folder / "leontief_inverse_published.csv", index_col=0, dtype={0: str})
    L = q.solve(q.Leontief(A), jnp.eye(len(A))).value
    assert relative(L, published.to_numpy()) <= TOLERANCE
    table = pd.read_csv(folder / "multipliers_published.csv")
    np.testing.assert_allclose(q.multipliers(A), table["Output multiplier"], rtol=TOLERANCE)


def test_the_value_added_multipliers_of_the_uk_are_the_published_ones(uk):
    """ONS: GVA effect = value added per unit of final demand, GVA multiplier = effect / direct share."""
    folder, Z, x = uk
    A = jnp.asarray(Z.to_numpy() / x.loc[Z.columns].to_numpy())
    table = pd.read_csv(folder / "multipliers_published.csv")
    primary = pd.read_csv(folder / "primary_inputs.csv", index_col=0)
    rows = [
        row
        for row in primary.index
        if any(word in str(row).lower() for word in ("compensation", "surplus", "taxes less subsidies on production"))
    ]
    share = primary.loc[rows, Z.columns].sum().to_numpy() / x.loc[Z.columns].to_numpy()
    np.testing.assert_allclose(q.footprint(A, share), table["GVA effects"], rtol=TOLERANCE)


@pytest.mark.parametrize(
    ("folder", "coefficients", "published"),
    [
        ("useeio_us_411_2012", "A", "N"),
        ("useeio_us_411_2012", "A_d", "N_d"),
        ("useeio_georgia_2region_2020", "A", "N"),
        ("useeio_georgia_2region_2020", "A_d", "N_d"),
    ],
)
def test_total_intensities_of_useeio_are_the_published_ones(shared_data, folder, coefficients, published):
    """`N = D (I - A)^-1` (Ingwersen et al. 2022)."""
    A = pd.read_parquet(shared_data / folder / f"{coefficients}.parquet").to_numpy()
    D = pd.read_csv(shared_data / folder / "D.csv", index_col=0).to_numpy()
    N = pd.read_csv(shared_data / folder / f"{published}.csv", index_col=0).to_numpy()
    assert relative(q.footprint(A, D), N) <= TOLERANCE


def test_the_inverse_of_georgia_is_the_published_one(shared_data):
    folder = shared_data / "useeio_georgia_2region_2020"
    A = pd.read_parquet(folder / "A.parquet").to_numpy()
    published = pd.read_parquet(folder / "L_published.parquet").to_numpy()
    assert relative(q.solve(q.Leontief(A), jnp.eye(len(A))).value, published) <= TOLERANCE
