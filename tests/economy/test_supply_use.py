"""Supply and use tables made symmetric: identities, closed forms, another program's numbers, and the tables of the BEA."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quesnay as q
from quesnay.economy.readers.supply_use import (
    FixedIndustrySales,
    FixedProductSales,
    IndustryTechnology,
    ProductTechnology,
    Transformation,
    supply_use,
)

MODELS = (ProductTechnology(), IndustryTechnology(), FixedIndustrySales(), FixedProductSales())
INVERSES = (ProductTechnology(), FixedIndustrySales())
SHARES = (IndustryTechnology(), FixedProductSales())
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)

# V (industries, products), U (products, industries) and F (emissions by industry) of the test of pySUT (S. Pauliuk, NTNU
# Trondheim), after its clear_non_diag_supply and add_ones_to_diagonal.
V = np.array([[30, 1, 2, 0, 0], [1, 5, 0, 0, 0], [1, 1, 3, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 8]], dtype=float)
U = np.array([[12, 4, 5, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 1, 1, 0, 0]], dtype=float)
F = np.array([[30, 5, 18, 22.03, 7], [0.4, 0.04, 1, 0.98, 0.8]])
# Its known results (known_results.py, 9 decimals): commodity technology, by commodity and by industry, and industry technology.
PYSUT = {
    ProductTechnology(): """
        0.287015945 0.742596811 1.323462415 0 0
        0.009111617 0.198177677 0.264236902 0 0
        -0.025056948 0.20501139 0.273348519 0 0
        0.034168565 -0.006833713 -0.009111617 0 0
        -0.025056948 0.20501139 0.273348519 0 0""",
    FixedIndustrySales(): """
        0.403189066 0.664009112 0.851936219 0 0
        0.031476496 0.125284738 0.123006834 0 0
        -0.048871402 0.25284738 0.230068337 0 0
        0.038448264 -0.04214123 -0.038344723 0 0
        0 0.166666667 0.166666667 0 0""",
    IndustryTechnology(): """
        0.387784091 0.647186147 0.645454545 0.416666667 0
        0.038825758 0.147186147 0.112121212 0.083333333 0
        0.010416667 0.142857143 0.1 0.083333333 0
        0.028409091 0.004329004 0.012121212 0 0
        0.010416667 0.142857143 0.1 0.083333333 0""",
    FixedProductSales(): """
        0.345238095 0.71547619 0.87172619 0 0
        0.033008658 0.139880952 0.145089286 0 0
        0.030844156 0.144642857 0.14985119 0 0
        0.015151515 0 0 0 0
        0 0.166666667 0.166666667 0 0""",
}
PYSUT_EMISSIONS = {
    ProductTechnology(): """
        1.10546697 0.778906606 -1.971457859 22.03 0.875
        0.013120729 0.005375854 0.000501139 0.98 0.1""",
    IndustryTechnology(): """
        0.972064394 1.153679654 2.163636364 12.515 0.875
        0.016780303 0.03030303 0.104848485 0.573333333 0.1""",
}


def matrix(text: str) -> np.ndarray:
    return np.array([line.split() for line in text.strip().splitlines()], dtype=float)


@pytest.mark.parametrize("model", PYSUT, ids=lambda model: type(model).__name__)
def test_coefficients_are_those_of_pysut(model: Transformation) -> None:
    table = model.symmetric(V, U, np.zeros((5, 1)), F)
    np.testing.assert_allclose(table.Z / table.output, matrix(PYSUT[model]), atol=1e-9)
    if model in PYSUT_EMISSIONS:
        np.testing.assert_allclose(table.inputs / table.output, matrix(PYSUT_EMISSIONS[model]), atol=1e-9)


def test_two_by_two_in_fractions() -> None:
    """By hand: U = [12 8; 10 7], V = [90 0; 10 100], so that g = (90, 110) and q = (100, 100)."""
    make, use = np.array([[90.0, 0], [10, 100]]), np.array([[12.0, 8], [10, 7]])
    B = np.array([[12 / 90, 8 / 110], [10 / 90, 7 / 110]])
    # V' inv(diag(g)) = [1 1/11; 0 10/11] has the inverse [1 -1/10; 0 11/10].
    product = B @ np.array([[1, -1 / 10], [0, 11 / 10]])
    # V inv(diag(q)) = [9/10 0; 1/10 1].
    shares = np.array([[9 / 10, 0], [1 / 10, 1]])
    expected = (product, B @ shares, np.array([[1, -1 / 10], [0, 11 / 10]]) @ B, shares @ B)
    for model, A in zip(MODELS, expected, strict=True):
        table = model.symmetric(make, use, np.array([[80.0], [83.0]]), np.array([[68.0, 95.0]]))
        np.testing.assert_allclose(table.Z / table.output, A, rtol=1e-13)
        np.testing.assert_allclose(table.Z.sum(axis=1) + table.Y.sum(axis=1), table.output, rtol=1e-13)


def frames(seed: int, industries: int = 4, products: int = 4, *, diagonal: bool = False) -> dict[str, Any]:
    """A balanced supply and use table, its industries mainly making one product, with imports, taxes and emissions."""
    rng = np.random.default_rng(seed)
    down, across = [f"i{k}" for k in range(industries)], [f"p{k}" for k in range(products)]
    make = np.zeros((industries, products)) if diagonal else rng.uniform(0, 5, (industries, products))
    make += np.eye(industries, products) * rng.uniform(60, 100, products)
    make[-1] += rng.uniform(20, 30, products) * (industries < products)
    use = rng.uniform(0, 10, (products, industries))
    share = rng.uniform(0.2, 0.8, products)
    rest = make.sum(axis=0) - use.sum(axis=1)
    Y = np.column_stack([rest * share, rest * (1 - share)])
    spent = make.sum(axis=1) - use.sum(axis=0)
    imports, taxes = 0.1 * spent, 0.2 * spent
    return {
        "make": pd.DataFrame(make, down, across),
        "use": pd.DataFrame(use, across, down),
        "Y": pd.DataFrame(Y, across, ["Households", "Exports"]),
        "imports": pd.Series(imports, down),
        "primary": pd.DataFrame([taxes], ["Taxes"], down),
        "satellites": {"ghg": (pd.Series(rng.uniform(1, 5, industries), down), "kt CO2e")},
        "direct": {"ghg": {"Households": 3.0}},
        "currency": "MEUR",
    }


seeds = st.integers(0, 2**32 - 1)


def law(test: Callable) -> Callable:
    """Every example builds several tables, so that ten of them are a second."""
    return settings(max_examples=10)(given(seeds)(test))


def assert_totals(economy: q.Economy, table: dict[str, Any]) -> None:
    """Both identities hold, and every total of the tables is in the economy."""
    total = float(table["make"].to_numpy().sum())
    state = economy.balance()
    assert state.rows.abs().max() <= 1e-12 * total
    assert state.columns.abs().max() <= 1e-12 * total
    assert float(economy.output.sum()) == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(economy.frame("Y").sum(), table["Y"].sum(), rtol=1e-11)
    assert float(economy.Z.sum()) == pytest.approx(float(table["use"].to_numpy().sum()), rel=1e-11)
    assert float(economy.imports.sum()) == pytest.approx(float(table["imports"].sum()), rel=1e-11)
    assert float(economy.total("Taxes").sum()) == pytest.approx(float(table["primary"].loc["Taxes"].sum()), rel=1e-11)
    assert float(economy.total("ghg").sum()) == pytest.approx(float(table["satellites"]["ghg"][0].sum()), rel=1e-11)
    assert float(economy.direct("ghg")[0]) == 3.0


@each_model
@law
def test_rows_columns_and_totals_are_kept(model: Transformation, seed: int) -> None:
    table = frames(seed)
    economy = supply_use(**table, model=model)
    assert_totals(economy, table)
    outputs = table["make"].sum(axis=0 if model.by_product else 1)
    assert economy.sectors == tuple(outputs.index)
    np.testing.assert_allclose(economy.output, outputs, rtol=1e-13)


@pytest.mark.parametrize("model", SHARES, ids=lambda model: type(model).__name__)
@law
def test_more_products_than_industries_are_kept_as_well(model: Transformation, seed: int) -> None:
    table = frames(seed, industries=3, products=5)
    economy = supply_use(**table, model=model)
    assert_totals(economy, table)
    assert economy.n == (5 if model.by_product else 3)
    assert (np.asarray(economy.Z) >= 0).all()


@law
def test_where_every_industry_makes_its_own_product_alone_all_models_agree(seed: int) -> None:
    table = frames(seed, diagonal=True)
    for model in MODELS:
        economy = supply_use(**table, model=model)
        np.testing.assert_allclose(economy.Z, table["use"], rtol=1e-13)
        np.testing.assert_allclose(economy.Y, table["Y"], rtol=1e-13)
        np.testing.assert_allclose(economy.total("ghg"), table["satellites"]["ghg"][0], rtol=1e-13)


@each_model
@law
def test_neither_order_nor_currency_matters(model: Transformation, seed: int) -> None:
    table = frames(seed)
    one = supply_use(**table, model=model)
    mixed = dict(table)
    for key in ("use", "Y", "primary"):
        mixed[key] = table[key].sample(frac=1, random_state=1) * 1e-6
    mixed["use"] = mixed["use"].sample(frac=1, axis=1, random_state=2)
    mixed["imports"] = table["imports"][::-1] * 1e-6
    mixed["make"] = table["make"] * 1e-6
    other = supply_use(**mixed, model=model)
    size = float(np.abs(one.Z).max())
    np.testing.assert_allclose(np.asarray(other.Z) * 1e6, one.Z, rtol=1e-12, atol=1e-13 * size)
    np.testing.assert_allclose(other.A, one.A, rtol=1e-12, atol=1e-14)


def test_the_footprints_of_both_technologies_add_up_to_the_emissions() -> None:
    table = frames(7)
    for model in MODELS:
        economy = supply_use(**table, model=model)
        multipliers = q.footprint(economy.A, economy.intensity("ghg"))
        total = float(multipliers @ economy.final_demand)
        assert total == pytest.approx(float(table["satellites"]["ghg"][0].sum()), rel=1e-12)


def test_negative_flows_are_reported_and_kept() -> None:
    """The second industry makes some p0, but uses none of the p1 that the first needs ten of for ninety of p0."""
    table = {
        "make": pd.DataFrame([[90.0, 0], [10, 100]], ["i0", "i1"], ["p0", "p1"]),
        "use": pd.DataFrame([[12.0, 8], [10, 0]], ["p0", "p1"], ["i0", "i1"]),
        "Y": pd.DataFrame({"Use": [80.0, 90]}, ["p0", "p1"]),
        "satellites": {"ghg": (pd.Series([90.0, 5.0], ["i0", "i1"]), "t")},
        "currency": "MEUR",
    }
    economy = supply_use(**table, model=ProductTechnology())
    # inv(V') = [1/90 -1/900; 0 1/100]: p0 needs 10/90 of p1, in i1 as well, so that p1 itself needs -10/900 of p1.
    np.testing.assert_allclose(economy.A[:, 1], [8 / 100 - 12 / 900, -10 / 900], rtol=1e-13)
    flows, emissions = (n for n in economy.notes if "negative" in n.sentence and n.action == "supply_use")
    assert flows.amount == pytest.approx(-100 / 90)
    assert "1 flow(s) are negative" in flows.sentence
    assert "from sector 'p1' to sector 'p1'; the use table has 0 negative" in flows.sentence
    # Emissions of p0 are 1 per unit, of which i1 would emit 10 where it emits 5.
    np.testing.assert_allclose(economy.total("ghg"), [100, -5], rtol=1e-13)
    assert "ProductTechnology makes 1 cell(s) negative of what had none: 'ghg'" in emissions.sentence
    assert (np.asarray(economy.nonnegative().Z) >= 0).all()


@pytest.mark.parametrize("model", INVERSES, ids=lambda model: type(model).__name__)
def test_models_with_an_inverse_refuse_a_make_matrix_that_has_none(model: Transformation) -> None:
    with pytest.raises(q.TableError, match=r"3 industries and 5 products; add up .*IndustryTechnology"):
        supply_use(**frames(1, industries=3, products=5), model=model)
    table = frames(1)
    table["make"].iloc[1] = 0.5 * table["make"].iloc[0]
    with pytest.raises(q.TableError, match="is singular: an industry or product has no output, or two"):
        supply_use(**table, model=model)
    with pytest.raises(q.TableError, match="is singular"):
        supply_use(**_without_maker(frames(1)), model=model)


def _without_maker(table: dict[str, Any]) -> dict[str, Any]:
    """Nobody makes p3: its uses are met by imports, a negative column of final demand."""
    use, Y = table["use"], table["Y"]
    made = table["make"]["p3"].copy()
    table["make"].loc["i3", "p0"] += made.sum()
    table["make"]["p3"] = 0.0
    Y.loc["p0", "Exports"] += made.sum()
    Y["Imports"] = 0.0
    Y.loc["p3", "Imports"] = -use.loc["p3"].sum() - Y.loc["p3"].sum()
    # The industries' outputs change: what they spend besides changes with them.
    spent = table["make"].sum(axis=1) - use.sum()
    return {**table, "imports": 0.1 * spent, "primary": pd.DataFrame([0.2 * spent], ["Taxes"])}


def test_products_that_nobody_makes_are_imports_of_industries() -> None:
    table = _without_maker(frames(2))
    economy = supply_use(**table, model=FixedProductSales())
    np.testing.assert_allclose(economy.imports, table["imports"] + table["use"].loc["p3"], rtol=1e-13)
    assert_adds_up(economy)
    (note,) = (n for n in economy.notes if "no industry makes" in n.sentence)
    assert note.amount == pytest.approx(float(table["use"].loc["p3"].sum()))
    by_product = supply_use(**table, model=IndustryTechnology())
    assert_adds_up(by_product)
    assert float(by_product.output[3]) == 0.0


def assert_adds_up(economy: q.Economy) -> None:
    total = float(economy.output.sum())
    assert economy.balance().rows.abs().max() <= 1e-13 * total
    assert economy.balance().columns.abs().max() <= 1e-13 * total


def test_a_product_of_negative_output_keeps_the_identities() -> None:
    """Scrap may cost more than it earns; market shares of a negative total are shares all the same."""
    table = frames(8, industries=3, products=4)
    sold = table["make"]["p3"].copy()
    table["make"]["p3"] = -0.1 * sold
    table["Y"].loc["p3", "Exports"] -= 1.1 * sold.sum()
    spent = table["make"].sum(axis=1) - table["use"].sum()
    table |= {"imports": 0.1 * spent, "primary": pd.DataFrame([0.2 * spent], ["Taxes"])}
    economy = supply_use(**table, model=FixedProductSales())
    assert_totals(economy, table)


def test_wrong_tables_are_refused() -> None:
    table = frames(3)
    with pytest.raises(q.InputError, match="model is 'B'; give an object such as"):
        supply_use(**{**table, "model": "B"})
    with pytest.raises(q.LabelError, match="rows of use: the table has no sector 'p9'"):
        supply_use(**{**table, "use": table["use"].rename(index={"p0": "p9"})}, model=FixedProductSales())
    with pytest.raises(q.LabelError, match=r"rows of Y: .*'p0' is missing"):
        supply_use(**{**table, "Y": table["Y"].iloc[1:]}, model=FixedProductSales())
    with pytest.raises(q.LabelError, match="rows of use"):
        supply_use(**{**table, "use": table["use"].T}, model=FixedProductSales())
    with pytest.raises(q.InputError, match="imports is given twice"):
        supply_use(**{**table, "primary": table["primary"].rename({"Taxes": "imports"})}, model=FixedProductSales())
    with pytest.raises(q.TableError, match="Satellite 'ghg' has no unit"):
        supply_use(**{**table, "satellites": {"ghg": pd.Series(dtype=float)}}, model=FixedProductSales())
    broken = table["use"].copy()
    broken.iloc[1, 2] = np.nan
    with pytest.raises(q.TableError, match=r"use: 1 value.*sector 'p1', column sector 'i2'"):
        supply_use(**{**table, "use": broken}, model=FixedProductSales())
    idle = table["make"].copy()
    idle.loc["i2"] = 0.0
    with pytest.raises(q.TableError, match="no output of sector 'i2', which uses inputs"):
        supply_use(**{**table, "make": idle}, model=IndustryTechnology())


@pytest.fixture(scope="module")
def bea(shared_data: Path) -> dict[str, pd.DataFrame]:
    names = ("make", "use_intermediate", "use_final", "import_intermediate", "import_final", "VA", "Z_total", "Y_total")
    names += ("Z_domestic", "Y_domestic")
    return {name: pd.read_csv(shared_data / "bea_us_summary" / f"{name}_2019.csv", index_col=0) for name in names}


def _published(bea: dict[str, pd.DataFrame], **changes: Any) -> q.Economy:
    given: dict[str, Any] = {"make": bea["make"], "use": bea["use_intermediate"], "Y": bea["use_final"]}
    given["primary"] = bea["VA"]
    return supply_use(**{**given, **changes}, model=FixedProductSales(), currency="MUSD", year=2019)


def assert_printed(ours: pd.DataFrame, published: pd.DataFrame) -> None:
    """Equal to the last of the three decimals that are printed: half a unit of it, and the rounding of the value itself."""
    theirs = published.loc[ours.index, ours.columns].to_numpy()
    half = 0.5e-3 * (1 + 1e-9) + np.spacing(np.abs(theirs))
    assert (np.abs(ours.to_numpy() - theirs) <= half + 1e-12 * np.abs(theirs)).all()


def test_the_industry_table_of_the_us_is_the_published_one(bea: dict[str, pd.DataFrame]) -> None:
    """Scrap ("Used") and noncomparable imports ("Other") included, as the README of the data says."""
    economy = _published(bea)
    assert_printed(economy.frame("Z").droplevel(0).droplevel(0, axis=1), bea["Z_total"])
    assert_printed(economy.frame("Y").droplevel(0).droplevel(0, axis=1), bea["Y_total"])
    assert economy.spectral_radius == pytest.approx(0.4849, abs=5e-5)
    assert float(economy.output.sum()) == pytest.approx(37_658e3, rel=2e-5)


def test_the_domestic_industry_table_of_the_us_is_the_published_one(bea: dict[str, pd.DataFrame]) -> None:
    use, Y = bea["use_intermediate"] - bea["import_intermediate"], bea["use_final"] - bea["import_final"]
    economy = _published(bea, use=use, Y=Y, imports=bea["import_intermediate"].sum())
    assert_printed(economy.frame("Z").droplevel(0).droplevel(0, axis=1), bea["Z_domestic"])
    assert_printed(economy.frame("Y").droplevel(0).droplevel(0, axis=1), bea["Y_domestic"])
    assert economy.spectral_radius == pytest.approx(0.4254, abs=5e-5)


def test_the_us_by_product_keeps_every_total(bea: dict[str, pd.DataFrame]) -> None:
    given: dict[str, Any] = {"make": bea["make"], "use": bea["use_intermediate"], "Y": bea["use_final"]}
    given["primary"] = bea["VA"]
    economy = supply_use(**given, model=IndustryTechnology(), currency="MUSD", year=2019)
    assert economy.n == 73
    np.testing.assert_allclose(
        economy.primary.loc[list(bea["VA"].index)].sum(axis=1), bea["VA"].sum(axis=1), rtol=1e-12
    )
    assert float(economy.output.sum()) == pytest.approx(float(bea["make"].to_numpy().sum()), rel=1e-14)
    with pytest.raises(q.TableError, match="71 industries and 73 products"):
        supply_use(**given, model=ProductTechnology(), currency="MUSD")
