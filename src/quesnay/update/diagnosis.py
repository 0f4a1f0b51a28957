"""Why margins cannot be met: the rows and columns that contradict each other, named by a linear programme."""

import numpy as np
import scipy.optimize
import scipy.sparse

from quesnay._errors import InputError

from .problem import Problem

LARGEST = 300_000
"""Cells above which no linear programme is set up."""
FEASIBLE = 1e-9
"""Share of the targets that a linear programme may miss by rounding; more where the targets are in single precision."""

SOFTEN = "make margins soft with row_sd, column_sd (in currency) and cell_sd (relative)"


def explain(problem: Problem, blocks: tuple[str, ...] | None = None) -> None:
    """Raise `InputError` where no table of these zeros, signs and bounds has the margins; return where one has."""
    gross = problem.positive if problem.negative is None else problem.positive + problem.negative
    cells = np.argwhere(np.asarray(gross) > 0)
    if not 0 < len(cells) <= LARGEST:
        return
    sums, names, target = _constraints(problem, cells, blocks)
    if not len(target):
        return
    soft = any(bool(np.any(np.asarray(variance) > 0)) for variance in problem.variance)
    soften = "raise those of their deviations that are 0" if soft else SOFTEN
    prior, low, high = _limits(problem, cells)
    missed = _least_miss(sums, target, low, high)
    if missed is None:
        return
    feasible = max(FEASIBLE, 8 * float(np.finfo(target.dtype).eps))
    wrong = np.flatnonzero(np.abs(missed) > feasible * np.abs(target).sum())
    if len(wrong):
        worst = wrong[np.argsort(-np.abs(missed[wrong]))][:3]
        said = ", ".join(f"{names[i]} by {missed[i]:+.6g}" for i in worst)
        more = f" and {len(wrong) - 3} more, {np.abs(missed[wrong]).sum():.6g} in all" if len(wrong) > 3 else ""
        raise InputError(
            f"no table with the zeros, signs and bounds of Z0 has these margins: the least change that would do is {said}"
            f"{more}; correct those sums, give flows to cells at 0, or {soften}."
        )
    stuck = _stuck(sums, target, prior, low, high)
    if stuck is not None:
        place = tuple(int(i) for i in cells[stuck])
        raise InputError(
            f"the margins can only be met with cells at 0, cell {place} among them, which scaling never reaches; "
            f"set those cells to 0 in Z0, or {soften}."
        )


def _constraints(
    problem: Problem, cells: np.ndarray, blocks: tuple[str, ...] | None
) -> tuple[scipy.sparse.csr_array, list[str], np.ndarray]:
    """Return the matrix that sums the cells into the exact targets, the name of each, and the targets."""
    places = {"row": cells[:, 0], "column": cells[:, 1]}
    if problem.label is not None:
        places["block"] = np.asarray(problem.label)[tuple(cells.T)]
    matrices, names, targets = [], [], []
    for kind, place in places.items():
        there, target, variance = (
            np.asarray(getattr(p, kind)) for p in (problem.wanted, problem.target, problem.variance)
        )
        which = np.flatnonzero(there & (variance == 0))
        within = place < len(target)
        ones = np.ones(within.sum())
        shape = (len(target), len(cells))
        matrices.append(scipy.sparse.csr_array((ones, (place[within], np.flatnonzero(within))), shape=shape)[which])
        names += [f"{kind} {blocks[i] if kind == 'block' and blocks else i}" for i in which]
        targets.append(target[which])
    return scipy.sparse.csr_array(scipy.sparse.vstack(matrices)), names, np.concatenate(targets)


def _limits(problem: Problem, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the prior of each cell, and its bounds: those given, or its sign."""
    place = tuple(cells.T)
    plus = np.asarray(problem.positive)[place]
    minus = np.zeros_like(plus) if problem.negative is None else np.asarray(problem.negative)[place]
    still = np.zeros(len(plus), bool) if problem.elasticity is None else np.asarray(problem.elasticity)[place] == 0
    prior = plus - minus
    if problem.lowest is None or problem.highest is None:
        low, high = np.where(plus > 0, 0, -np.inf), np.where(plus > 0, np.inf, 0)
    else:
        k = np.ones_like(plus) if problem.elasticity is None else np.asarray(problem.elasticity)[place]
        with np.errstate(invalid="ignore"):
            ends = [np.where(k > 0, k * np.asarray(s)[place], 0) for s in (problem.lowest, problem.highest)]
        low, high = (plus * np.exp(end) - minus * np.exp(-np.where(minus > 0, end, 0)) for end in ends)
    return prior, np.where(still, prior, low), np.where(still, prior, high)


def _least_miss(sums, target: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """Return the smallest changes (in sum) of the targets that make them feasible."""
    eye = scipy.sparse.eye_array(len(target))
    scale = np.abs(target).max()
    cost = np.concatenate([np.zeros(sums.shape[1]), np.ones(2 * len(target))])
    bounds = np.column_stack([np.concatenate([low / scale, np.zeros(2 * len(target))]),
                              np.concatenate([high / scale, np.full(2 * len(target), np.inf)])])  # fmt: skip
    wide = scipy.sparse.hstack([sums, eye, -eye])
    found = scipy.optimize.linprog(cost, A_eq=wide, b_eq=target / scale, bounds=bounds, method="highs")
    if not found.success:
        return None
    over, under = np.split(found.x[sums.shape[1] :], 2)
    return (under - over) * scale


def _stuck(sums, target: np.ndarray, prior: np.ndarray, low: np.ndarray, high: np.ndarray) -> int | None:
    """Return a cell that every solution has at 0, or None: the largest t for which all cells can keep the share t of Z0."""
    scale = np.abs(target).max()
    free = low < high
    lower = scipy.sparse.hstack(
        [-scipy.sparse.diags_array(np.sign(prior)), np.where(free, np.abs(prior), 0)[:, None] / scale]
    )
    wide = scipy.sparse.hstack([sums, np.zeros((len(target), 1))])
    bounds = np.column_stack([np.append(low / scale, 0), np.append(high / scale, 1)])
    cost = np.append(np.zeros(len(prior)), -1)
    found = scipy.optimize.linprog(
        cost, A_ub=lower, b_ub=np.zeros(len(prior)), A_eq=wide, b_eq=target / scale, bounds=bounds, method="highs"
    )
    if not found.success or found.x[-1] > FEASIBLE:
        return None
    return int(np.argmin(np.where(free, np.abs(found.x[:-1]) * scale / np.abs(prior), np.inf)))
