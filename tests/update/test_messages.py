"""What balancing refuses, and what it says: where, what, and what to do."""

import numpy as np
import pytest

import quesnay as q

from .margins import table_and_margins

Z, ROWS, COLUMNS = table_and_margins(4)
EMPTY = np.where(np.arange(5)[:, None] == 2, 0, Z)
GROUPS = ["a", "a", "b", "b", "b"]
BLOCKS = q.update.Blocks(np.where(Z > 0, 0, -1), [Z.sum()])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: q.update.ras(Z, ROWS, 1.1 * COLUMNS), r"the rows sum to .* and the columns to .*: no table has both"),
        (lambda: q.update.ras(-Z, ROWS, COLUMNS), "Z0 is negative in .* cells, the first at .*; take gras"),
        (lambda: q.update.ras(Z, -ROWS, -COLUMNS), "row 0 should sum to -.*, but it has no negative cell"),
        (lambda: q.update.gras(Z, -ROWS, -COLUMNS), "row 0 should sum to -.*, but it has no negative cell"),
        (lambda: q.update.newton(EMPTY, ROWS, COLUMNS), "row 2 should sum to .*, but all cells that may move are 0"),
        (
            lambda: q.update.ras(np.eye(2), [1.0, 2.0], [2.0, 1.0]),
            "no table with the zeros, signs and bounds of Z0 .* 0 by -1",
        ),
        (
            lambda: q.update.ras(Z, ROWS, COLUMNS, lower=0.999 * Z, upper=1.001 * Z),
            r"no table with the zeros, signs and bounds .* and \d+ more, .* in all; correct",
        ),
        (lambda: q.update.ras(Z, ROWS, COLUMNS, lower=2 * Z, upper=Z), "lower is above upper in"),
        (lambda: q.update.ras(Z, ROWS, COLUMNS, upper=-1.0), "a bound excludes the sign of"),
        (lambda: q.update.ras(Z, ROWS, COLUMNS, row_sd=1.0), "give cell_sd"),
        (lambda: q.update.ras(Z, ROWS, None, column_sd=1.0, cell_sd=1.0), "column_sd is given, but columns are not"),
        (lambda: q.update.ras(Z, ROWS, COLUMNS, row_sd=-1.0, cell_sd=1.0), "row_sd has negative or missing"),
        (lambda: q.update.ras(Z, ROWS[:3], COLUMNS), r"rows has shape \(3,\), but Z0 is 5 x 5"),
        (lambda: q.update.ras(Z, ROWS * np.nan, COLUMNS), "rows has no finite number at 0"),
        (lambda: q.update.ras(Z * np.nan, ROWS, COLUMNS), "Z0 is not finite in 2.* cells"),
        (lambda: q.update.ras(Z[0], ROWS, COLUMNS), r"Z0 has shape \(5,\)"),
        (lambda: q.update.ras(Z, None, None), "there are no margins"),
        (lambda: q.update.ras(Z, ROWS, COLUMNS, fixed=np.ones(5)), "fixed is float64"),
        (
            lambda: q.update.ras(Z[:4], ROWS[:4], COLUMNS * ROWS[:4].sum() / ROWS.sum(), blocks=BLOCKS),
            "the blocks label",
        ),
        (lambda: q.update.ras(Z, ROWS, COLUMNS, blocks=3), "blocks is 3; give q.update.Blocks"),
        (lambda: q.update.Blocks(np.full((2, 2), 3), [1.0]), "label names blocks beyond the 1 totals"),
        (lambda: q.update.Blocks.between([0, 2], [0, 1], np.ones((2, 2))), "rows names groups beyond the 2 of total"),
        (lambda: q.update.Blocks.between(["a"], ["b"], np.ones((1, 1))), "rows has names, but total is an array"),
        (
            lambda: q.update.Blocks.between(["a"], ["b"], {("a", "c"): 1.0}),
            "a sum for 'c', but columns has no such group",
        ),
        (lambda: q.update.Blocks.between(["a"], ["b"], {("a", "b"): 1.0}, sd={}), "sd has other keys than total"),
        (
            lambda: q.update.ras(Z, ROWS, COLUMNS, blocks=q.update.Blocks.between(GROUPS, GROUPS, {("a", "b"): 1e9})),
            r"no table with .* block a -> b by -",
        ),
    ],
)
def test_one_sentence_says_what_is_wrong(call, said):
    with pytest.raises(q.InputError, match=said) as error:
        call()
    assert "\n" not in str(error.value)


def test_margins_that_only_hold_with_a_cell_at_zero_are_named_or_met():
    """Rows and columns of 1 with a zero at (1, 1) force the cell (0, 0) to 0."""
    z = q.update.ras([[1.0, 1.0], [1.0, 0.0]], [1.0, 1.0], [1.0, 1.0])
    np.testing.assert_allclose(z.value, [[0, 1], [1, 0]], atol=1e-11)


def test_without_throw_the_code_says_how_it_ended():
    z = q.update.ras(np.eye(2), [1.0, 2.0], [2.0, 1.0], throw=False)
    assert z.result != q.equilibrium.RESULTS.successful
    assert float(z.error) > 0.1


def test_rounding_between_the_totals_is_taken_up_and_reported():
    z = q.update.ras(Z, ROWS, COLUMNS * (1 + 1e-10))
    assert 1e-12 < float(z.error) < 2e-10
    np.testing.assert_allclose(z.value.sum(1), ROWS, rtol=1e-12)
