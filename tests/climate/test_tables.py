"""Damage tables: interpolation against numpy, and readers that take a file whole or say what is wrong with which line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quesnay._errors import InputError, TableError
from quesnay.climate.damage import outside, slopes
from quesnay.climate.scenarios import DAMAGED, TEMPERATURE, UNDAMAGED, read_scenarios
from quesnay.climate.tables import Tabulated, read_damage, read_damages

KNOTS, LOSSES = np.array([0.0, 1.0, 2.5, 4.0]), np.array([0.0, 0.01, 0.05, 0.2])
CITED = {"source": "Doe (2020), Journal 1(2)", "year": 2020}
HEAD = "# source: Doe (2020), Journal 1(2)\n# year: 2020\n"


@pytest.fixture
def table():
    return Tabulated(KNOTS, LOSSES, **CITED)


@pytest.fixture
def file(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "losses.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_a_table_is_interpolated_as_by_numpy(table):
    T = np.linspace(0, 4, 23)
    np.testing.assert_allclose(table(T), np.interp(T, KNOTS, LOSSES), rtol=1e-13, atol=1e-16)
    np.testing.assert_array_equal(table(KNOTS), LOSSES)


def test_the_first_and_the_last_line_go_on_and_are_reported(table):
    np.testing.assert_allclose(table([-1.0, 5.0]), [-0.01, 0.3], rtol=1e-12)
    np.testing.assert_array_equal(outside(table, [-1.0, 0.0, 4.0, 5.0]), [True, False, False, True])


def test_slopes_of_both_sides_are_those_of_the_lines_that_meet(table):
    lines = np.diff(LOSSES) / np.diff(KNOTS)
    left, right = slopes(table, KNOTS)
    np.testing.assert_allclose(left, lines[[0, 0, 1, 2]], rtol=1e-10)
    np.testing.assert_allclose(right, lines[[0, 1, 2, 2]], rtol=1e-10)


def test_losses_have_derivatives(table):
    """`dD/dD_i` are the weights of the two neighbours: 0.25 of the way from 1 to 2.5."""
    found = jax.grad(lambda loss: Tabulated(KNOTS, loss, **CITED)(1.375))(jnp.asarray(LOSSES))
    np.testing.assert_allclose(found, [0, 0.75, 0.25, 0], atol=1e-15)


@pytest.mark.parametrize(
    ("T", "loss", "cite", "part"),
    [
        ([1.0], [0.1], CITED, "at least two of each"),
        ([1.0, 2.0], [0.1], CITED, "one loss per temperature"),
        ([1.0, 1.0], [0.1, 0.2], CITED, "do not rise"),
        ([1.0, 2.0], [0.1, 5.0], CITED, "loss has an entry 5, more than all output; give shares, not percent"),
        ([1.0, np.nan], [0.1, 0.2], CITED, "temperature has an entry that is not finite"),
        ([1.0, 2.0], [0.1, 0.2], {"source": "", "year": 2020}, "say where the curve is from"),
    ],
)
def test_wrong_tables_are_refused(T, loss, cite, part):
    with pytest.raises(InputError, match=part):
        Tabulated(T, loss, **cite)


def test_a_file_gives_its_curve_with_source_and_year(file):
    found = read_damage(file("\ufeff" + HEAD + "temperature, loss\r\n0,0\r\n1.5,0.01\r\n\r\n3,0.06\r\n"))
    np.testing.assert_array_equal(found.temperature, [0, 1.5, 3])
    np.testing.assert_array_equal(found.loss, [0, 0.01, 0.06])
    assert (found.source, found.year, found.warning) == (*CITED.values(), "")


def test_what_the_caller_cites_goes_before_what_the_file_says(file):
    found = read_damage(file(HEAD + "temperature,loss\n0,0\n1,0.01\n"), source="Roe (2021)", year=2021)
    assert (found.source, found.year) == ("Roe (2021)", 2021)


def test_groups_have_a_curve_each(file):
    rows = "Loss,Sector,Region,Temperature\n0,Agriculture,North,1\n0.1,Agriculture,North,3\n0,Agriculture,South,1\n"
    found = read_damages(
        file(HEAD + rows + '0.3,Agriculture,South,2\n0,"Services, other",South,1\n0.1,"Services, other",South,2\n')
    )
    assert list(found) == [("North", "Agriculture"), ("South", "Agriculture"), ("South", "Services, other")]
    assert float(found["South", "Agriculture"](1.5)) == pytest.approx(0.15)


@pytest.mark.parametrize(
    "head",
    [
        "# source: Kotz, Levermann, Wenz: The economic commitment of climate change\n# year: 2024\n",
        HEAD + "# remark: scaled from Kotz et al. 2024\n",
        HEAD + "# scaled from Kotz et al. 2024: see there\n",
    ],
)
def test_a_retracted_study_warns_wherever_the_file_names_it(file, head):
    assert "retracted" in read_damage(file(head + "temperature,loss\n0,0\n1,0.01\n")).warning


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "has no rows"),
        (HEAD + "temperature,loss\n", "has no rows"),
        (HEAD + "T,loss\n1,0\n", "line 3: there is no column temperature"),
        (HEAD + "temperature,loss,country\n1,0,US\n", "line 3: the column 'country' is not known"),
        (HEAD + "temperature,loss,loss\n1,0,0\n", "line 3: a column is there twice"),
        (HEAD + "temperature,loss\n1,0\n2\n", "line 5: there are 1 cells, but 2 columns"),
        (HEAD + "temperature,loss\n1,0\n2,1e\n", "line 5: loss is '1e'; give a number"),
        (HEAD + "temperature,loss\n1,0\n2,nan\n", "line 5: loss is 'nan'"),
        (HEAD + "temperature,loss\n1,0\n2,\n", "line 5: loss is ''"),
        (HEAD + "temperature,loss\n1,0\n2,5.1\n", "line 5: loss is 5.1, more than all output; give shares"),
        (HEAD + "temperature,loss\n2,0\n1,0.1\n", "line 5: temperature 1 follows 2"),
        (HEAD + "temperature,loss\n2,0\n", "line 4: the curve has one temperature"),
        (HEAD + "region,temperature,loss\n ,2,0\n", "line 4: the region is empty"),
        (HEAD + "region,temperature,loss\nA,1,0\nA,2,0\nB,1,0\n", "line 6: the curve of B has one temperature"),
        ("# year: 2020\ntemperature,loss\n1,0\n2,0.1\n", "no line `# source: ...`"),
        ("# source: x\ntemperature,loss\n1,0\n2,0.1\n", "no line `# year: ...`"),
        (
            "# source: x\n# year: " + "9" * 5000 + "\ntemperature,loss\n1,0\n2,0.1\n",
            r"line 2: year is '9{57}\.\.\.'; give",
        ),
        (HEAD + "temperature,loss\n1," + "0" * 140_000 + "\n", r"line 4: is no CSV \(field larger than field limit"),
        (HEAD + "temperature,loss\n1,0\n2," + "9" * 5000 + "\n", r"line 5: loss is '9{57}\.\.\.'; give a number"),
        ("# source: x\n# year: last\ntemperature,loss\n1,0\n2,0.1\n", "line 2: year is 'last'"),
        (HEAD + "region,temperature,loss\nA,1,0\nA,2,0\nB,1,0\nB,2,0\n", r"has 2 curves \(A, B\); take one from"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_its_line(file, text, part):
    with pytest.raises(TableError, match=part) as caught:
        read_damage(file(text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_or_not_there_is_refused(file, tmp_path):
    with pytest.raises(TableError, match="cannot be read"):
        read_damage(tmp_path / "none.csv")
    with pytest.raises(TableError, match="not UTF-8"):
        read_damage(file(HEAD + "temperature,loss\n0,0\n# é\n", "latin-1"))


YEARS = "Model,Scenario,Region,Variable,Unit,2020,2030,2050\n"
WARM = f'M,Current Policies,World,"{TEMPERATURE}",K,1.2,1.5,2.0\n'
OUTPUTS = (
    f"M,Current Policies,EU,{DAMAGED},billion US$2010/yr,99,194,380\n"
    f"M,Current Policies,EU,{UNDAMAGED},billion US$2010/yr,100,200,400\n"
)


def test_scenarios_give_losses_over_their_own_warming(file):
    text = YEARS + WARM + OUTPUTS + "M,Current Policies,EU,Population,million,440,441,\n"
    found = read_scenarios(file(text), source="NGFS", year=2023)
    curve = found["M", "Current Policies", "EU"]
    assert len(found) == 1
    np.testing.assert_array_equal(curve.temperature, [1.2, 1.5, 2.0])
    np.testing.assert_allclose(curve.loss, [0.01, 0.03, 0.05], rtol=1e-12)
    assert curve.warning == ""


def test_years_without_all_three_values_are_left_out(file):
    text = YEARS + WARM + OUTPUTS.replace(",99,", ",,")
    curve = read_scenarios(file(text), source="NGFS", year=2023)["M", "Current Policies", "EU"]
    np.testing.assert_array_equal(curve.temperature, [1.5, 2.0])


def test_phase_five_warns(file):
    text = (YEARS + WARM + OUTPUTS).replace("\nM,", "\nREMIND-MAgPIE 3.3-4.8,")
    (curve,) = read_scenarios(file(text), source="NGFS phase V", year=2024).values()
    assert "retracted" in curve.warning


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "does not begin with the columns"),
        ("a,b\n1,2\n", "does not begin with the columns"),
        (YEARS.replace("2030", "mean") + WARM, "line 1: the column 'mean' is no year"),
        (YEARS.replace("2030", "02020") + WARM, "line 1: the year 2020 has two columns; keep one"),
        (YEARS.replace("2030", "2" * 5000) + WARM, r"line 1: the column '2{57}\.\.\.' is no year"),
        (YEARS + WARM.replace("1.2", "1" * 140_000), r"line 2: is no CSV \(field larger than field limit"),
        (YEARS + WARM + OUTPUTS.replace("194", "n/a"), "line 3: the value of 2030 is 'n/a'"),
        (YEARS + WARM + "M,a\n", "line 3: there are 2 cells, but 8 columns"),
        (YEARS + WARM + WARM, "line 3: .* is there twice"),
        (YEARS + OUTPUTS, "line 2: the scenario 'Current Policies' of 'M' has no variable"),
        (YEARS + WARM.replace(",K,", ",F,") + OUTPUTS, "line 2: warming is in 'F'"),
        (YEARS + WARM.replace("2.0", "1.4") + OUTPUTS, "warming does not rise from 2030 to 2050"),
        (YEARS + WARM + OUTPUTS.replace("US$2010/yr,100", "EUR/yr,100"), "lines 3 and 4: the outputs are in"),
        (YEARS + WARM + OUTPUTS.replace("200", "0"), "output in 2030 is not positive"),
        (YEARS + WARM, "no region with both"),
        (YEARS + WARM.replace("1.5,2.0", ",") + OUTPUTS, "fewer than two years"),
    ],
)
def test_a_table_of_scenarios_that_does_not_fit_is_refused(file, text, part):
    with pytest.raises(TableError, match=part):
        read_scenarios(file(text), source="NGFS", year=2023)
